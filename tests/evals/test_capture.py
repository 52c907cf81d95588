"""Claims about examples from traffic: redacted, with what was answered, forgotten with their user."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from examples_bench import ADA, DAY, MONTH, ExampleBench

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.evals.examples import sound
from roadworthy.evals.model import Examples, HandScore
from roadworthy.evals.service import Refused
from roadworthy.gateway.answers.redact import Redactor, redactor
from roadworthy.inference_log.model import Batch
from roadworthy.operations.proving.capture import MOST_CALLS, Capture, Ports, Wanted
from roadworthy.operations.proving.forgetting import ExampleEraser, unit_of
from roadworthy.workflow.digest import release
from roadworthy.workflow.inference import Inference, new_inference_id
from roadworthy.workflow.model import Behaviour, FrozenRelease, Handling, Prompt, TargetIdentity
from roadworthy.workflow.service import Workflows

THINGS = ("parcel", "refund", "password", "invoice", "voucher")
NUMBERS = ("one", "two", "three", "four", "five", "six")


class Traffic(ExampleBench):
    def __init__(self) -> None:
        super().__init__()
        self.log = MemoryLog()
        self.pool._unit = unit_of(self.log)
        self.redactor: Redactor | None = None
        self.drafts: dict[str, str] = {}
        self.count = 0
        ports = Ports(
            log=self.log, redactor=lambda flow: self.redactor, unit=unit_of(self.log), draft=self.drafts.get,
            clock=self.clock,
        )  # fmt: skip
        self.capture = Capture(Workflows(self.state, clock=self.clock), self.pool, ports)
        self.scrubbed = self.changed = 0
        self.eraser = ExampleEraser(
            self.state, self.sealed, self.log, scrub=self._scrub, changed=self._change, clock=self.clock
        )

    def _scrub(self) -> None:
        self.scrubbed += 1

    def _change(self) -> None:
        self.changed += 1

    def call(self, text: str, answer: str = "", **facts: Any) -> Inference:
        self.count += 1
        messages = facts.pop("messages", [{"role": "user", "content": text}])
        body = facts.pop("body", {"model": "support", "messages": messages})
        said = {"choices": [{"message": {"role": "assistant", "content": answer or f"re {text}"}}]}
        ts = facts.pop("ts", self.now - DAY)
        made = Inference(
            id=new_inference_id(ts, self.count * 7919 << 40), ts=ts, team="default", workflow="support",
            **{
                "outcome": "answered", "digest": "rel_1", "unit": f"u-{self.count}", "unit_source": "header",
                "request": msgspec.Raw(json.dumps(body).encode()), "response": msgspec.Raw(json.dumps(said).encode()),
                **facts,
            },
        )  # fmt: skip
        self.log.ship(Batch(ends=[made]))
        return made

    def calls(self, n: int, **facts: Any) -> None:
        for at in range(n):
            self.call(f"{'please ' * (at % 3)}{THINGS[at % 5]} {chr(97 + at // 26)}{chr(97 + at % 26)}", **facts)

    def freeze(self, prompt: Prompt) -> None:
        behaviour = Behaviour("chat", prompt, "main", {"main": TargetIdentity("openai", "m", "h")})
        with self.state.write() as tx:
            frozen = FrozenRelease(release("support", behaviour, Handling()), "default", 1, self.now, "ada")
            tx.add_release(frozen)
            tx.put_forward("support", frozen.release.digest)


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


def test_a_sample_waits_in_the_pool_with_what_was_answered(traffic: Traffic) -> None:
    traffic.calls(120)
    look = traffic.capture.look(Wanted("support", 50))
    assert traffic.pool.look("support").items == [], "looking changes nothing"
    sample, taken = traffic.capture.take(Wanted("support", 50), ADA)
    assert (taken.waiting, len(sample.found), sample.calls) == (50, 50, 120)
    assert [one[0].id for one in sample.found] == [one[0].id for one in look.found]
    assert {each.example for each in traffic.pool.captured("support")} == {one[0].id for one in sample.found}
    example, captured = sample.found[0]
    assert captured is not None
    assert captured.text == f"re {example.messages[0]['content']}"
    assert set(example.tags) == {"outcome", "length", "theme"}
    assert traffic.records("evals.capture")[0].after == {"waiting": 50, "source": "captured: live"}
    again, _ = traffic.capture.take(Wanted("support", 50), ADA)
    assert again.passed.known == 50
    assert not {one[0].id for one in again.found} & {one[0].id for one in sample.found}


def test_a_call_that_no_model_answered_is_a_question_without_an_answer(traffic: Traffic) -> None:
    for outcome in ("canned", "cached", "blocked", "bypassed", "limited", "abandoned", "error"):
        traffic.call(f"{outcome} one", outcome=outcome)
    traffic.drafts[traffic.call("escalated one", outcome="escalated").id] = "a draft"
    traffic.call("other class", traffic="tester")
    sample = traffic.capture.look(Wanted("support"))
    found = {example.messages[0]["content"]: captured and captured.text for example, captured in sample.found}
    assert found == {
        "canned one": None, "cached one": None, "blocked one": None, "bypassed one": None, "escalated one": "a draft",
    }  # fmt: skip


def test_each_kind_of_traffic_is_taken_by_itself(traffic: Traffic) -> None:
    traffic.call("live one")
    traffic.call("observed one", would="bypassed: no receipt")
    traffic.call("drafted one", stage="drafts", outcome="escalated")
    traffic.call("shadowed one", traffic="shadow")
    traffic.call("old one", ts=traffic.now - 31 * DAY)

    def texts(source: Any) -> set[str]:
        return {each.messages[0]["content"] for each, _ in traffic.capture.look(Wanted("support", 50, source)).found}

    assert texts("live") == {"live one", "observed one", "drafted one"}
    assert texts("observe") == {"observed one"}
    assert texts("drafts") == {"drafted one"}
    assert texts("shadow") == {"shadowed one"}


def test_what_is_asked_and_answered_is_redacted_by_the_policy_in_force(traffic: Traffic) -> None:
    traffic.redactor = redactor(["email"], [])
    traffic.call("I am a@b.com", "Dear a@b.com")
    traffic.drafts[traffic.call("me too", outcome="escalated").id] = "Dear c@d.com"
    sample = traffic.capture.look(Wanted("support"))
    assert sample.redacted
    assert "@" not in msgspec.json.encode(sample.found).decode()


def test_a_system_message_that_the_release_renders_is_left_out_and_its_inputs_are_kept(traffic: Traffic) -> None:
    traffic.freeze(Prompt("managed", "Be nice to {{ name }}."))
    messages = [{"role": "system", "content": "Be nice."}, {"role": "user", "content": "Hi"}]
    traffic.call("Hi", body={"messages": messages, "roadworthy": {"inputs": {"name": "Jo"}}})
    [(example, _)] = traffic.capture.look(Wanted("support")).found
    assert (example.messages, example.inputs) == (messages[1:], {"name": "Jo"})


def test_what_has_no_body_or_holds_no_messages_is_counted_and_said(traffic: Traffic) -> None:
    traffic.call("gone", request=None, bodies_dropped="expired")
    traffic.call("embedding", body={"input": "x"})
    with pytest.raises(Refused, match=r"1 have no body .* 1 hold no chat messages"):
        traffic.capture.look(Wanted("support"))
    with pytest.raises(Refused, match="had no call of the kind"):
        traffic.capture.look(Wanted("support", source="shadow"))
    for wrong in (Wanted("support", 0), Wanted("support", 201), Wanted("support", days=0)):
        with pytest.raises(Refused, match="expected"):
            traffic.capture.look(wrong)


def test_of_many_calls_a_bounded_number_is_looked_at(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadworthy.operations.proving.capture.MOST_CALLS", 40)
    assert MOST_CALLS > 40
    traffic.calls(100)
    sample = traffic.capture.look(Wanted("support", 50))
    assert (sample.calls, sample.looked_at) == (100, 40)


# --- forgetting


def published(traffic: Traffic) -> Examples:
    """Six captured examples, two of them asked by ``u-1``, in the second version of the set."""
    traffic.take(60)
    for at in range(6):
        traffic.call(f"{NUMBERS[at]} captured {THINGS[at % 5]}", unit="u-1" if at < 2 else f"u-{at + 10}")
    traffic.capture.take(Wanted("support", 50), ADA)
    traffic.now += MONTH
    traffic.pool.publish("support", ADA)
    return traffic.current()


def test_forgetting_a_user_makes_new_versions_without_their_examples(traffic: Traffic) -> None:
    before = published(traffic)
    publication = traffic.evals.published("support")
    assert publication is not None
    assert traffic.eraser.search("u-1") > 0
    assert traffic.eraser.forget("u-1", traffic.now) > 0
    after, made = traffic.current(), traffic.evals.published("support")
    assert made is not None
    assert (len(before.items), len(after.items), made.count, sound(after)) == (66, 64, 64, True)
    assert (made.id, made.at, made.forgotten_from) == (publication.id, publication.at, [before.version])
    assert traffic.eraser.search("u-1") == 0
    assert len(traffic.pool.captured("support")) == 4
    assert traffic.evals.examples(before.version) is None
    assert (traffic.scrubbed, traffic.changed) == (1, 1)
    assert traffic.eraser.forget("u-1", traffic.now) == 0


def test_what_was_run_and_scored_on_the_version_before_is_about_what_is_left_of_it(traffic: Traffic) -> None:
    published(traffic)
    traffic.evals.sign("support", ADA)
    traffic.answered()
    desk = traffic.hand.desk("support", ADA)
    for each in desk.items:
        traffic.hand.score("support", each.example.id, each.answer, "good", ADA)
    traffic.eraser.forget("u-1", traffic.now)
    run = traffic.evals.run("evr_1")
    assert (run.examples, run.set_version) == (64, traffic.current().version)
    left = {each.id for each in traffic.current().items}
    assert set(traffic.evals.answers("evr_1")) == left
    scores: list[HandScore] = traffic.hand.of("support")
    assert {each.example for each in scores} == left


def test_the_calls_in_which_the_example_was_asked_again_are_forgotten_in_the_log(traffic: Traffic) -> None:
    published(traffic)
    theirs = next(each for each in traffic.current().items if each.cluster == unit_of(traffic.log)("u-1"))
    asked = traffic.call("again", unit=f"eval-{theirs.id}", traffic="eval")
    judged = traffic.call("judged", unit="eval-scoring", traffic="eval")
    traffic.eraser.forget("u-1", traffic.now)
    assert [traffic.log.get(each.id) for each in (asked, judged)] == [None, None]


def test_after_a_restore_who_was_forgotten_is_forgotten_again(traffic: Traffic) -> None:
    published(traffic)
    traffic.log.forget("u-1", traffic.now)  # the tombstone outlives a restore; the state store came back as it was
    assert len(traffic.current().items) == 66
    assert traffic.eraser.settle() > 0
    assert len(traffic.current().items) == 64
    assert traffic.eraser.settle() == 0


def test_what_a_user_asks_after_they_were_forgotten_is_new(traffic: Traffic) -> None:
    traffic.log.forget("u-1", traffic.now - 2 * DAY)
    published(traffic)
    assert traffic.eraser.settle() == 0
    assert len(traffic.current().items) == 66


def test_an_imported_example_is_forgotten_by_the_user_that_its_row_names(traffic: Traffic) -> None:
    from roadworthy.evals.importing import Columns

    rows = '{"message": "a", "who": "u-1"}\n{"message": "b", "who": "u-2"}'
    traffic.pool.take("support", rows, Columns(user="who"), ADA)
    assert traffic.eraser.forget("u-1", traffic.now) == 1
    assert [each.messages[0]["content"] for each in traffic.current().items] == ["b"]
