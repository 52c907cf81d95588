"""The three surfaces as their callers see them: how each asks, and what it makes of an answer, an error or a stream.

Streams are read strictly, by the grammar that the API references state: an event too many, out of place or without its
number fails the test that read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

import msgspec
from gateway_support import TOKEN, Bench, FakeUpstream, Sent, close_benches, release, target

from roadworthy.formats.model import Format
from roadworthy.gateway.messages import Response, StreamResponse
from roadworthy.gateway.snapshot import ServedWorkflow
from roadworthy.http1.messages import Clocks
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Capabilities, Policy, Release, Target, TargetIdentity

FINISHES = {"end_turn": "stop", "stop_sequence": "stop", "tool_use": "tool_calls", "max_tokens": "length"}


class Read(msgspec.Struct):
    """An answer in chat's words."""

    content: str | None
    refusal: str | None
    finish: str | None
    told: dict[str, Any]
    """Our object."""
    tools: list[tuple[str, Any]] = []
    """Name and arguments of the calls."""
    tokens: tuple[int, int] | None = None
    """Of prompt and answer."""
    model: str | None = None
    ident: str = ""


class Told(Exception):
    """The caller was told an error."""

    def __init__(self, error: dict[str, Any], told: dict[str, Any]) -> None:
        super().__init__(error)
        self.code = error["code"]
        self.type = error["type"]
        self.message = error["message"]
        self.param = error["param"]
        self.told = told


class Surface(Protocol):
    format: Format
    path: str

    def body(self, said: str = "Hi", /, **more: Any) -> dict[str, Any]: ...
    def system(self, text: str) -> dict[str, Any]:
        """Fields of a request whose app holds its prompt."""
        ...

    def schema(self, schema: dict[str, Any]) -> dict[str, Any]: ...
    def tool(self, name: str, schema: dict[str, Any]) -> dict[str, Any]: ...
    def read(self, body: bytes) -> Read: ...
    def events(self, raw: bytes) -> Read:
        """Raises ``Told`` for a stream that ends with an error."""
        ...

    def error(self, body: bytes) -> Told: ...
    def field(self, name: str) -> str:
        """How it calls a field of chat completions."""
        ...


def _blocks(raw: bytes) -> list[tuple[str, Any]]:
    """(name, data) of each event; the name must be the data's type."""
    assert raw.endswith(b"\n\n"), raw[-80:]
    found = []
    for block in raw[:-2].split(b"\n\n"):
        first, _, rest = block.partition(b"\n")
        assert first.startswith(b"event: "), block
        assert rest.startswith(b"data: "), block
        data = msgspec.json.decode(rest[6:])
        assert data["type"] == first[7:].decode()
        found.append((data["type"], data))
    return found


