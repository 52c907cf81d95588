"""Asks the gateway an example as any client does, under an eval permit, and reads what came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from roadworthy.evals.model import Answer, Run
from roadworthy.fallback.drills import reading
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error, NotConnected
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.operations.proving.eval_plans import Question
from roadworthy.workflow.inference import Tokens

PATIENCE = 5.0
"""Seconds beyond the release's deadline after which a call is given up."""
REACHING = 5.0
"""Seconds that a gateway may take to have heard of the release."""
MAX_BODY = 16 * 1024 * 1024
LONGEST_TEXT = 256 * 1024


class Stopped(Exception):
    """The gateway does not take the run's calls; the message says why."""


class Caller:
    """Asks under one permit."""

    def __init__(self, client: Client, base: str, token: str, run: Run, deadline: float) -> None:
        """``deadline``: seconds, of the release."""
        self._client = client
        self._origin = Origin.from_url(base)
        self._run = run
        limit = deadline + PATIENCE
        self._clocks = Clocks(PATIENCE, limit, limit, limit)
        path = "/" + base.split("://", 1)[1].partition("/")[2].rstrip("/") + "/chat/completions"
        headers = [(b"authorization", b"Bearer " + token.encode()), (b"content-type", b"application/json")]
        self._head = head(b"POST", path.encode(), self._origin, headers)
        self._until = time.monotonic() + REACHING

    async def ask(self, question: Question, clock: Callable[[], float]) -> Answer:
        """Raises ``Stopped`` when the gateway does not take the permit, or another release answered."""
        while True:
            began = time.monotonic()
            try:
                reply = await self._client.fetch(
                    self._origin, self._head, question.body, self._clocks, max_body=MAX_BODY
                )
            except NotConnected as error:
                raise Stopped(f"the gateway at {self._origin} does not answer ({type(error).__name__})") from error
            except Http1Error as error:
                return self._answer(question, clock(), detail=f"{type(error).__name__}: {error}"[:500])
            told = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
            seen = reading.whole(reply.status, told, reply.body, time.monotonic() - began)
            if not seen.code.startswith("permit_"):
                break
            if seen.code != "permit_not_allowed" or time.monotonic() > self._until:
                raise Stopped(f"the gateway refused the run's permit: {seen.text}")
            await asyncio.sleep(0.1)  # it has not read the snapshot that holds the release yet
        answered_by = told.get("x-roadworthy-release")
        if answered_by is not None and answered_by != self._run.release:
            raise Stopped(f"release {answered_by[:12]} answered in place of {self._run.release[:12]}")
        body = _decoded(reply.body)
        said: Mapping[str, Any] = body.get("roadworthy") or {}
        usd = said.get("cost_usd")
        return self._answer(
            question, clock(), inference=seen.inference, outcome=seen.outcome, failure=seen.failure,
            text=seen.text[:LONGEST_TEXT], seconds=seen.seconds,
            usd=float(usd) if isinstance(usd, int | float) else None,
            detail="" if reply.status < 400 else f"status {reply.status}", target=str(said.get("target") or ""),
            model_answered=seen.model, tokens=tokens_of(body.get("usage")), tool_calls=tool_calls_of(body),
        )  # fmt: skip

    def _answer(self, question: Question, at: float, **more: Any) -> Answer:
        return Answer(
            run=self._run.id, example=question.example.id, at=at, repeat=question.repeat, asked_target=question.target,
            **more,
        )  # fmt: skip


def tokens_of(usage: Any) -> Tokens | None:
    """What the answer says that it took; ``None``: nothing."""
    if not isinstance(usage, dict) or not isinstance(usage.get("prompt_tokens"), int):
        return None
    cached = _part(usage.get("prompt_tokens_details"), "cached_tokens")
    return Tokens(
        input=max(usage["prompt_tokens"] - cached, 0), cache_read=cached, output=_part(usage, "completion_tokens"),
        reasoning=_part(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )  # fmt: skip


def tool_calls_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """``{name, arguments}`` each, arguments decoded where they are JSON."""
    found = []
    for choice in body.get("choices") or ():
        message = choice.get("message") if isinstance(choice, dict) else None
        for call in (message.get("tool_calls") if isinstance(message, dict) else None) or ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                arguments = function.get("arguments")
                found.append({"name": function.get("name"), "arguments": _decoded_arguments(arguments)})
    return found


def _decoded_arguments(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return arguments


def _part(found: Any, name: str) -> int:
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
