"""One step: the customer has the answer, the examples have it, the draft has its score; and reviews are signed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from roadworthy.inference_log import segments
from roadworthy.workflow.inference import Escalation, Inference, Seal, new_inference_id

from .conftest import FILES, Install

RUBRIC = "# Rubric\n\n## good = 1\nSend it.\n> Sent.\n\n## so-so = 0.5\nEdit.\n> Hm.\n\n## bad = 0\nNo.\n> No.\n"
MESSAGES = b'[{"role":"user","content":"Where is my parcel?"}]'
CASES = {
    "workflows/triage/workflow.yaml": FILES["workflows/triage/workflow.yaml"].replace(
        "policy: {testers: [ada]}",
        "rubric: rubric.md\npolicy: {testers: [ada], rollout: {drafts: true}, escalation: {agents: 2}}",
    ),
    "workflows/triage/rubric.md": RUBRIC,
}
WEEK = 7 * 86_400.0


@pytest.fixture
def desk(applied: Install) -> Install:
    applied.apply(**CASES)
    return applied


def escalated(install: Install, number: int = 1, *, detail: str = "refused", bodies: bool = True, **more: Any) -> str:
    now = install.clock.now
    ident = new_inference_id(now, number)
    request = msgspec.Raw(b'{"model":"triage","messages":' + MESSAGES + b"}") if bodies else None
    call = Inference(
        ident, now, "default", "triage", "escalated", "release", unit="u-1", failure="refused", request=request
    )
    fields: dict[str, Any] = {"unit": "u-1", "messages": msgspec.Raw(MESSAGES), "draft": "It left on Monday."}
    handed = Escalation(ident, now, "default", "triage", "refused", now + 3600, detail=detail, **{**fields, **more})
    name = segments.SegmentName("w0", int(now * 1000) + number, 1)
    fd = segments.create(install.control.folder.journal, name)
    for line in (handed, call, Seal(now, 2)):
        os.write(fd, segments.encode(line))
    os.close(fd)
    install.good("POST", "/v1/journal/flush")
    return ident


def answer(install: Install, ident: str, token: str, **body: Any) -> Any:
    return install.good("POST", f"/v1/escalations/{ident}/answer", {"add_example": True, **body}, token=token)


def test_an_answer_is_an_example_at_once_and_a_call_without_text_is_none(
    desk: Install, login: Callable[[str], str]
) -> None:
    ada = login("ada")
    done = answer(desk, escalated(desk), ada, text="It arrives tomorrow.")
    assert (done["state"], done["not_added"], done["scored"]) == ("answered", "", "")
    pool = desk.good("GET", "/v1/evals/pool?workflow=triage", token=ada)
    [waiting] = pool["items"]
    assert waiting["example"]["text"] == "It arrives tomorrow."
    assert waiting["example"]["id"] == done["example"]
    silent = answer(desk, escalated(desk, 2, bodies=False), ada, text="Tomorrow.")
    assert (silent["state"], silent["example"]) == ("answered", "")
    assert "the log holds no body of it" in silent["not_added"]


def test_what_became_of_a_draft_of_the_drafts_stage_is_its_score(desk: Install, login: Callable[[str], str]) -> None:
    ada = login("ada")
    desk.good("POST", "/v1/evals/sign", {"workflow": "triage"}, token=ada)
    drafts = "the ramp is at drafts: a person sends every answer"
    ident = escalated(desk, detail=drafts)
    done = answer(desk, ident, ada, text="It left on Monday and is late.", action="edited")
    assert (done["scored"], done["not_scored"]) == ("so-so", "")
    said = desk.good("GET", f"/v1/inferences/{ident}")["feedback"]
    assert [(each["name"], each["score"], each["label"], each["by"]) for each in said] == [
        ("draft", 0.5, "edited", "agent:ada")
    ]


def test_whoever_answers_sees_why_who_and_what_was_promised(desk: Install, login: Callable[[str], str]) -> None:
    ada = login("ada")
    first = escalated(desk)
    answer(desk, first, ada, text="It arrives tomorrow.")
    desk.clock.now += 60
    row = desk.good("GET", f"/v1/escalations/{escalated(desk, 3)}", token=ada)
    view = row["view"]
    assert view["why"] == "The model refused to answer."
    assert [(past["inference"], past["said"], past["by"]) for past in view["history"]] == [
        (first, "It arrives tomorrow.", "ada")
    ]
    assert view["policy"][0] == "Answers are promised within 4 h."
    assert view["transcript"] == [["user", "Where is my parcel?"]]
    assert desk.audit()[-1]["action"] == "escalation.read"


def test_calls_that_people_answered_are_never_said_to_be_the_ais(desk: Install, login: Callable[[str], str]) -> None:
    ada = login("ada")
    idents = []
    for number in range(1, 13):
        desk.clock.now += 60
        idents.append(escalated(desk, number))
        if number != 4:
            answer(desk, idents[-1], ada, text=f"Answer {number}.", add_example=False)
    view = desk.good("GET", f"/v1/escalations/{idents[3]}", token=ada)["view"]
    assert [(past["said"], past["by"]) for past in view["history"]] == [
        ("Answer 3.", "ada"), ("Answer 2.", "ada"), ("Answer 1.", "ada")
    ]  # fmt: skip


def test_capacity_says_what_people_can_carry_and_more_people_are_the_owners_word(
    desk: Install, login: Callable[[str], str]
) -> None:
    escalated(desk)
    found = desk.good("GET", "/v1/capacity/triage")
    assert [stage["name"] for stage in found["stages"]] == ["1 %", "10 %", "25 %", "50 %", "100 %"]
    assert (found["seen"]["agents"], found["seen"]["agents_from"]) == (1, "assumed")
    [pending] = desk.good("GET", "/v1/pending")["items"]
    desk.good("POST", "/v1/approve", {"workflow": "triage", "seen": pending["id"]}, token=login("ada"))
    desk.clock.now += 301
    found = desk.good("GET", "/v1/capacity/triage")
    assert (found["seen"]["agents"], found["seen"]["agents_from"]) == (2, "declared")


def test_a_review_is_drafted_when_its_week_is_over_and_signed_by_the_owner(
    desk: Install, login: Callable[[str], str]
) -> None:
    drafting = desk.control.reviewing.drafting
    assert drafting.look() == [], "nothing was configured before these periods ended"
    escalated(desk)
    desk.clock.now += WEEK
    [made] = [each for each in drafting.look() if each.kind == "weekly"]
    assert drafting.look() == []
    ada, bo = login("ada"), login("bo")
    running = desk.good("GET", "/v1/reviews/triage/running?kind=weekly", token=ada)
    assert running["period"] != made.period
    denied = desk.call("POST", "/v1/reviews/triage/sign", {"kind": "weekly"}, token=bo)
    assert (denied.status_code, desk.audit()[-1]["outcome"]) == (403, "denied")
    desk.clock.now = made.overdue_at + 86_400.0
    assert any("weekly review" in each for each in desk.good("GET", "/v1/readiness?workflow=triage")["reviews"])
    ada = login("ada")
    signed = desk.good(
        "POST", "/v1/reviews/triage/sign", {"kind": "weekly", "period": made.period, "decisions": ["Keep it."]},
        token=ada,
    )  # fmt: skip
    assert (signed["state"], signed["signed_by"], signed["decisions"]) == ("signed", "ada", ["Keep it."])
    assert "- Keep it." in signed["markdown"]
    again = desk.call("POST", "/v1/reviews/triage/sign", {"kind": "weekly", "period": made.period}, token=ada)
    assert again.status_code == 409
    assert desk.good("GET", "/v1/readiness?workflow=triage")["reviews"] == []
