"""What no parser of ours takes, deep inside a caller's body, is for its provider to judge: it is answered by the ladder
and recorded like any other call.  And a caller's schema holds nobody up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import (
    DONE,
    USAGE,
    Bench,
    FakeUpstream,
    Sent,
    chunk,
    completion,
    events,
    header,
    on_loop,
    release,
    said,
    target,
    text_of,
)

from roadworthy.gateway.checks.structure import is_bounded
from roadworthy.gateway.messages import Response
from roadworthy.http1.errors import Disconnected, NotConnected
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import (
    Canned,
    Capabilities,
    CheckSpec,
    Handling,
    Policy,
    Prompt,
    Step,
    TargetIdentity,
)

MAIL = "Write to anna.smith@gmail.com"
UNREAD = {
    "a number out of range": b"1e999",
    "a number of 5,000 digits": b"9" * 5000,
    "nesting near the limit": b"[" * 960 + b"]" * 960,
    "half a surrogate": b'"\\ud800"',
}
PLACES = {
    "a message": b'"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","a":%b}]}]',
    "a response format": b'"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","a":%b}',
    "tools": b'"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"parameters":%b}}]',
    "another field": b'"messages":[{"role":"user","content":"x"}],"metadata":{"a":%b}',
}
DOWN = NotConnected("refused")
ESCALATE, CANNED = [Step("escalate")], [Step("target", target="backup"), Step("canned")]


class Unread(FakeUpstream):
    """Does not look at what it is sent."""

    async def _next(self, origin: Any, head: bytes, body: bytes, clocks: Any) -> Any:
        self.sent.append(Sent(origin, head, None, clocks, body))
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(reply, BaseException):
            raise reply
        return reply


def bench(folder: Path, *, prompt: Prompt | None = None, **handling: Any) -> Bench:
    able = Capabilities(images=False, response_schema=False, prefill="native")
    behaviour = {
        "targets": {name: TargetIdentity("openai", f"{name}-model", f"{name}.test") for name in ("main", "backup")},
        "caller_overrides": ["tools", "response_format", "metadata"],
        "prompt": prompt,
        "tools": [{"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}],
    }
    rules = Handling(
        checks={"personal": CheckSpec("personal_data", "unsafe")}, canned=Canned("Call us.", json={"a": 1}),
        holding=Canned("A human will answer.", json={"a": 1}), **{"ladder": {"unavailable": CANNED}, **handling},
    )  # fmt: skip
    return Bench(
        folder, served=release(behaviour=behaviour, handling=rules), upstream=Unread(),
        policy=Policy(redact=["email"]),
        snapshot={"targets": {"main": target("main", capabilities=Capabilities(prefill="native")),
                              "backup": target("backup", capabilities=able)}},
    )  # fmt: skip


def body(place: str, value: str, **more: Any) -> bytes:
    start = msgspec.json.encode({"model": "support", "user": "u-1", **more})[:-1]
    return b"%b,%b}" % (start, PLACES[place] % UNREAD[value])


def ended(made: Bench) -> Inference:
    assert made.taken() == 0
    return made.record()


@pytest.mark.parametrize("value", UNREAD)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("prompt", [None, Prompt("managed", "You help.", {}), Prompt("app", "You help.", {})])
@on_loop
async def test_it_is_answered_checked_and_recorded_or_refused_as_the_callers_fault(
    prompt: Prompt | None, place: str, value: str, tmp_path: Path
) -> None:
    outcomes = []
    for ladder, reply in ((CANNED, DOWN), (ESCALATE, DOWN), (ESCALATE, completion(MAIL))):
        made = bench(tmp_path / f"{len(outcomes)}", prompt=prompt, ladder={"unavailable": ladder, "unsafe": ladder})
        made.upstream.will(reply)
        answer = await made.post(body(place, value))
        assert isinstance(answer, Response)
        record = ended(made)
        assert record.failure != "gateway_lost"
        outcomes.append((answer.status, header(answer, b"x-roadworthy-outcome")))
        assert MAIL.encode() not in msgspec.json.encode(record)
    usual = [(200, b"canned"), (200, b"escalated"), (200, b"escalated")]
    refused = [(400, b"error")] * 3
    assert outcomes in (usual, refused) or (prompt is not None and outcomes == [(503, b"bypassed")] * 3)


@pytest.mark.parametrize("value", UNREAD)
@on_loop
async def test_a_stream_that_broke_ends_as_it_should(value: str, tmp_path: Path) -> None:
    made = bench(tmp_path, stream="passthrough", continuation=1)
    cut = [chunk("Hello, this is the beginning of it"), Disconnected("reset", "in_body")]
    made.upstream.will(cut, [chunk(" and its end, at last."), chunk(finish="stop"), USAGE, DONE])
    answer = await made.post(body("a message", value, stream=True))
    if answer.status != 400:
        assert text_of(await events(answer)).startswith("Hello")
    assert ended(made).outcome in ("recovered", "error")


def tangled(levels: int, times: int) -> dict[str, Any]:
    """A small schema that stands for ``times ** levels``."""
    parts: dict[str, Any] = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * times} for level in range(levels)
    }
    return {"$defs": {**parts, f"d{levels}": {"type": "object"}}, "$ref": "#/$defs/d0"}


@on_loop
async def test_a_callers_schema_that_multiplies_holds_nobody_up(tmp_path: Path) -> None:
    schema, made = tangled(40, 2), bench(tmp_path)
    asked = {"model": "support", "messages": [{"role": "user", "content": "x"}]}
    made.upstream.will(DOWN)
    began = time.monotonic()
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    message = said(await made.post({**asked, "response_format": form}))["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "Call us.")
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    made.upstream.will(completion(None, "tool_calls", message={"tool_calls": calls}))
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    assert said(await made.post({**asked, "tools": tools}))["roadworthy"]["outcome"] == "answered"
    assert time.monotonic() - began < 30.0, "2 to the power of 40 would take days"


def test_schemas_as_people_write_them_are_bounded_and_circles_are_not() -> None:
    address = {"type": "object", "properties": {"street": {"type": "string"}}}
    person = {"$ref": "#/$defs/a"}
    usual = {"$defs": {"a": address, "b~/c": {"anyOf": [person, {"type": "null"}]}},
             "properties": {"home": person, "work": person, "other": {"$ref": "#/$defs/b~0~1c"}}}  # fmt: skip
    assert is_bounded(usual)
    assert is_bounded({"type": "function", "function": {"name": "f", "parameters": usual}})
    assert is_bounded(tangled(5, 2))
    assert not is_bounded(tangled(20, 2))
    assert not is_bounded({"function": {"parameters": tangled(20, 2)}})
    circle = {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}
    assert not is_bounded({"$defs": {"a": {"properties": {"next": circle}}}, "$ref": "#/$defs/a"})
    assert not is_bounded({"properties": {"next": {"$ref": "#"}}})
    assert not is_bounded({"$dynamicRef": "#node"})