class _Chat:
    format: Format = "chat"
    path = "/v1/chat/completions"

    def body(self, said: str = "Hi", /, **more: Any) -> dict[str, Any]:
        return {"model": "support", "messages": [{"role": "user", "content": said}], **more}

    def system(self, text: str) -> dict[str, Any]:
        return {"messages": [{"role": "system", "content": text}, {"role": "user", "content": "Hi"}]}

    def schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        wanted = {"name": "Topic", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}

    def tool(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"tools": [{"type": "function", "function": {"name": name, "parameters": schema}}]}

    def field(self, name: str) -> str:
        return name

    def read(self, body: bytes) -> Read:
        found = msgspec.json.decode(body)
        [choice] = found["choices"]
        message, usage = choice["message"], found.get("usage")
        return Read(
            message.get("content"), message.get("refusal"), choice["finish_reason"], found.get("roadworthy") or {},
            [(call["function"]["name"], msgspec.json.decode(call["function"]["arguments"])) for call in
             message.get("tool_calls") or ()],
            (usage["prompt_tokens"], usage["completion_tokens"]) if usage else None, found["model"], found["id"],
        )  # fmt: skip

    def events(self, raw: bytes) -> Read:
        read, calls = Read(None, None, None, {}), list[dict[str, Any]]()
        *blocks, last = raw.removesuffix(b"\n\n").split(b"\n\n")
        if last != b"data: [DONE]":
            raise self.error(last.removeprefix(b"data: "))
        for block in blocks:
            found = msgspec.json.decode(block.removeprefix(b"data: "))
            read.told = found.get("roadworthy") or read.told
            read.model, read.ident = found["model"], found["id"]
            for choice in found["choices"]:
                for name in ("content", "refusal"):
                    if choice["delta"].get(name):
                        setattr(read, name, (getattr(read, name) or "") + choice["delta"][name])
                calls += choice["delta"].get("tool_calls") or []
                read.finish = choice["finish_reason"] or read.finish
        names = [call["function"]["name"] for call in calls if call["function"].get("name")]
        if names:
            read.tools = [(names[0], msgspec.json.decode("".join(call["function"]["arguments"] for call in calls)))]
        return read

    def error(self, body: bytes) -> Told:
        found = msgspec.json.decode(body)
        assert next(iter(found)) == "error"
        return Told(found["error"], found.get("roadworthy") or {})


class _Responses:
    format: Format = "responses"
    path = "/v1/responses"
    _names = {"messages": "input", "response_format": "text.format", "max_completion_tokens": "max_output_tokens"}

    def body(self, said: str = "Hi", /, **more: Any) -> dict[str, Any]:
        return {"model": "support", "input": said, **more}

    def system(self, text: str) -> dict[str, Any]:
        return {"instructions": text}

    def schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {"text": {"format": {"type": "json_schema", "name": "Topic", "schema": schema, "strict": True}}}

    def tool(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"tools": [{"type": "function", "name": name, "parameters": schema, "strict": True}]}

    def field(self, name: str) -> str:
        return self._names.get(name, name)

    def read(self, body: bytes) -> Read:
        found = msgspec.json.decode(body)
        assert found["object"] == "response"
        return self._read(found)

    def _read(self, found: dict[str, Any]) -> Read:
        usage = found["usage"]
        read = Read(None, None, "stop", found.get("roadworthy") or {}, model=found["model"], ident=found["id"])
        read.tokens = (usage["input_tokens"], usage["output_tokens"]) if usage else None
        for item in found["output"]:
            if item["type"] == "function_call":
                read.tools.append((item["name"], msgspec.json.decode(item["arguments"])))
                read.finish = "tool_calls"
            for part in item["content"] if item["type"] == "message" else ():
                name, said = ("refusal", "refusal") if part["type"] == "refusal" else ("content", "text")
                setattr(read, name, (getattr(read, name) or "") + part[said])
        if found["status"] == "incomplete":
            reason = found["incomplete_details"]["reason"]
            read.finish = {"max_output_tokens": "length"}.get(reason, reason)
        else:
            assert found["status"] == "completed"
        return read

    def events(self, raw: bytes) -> Read:
        blocks = _blocks(raw)
        assert [data["sequence_number"] for _, data in blocks] == list(range(len(blocks)))
        assert [name for name, _ in blocks[:2]] == ["response.created", "response.in_progress"]
        said = "".join(data["delta"] for name, data in blocks if name == "response.output_text.delta")
        last, data = blocks[-1]
        if last == "error":
            before, failed = blocks[-2]
            assert before == "response.failed"
            assert failed["response"]["status"] == "failed"
            assert failed["response"]["error"]["code"] == data["code"]
            raise Told({"type": None, **data}, failed["response"].get("roadworthy") or {})
        assert last == f"response.{data['response']['status']}"
        read = self._read(data["response"])
        assert (read.content or "") == said
        return read

    def error(self, body: bytes) -> Told:
        return CHAT.error(body)


