"""What loosens waits for its owner: who may approve it, and that every other try is refused and audited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import FILES, Install

FLOW = "workflows/triage/workflow.yaml"
LOOSER = {FLOW: FILES[FLOW].replace("policy: {testers: [ada]}", "policy: {testers: [ada, bo], grace: 20d}")}


@pytest.fixture
def waiting(applied: Install) -> Install:
    told = applied.apply(**LOOSER)
    assert [wait["field"] for each in told["pending"] for wait in each["waits"]] == ["policy.testers", "policy.grace"]
    return applied


def fields(install: Install) -> list[str]:
    return [wait["field"] for each in install.good("GET", "/v1/pending")["items"] for wait in each["waits"]]


def order(install: Install, **more: Any) -> dict[str, Any]:
    """All that waits now, as whoever approves it was shown it."""
    [pending] = install.good("GET", "/v1/pending")["items"]
    return {"workflow": "triage", "seen": pending["id"], **more}


def named(install: Install) -> list[str]:
    return list(install.control.workflows.named("triage").policy.testers)


def test_the_owner_approves_all_or_a_field_and_it_is_in_force(waiting: Install, login: Callable[[str], str]) -> None:
    ada = login("ada")
    done = waiting.good("POST", "/v1/approve", order(waiting, fields=["policy.grace"]), token=ada)
    assert [each["field"] for each in done["approved"]] == ["policy.grace"]
    assert (fields(waiting), named(waiting)) == (["policy.testers"], ["ada"])
    waiting.good("POST", "/v1/approve", order(waiting, reason="the fair"), token=ada)
    assert (fields(waiting), named(waiting)) == ([], ["ada", "bo"])
    last = next(each for each in reversed(waiting.audit()) if each["action"] == "policy.approve")
    assert (last["actor"], last["before"], last["after"], last["reason"]) == (
        "ada", {"policy.testers": ["ada"]}, {"policy.testers": ["ada", "bo"]}, "the fair"
    )  # fmt: skip


@pytest.mark.parametrize("who", ["the operating system's user", "bo"])
def test_nobody_else_approves_and_the_try_is_audited(waiting: Install, login: Callable[[str], str], who: str) -> None:
    token = login("bo") if who == "bo" else None
    refused = waiting.call("POST", "/v1/approve", order(waiting), token=token)
    assert refused.status_code == 403
    assert named(waiting) == ["ada"]
    assert waiting.audit()[-1]["outcome"] == "denied"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"workflow": "triage", "seen": "x", "fields": ["policy.kill"]},
            "does not wait; what does: policy.testers, policy.grace",
        ),
        ({"workflow": "triag", "seen": "x"}, "did you mean 'triage'"),
    ],
)
def test_what_does_not_wait_is_refused_with_what_does(
    waiting: Install, login: Callable[[str], str], body: dict[str, Any], said: str
) -> None:
    refused = waiting.call("POST", "/v1/approve", body, token=login("ada"))
    assert refused.status_code in (404, 409)
    assert said in refused.json()["error"]["message"]


def test_what_loosened_further_after_it_was_shown_is_not_approved(
    waiting: Install, login: Callable[[str], str]
) -> None:
    shown = order(waiting)
    waiting.apply(**{FLOW: LOOSER[FLOW].replace("grace: 20d", "grace: 30d")})
    refused = waiting.call("POST", "/v1/approve", shown, token=login("ada"))
    assert (refused.status_code, "not what you were shown" in refused.text) == (409, True)
    assert (named(waiting), waiting.audit()[-1]["outcome"]) == (["ada"], "denied")
    waiting.good("POST", "/v1/approve", order(waiting), token=login("ada"))
    assert named(waiting) == ["ada", "bo"]


def test_an_approval_counts_once(waiting: Install, login: Callable[[str], str]) -> None:
    shown, ada = order(waiting), login("ada")
    waiting.good("POST", "/v1/approve", shown, token=ada)
    assert waiting.call("POST", "/v1/approve", shown, token=ada).status_code == 409


def test_a_field_that_leaves_the_files_waits_no_longer_and_the_same_files_open_nothing(waiting: Install) -> None:
    assert waiting.apply(**LOOSER)["plan"] == []
    assert fields(waiting) == ["policy.testers", "policy.grace"]
    waiting.apply()
    assert fields(waiting) == []


def test_a_new_owner_is_approved_by_the_present_one(applied: Install, login: Callable[[str], str]) -> None:
    applied.apply(**{FLOW: FILES[FLOW].replace("workflow: ada", "workflow: bo")})
    body = order(applied)
    assert applied.call("POST", "/v1/approve", body, token=login("bo")).status_code == 403
    applied.good("POST", "/v1/approve", body, token=login("ada"))
    assert applied.control.workflows.named("triage").owners.workflow == "bo"


def test_where_the_owner_has_left_the_owner_of_the_prompt_approves(
    applied: Install, login: Callable[[str], str]
) -> None:
    gone = {
        "people.yaml": "people:\n  bo: {name: Bo, email: bo@example.com}\n",
        FLOW: FILES[FLOW]
        .replace("workflow: ada", "workflow: bo")
        .replace("cost: ada", "cost: bo")
        .replace("[ada]", "[]"),
    }
    applied.apply(**gone)
    assert applied.good("GET", "/v1/pending")["items"][0]["approver"] == "bo"
    applied.good("POST", "/v1/approve", order(applied), token=login("bo"))
    assert applied.control.workflows.named("triage").owners.workflow == "bo"


def test_a_backup_that_nobody_put_back_has_nothing_to_accept(applied: Install, login: Callable[[str], str]) -> None:
    refused = applied.call("POST", "/v1/backup/accept", {"reason": "why not"}, token=login("ada"))
    assert (refused.status_code, refused.json()["error"]["message"][:22]) == (409, "nothing waits to be ac")
    assert applied.call("POST", "/v1/backup/accept", {"reason": "x"}).status_code == 403
