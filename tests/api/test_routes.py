"""The routes, their shapes and their errors."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from roadworthy.gateway import snapshot as snapshots
from roadworthy.workflow import audit
from roadworthy.workflow.inference import Inference, InferenceStart, Seal

from .conftest import FILES, Install

FLOW = "workflows/triage/workflow.yaml"


def journal(install: Install, *inferences: Inference) -> None:
    """What a worker that ended in good order left."""
    folder = install.control.folder.journal / "w0"
    folder.mkdir()
    lines: list[InferenceStart | Inference | Seal] = []
    for one in inferences:
        lines += [InferenceStart(one.id, one.ts, one.team, one.workflow, unit=one.unit), one]
    lines.append(Seal(1.0, len(lines)))
    (folder / "1795400000000-000001.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def inference(install: Install, number: int, **facts: object) -> Inference:
    return Inference(
        id=f"inf_{int(install.clock.now * 1000):012x}{number:020x}",
        ts=install.clock.now - 10 + number,
        team="default",
        workflow="triage",
        outcome="answered",
        unit="u-42",
        request=msgspec.Raw(b'{"model":"triage","messages":[]}'),
        cost_usd=0.25,
        latency=0.5,
        **facts,  # type: ignore[arg-type]
    )


def test_apply_plans_applies_and_publishes(install: Install) -> None:
    dry = install.good("POST", "/v1/apply", {"files": FILES, "dry_run": True})
    assert not dry["applied"]
    assert not install.control.folder.snapshot.exists() or install.control.publisher.current is not None
    done = install.apply()
    assert (done["applied"], done["version"], done["plan"]) == (True, 1, dry["plan"])
    assert "triage" in snapshots.decode(install.control.folder.snapshot.read_bytes()).workflows
    again = install.apply()
    assert (again["applied"], again["plan"]) == (False, [])


def test_wrong_configuration_changes_nothing_and_names_everything(applied: Install) -> None:
    files = FILES | {"workflows/triage/workflow.yaml": FILES["workflows/triage/workflow.yaml"] + "tarjet: x\n"}
    answer = applied.call("POST", "/v1/apply", {"files": files})
    assert answer.status_code == 422
    body = answer.json()
    assert body["error"]["code"] == "invalid_configuration"
    assert body["errors"][0]["file"] == "workflows/triage/workflow.yaml"
    assert not body["applied"]
    assert applied.good("GET", "/v1/configuration")["files"] == FILES
    assert applied.good("POST", "/v1/check", {"files": files})["errors"] == body["errors"]


def test_freeze_serves_and_releases_and_diff_tell_of_it(applied: Install) -> None:
    first = applied.good("POST", "/v1/freeze", {"workflow": "triage", "note": "first"})
    assert (first["number"], first["created"]) == (1, True)
    assert not applied.good("POST", "/v1/freeze", {"workflow": "triage"})["created"]
    served = snapshots.decode(applied.control.folder.snapshot.read_bytes()).workflows["triage"]
    assert served.release == first["release"]
    applied.apply(**{"workflows/triage/prompt.md": "You are brief.\n"})
    found = applied.good("GET", "/v1/releases/diff?a=served&b=draft")
    assert found["workflow"] == "triage"
    assert [change["field"] for change in found["changes"]] == ["prompt.system"]
    assert "eval gate" in found["lapses"]
    (listed,) = applied.good("GET", "/v1/releases?workflow=triage")["items"]
    assert (listed["served"], listed["note"], listed["digest"]) == (True, "first", first["release"])


def test_an_unknown_workflow_is_named_with_the_nearest(applied: Install) -> None:
    answer = applied.call("POST", "/v1/freeze", {"workflow": "triaje"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "triage" in answer.json()["error"]["message"]


def test_the_log_is_shipped_found_summed_and_exported(applied: Install) -> None:
    one, two = inference(applied, 1), inference(applied, 2, tags={"channel": "mail"})
    journal(applied, one, two)
    flushed = applied.good("POST", "/v1/journal/flush")
    assert (flushed["stored"], flushed["lag"]["pending_bytes"]) == (2, 0)
    page = applied.good("GET", "/v1/log?unit=u-42&limit=1")
    assert [item["id"] for item in page["items"]] == [two.id]
    older = applied.call("GET", "/v1/log", None).json()
    assert [item["id"] for item in older["items"]] == [two.id, one.id]
    shown = applied.good("GET", f"/v1/inferences/{one.id}")
    assert shown["inference"]["request"] == {"model": "triage", "messages": []}
    (row,) = applied.good("GET", "/v1/stats?by=workflow")["rows"]
    assert (row["count"], row["cost_usd"]) == (2, 0.5)
    exported = applied.call("GET", "/v1/export?format=csv&tag=channel%3Dmail")
    assert exported.headers["content-type"].startswith("text/csv")
    assert two.id in exported.text
    assert one.id not in exported.text


def test_forgetting_a_user_counts_verifies_and_leaves_only_a_keyed_hash_in_the_audit(applied: Install) -> None:
    journal(applied, inference(applied, 1))
    done = applied.good("POST", "/v1/forget", {"unit": "u-42"})
    assert done["deleted"]["facts"] == 1
    assert done["complete"]
    assert applied.good("GET", "/v1/log")["items"] == []
    record = applied.audit()[-1]
    assert record["action"] == "unit.forget"
    assert "u-42" not in str(record)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/log?outcom=error", "outcom"),
        ("/v1/log?outcome=eror", "eror"),
        ("/v1/log?limit=many", "limit"),
        ("/v1/log?limit=100000", "limit"),
        ("/v1/log?after=x", "cursor"),
        ("/v1/log?tz=Mars/Base", "tz"),
        ("/v1/stats?by=colour", "colour"),
        ("/v1/export?format=xml", "xml"),
        ("/v1/audit?limit=0", "limit"),
        ("/v1/releases/diff?a=1", "a and b"),
    ],
)
def test_a_wrong_parameter_is_a_400_that_names_it(applied: Install, path: str, message: str) -> None:
    answer = applied.call("GET", path)
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["error"]["message"]


def test_bodies_that_are_no_json_or_of_another_shape_are_refused(install: Install) -> None:
    assert install.call("POST", "/v1/freeze", content=b"{").json()["error"]["code"] == "invalid_json"
    assert install.call("POST", "/v1/freeze", content=b'{"workflow": "\xff"}').status_code == 400
    wrong = install.call("POST", "/v1/freeze", {"workflow": 3})
    assert "$.workflow" in wrong.json()["error"]["message"]
    unknown = install.call("POST", "/v1/freeze", {"workflow": "a", "nots": "x"})
    assert "nots" in unknown.json()["error"]["message"]


def test_a_huge_body_is_refused(install: Install) -> None:
    answer = install.call("POST", "/v1/check", content=b" " * (33 * 1024 * 1024))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_unknown_routes_and_methods_answer_in_our_shape(install: Install) -> None:
    assert install.call("GET", "/v1/nothing").json()["error"]["code"] == "not_found"
    wrong = install.call("DELETE", "/v1/keys")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


def test_what_nobody_foresaw_is_a_500_in_our_shape_without_its_words(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(install.control.workflows, "configuration", broken)
    answer = install.call("GET", "/v1/configuration")
    assert answer.status_code == 500
    assert "RuntimeError" in answer.json()["error"]["message"]
    assert "42" not in answer.text


def test_the_audit_is_verified_on_every_read(applied: Install) -> None:
    found = applied.good("GET", "/v1/audit")
    assert (found["verified"], found["broken"]) == (True, None)
    assert audit.verify(found["items"]) is None
    with applied.control.state._engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_never_UPDATE")
        connection.exec_driver_sql("UPDATE audit SET record = replace(record, 'os:', 'no:')")
    tampered = applied.good("GET", "/v1/audit")
    assert not tampered["verified"]
    assert tampered["broken"]["seq"] == 1


def test_adopting_gives_a_key_and_files_and_passes_through(install: Install) -> None:
    asked = {"name": "chat", "endpoint": "https://api.example.com/v1", "key": "env:EXAMPLE_KEY"}
    planned = install.good("POST", "/v1/adopt", {**asked, "dry_run": True})
    assert "token" not in planned
    assert not install.good("GET", "/v1/keys")["items"]
    begun = install.good("POST", "/v1/adopt", asked)
    assert begun["files"] == planned["files"]
    assert begun["token"].startswith("rw-")
    assert begun["key"]["workflows"] == ["chat"]
    assert "workflows/chat/workflow.yaml" in begun["files"]
    served = snapshots.decode(install.control.folder.snapshot.read_bytes())
    assert served.workflows["chat"].passthrough in served.targets
    again = install.call("POST", "/v1/adopt", asked)
    assert again.status_code == 400
    assert "already" in again.json()["error"]["message"]
    early = install.call("POST", "/v1/adopt/chat/draft")
    assert early.status_code == 400
    assert "0 recorded calls" in early.json()["error"]["message"]


def test_status_says_what_serves_and_what_waits_for_whom(applied: Install) -> None:
    applied.good("POST", "/v1/freeze", {"workflow": "triage"})
    journal(applied, inference(applied, 1))
    applied.good("POST", "/v1/journal/flush")
    applied.apply(**{"workflows/triage/prompt.md": "You are brief.\n"})
    status = applied.good("GET", "/v1/status")
    (workflow,) = status["workflows"]
    assert (workflow["serves"], workflow["release"]["number"]) == ("release", 1)
    assert (workflow["stage"], workflow["share"]) == ("frozen", 0.0), "enforced, and its ramp has not begun"
    assert (workflow["calls"], workflow["outcomes"], workflow["spend_today"]) == (1, {"answered": 1}, 0.25)
    assert status["timezone"] == "Europe/Berlin"
    waits = {(item["who"], item["do"]) for item in status["waiting"]}
    assert ("bo", "roadworthy diff triage:candidate draft; roadworthy freeze triage") in waits
    assert ("ada", "roadworthy ready triage") in waits
    assert [item["what"] for item in status["waiting"] if item["who"] == "operator"] == [
        "nothing runs: callers are refused"
    ]


def test_people_are_listed_with_what_they_own(applied: Install) -> None:
    owns = {person["id"]: person["owns"] for person in applied.good("GET", "/v1/people")["items"]}
    assert owns == {"ada": ["triage (workflow)", "triage (cost)"], "bo": ["triage (prompt)"]}


def test_a_backup_over_the_api_never_overwrites(applied: Install, tmp_path: Path) -> None:
    target = tmp_path / "copy.tar.zst"
    made = applied.good("POST", "/v1/backup", {"path": str(target)})
    assert made["bytes"] == target.stat().st_size
    again = applied.call("POST", "/v1/backup", {"path": str(target)})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    assert applied.call("POST", "/v1/backup", {"path": "copy"}).status_code == 400


def test_explain_foretells_the_served_release_and_else_the_draft(applied: Install) -> None:
    draft = applied.good("GET", "/v1/explain?workflow=triage")
    assert draft["number"] is None
    applied.good("POST", "/v1/freeze", {"workflow": "triage"})
    applied.apply(**{FLOW: FILES[FLOW].replace("[canned]", "[retry, canned]")})
    served = applied.good("GET", "/v1/explain?workflow=triage")
    again = applied.good("GET", "/v1/explain?workflow=triage&release=draft&failure=unavailable")
    assert served["number"] == 1
    ways = [[step["kind"] for step in found["items"][0]["steps"]] for found in (served, again)]
    assert ways == [["canned"], ["retry", "canned"]]
    assert len(again["items"]) == 1
    assert again["items"][0]["reads"]["text"] == "later"
    assert again["items"][0]["once"]["outcome"] == "recovered"
    assert again["items"][0]["overspend"] == again["costs"]["main"] > 0


def test_explain_tells_budgets_and_by_how_much_workers_may_overshoot_them(install: Install) -> None:
    policy = "policy: {budgets: {user: {day: 0.001}, workflow: {month: 9}}}"
    flow = FILES[FLOW].replace("policy: {testers: [ada]}", policy)
    settings = FILES["roadworthy.yaml"].replace("version: 1", "version: 1\nworkers: 4")
    install.apply(**{FLOW: flow, "roadworthy.yaml": settings})
    known = [line["overshoot"] for line in install.good("GET", "/v1/explain")["budgets"]]
    assert known == [None, None]  # nothing bounds the output
    install.apply(**{FLOW: flow + "parameters: {max_tokens: 500}\n", "roadworthy.yaml": settings})
    found = install.good("GET", "/v1/explain")
    user, workflow = found["budgets"]
    assert (user["of"], user["period"], user["limit"]) == ("user", "day", 0.001)
    assert user["overshoot"] == pytest.approx(4 * found["costs"]["main"] - 0.001)
    assert workflow["overshoot"] == 0.0


def test_explain_names_what_it_does_not_know(applied: Install) -> None:
    assert applied.call("GET", "/v1/explain?workflow=nope").status_code == 404
    wrong = applied.call("GET", "/v1/explain?workflow=triage&failure=unavailble")
    assert wrong.status_code == 400
    assert "did you mean 'unavailable'" in wrong.json()["error"]["message"]
