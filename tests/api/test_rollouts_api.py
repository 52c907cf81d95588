"""The ramp over the admin API: a whole control, its real stores, and a clock that the test turns."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import FILES, Install
from roadworthy.inference_log.model import Batch
from roadworthy.workflow.inference import Inference, new_inference_id

Login = Callable[[str], str]


@pytest.fixture
def frozen(applied: Install) -> Install:
    applied.good("POST", "/v1/freeze", {"workflow": "triage"})
    return applied


def calls(install: Install, n: int, **fields: Any) -> None:
    now = install.clock.now
    made = [
        Inference(
            **{
                "id": new_inference_id(now - 60, 1000 + number), "ts": now - 60, "team": "default",
                "workflow": "triage",
                "outcome": "answered", "unit": f"u-{number}", "unit_source": "header", "latency": 0.3, **fields,
            }
        )
        for number in range(n)
    ]  # fmt: skip
    install.control.store.ship(Batch(ends=made))


def test_the_owner_begins_a_ramp_and_everybody_reads_where_it_stands(frozen: Install, login: Login) -> None:
    ada = login("ada")
    before = frozen.good("GET", "/v1/rollouts/triage")
    assert (before["state"], before["share"]) == ("none", 0.0)
    ahead = frozen.good("POST", "/v1/rollouts/prospect", {"workflow": "triage"})
    assert [due["stage"] for due in ahead["calendar"]] == ["testers", "1 %", "10 %", "25 %", "50 %", "100 %"]
    stand = frozen.good("POST", "/v1/rollouts", {"workflow": "triage", "reason": "week 47"}, token=ada)
    assert (stand["state"], stand["stage"], stand["share"], stand["number"]) == ("ramping", "testers", 0.0, 1)
    assert [gate["name"] for gate in stand["gates"]] == [
        "dwell", "analysis", "traffic", "guardrails", "sample ratio", "ceiling", "people", "approval"
    ]  # fmt: skip
    assert stand["comes"].startswith("1 %, once dwell is met: testers lasts 24 h")
    [item] = frozen.good("GET", "/v1/rollouts")["items"]
    assert item["release"] == stand["release"]
    served = frozen.control.publisher.current
    assert served is not None
    assert served.workflows["triage"].ramp is not None
    assert (served.workflows["triage"].ramp.stage, served.workflows["triage"].ramp.share) == ("testers", 0.0)


def test_what_is_above_the_ceiling_of_a_release_without_evidence_is_refused(frozen: Install, login: Login) -> None:
    answer = frozen.call("POST", "/v1/rollouts", {"workflow": "triage", "stage": "1%"}, token=login("ada"))
    assert answer.status_code == 409
    assert "1% is above the ceiling of 0 %: `roadworthy ready triage`" in answer.json()["error"]["message"]
    assert frozen.audit()[-1]["outcome"] == "denied"


def test_an_os_user_may_stop_a_ramp_and_never_begin_one(frozen: Install, login: Login) -> None:
    refused = frozen.call("POST", "/v1/rollouts", {"workflow": "triage"})
    assert refused.status_code == 403
    assert "log in first" in refused.json()["error"]["message"]
    frozen.good("POST", "/v1/rollouts", {"workflow": "triage"}, token=login("ada"))
    assert frozen.good("POST", "/v1/rollouts/triage/hold", {"reason": "wait"})["state"] == "held"
    assert frozen.good("POST", "/v1/rollouts/triage/lock", {})["state"] == "locked"
    assert frozen.good("POST", "/v1/rollouts/triage/rollback", {"to": "release"})["share"] == 0.0
    for act in ("approve", "resume", "unlock"):
        assert frozen.call("POST", f"/v1/rollouts/triage/{act}", {}).status_code == 403
    assert sum(record["outcome"] == "denied" for record in frozen.audit()) == 4


def test_another_person_than_the_owner_is_told_who_may(frozen: Install, login: Login) -> None:
    answer = frozen.call("POST", "/v1/rollouts", {"workflow": "triage"}, token=login("bo"))
    assert answer.status_code == 403
    assert "bo may not start the ramp of triage: ada, its workflow owner, may" in answer.json()["error"]["message"]
    assert frozen.audit()[-1]["action"] == "rollout.start"


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("", {"workflow": "triaje"}, 404, "did you mean 'triage'"),
        ("", {"workflow": "triage", "release": "9"}, 404, "no release '9' of triage; releases: 1"),
        ("", {"workflow": "triage", "stage": "3%"}, 409, "no stage '3%': expected one of testers, 1 %"),
        ("", {"workflow": "triage", "wrong": 1}, 400, "wrong"),
        ("/triage/approve", {}, 409, "triage has no ramp; begin one with: roadworthy rollout start triage"),
        ("/triage/rollback", {"to": "yesterday"}, 400, "Invalid enum value"),
        ("/triage/hold", {"reason": "x" * 501}, 400, "at most 500"),
    ],
)
def test_bad_input_says_what_would_be_accepted(
    frozen: Install, login: Login, path: str, body: dict[str, Any], status: int, says: str
) -> None:
    answer = frozen.call("POST", f"/v1/rollouts{path}", body, token=login("ada"))
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]


def test_too_many_calls_without_a_user_refuse_the_start(frozen: Install, login: Login) -> None:
    calls(frozen, 20, unit_source="random")
    ada = login("ada")
    answer = frozen.call("POST", "/v1/rollouts", {"workflow": "triage"}, token=ada)
    assert answer.status_code == 409
    assert "100 % of its calls carry no user" in answer.json()["error"]["message"]
    frozen.good("POST", "/v1/rollouts", {"workflow": "triage", "accept_unknown": True}, token=ada)


def test_the_history_answers_who_allowed_a_share_at_an_instant(frozen: Install, login: Login) -> None:
    begun = frozen.clock.now
    frozen.good("POST", "/v1/rollouts", {"workflow": "triage", "reason": "week 47"}, token=login("ada"))
    frozen.clock.now += 3600
    frozen.good("POST", "/v1/rollouts/triage/rollback", {"reason": "complaints"})
    found = frozen.good("GET", f"/v1/rollouts/triage/history?at={begun + 60}")
    assert (found["in_force"]["actor"], found["in_force"]["action"]) == ("ada", "start")
    assert found["in_force"]["after"]["share"] == 0.0
    now = frozen.good("GET", "/v1/rollouts/triage/history")
    assert [item["action"] for item in now["items"]] == ["roll_back", "start"]
    assert frozen.good("GET", f"/v1/rollouts/triage/history?at={begun - 60}")["in_force"] is None
    assert frozen.call("GET", "/v1/rollouts/triage/history?limit=0").status_code == 400
    assert frozen.call("GET", "/v1/rollouts/nobody/history").status_code == 404


def test_the_engine_looks_and_says_aloud_that_a_ramp_counts_for_nothing(frozen: Install, login: Login) -> None:
    frozen.good("POST", "/v1/rollouts", {"workflow": "triage"}, token=login("ada"))
    calls(frozen, 5, traffic="tester", digest=frozen.good("GET", "/v1/rollouts/triage")["release"], ts=frozen.clock.now)
    frozen.clock.now += 60
    assert frozen.control.ramping.watch.look() == 1
    assert frozen.good("GET", "/v1/rollouts/triage")["analysis"]["calls"] == 5
    with frozen.control.state.write() as tx:
        tx.put_rollout("default", "triage", "rwo-x.y")
    assert frozen.control.ramping.watch.look() == 0
    stand = frozen.good("GET", "/v1/rollouts/triage")
    assert "not signed by this install" in stand["forged"]
    assert any("counts for nothing" in one.title for one in frozen.control.people.incidents.list(open_only=True))
    frozen.control.publish()
    served = frozen.control.publisher.current
    assert served is not None
    assert served.workflows["triage"].ramp is not None
    assert served.workflows["triage"].ramp.share == 0.0


def test_status_says_what_enforcement_would_have_done(frozen: Install) -> None:
    calls(frozen, 99, would="bypassed: no receipt")
    calls(frozen, 1, id="inf_" + "f" * 32)
    [would] = frozen.good("GET", "/v1/status")["would"]
    assert would["says"] == "enforcement would have bypassed 99 % of its calls of the last 24 h: no receipt"
    assert frozen.good("GET", "/v1/log?would=bypassed&limit=1")["items"][0]["would"] == "bypassed: no receipt"


def test_a_kill_holds_the_ramp_with_its_mirror(frozen: Install, login: Login) -> None:
    frozen.good("POST", "/v1/rollouts", {"workflow": "triage"}, token=login("ada"))
    frozen.good("POST", "/v1/kill", {"workflow": "triage", "to": "off", "reason": "smoke", "wait": 0})
    frozen.control.kill.tend()
    stand = frozen.good("GET", "/v1/rollouts/triage")
    assert (stand["state"], stand["reason"], stand["epoch"]) == ("held", "smoke", 1)


def test_whatever_shows_a_workflow_that_is_not_enforced_says_until_when_and_by_whom(install: Install) -> None:
    name = "workflows/triage/workflow.yaml"
    install.apply(**{name: FILES[name] + "enforcement: observe\n"})
    install.good("POST", "/v1/freeze", {"workflow": "triage"})
    [listed] = install.good("GET", "/v1/releases?workflow=triage")["items"]
    [status] = install.good("GET", "/v1/status")["workflows"]
    ways = [
        install.good("GET", f"/v1/{way}")
        for way in ("explain?workflow=triage", "rollouts/triage", "readiness?workflow=triage")
    ]
    notices = {found["notice"] for found in (listed, status, *ways)}
    assert len(notices) == 1
    assert re.fullmatch(r"Extended pilot, not enforced until \d{4}-\d\d-\d\d, ada", notices.pop())


def test_an_enforced_workflow_has_no_such_notice(frozen: Install) -> None:
    assert frozen.good("GET", "/v1/explain?workflow=triage")["notice"] == ""
    assert frozen.good("GET", "/v1/rollouts/triage")["notice"] == ""
