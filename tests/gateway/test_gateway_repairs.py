"""Claims about repairs: an answer that cannot be used goes back once with what is wrong with it, as it was asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import msgspec
import pytest
from gateway_support import Bench, chat, completion, managed, on_loop, release, said
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.gateway.answers.repair import MOST_ERRORS, RepairPrompt, text_of
from roadworthy.gateway.attempt import going_on
from roadworthy.gateway.call import Turns
from roadworthy.workflow.model import Canned, Handling, InputSpec, Policy, Prompt, Step

SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string"}},
    "required": ["topic"],
    "additionalProperties": False,
}
ONCE = Handling(ladder={"invalid": [Step("repair")]}, stream="buffered")
CHOICE = {"index": 0, "message": {"content": "The topic is bill."}, "finish_reason": "stop"}
GOOD = '{"topic": "bill"}'
BAD = "The topic is bill."


def bench(folder: Path, *, handling: Handling = ONCE, policy: Policy | None = None, **behaviour: Any) -> Bench:
    return Bench(
        folder, served=release(behaviour={"schema": SCHEMA, **behaviour}, handling=handling), policy=policy
    )  # fmt: skip


@on_loop
async def test_the_bad_answer_and_what_is_wrong_with_it_go_back_to_the_same_target(tmp_path: Path) -> None:
    served = bench(tmp_path, parameters={"temperature": 0.5})
    served.upstream.will(completion(BAD), completion(GOOD))
    answer = said(await served.post(chat(n=1)))
    assert answer["choices"][0]["message"]["content"] == GOOD
    assert answer["roadworthy"]["outcome"] == "recovered"
    first, second = served.upstream.sent
    assert second.origin == first.origin
    assert {**second.body, "messages": []} == {**first.body, "messages": []}
    assert second.body["messages"][:-2] == first.body["messages"]
    assert second.body["messages"][-2] == {"role": "assistant", "content": BAD}
    asked = second.body["messages"][-1]
    assert asked["role"] == "user"
    assert asked["content"].startswith("Your last answer cannot be used:\n- ")
    assert "is not JSON" in asked["content"]
    record = served.record()
    assert [(attempt.step, attempt.failure) for attempt in record.attempts] == [("first", "invalid"), ("repair", None)]
    assert [(rung.failure, rung.step, rung.target) for rung in record.ladder] == [("invalid", "repair", "main")]
    assert record.failure == "invalid"
    assert record.tokens.output == 10


@on_loop
async def test_managed_and_app_held_prompts_stay_in_front(tmp_path: Path) -> None:
    prompt = managed("Name the topic of {{ text }}.", text=InputSpec())
    rendered = bench(tmp_path / "managed", prompt=prompt)
    rendered.upstream.will(completion(BAD), completion(GOOD))
    await rendered.post(chat(roadworthy={"inputs": {"text": "x"}}))
    roles = [message["role"] for message in rendered.upstream.sent[1].body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert rendered.record().prompt == "Name the topic of x."
    held = bench(tmp_path / "held", prompt=Prompt("app", "You help."))
    held.upstream.will(completion(BAD), completion(GOOD))
    system = {"role": "system", "content": "You help."}
    await held.post(chat(messages=[system, {"role": "user", "content": "Hi"}]))
    assert held.upstream.sent[1].body["messages"][0] == system
    empty = bench(tmp_path / "empty")
    empty.upstream.will(completion(BAD), completion(GOOD))
    await empty.post({"model": "support", "messages": []})
    assert [message["role"] for message in empty.upstream.sent[1].body["messages"]] == ["assistant", "user"]


@on_loop
async def test_the_declared_repair_prompt_is_used(tmp_path: Path) -> None:
    served = bench(tmp_path, repair_prompt="Falsch:\n{{ errors }}\nNoch einmal.")
    served.upstream.will(completion('{"topic": 1}'), completion(GOOD))
    await served.post()
    asked = served.upstream.sent[1].body["messages"][-1]["content"]
    assert re.fullmatch(r"Falsch:\n- .*topic.*\nNoch einmal.", asked)


@on_loop
async def test_each_repair_sends_the_latest_answer_and_no_more_are_made_than_declared(tmp_path: Path) -> None:
    ladder: dict[Any, list[Step]] = {"invalid": [Step("repair", times=2), Step("canned")]}
    served = bench(tmp_path, handling=Handling(ladder=ladder, canned=Canned("Sorry.", {"topic": "none"})))
    served.upstream.will(completion("one"), completion("two"), completion("three"))
    assert said(await served.post())["roadworthy"]["outcome"] == "canned"
    sent = [message.body["messages"] for message in served.upstream.sent]
    assert [len(messages) for messages in sent] == [1, 3, 3]
    assert [messages[1]["content"] for messages in sent[1:]] == ["one", "two"]
    assert [attempt.step for attempt in served.record().attempts] == ["first", "repair", "repair"]


@pytest.mark.parametrize(
    ("reply", "more"),
    [
        (completion(""), {}),  # nothing was written
        (completion(BAD * 4000), {}),  # too long to read again
        (b"<html>busy</html>", {}),  # not a model's answer
        (completion(BAD, choices=[]), {}),
        (completion(choices=[CHOICE, {**CHOICE, "index": 1}]), {"n": 2}),  # which of them?
    ],
)
@on_loop
async def test_what_cannot_be_sent_back_is_asked_for_again(tmp_path: Path, reply: bytes, more: dict[str, Any]) -> None:
    served = bench(tmp_path)
    choice = {"index": 0, "message": {"content": GOOD}, "finish_reason": "stop"}
    both = completion(choices=[choice, {**choice, "index": 1}])
    served.upstream.will(reply, both if more else completion(GOOD))
    answer = await served.post(chat(**more))
    assert answer.status == 200
    assert served.upstream.sent[1].body == served.upstream.sent[0].body
    assert [attempt.step for attempt in served.record().attempts] == ["first", "retry"]
    assert [rung.step for rung in served.record().ladder] == ["repair"]


@on_loop
async def test_an_answer_is_sent_back_only_for_its_own_fault(tmp_path: Path) -> None:
    served = bench(tmp_path, handling=Handling(ladder={"invalid": [Step("repair", times=2)]}))
    served.upstream.will(completion(BAD), b"<html>busy</html>", completion(GOOD))
    assert (await served.post()).status == 200
    assert [len(sent.body["messages"]) for sent in served.upstream.sent] == [1, 3, 1]
    assert [attempt.step for attempt in served.record().attempts] == ["first", "repair", "retry"]


@on_loop
async def test_a_buffered_stream_is_repaired_too(tmp_path: Path) -> None:
    served = bench(tmp_path)
    served.upstream.will(completion(BAD), completion(GOOD))
    answer: Any = await served.post(chat(stream=True))
    told = b"".join([piece async for piece in answer.chunks])
    assert b"bill" in told
    assert BAD.encode() not in told
    assert "stream" not in served.upstream.sent[1].body


@on_loop
async def test_a_refused_answer_is_no_part_of_the_record_but_its_fault_is(tmp_path: Path) -> None:
    served = bench(tmp_path, policy=Policy(redact=["email"]))
    served.upstream.will(completion("write to ann@example.org"), completion(GOOD))
    await served.post()
    record = served.record()
    assert "ann@" not in msgspec.json.encode(record).decode()
    assert "not JSON" in record.attempts[0].detail


@on_loop
async def test_under_observe_nothing_is_repaired(tmp_path: Path) -> None:
    served = Bench(tmp_path, served=release(behaviour={"schema": SCHEMA}, handling=ONCE), enforcement="observe")
    served.upstream.will(completion(BAD))
    assert said(await served.post())["choices"][0]["message"]["content"] == BAD
    assert len(served.upstream.sent) == 1


def test_a_tool_call_goes_back_as_text() -> None:
    function = {"name": "look", "arguments": '{"a": '}
    body = completion(None, message={"tool_calls": [{"id": "c1", "type": "function", "function": function}]})
    assert text_of(body) == 'look({"a": )'
    assert text_of(completion(None)) is None
    assert text_of(b"[]") is None
    assert text_of(b'{"choices":[{"message":{"content":[{"type":"text"}]}}]}') is None


def test_a_repair_prompt_with_another_hole_is_refused() -> None:
    with pytest.raises(ValueError, match="the hole 'error'; it may have 'errors' only"):
        RepairPrompt("Mend {{ error }}")


@given(
    st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=20)}), max_size=3),
    st.text(min_size=1, max_size=200),
    st.lists(st.text(max_size=400), max_size=40),
    st.sampled_from(["", " ", "\n"]),
)
def test_a_repaired_request_is_the_request_and_two_messages(
    messages: list[dict[str, str]], answer: str, errors: list[str], space: str
) -> None:
    raw = space.encode() + msgspec.json.encode(messages)[:-1] + space.encode() + b"]" + space.encode()
    fields = {"model": msgspec.Raw(b'"m"'), "messages": msgspec.Raw(raw)}
    turns = Turns(answer, RepairPrompt(None).asked(errors))
    made = going_on(fields, turns, ANY)
    decoded = msgspec.json.decode(made["messages"])
    assert decoded[:-2] == messages
    assert decoded[-2] == {"role": "assistant", "content": answer}
    assert decoded[-1]["content"].count("\n- ") <= MOST_ERRORS + 1 + sum(error.count("\n- ") for error in errors)
    assert made["model"] is fields["model"]
    assert bytes(fields["messages"]) == raw
