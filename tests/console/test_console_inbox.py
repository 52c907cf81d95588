"""Customers that wait for a person, in the console: claimed once, answered by keyboard, never read unaudited."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from roadworthy.inference_log import segments
from roadworthy.people.escalation.rules import LEASE
from roadworthy.workflow.inference import Escalation, Inference, Seal, new_inference_id
from support.console import FILES, Console, text_of

EVIL = '<script>alert(1)</script> "><img src=x onerror=alert(1)>'
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"
HIDING = FILES["workflows/triage/workflow.yaml"].replace("policy: {", "policy: {escalation: {hide_draft: true}, ")
CASES = {
    **FILES,
    "people.yaml": FILES["people.yaml"] + "  amy: {name: Amy Agent, email: amy@example.com, roles: [agent]}\n",
    "workflows/hiding/workflow.yaml": HIDING,
    "workflows/hiding/prompt.md": "You are kind.\n",
}
WEEK = 7 * 86_400.0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    made = Console(tmp_path_factory.mktemp("inbox"), CASES)
    yield made
    made.close()


def escalated(console: Console, *, workflow: str = "triage", said: str = "Where is my parcel?", **more: Any) -> str:
    now = console.clock()
    number = int.from_bytes(os.urandom(6))
    ident = new_inference_id(now, number)
    messages = msgspec.json.encode([{"role": "system", "content": "secret"}, {"role": "user", "content": said}])
    request = msgspec.Raw(b'{"model":"triage","messages":' + messages + b"}")
    call = Inference(ident, now, "default", workflow, "escalated", "release", unit="u-1", request=request)
    fields: dict[str, Any] = {"unit": "u-1", "messages": msgspec.Raw(messages), "draft": "It left on Monday."}
    line = Escalation(ident, now, "default", workflow, "refused", now + 3600, **{**fields, **more})
    fd = segments.create(
        console.control.folder.journal, segments.SegmentName("w0", int(now * 1000) + number % 99991, 1)
    )
    for each in (line, call, Seal(now, 2)):
        os.write(fd, segments.encode(each))
    os.close(fd)
    console.control.shipper.ship()
    return ident


def test_the_list_holds_no_word_that_anybody_said_and_claiming_opens_the_answer(desk: Console) -> None:
    ident = escalated(desk, said=EVIL)
    amy = desk.browser("amy")
    listed = amy.get("/inbox")
    assert "1 customer waits" in text_of(listed)
    assert "alert(1)" not in listed
    assert "It left on Monday" not in listed
    page = amy.done("/inbox/next", on="/inbox")
    assert ESCAPED in page
    assert EVIL not in page
    assert "It left on Monday." in page
    assert "secret" not in page
    assert 'data-key="mod+Enter"' in page
    assert f"amy escalation.read escalation/{ident} done" in desk.audit()
    assert "Answered: whoever asked has it" in text_of(
        amy.done(f"/inbox/{ident}/answer", {"text": "Tomorrow.", "add_example": "1"}, on=f"/inbox/{ident}")
    )
    assert [each.example.text for each in desk.services.evals.pool.look("triage").items] == ["Tomorrow."]
    assert "edited" not in text_of(amy.get(f"/inbox/{ident}"))


def test_the_first_claim_wins_and_the_loser_is_told(desk: Console) -> None:
    ident = escalated(desk)
    amy, bo = desk.browser("amy"), desk.browser("bo")
    amy.done(f"/inbox/{ident}/claim", on="/inbox")
    assert "amy has claimed it for another 30 min" in text_of(bo.done(f"/inbox/{ident}/claim", on="/inbox"))
    assert "was first" in text_of(bo.get(f"/inbox/{ident}"))
    assert "amy has claimed it" in text_of(bo.done(f"/inbox/{ident}/answer", {"text": "Mine."}, on=f"/inbox/{ident}"))
    desk.clock.now += LEASE - 60
    held = amy.post(f"/inbox/{ident}/hold", on=f"/inbox/{ident}")
    assert "in 30 min" in held.text
    desk.clock.now += LEASE + 1
    bo.done(f"/inbox/{ident}/claim", on="/inbox")
    late = amy.post(f"/inbox/{ident}/hold", on=f"/inbox/{ident}")
    assert "It is not yours any more: bo has claimed it" in late.text
    assert "Send the draft as it is" in text_of(bo.get(f"/inbox/{ident}"))
    bo.done(f"/inbox/{ident}/answer", {"as": "sent", "text": "typed and not meant"}, on=f"/inbox/{ident}")
    done = desk.services.escalations.find(ident).answer
    assert done is not None
    assert (done.text, done.action) == ("It left on Monday.", "sent")


def test_a_hidden_draft_is_not_in_the_page_before_the_agent_wrote(desk: Console) -> None:
    ident = escalated(desk, workflow="hiding", unit="u-9")
    ada = desk.browser("ada")
    assert "It left on Monday" not in ada.done(f"/inbox/{ident}/claim", on="/inbox")
    assert "hidden until you have written" in text_of(
        ada.done(f"/inbox/{ident}/answer", {"as": "sent"}, on=f"/inbox/{ident}")
    )
    page = ada.done(f"/inbox/{ident}/commit", {"text": "It arrives tomorrow."}, on=f"/inbox/{ident}")
    assert "It left on Monday." in page
    assert ">It arrives tomorrow.</textarea>" in page
    ada.done(f"/inbox/{ident}/return", {"reason": "billing"}, on=f"/inbox/{ident}")


def test_roles_decide_who_reads_and_who_answers(desk: Console) -> None:
    ident = escalated(desk)
    vi, sky = desk.browser("vi"), desk.browser("sky")
    assert "Your role reads and does not answer" in text_of(vi.get(f"/inbox/{ident}"))
    assert vi.post(f"/inbox/{ident}/claim", on="/inbox").status_code == 403
    sky.get(f"/inbox/{ident}", 403)
    assert desk.services.escalations.find(ident).state == "queue"


def test_what_waits_is_on_the_first_page_of_those_who_may_answer(desk: Console) -> None:
    escalated(desk)
    assert "of triage, the first is due in" in text_of(desk.browser("amy").get("/"))
    assert "Answer" not in text_of(desk.browser("vi").get("/"))
    page = text_of(desk.browser("amy").get("/inbox/people"))
    assert "What people can carry" in page
    assert "too few to say" in page


def test_a_review_is_read_decided_and_signed_by_its_owner(desk: Console) -> None:
    drafting = desk.control.reviewing.drafting
    desk.clock.now += WEEK
    drafting.look()
    ada, vi = desk.browser("ada"), desk.browser("vi")
    assert "Sign the weekly review" in text_of(ada.get("/"))
    review = desk.services.reviewing.reviews.find("triage", "weekly")
    here = f"/reviews/triage/weekly/{review.period}"
    assert review.period in ada.get("/reviews")
    assert "decides and signs" in text_of(vi.get(here))
    assert vi.post(f"{here}/sign", on=here).status_code == 403
    kept = ada.done(f"{here}/decide", {"others": f"Ask the vendor {EVIL}"}, on=here)
    assert ESCAPED in kept
    answers = {f"decision-{at}": f"Bo, until Friday {at}" for at in range(len(review.facts.decide))}
    signed = text_of(ada.done(f"{here}/sign", {**answers, "others": "Keep the share."}, on=here))
    assert "You signed the weekly review" in signed
    assert "Keep the share." in signed
    assert "signed by Ada Lovelace" in signed
    assert ada.request("GET", f"{here}/markdown").text.startswith("# Weekly review: triage")
    for kind in ("weekly", "monthly", "quarterly"):
        assert "nothing is kept" in text_of(ada.get(f"/reviews/triage/{kind}/running"))
    ada.get("/reviews/triage/yearly/running", 404)