class _Messages:
    format: Format = "messages"
    path = "/v1/messages"
    _names = {"response_format": "output_config.format", "max_completion_tokens": "max_tokens"}

    def body(self, said: str = "Hi", /, **more: Any) -> dict[str, Any]:
        return {"model": "support", "max_tokens": 64, "messages": [{"role": "user", "content": said}], **more}

    def system(self, text: str) -> dict[str, Any]:
        return {"system": text}

    def schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}

    def tool(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"tools": [{"name": name, "input_schema": schema}]}

    def field(self, name: str) -> str:
        return self._names.get(name, name)

    def read(self, body: bytes) -> Read:
        found = msgspec.json.decode(body)
        assert (found["type"], found["role"]) == ("message", "assistant")
        return self._read(found, found.get("roadworthy") or {})

    def _read(self, found: dict[str, Any], told: dict[str, Any]) -> Read:
        usage, reason = found["usage"], found["stop_reason"]
        texts = [block["text"] for block in found["content"] if block["type"] == "text"]
        text: str | None = "".join(texts) if texts else None
        tools = [(block["name"], block["input"]) for block in found["content"] if block["type"] == "tool_use"]
        refusal = None
        if reason == "refusal":
            text, refusal = None, found["stop_details"]["explanation"]
        tokens = (usage["input_tokens"], usage["output_tokens"])
        finish = "stop" if reason == "refusal" else FINISHES[reason]
        return Read(text, refusal, finish, told, tools, tokens, found["model"], found["id"])

    def events(self, raw: bytes) -> Read:
        blocks = [(name, data) for name, data in _blocks(raw) if name != "ping"]
        last, data = blocks[-1]
        if last == "error":
            raise self.error(msgspec.json.encode(data))
        assert [blocks[0][0], *(name for name, _ in blocks[-2:])] == ["message_start", "message_delta", "message_stop"]
        whole: dict[str, Any] = blocks[0][1]["message"]
        assert (whole["content"], whole["stop_reason"]) == ([], None)
        open_block: dict[str, Any] | None = None
        for name, event in blocks[1:-2]:
            if name == "content_block_start":
                assert (open_block, event["index"]) == (None, len(whole["content"]))
                open_block = event["content_block"]
                whole["content"].append(open_block)
            elif name == "content_block_delta":
                assert open_block is not None
                self._grow(open_block, event["delta"])
            else:
                assert (name, event["index"]) == ("content_block_stop", len(whole["content"]) - 1)
                open_block = None
        assert open_block is None
        for block in whole["content"]:
            if block["type"] == "tool_use":
                block["input"] = msgspec.json.decode(block.pop("json", "{}"))
        whole.update(blocks[-2][1]["delta"])
        whole["usage"].update(blocks[-2][1]["usage"])
        return self._read(whole, data.get("roadworthy") or {})

    def _grow(self, block: dict[str, Any], delta: dict[str, Any]) -> None:
        if delta["type"] == "text_delta":
            block["text"] += delta["text"]
        else:
            block["json"] = block.get("json", "") + delta["partial_json"]

    def error(self, body: bytes) -> Told:
        found = msgspec.json.decode(body)
        assert found["type"] == "error"
        return Told(found["error"], found.get("roadworthy") or {})


CHAT = _Chat()
SURFACES: dict[Format, Surface] = {"chat": CHAT, "responses": _Responses(), "messages": _Messages()}

PAIRS: list[tuple[Format, Format]] = [
    ("chat", "chat"), ("responses", "responses"), ("messages", "messages"),
    ("chat", "messages"), ("responses", "chat"), ("messages", "chat"), ("messages", "responses"),
]  # fmt: skip
"""What callers speak, and what targets do."""


def target_of(name: str, speaks: Format, **more: Any) -> Target:
    if speaks == "messages":
        return msgspec.structs.replace(target(name, **more), provider="anthropic")
    return target(name, **{"capabilities": Capabilities(surfaces=[speaks]), **more})


