"""What translating costs by itself: microseconds of CPU for the requests, answers and events of the benchmark.

Whole calls are measured by ``bench.surfaces``; this says how much of their cost is the translation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec

from bench import payloads, surface_payloads
from roadworthy.formats.messages import answer as messages_answer
from roadworthy.formats.messages import events as messages_events
from roadworthy.formats.messages import request as messages_request
from roadworthy.formats.model import Format
from roadworthy.formats.responses import answer as responses_answer
from roadworthy.formats.responses import events as responses_events
from roadworthy.formats.responses import request as responses_request

MODULES: dict[Format, tuple[ModuleType, ModuleType, ModuleType]] = {
    "responses": (responses_request, responses_answer, responses_events),
    "messages": (messages_request, messages_answer, messages_events),
}
IDENT = "inf_0123456789abcdef0123456789abcdef"
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def cost(act: Callable[[], object], times: int = 2_000) -> float:
    """Microseconds of CPU, the best of five."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time_ns()
        for _ in range(times):
            act()
        best = min(best, (time.process_time_ns() - began) / times / 1000)
    return best


def measured(format: Format) -> list[tuple[str, float]]:
    """(what, µs)."""
    request, answer, events = MODULES[format]
    own = _fields.decode(surface_payloads.request(format, "m", stream=False))
    chat = _fields.decode(payloads.request("instant", "m"))
    own_answer, chat_answer = surface_payloads.answer(format).encode(), payloads.answer().encode()
    chunks = [event[len("data: ") :].strip().encode() for event in payloads.events()][1:-3]

    def told() -> None:
        teller: Any = events.Translating(own, ident=IDENT, model="m", created=1)
        for chunk in chunks:
            teller.chunk(chunk)

    return [
        ("request to chat", cost(lambda: request.to_chat(own))),
        ("request from chat", cost(lambda: request.from_chat(chat, model="m", stream=False))),
        ("answer to chat", cost(lambda: answer.to_chat(own_answer))),
        ("answer from chat", cost(lambda: answer.from_chat(chat_answer, asked=own, ident=IDENT, model="m"))),
        ("event of text from chat", cost(told, 100) / len(chunks)),
    ]


def render() -> str:
    """A Markdown table."""
    found = {format: dict(measured(format)) for format in MODULES}
    lines = ["| | Responses | Messages |", "|---|---:|---:|"]
    for what, first in found["responses"].items():
        lines.append(f"| {what} | {first:.1f} | {found['messages'][what]:.1f} |")
    return "\n".join(lines)
