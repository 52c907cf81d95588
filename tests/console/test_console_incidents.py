"""From calls that fail to a page that somebody takes, in one control: counted, judged, worded, shown, ended."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from roadworthy.inference_log.model import Batch
from roadworthy.people.incident.model import Incident, Notice
from roadworthy.workflow.inference import Attempt, Check, Inference
from support.console import FILES, Console, text_of

NUMBERS = itertools.count(1)
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Any:
    files = dict(FILES)
    files["workflows/triage/workflow.yaml"] = files["workflows/triage/workflow.yaml"].replace(
        "policy: {testers: [ada]}", "policy: {testers: [ada], objective: {error_share: 1%}}"
    )
    made = Console(tmp_path_factory.mktemp("incidents"), files)
    frozen = made.control.workflows.freeze("triage", made_actor("ada"))
    assert frozen is not None
    made.control.publish()
    made.control.alerting.look()  # takes what the log has: nothing yet
    yield made
    made.close()


def made_actor(person: str) -> Any:
    from roadworthy.workflow.service import Actor

    return Actor(person)


def call(console: Console, number: int, **more: Any) -> Inference:
    fields: dict[str, Any] = {
        "id": f"inf_{next(NUMBERS):032x}", "ts": console.clock.now - 1.0, "team": "default", "workflow": "triage",
        "outcome": "answered", "unit": f"u-{number}", "unit_source": "header", "latency": 0.3, "target": "main",
        "attempts": [Attempt("main", ended=0.3, status=200)],
    }  # fmt: skip
    return Inference(**{**fields, **more})


def let_down(console: Console, number: int, **more: Any) -> Inference:
    attempts = [Attempt("main", ended=1.0, status=None, failure="slow", detail=HOSTILE)]
    given = {"outcome": "canned", "failure": "slow", "attempts": attempts, "target": None, **more}
    return call(console, number, **given)


def ship(console: Console, *records: Inference) -> None:
    console.control.store.ship(Batch(ends=list(records)))
    console.control.alerting.served.take(records)


def round_after(console: Console, seconds: float) -> None:
    console.clock.now += seconds
    console.control.alerting.look()


def newest(console: Console, key: str) -> Incident:
    found = console.services.incidents.newest(key)
    assert found is not None
    return found


def quiet(console: Console) -> None:
    """End what an earlier claim began, and let it be forgotten."""
    console.clock.now += 4 * 86_400.0
    for _ in range(3):
        ship(console, *[call(console, n) for n in range(5)])
        round_after(console, 61.0)
    for each in console.services.incidents.list(open_only=True):
        console.services.incidents.close(each.id, "test")
    console.clock.now += 3600.0


def trouble(console: Console, good: int = 14, bad: int = 38) -> Incident:
    quiet(console)
    ship(
        console,
        *[call(console, number) for number in range(good)],
        *[let_down(console, 100 + number) for number in range(bad)],
    )
    round_after(console, 5.0)
    return newest(console, "serving/triage")


def test_a_burning_objective_is_one_incident_that_says_who_and_what_and_why(console: Console) -> None:
    incident = trouble(console)
    assert (incident.cls, incident.alert, incident.state) == ("page", "error_burn_fast", "open")
    assert incident.line.startswith(
        "triage: 38 of 52 customers in 5 min got a stand-in text. Cause: provider time-outs."
    )
    assert incident.fault is not None
    assert incident.fault.whose == "provider"
    assert incident.page is not None
    assert "It reads: “later”" in incident.page.affected
    assert "alert(1)" not in repr(incident.page), "what an answer said must never be on a page"
    assert incident.inferences


def test_a_round_later_it_is_the_same_incident_and_after_the_trouble_it_ends_by_itself(console: Console) -> None:
    first = trouble(console)
    round_after(console, 15.0)
    assert newest(console, "serving/triage").id == first.id
    for _ in range(3):
        console.clock.now += 400.0
        ship(console, *[call(console, number) for number in range(40)])
        console.control.alerting.look()
    ended = newest(console, "serving/triage")
    fast = next(one for one in ended.joined if one.alert == "error_burn_fast")
    assert fast.over


def test_all_targets_down_says_more_than_the_burn_and_holds_it_back(console: Console) -> None:
    incident = trouble(console, good=0)
    assert incident.alert == "targets_down"
    assert [one.alert for one in incident.joined] == ["targets_down"]
    assert "error_burn_fast is not raised: no target answers, which says it all" in [
        line.what for line in incident.lines
    ]


def test_one_bad_customer_wakes_nobody(console: Console) -> None:
    quiet(console)
    ship(console, *[let_down(console, number) for number in range(4)], *[call(console, n) for n in range(5)])
    round_after(console, 5.0)
    found = console.services.incidents.newest("serving/triage")
    assert found is None or found.over


def test_whoever_turns_the_ai_off_has_the_incident_and_nothing_more_is_raised(console: Console) -> None:
    incident = trouble(console)
    console.services.kill.desk.press("triage", "off", "stop the bleeding", made_actor("ada"), 0.0)
    try:
        round_after(console, 15.0)
        after = newest(console, "serving/triage")
        assert (after.id, after.state, after.acknowledged_by) == (incident.id, "acknowledged", "ada")
        assert any("the AI is off" in line.what for line in after.lines)
        round_after(console, 300.0)
        assert not newest(console, "serving/triage").over, "nobody knows whether it is good while the AI is off"
    finally:
        console.services.kill.desk.undo("triage", made_actor("ada"), 0.0)


def test_unsafe_answers_page_by_their_share(console: Console) -> None:
    quiet(console)
    check = Check("personal_data", False, failure="unsafe")
    records = [call(console, n, outcome="canned", failure="unsafe", checks=[check]) for n in range(6)]
    console.control.kill.recent.warm(console.control.store)
    console.control.kill.recent.take(records)
    ship(console, *records)
    round_after(console, 5.0)
    assert newest(console, "safety/triage").cls == "page"


def test_the_list_shows_what_wakes_somebody_first_and_a_stranger_sees_nothing(console: Console) -> None:
    incident = trouble(console)
    console.services.incidents.take([
        Notice("alert", "price_unknown/default/main", "default", "triage", f"Nobody knows {HOSTILE}", "It costs.",
               "cost", console.clock.now, alert="price_unknown")
    ])  # fmt: skip
    page = console.browser("bo").get("/incidents")
    assert page.index(incident.id) < page.index("Nobody knows")
    assert "<script>alert" not in page
    assert incident.id not in console.browser("sky").get("/incidents")
    console.browser("sky").get(f"/incidents/{incident.id}", code=404)
    console.browser("sky").get("/incidents/inc_none", code=404)


def test_the_page_has_everything_that_somebody_who_was_woken_needs(console: Console) -> None:
    incident = trouble(console)
    read = text_of(console.browser("ada").get(f"/incidents/{incident.id}"))
    assert incident.line in read
    for heading in ("Who is affected", "Whose fault", "Already done", "If you do nothing", "Changed in the last 24"):
        assert heading in read
    for button in ("I'm on it", "Use last good release", "Turn AI off…"):
        assert button in read
    assert "roadworthy kill triage" in read, "the alert's own advice, with the workflow's name"


def test_taking_it_and_resolving_it_are_audited_and_refused_to_who_may_only_look(console: Console) -> None:
    incident = trouble(console)
    here = f"/incidents/{incident.id}"
    assert console.browser("vi").post(f"{here}/acknowledge").status_code == 403
    ada = console.browser("ada")
    assert "Ada Lovelace is on it" in text_of(ada.done(f"{here}/acknowledge", on=here))
    assert "Say in a few words" in text_of(ada.done(f"{here}/resolve", {"reason": " "}, on=here))
    assert "by Ada Lovelace: the provider is back" in text_of(
        ada.done(f"{here}/resolve", {"reason": "the provider is back"}, on=here)
    )
    said = [line for line in console.audit() if incident.id in line]
    assert f"ada incident.acknowledge incident/{incident.id} done" in said
    assert f"ada incident.resolve incident/{incident.id} done" in said


def test_an_open_page_is_the_first_thing_that_waits(console: Console) -> None:
    incident = trouble(console)
    page = text_of(console.browser("ada").get("/"))
    assert incident.line in page
    assert incident.line not in text_of(console.browser("vi").get("/"))