class SpokenUpstream(FakeUpstream):
    """A reply that is a mapping is read by how it was asked for; one that is an event waits for it for ever."""

    async def _next(self, origin: Any, head: bytes, body: bytes, clocks: Clocks) -> Any:
        reply = await super()._next(origin, head, body, clocks)
        if isinstance(reply, asyncio.Event):
            await reply.wait()
        if isinstance(reply, dict):
            reply = reply["stream" if self.sent[-1].body.get("stream") else "whole"]
        if isinstance(reply, BaseException):
            raise reply
        return reply


class Served:
    """A gateway whose workflows are asked on one surface and answered by targets that speak one format.

    The first release is the workflow ``support``'s.
    """

    def __init__(
        self, folder: Any, asked: Format, speaks: Format, *releases: Release,
        main: dict[str, Any] | None = None, others: dict[str, Target] | None = None,
        policies: dict[str, Policy] | None = None, **more: Any,
    ) -> None:  # fmt: skip
        self.surface = SURFACES[asked]
        self.speaks = speaks
        targets = {"main": target_of("main", speaks, **(main or {})), "backup": target_of("backup", speaks)}
        targets |= others or {}
        named = {name: TargetIdentity(one.provider, one.model, f"{name}.test") for name, one in targets.items()}
        first, *others = [_asking(made, named) for made in releases or (release(),)]
        workflows = {
            made.workflow: ServedWorkflow(
                made.workflow, "default", "enforce", (policies or {}).get(made.workflow, Policy()), made.digest
            )
            for made in others
        }
        self.upstream = SpokenUpstream()
        self.bench = Bench(
            folder, served=first, snapshot={"targets": targets, **more.pop("snapshot", {})}, upstream=self.upstream,
            workflows=workflows, releases=others, **more,
        )  # fmt: skip

    @property
    def sent(self) -> list[Sent]:
        return self.upstream.sent

    @property
    def record(self) -> Inference:
        """The newest."""
        return self.bench.records()[-1]

    async def post(
        self, *, said: str = "Hi", stream: bool = False, headers: Any = (), token: str = TOKEN, **more: Any
    ) -> Any:
        body = self.surface.body(said, **({"stream": True} if stream else {}), **more)
        given = [(b"x-roadworthy-user", b"u-1"), *headers]
        return await self.bench.post(body, self.surface.path, token=token, headers=given)

    async def ask(self, **more: Any) -> Read:
        """An answer, whole or streamed.  Raises ``Told``."""
        return await self.read(await self.post(**more))

    async def read(self, answer: Response | StreamResponse) -> Read:
        if isinstance(answer, Response):
            if answer.status != 200:
                raise self.surface.error(answer.body)
            return self.surface.read(answer.body)
        return self.surface.events(b"".join([piece async for piece in answer.chunks]))


def _asking(made: Release, named: dict[str, TargetIdentity]) -> Release:
    return msgspec.structs.replace(made, behaviour=msgspec.structs.replace(made.behaviour, targets=named))


class Stands:
    """One gateway a pair, for the tests of a module."""

    def __init__(self, folder: Callable[[], Path], make: Callable[[Path, Format, Format], Served]) -> None:
        self._folder = folder
        self._make = make
        self._runner = asyncio.Runner()
        self._made: dict[tuple[Format, Format], Served] = {}

    def run(self, asked: Format, speaks: Format, test: Callable[[Served], Coroutine[Any, Any, None]]) -> None:
        """An hour after the test before: breakers have closed, limits and retry budgets are full again."""

        async def at() -> None:
            pair = (asked, speaks)
            if pair not in self._made:
                self._made[pair] = self._make(self._folder(), asked, speaks)
            self._made[pair].bench.clock.an_hour()
            await test(self._made[pair])
            assert self._made[pair].bench.taken() == 0

        self._runner.run(at())

    def close(self) -> None:
        self._runner.close()
        close_benches()
