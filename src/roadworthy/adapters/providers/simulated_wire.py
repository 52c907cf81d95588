"""The wire of a simulated target, which may speak every surface: each operation goes by the wire that knows it."""

from __future__ import annotations

import time
from collections.abc import Callable

from roadworthy.adapters.providers.anthropic import AnthropicWire
from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.formats.model import Format
from roadworthy.gateway.ports import Answer, EventReader, Fields, Headers, Operation, Outgoing, Unusable, Wire
from roadworthy.workflow.model import Target


class SimulatedWire:
    """One target's wire (see ``gateway.ports.Wire``)."""

    stream_type = OpenAIWire.stream_type

    def __init__(
        self, target: Target, base: bytes, secret: str | None, *, now: Callable[[], float] = time.time
    ) -> None:
        self.speaks = frozenset(target.capabilities.surfaces or ("chat",))
        self._openai: Wire = OpenAIWire(target, base, secret, now=now)
        self._anthropic: Wire = AnthropicWire(target, base, secret, now=now)
        # a caller of what it does not speak is translated, by the wire of what it speaks
        self._else = self._openai if self.speaks & {"chat", "responses"} else self._anthropic

    def _by(self, operation: Operation) -> Wire:
        if operation == "messages":
            return self._anthropic
        return self._else if operation == "chat" else self._openai

    def encode(self, operation: Operation, fields: Fields, *, stream: bool, forwarded: Headers = ()) -> Outgoing:
        return self._by(operation).encode(operation, fields, stream=stream, forwarded=forwarded)

    def adapted(self, fields: Fields, surface: Format) -> Fields:
        return fields

    def counting(self, fields: Fields, forwarded: Headers = ()) -> Outgoing | None:
        return self._anthropic.counting(fields, forwarded) if "messages" in self.speaks else None

    def answer(self, operation: Operation, headers: Headers, body: bytes) -> Answer:
        return self._by(operation).answer(operation, headers, body)

    def refusal(self, status: int, headers: Headers, body: bytes) -> Unusable:
        return self._else.refusal(status, headers, body)

    def request_id(self, headers: Headers) -> str | None:
        return self._else.request_id(headers)

    def prefilled(self, fields: Fields, said: str) -> Fields:
        return self._else.prefilled(fields, said)

    def events(self, operation: Operation = "chat") -> EventReader:
        return self._by(operation).events(operation)
