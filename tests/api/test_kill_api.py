"""Who may do what with the kill switch over the admin API, and that every act and every refusal is on record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from roadworthy.kill_switch.model import State
from roadworthy.kill_switch.rules import TRANSITIONS

from .conftest import FILES, Install

SECOND = {
    "workflows/other/workflow.yaml": FILES["workflows/triage/workflow.yaml"].replace("workflow: ada", "workflow: bo"),
    "workflows/other/prompt.md": "You are brief.\n",
}
Login = Callable[[str], str]
RIGHT = {"os": "stop", "cy": "stop", "bo": "on_call", "ada": "owner"}
RANK = ["stop", "on_call", "owner"]


def press(install: Install, workflow: str = "triage", to: str = "off", **more: Any) -> Any:
    return install.good("POST", "/v1/kill", {"workflow": workflow, "to": to, "wait": 0, **more})


def act(install: Install, what: str, **body: Any) -> Any:
    token = body.pop("token", None)
    return install.call("POST", f"/v1/kill/{what}", {"wait": 0, **body}, token=token)


def kill_audit(install: Install) -> list[dict[str, Any]]:
    install.control.kill.tend()
    return [item for item in install.audit() if "kill" in item["action"]]


@pytest.fixture
def people(applied: Install, login: Login) -> dict[str, str | None]:
    applied.apply(**{"people.yaml": FILES["people.yaml"] + "  cy: {name: Cy, email: cy@example.com}\n"})
    return {"os": None, **{name: login(name) for name in ("ada", "bo", "cy")}}


def test_every_transition_is_for_those_whom_the_table_names(applied: Install, people: dict[str, str | None]) -> None:
    """ada owns triage, bo owns its prompt, cy owns nothing, os is nobody by name."""
    for who, token in people.items():
        for (before, after), right in TRANSITIONS.items():
            if before != "on":
                press(applied, to=before)
            allowed = RANK.index(RIGHT[who]) >= RANK.index(right)
            if get_args(State).index(after) > get_args(State).index(before):
                answer = applied.call("POST", "/v1/kill", {"workflow": "triage", "to": after, "wait": 0}, token=token)
            else:
                answer = act(applied, "restore", workflow="triage", to=after, reason="why", token=token)
            assert (answer.status_code == 200) is allowed, (who, before, after, answer.text)
            assert answer.status_code in (200, 403)
            if applied.control.kill.kills.switch("triage").state != "on":
                reset = act(applied, "restore", workflow="triage", to="on", reason="next", token=people["ada"])
                assert reset.status_code == 200, reset.text


def test_an_os_user_stops_and_takes_it_back_and_never_restores(applied: Install) -> None:
    assert press(applied)["state"] == "off"
    denied = act(applied, "restore", workflow="triage", to="guarded", reason="x")
    assert denied.status_code == 403
    assert "log in" in denied.json()["error"]["message"]
    assert kill_audit(applied)[0]["target"] == "workflow/triage", "what was asked for is named, not only the route"
    assert act(applied, "undo", workflow="triage").json()["state"] == "on"
    assert [(item["action"], item["outcome"]) for item in kill_audit(applied)] == [
        ("POST /v1/kill/restore", "denied"), ("kill.press", "done"), ("kill.undo", "done"),
    ]  # fmt: skip


def test_only_whoever_pressed_takes_a_stop_back_also_after_logging_in(applied: Install, login: Login) -> None:
    press(applied)
    assert act(applied, "undo", workflow="triage", token=login("bo")).status_code == 200, "the same OS user"
    press_as_ada = applied.call("POST", "/v1/kill", {"workflow": "triage", "wait": 0}, token=login("ada"))
    assert press_as_ada.json()["by"] == "ada"
    refused = act(applied, "undo", workflow="triage", token=login("bo"))
    assert (refused.status_code, "only ada" in refused.text) == (403, True)
    applied.clock.now += 601
    late = act(applied, "undo", workflow="triage", token=login("ada"))
    assert (late.status_code, "ten minutes" in late.text) == (409, True)
    assert [item["outcome"] for item in kill_audit(applied)] == ["done", "done", "done", "denied", "denied"]


def test_back_to_on_needs_a_reason(applied: Install, login: Login) -> None:
    press(applied)
    refused = act(applied, "restore", workflow="triage", to="on", token=login("ada"))
    assert (refused.status_code, "--reason" in refused.text) == (409, True)


def test_the_reason_may_come_after(applied: Install) -> None:
    press(applied)
    assert act(applied, "explain", workflow="triage", reason="refunds were promised").json()["reason"]
    again = act(applied, "explain", workflow="triage", reason="another")
    assert (again.status_code, "given already" in again.text) == (409, True)


def test_a_workflow_that_does_not_exist_is_refused_with_the_nearest_name(applied: Install) -> None:
    answer = applied.call("POST", "/v1/kill", {"workflow": "triag"})
    assert (answer.status_code, "did you mean 'triage'?" in answer.text) == (404, True)
    assert kill_audit(applied)[-1]["outcome"] == "denied"


@pytest.mark.parametrize("body", [{}, {"workflow": "triage", "to": "paused"}, {"workflow": "triage", "wait": 99}])
def test_a_body_that_says_no_state_changes_nothing(applied: Install, body: dict[str, Any]) -> None:
    assert applied.call("POST", "/v1/kill", body).status_code == 400
    assert applied.control.kill.kills.switches() == {}


def test_whoever_lifts_a_stop_of_everything_brings_back_what_is_theirs(applied: Install, login: Login) -> None:
    applied.apply(**SECOND)
    press(applied, "*", reason="a leak")
    restored = act(applied, "restore", workflow="*", to="on", reason="not us", token=login("ada"))
    assert restored.status_code == 200, restored.text
    stands = {item["workflow"]: item for item in applied.good("GET", "/v1/kill")["items"]}
    assert {name: item["in_force"] for name, item in stands.items()} == {"*": "on", "triage": "on", "other": "off"}
    assert "a leak" in stands["other"]["reason"]


def test_one_workflow_comes_back_while_everything_else_stays_stopped(applied: Install, login: Login) -> None:
    applied.apply(**SECOND)
    press(applied, "*")
    refused = act(applied, "restore", workflow="other", to="on", reason="mine?", token=login("ada"))
    assert refused.status_code == 403
    assert applied.control.kill.kills.switch("*").state == "off"
    assert act(applied, "restore", workflow="triage", to="on", reason="fine", token=login("ada")).status_code == 200
    forces = {item["workflow"]: item["in_force"] for item in applied.good("GET", "/v1/kill")["items"]}
    assert forces == {"*": "on", "other": "off", "triage": "on"}


def test_a_stop_says_what_customers_read_and_who_may_restore(applied: Install) -> None:
    stand = press(applied)
    assert stand["may_restore"]["on"] == "the workflow's owner"
    assert stand["undo_until"] == applied.clock.now + 600
    assert stand["reached"]["all"] is False, "no gateway runs here, so nobody has confirmed"
    applied.good("POST", "/v1/freeze", {"workflow": "triage"})
    assert applied.good("GET", "/v1/kill")["items"][1]["reads"] == {
        "triage": "the app gets 503 with the code ai_off, and takes its old path"
    }


def test_the_kill_log_reads_newest_first(applied: Install) -> None:
    press(applied)
    act(applied, "undo", workflow="triage")
    assert [item["action"] for item in applied.good("GET", "/v1/kill/log?limit=1")["items"]] == ["undo"]
    assert applied.call("GET", "/v1/kill/log?limit=x").status_code == 400


def test_a_locked_database_does_not_stop_anybody_from_stopping(applied: Install) -> None:
    with applied.control.state.write():
        assert press(applied)["state"] == "off"
    assert kill_audit(applied)[-1]["action"] == "kill.press"
