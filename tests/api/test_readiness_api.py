"""Evidence, readiness and what named persons put behind a workflow, through the admin API of a whole control."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from api.conftest import Install
from roadworthy.evidence import rules
from roadworthy.evidence.kinds import DAY, Canary, Facet, FailureCatalogue, FallbackDrills, Figures, kind_of
from roadworthy.evidence.model import Evidence
from roadworthy.inference_log.model import Batch
from roadworthy.operations.proving.readiness import coarse
from roadworthy.workflow.inference import Inference, new_inference_id
from roadworthy.workflow.service import Actor

Login = Callable[[str], str]
OBSERVE = {
    "workflows/watched/workflow.yaml": (
        "owners: {workflow: ada, prompt: bo, cost: ada}\nenforcement: observe\n"
        "prompt: {mode: managed, system: prompt.md}\ntarget: main\nbypass: app\n"
    ),
    "workflows/watched/prompt.md": "You watch.\n",
}


@pytest.fixture
def frozen(applied: Install) -> Install:
    applied.good("POST", "/v1/freeze", {"workflow": "triage"})
    return applied


def ready(install: Install, workflow: str = "triage", **query: Any) -> dict[str, Any]:
    asked = "&".join(f"{name}={value}" for name, value in {"workflow": workflow, **query}.items())
    found: dict[str, Any] = install.good("GET", f"/v1/readiness?{asked}")
    return found


def item(install: Install, number: int, workflow: str = "triage") -> dict[str, Any]:
    return next(each for each in ready(install, workflow)["items"] if each["number"] == number)


def denied(install: Install) -> dict[str, Any]:
    """The newest audit record, which must be a denial."""
    record = install.audit()[-1]
    assert record["outcome"] == "denied", record
    return record


def keep(install: Install, figures: Figures, **more: Any) -> Evidence:
    """What a run showed of the newest release."""
    board, now = install.control.proving.board, install.clock()
    known = board.bindings("triage")[0]
    kind = kind_of(figures)
    bound: dict[Facet, str] = rules.binding(kind, known)
    facts: dict[str, Any] = {
        "id": f"evd_{kind}_{now:.0f}", "team": "default", "workflow": "" if "install" in bound else "triage",
        "figures": figures, "run": "run_1", "bound": bound, "by": "os:0", "made_at": now,
        "lapses_at": now + rules.life(kind), "mode": "live",
    }  # fmt: skip
    return install.control.proving.ledger.keep(Evidence(**{**facts, **more}), board.bindings("triage"))


def catalogue(install: Install, content: str = "c1") -> Evidence:
    return keep(install, FailureCatalogue(content=content, failures=["slow"], drills="evd_x"), mode="mocked")


# --- readiness


@pytest.mark.parametrize(("ago", "days"), [(0, 1.0), (3, 3.5), (30, 7.0)])
def test_calls_a_day_are_counted_over_the_days_that_a_workflow_is_live_a_week_at_most(
    frozen: Install, ago: int, days: float
) -> None:
    today = frozen.clock.now - frozen.clock.now % DAY
    live = {"team": "default", "workflow": "triage", "outcome": "answered", "route": "release", "traffic": "live"}
    at = [today - ago * DAY, *[today + n for n in range(999)]]
    made = [Inference(**{"id": new_inference_id(ts, n), "ts": ts, **live}) for n, ts in enumerate(at)]
    frozen.control.store.ship(Batch(ends=made))
    frozen.clock.now = today + DAY / 2
    a_day = (1000 if ago < 7 else 999) / days
    assert item(frozen, 1)["cap"] == pytest.approx(25 / coarse(a_day))


def test_a_workflow_of_which_nothing_was_shown_is_a_pilot_for_testers_only(frozen: Install) -> None:
    report = ready(frozen)
    assert (report["label"], report["ceiling"], report["held_by"]) == ("pilot", 0.0, [6])
    assert [each["number"] for each in report["items"]] == list(range(1, 11))
    assert report["why"] == "item 6: the gate never ran for this behaviour"
    assert report["sequence"][0]["reached_at"] == frozen.clock()
    assert report["next"]["name"] == "capture"


def test_a_workflow_without_a_release_has_only_its_first_step_before_it(applied: Install) -> None:
    report = ready(applied)
    assert report["release"] is None
    assert report["next"]["command"] == "roadworthy freeze triage"


def test_all_workflows_are_on_one_page(frozen: Install) -> None:
    rows = frozen.good("GET", "/v1/readiness/all")["items"]
    assert [(row["workflow"], row["label"], row["met"], row["of"]) for row in rows] == [("triage", "pilot", 0, 10)]


def test_a_plan_has_dates_from_the_days_that_the_demo_took(frozen: Install) -> None:
    steps = ready(frozen, demo_days=4)["sequence"]
    last = steps[-1]
    assert steps[0]["earliest"] is None  # frozen already
    days = [(last[end] - frozen.clock()) / DAY for end in ("earliest", "latest")]
    assert days == pytest.approx([3 * 4 * 0.95, 6 * 4 * 0.95])


@pytest.mark.parametrize("days", ["0", "-1", "nan", "soon", "99999"])
def test_days_of_a_demo_that_are_none_are_refused(frozen: Install, days: str) -> None:
    answer = frozen.call("GET", f"/v1/readiness?workflow=triage&demo_days={days}")
    assert answer.status_code == 400
    assert "expected a number of days above 0" in answer.text


@pytest.mark.parametrize("query", ["workflow=nothing", "workflow=triage&release=7"])
def test_what_there_is_not_has_no_readiness(frozen: Install, query: str) -> None:
    assert frozen.call("GET", f"/v1/readiness?{query}").status_code == 404


def test_a_newer_release_is_named_and_an_older_one_can_be_judged(frozen: Install) -> None:
    frozen.apply(**{"workflows/triage/prompt.md": "You are kinder.\n"})
    frozen.good("POST", "/v1/freeze", {"workflow": "triage"})
    assert ready(frozen)["release"]["number"] == 2
    older = ready(frozen, release=1)
    assert (older["release"]["number"], older["newest"]["number"]) == (1, 2)


def test_a_release_keeps_no_evidence_that_its_change_lapses(frozen: Install) -> None:
    keep(frozen, FallbackDrills(failures={"slow": "PASS"}, drills=3), mode="mocked")
    assert item(frozen, 4)["verdict"] == "PASS"
    frozen.apply(**{"workflows/triage/prompt.md": "You are kinder.\n"})
    frozen.good("POST", "/v1/freeze", {"workflow": "triage"})
    assert item(frozen, 4)["verdict"] == "INSUFFICIENT"


def test_a_failed_drill_takes_everybody_but_testers_away_until_it_passes(frozen: Install) -> None:
    keep(frozen, FallbackDrills(failures={"slow": "FAIL"}, drills=3), mode="mocked")
    assert (item(frozen, 4)["verdict"], item(frozen, 4)["cap"]) == ("FAIL", 0.0)
    frozen.clock.now += 60
    keep(frozen, FallbackDrills(failures={"slow": "PASS"}, untested=["refused"], drills=3), mode="mocked")
    assert item(frozen, 4)["verdict"] == "FAIL"
    frozen.clock.now += 60
    keep(frozen, FallbackDrills(failures={"slow": "PASS"}, drills=3), mode="mocked")
    assert item(frozen, 4)["verdict"] == "PASS"


def test_a_change_of_owners_asks_for_the_new_owner_acceptance(frozen: Install, login: Login) -> None:
    frozen.good("POST", "/v1/evidence/accept", {"workflow": "triage"}, token=login("ada"))
    frozen.good("POST", "/v1/evidence/accept", {"workflow": "triage"}, token=login("bo"))
    assert item(frozen, 5)["verdict"] == "PASS"
    assert item(frozen, 5)["lapses_at"] == pytest.approx(frozen.clock() + 180 * DAY)


# --- accepting


def test_an_owner_accepts_what_waits_for_them_and_nothing_else(frozen: Install, login: Login) -> None:
    made = catalogue(frozen)
    done = frozen.good("POST", "/v1/evidence/accept", {"workflow": "triage"}, token=login("ada"))["items"]
    assert [(each["kind"], each["figures"].get("role")) for each in done] == [
        ("acceptance", "workflow"), ("acceptance", "cost"), ("failure_catalogue", None),
    ]  # fmt: skip
    assert done[-1]["id"] == made.id
    assert item(frozen, 10)["verdict"] == "PASS"
    assert [(each["role"], each["person"]) for each in ready(frozen)["owed"]] == [("prompt", "bo")]
    actions = [record["action"] for record in frozen.audit()]
    assert actions.count("evidence.keep") == 3  # the catalogue and two roles
    assert actions[-1] == "evidence.accept"


def test_a_catalogue_that_reads_as_before_stays_accepted_and_another_does_not(frozen: Install, login: Login) -> None:
    catalogue(frozen)
    frozen.good("POST", "/v1/evidence/accept", {"workflow": "triage"}, token=login("ada"))
    frozen.clock.now += DAY
    catalogue(frozen)
    assert item(frozen, 10)["verdict"] == "PASS"
    assert item(frozen, 10)["age"] == "fresh"
    frozen.clock.now += DAY
    catalogue(frozen, "c2")
    assert item(frozen, 10)["age"] == "stale"
    assert any(each["kind"] == "failure_catalogue" for each in ready(frozen)["owed"])


@pytest.mark.parametrize(
    ("person", "body", "status", "why"),
    [
        ("bo", {"roles": ["workflow"]}, 403, "bo is not the workflow owner of triage; bo is its prompt owner"),
        ("bo", {"evidence": "evd_failure_catalogue_1795400000"}, 403, "bo is not the workflow owner"),
        ("ada", {"evidence": "evd_nothing"}, 409, "there is no evidence evd_nothing of triage"),
    ],
)  # fmt: skip
def test_who_is_not_asked_cannot_accept_and_the_denial_is_audited(
    frozen: Install, login: Login, person: str, body: dict[str, Any], status: int, why: str
) -> None:
    catalogue(frozen)
    answer = frozen.call("POST", "/v1/evidence/accept", {"workflow": "triage", **body}, token=login(person))
    assert (answer.status_code, why in answer.text) == (status, True), answer.text
    assert denied(frozen)["actor"] == person


def test_an_os_user_may_look_and_never_accept_waive_or_revoke(frozen: Install) -> None:
    for path, body in (
        ("accept", {"workflow": "triage"}),
        ("attest", {"workflow": "triage", "instead_of": "canary", "words": "I saw it"}),
        ("revoke", {"workflow": "triage", "reason": "r"}),
    ):
        answer = frozen.call("POST", f"/v1/evidence/{path}", body)
        assert answer.status_code == 403
        assert "roadworthy login" in answer.text
        assert denied(frozen)["actor"].startswith("os:")
    frozen.good("GET", "/v1/evidence?workflow=triage")


def test_accepting_twice_says_what_waits_for_others(frozen: Install, login: Login) -> None:
    token = login("ada")
    frozen.good("POST", "/v1/evidence/accept", {"workflow": "triage"}, token=token)
    again = frozen.call("POST", "/v1/evidence/accept", {"workflow": "triage"}, token=token)
    assert again.status_code == 409
    assert "acceptance (prompt) by bo" in again.text


# --- a person's word, and imports


def test_a_word_is_marked_caps_at_ten_percent_and_never_stands_for_what_a_machine_shows(
    frozen: Install, login: Login
) -> None:
    token = login("ada")
    body = {"workflow": "triage", "instead_of": "load_test", "words": "It held on the old stack."}
    made = frozen.good("POST", "/v1/evidence/attest", body, token=token)
    assert made["lapses_at"] == frozen.clock() + 30 * DAY
    found = item(frozen, 1)
    assert (found["mark"], found["cap"], found["met"]) == ("attested", 0.10, False)
    for kind in ("fallback_drills", "eval_gate", "kill_drill"):
        answer = frozen.call("POST", "/v1/evidence/attest", {**body, "instead_of": kind}, token=token)
        assert answer.status_code == 409
        assert "never enough" in answer.text
        assert denied(frozen)["action"] == "evidence.keep"
    wrong = frozen.call("POST", "/v1/evidence/attest", {**body, "instead_of": "canari"}, token=token)
    assert "there is no kind of evidence 'canari'" in wrong.text


def test_a_word_about_the_install_counts_for_its_giver_s_workflow_alone(frozen: Install, login: Login) -> None:
    body = {"workflow": "triage", "instead_of": "canary", "words": "I looked."}
    frozen.good("POST", "/v1/evidence/attest", body, token=login("ada"))
    frozen.apply(**OBSERVE)
    assert item(frozen, 3)["mark"] == "attested"
    assert item(frozen, 3, "watched")["mark"] == ""


def test_only_the_owner_gives_a_word(frozen: Install, login: Login) -> None:
    body = {"workflow": "triage", "instead_of": "canary", "words": "I looked."}
    answer = frozen.call("POST", "/v1/evidence/attest", body, token=login("bo"))
    assert answer.status_code == 403
    assert "only its owner may, who is ada" in answer.text
    assert denied(frozen)["actor"] == "bo"


def imported(install: Install, **more: Any) -> bytes:
    now = install.clock()
    behaviour = install.control.proving.board.bindings("triage")[0]["behaviour"]
    figures = {"kind": "load_test", "seconds": 3600, "rate": 9, "calls": 30000, "p50": 1, "p95": 2, "p99": 3,
               "error_share": 0.0}  # fmt: skip
    facts = {"figures": figures, "run": "k6-17", "bound": {"behaviour": behaviour}, "made_at": now - 60,
             "lapses_at": now + 20 * DAY}  # fmt: skip
    return json.dumps({**facts, **more}).encode()


def test_what_another_tool_measured_is_marked_and_is_somebody_s_word(frozen: Install, login: Login) -> None:
    frozen.apply(**{"workflows/triage/workflow.yaml": (
        "owners: {workflow: ada, prompt: bo, cost: ada}\nprompt: {mode: managed, system: prompt.md}\ntarget: main\n"
        "canned: {text: later}\nbypass: app\nladder: {unavailable: [canned]}\npolicy: {projected_peak: 4}\n"
    )})  # fmt: skip
    path = "/v1/evidence/import?workflow=triage"
    answer = frozen.call("POST", path, content=imported(frozen), token=login("ada"))
    assert answer.status_code == 200, answer.text
    assert (answer.json()["mode"], answer.json()["by"]) == ("imported", "ada")
    assert (item(frozen, 1)["mark"], item(frozen, 1)["cap"]) == ("imported", 0.10)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mode": "live"}, "it says that its mode is 'live', and it is imported"),
        ({"accepted": [{"by": "ada", "role": "cost", "at": 1}]}, "it brings its own acceptances"),
        ({"by": "bo"}, "ada imports it"),
        ({"workflow": "other"}, "it is about workflow 'other'"),
        ({"made_at": 1_795_400_000.0 + 3600}, "in the future"),
        ({"made_at": 1_700_000_000.0, "lapses_at": 1_700_000_100.0}, "it lapsed"),
        ({"bound": {"handling": "han_1"}}, "a load test is about behaviour"),
        ({"bound": {"behaviour": "beh_other"}}, "nothing here is behaviour beh_other"),
        ({"run": ""}, "must come from a run"),
        ({"figures": {"kind": "load_tset"}}, "there is no kind of evidence 'load_tset'"),
        ({"figures": {"kind": "load_test", "seconds": -1}}, "does not fit its schema"),
        ({"lapses_at": 1_795_400_000.0 + 40 * DAY}, "holds for 30 days at most"),
        (b"no json", "no JSON"),
    ],
)
def test_an_import_that_cannot_be_taken_is_refused_with_the_reason_and_audited(
    frozen: Install, login: Login, change: dict[str, Any] | bytes, why: str
) -> None:
    raw = change if isinstance(change, bytes) else imported(frozen, **change)
    answer = frozen.call("POST", "/v1/evidence/import?workflow=triage", content=raw, token=login("ada"))
    assert answer.status_code == 409, answer.text
    assert why in answer.text
    assert denied(frozen)["actor"] == "ada"


# --- waivers


def waive(install: Install, token: str, **more: Any) -> Any:
    body = {"workflow": "triage", "item": 9, "until": install.clock() + 10 * DAY, "reason": "fair week", **more}
    return install.call("POST", "/v1/waivers", body, token=token)


def test_a_waiver_lifts_an_item_shows_everywhere_and_keeps_production_away(frozen: Install, login: Login) -> None:
    made = waive(frozen, login("ada")).json()
    found = item(frozen, 9)
    assert (found["cap"], found["met"], found["waiver"]["id"]) == (1.0, False, made["id"])
    assert "Item 9 waived until" in ready(frozen)["notice"]
    frozen.clock.now += 10 * DAY
    assert item(frozen, 9)["waiver"] is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"item": 4}, "never waived"), ({"item": 6}, "never waived"), ({"item": 7}, "never waived"),
        ({"item": 11}, "there is no item 11"), ({"reason": " "}, "needs a reason"),
        ({"until": 1_795_400_000.0 + 31 * DAY}, "30 are the most"), ({"until": 1.0}, "over already"),
        ({"item": None}, "enforced by its configuration"),
    ],
)  # fmt: skip
def test_a_waiver_that_nobody_may_make_is_refused_and_audited(
    frozen: Install, login: Login, change: dict[str, Any], why: str
) -> None:
    answer = waive(frozen, login("ada"), **change)
    assert (answer.status_code, why in answer.text) == (409, True), answer.text
    assert denied(frozen)["action"] == "waiver.make"


def test_only_the_owner_waives_and_takes_a_waiver_back(frozen: Install, login: Login) -> None:
    assert waive(frozen, login("bo")).status_code == 403
    assert denied(frozen)["actor"] == "bo"
    ada = login("ada")
    ident = waive(frozen, ada).json()["id"]
    frozen.good("POST", "/v1/waivers/end", {"workflow": "triage", "id": ident}, token=ada)
    assert item(frozen, 9)["waiver"] is None
    again = frozen.call("POST", "/v1/waivers/end", {"workflow": "triage", "id": ident}, token=ada)
    assert again.status_code == 409
    assert denied(frozen)["action"] == "waiver.end"


def test_the_first_apply_of_an_observed_workflow_signs_thirty_days_in_its_owner_s_name(applied: Install) -> None:
    applied.apply(**OBSERVE)
    report = ready(applied, "watched")
    assert report["label"] == "pilot"
    assert report["notice"].startswith("Extended pilot, not enforced until ")
    assert report["notice"].endswith(", ada")
    made = next(record for record in applied.audit() if record["action"] == "waiver.make")
    assert (made["actor"], made["on_behalf_of"]) == ("ada", applied.peer)
    applied.clock.now += 31 * DAY
    applied.apply(**(OBSERVE | {"workflows/watched/prompt.md": "You watch well.\n"}))
    assert ready(applied, "watched")["label"] == "lapsed pilot"
    assert "Lapsed pilot" in ready(applied, "watched")["notice"]


def test_a_workflow_of_which_something_was_signed_gets_no_waiver_by_itself(frozen: Install, login: Login) -> None:
    frozen.good("POST", "/v1/evidence/accept", {"workflow": "triage"}, token=login("ada"))
    applied = frozen.control.workflows.configuration()
    assert applied is not None
    flows = {name: replace(flow, enforcement="observe") for name, flow in applied.configuration.workflows.items()}
    assert (
        frozen.control.proving.vouching.observed(replace(applied.configuration, workflows=flows), Actor("os:0")) == []
    )


def test_a_waiver_whose_row_was_removed_is_not_made_anew_by_the_next_apply(applied: Install) -> None:
    applied.apply(**OBSERVE)
    applied.clock.now += 31 * DAY
    with database(applied) as tables:
        tables.execute("DELETE FROM waiver")
    applied.apply(**(OBSERVE | {"workflows/watched/prompt.md": "You watch well.\n"}))
    assert ready(applied, "watched")["label"] == "lapsed pilot"
    assert [record["action"] for record in applied.audit()].count("waiver.make") == 1


# --- what the database says is not believed


def database(install: Install) -> sqlite3.Connection:
    return sqlite3.connect(install.control.folder.state_db)


def test_a_row_that_somebody_wrote_into_the_database_counts_for_nothing_and_shows(frozen: Install) -> None:
    kept = keep(frozen, Canary(log=True, metrics=False, trace=True, seconds=1.0))
    assert item(frozen, 3)["verdict"] == "INSUFFICIENT"
    with database(frozen) as tables:
        (token,) = tables.execute("SELECT token FROM evidence WHERE id = ?", (kept.id,)).fetchone()
        names = [row[1] for row in tables.execute("PRAGMA table_info(evidence)")]
        row = dict(zip(names, tables.execute("SELECT * FROM evidence").fetchone(), strict=True))
        row |= {"id": "evd_forged", "token": token[:-4] + "AAAA", "made_at": frozen.clock()}
        marks = ", ".join("?" for _ in names)
        tables.execute(f"INSERT INTO evidence VALUES ({marks})", [row[name] for name in names])
    report = ready(frozen)
    assert report["forged"] == 1
    assert item(frozen, 3)["verdict"] == "INSUFFICIENT"


def test_an_older_row_that_was_put_back_does_not_bring_an_ended_waiver_back(frozen: Install, login: Login) -> None:
    ada = login("ada")
    ident = waive(frozen, ada).json()["id"]
    with database(frozen) as tables:
        (before,) = tables.execute("SELECT token FROM waiver WHERE id = ?", (ident,)).fetchone()
    frozen.good("POST", "/v1/waivers/end", {"workflow": "triage", "id": ident}, token=ada)
    with database(frozen) as tables:
        tables.execute("UPDATE waiver SET token = ?, ends_at = ? WHERE id = ?", (before, frozen.clock() + DAY, ident))
    assert item(frozen, 9)["waiver"] is None


def test_a_failed_run_counts_on_when_its_row_was_removed(frozen: Install) -> None:
    keep(frozen, FallbackDrills(failures={"slow": "FAIL"}, drills=3), mode="mocked")
    with database(frozen) as tables:
        tables.execute("DELETE FROM evidence")
    assert item(frozen, 4)["verdict"] == "FAIL"


def test_without_a_gateway_no_canary_is_sent_and_nothing_is_kept(frozen: Install) -> None:
    answer = frozen.call("POST", "/v1/canary", {"workflow": "triage"})
    assert answer.status_code == 409
    assert "took no canary" in answer.text
    assert item(frozen, 3)["figure"] == "never shown"
    assert frozen.call("POST", "/v1/canary", {"workflow": "trage"}).status_code == 404
