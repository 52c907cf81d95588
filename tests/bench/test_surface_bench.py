"""The surfaces are compared by the same conversation, and the page says what was found."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from bench.table import Run

from bench import payloads, surface_payloads, surfaces
from roadworthy.formats.messages import answer as messages_answer
from roadworthy.formats.messages import events as messages_events
from roadworthy.formats.messages import request as messages_request
from roadworthy.formats.responses import answer as responses_answer
from roadworthy.formats.responses import events as responses_events
from roadworthy.formats.responses import request as responses_request

PAIRS: dict[Any, Any] = {
    "responses": (responses_request, responses_answer, responses_events),
    "messages": (messages_request, messages_answer, messages_events),
}


@pytest.mark.parametrize("format", PAIRS)
def test_every_surface_asks_and_answers_the_same(format: Any) -> None:
    request, answer, events = PAIRS[format]
    raw = surface_payloads.request(format, "m", stream=False)
    translated = request.to_chat(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
    chat = msgspec.json.decode(payloads.request("instant", "m"))
    said = {name: msgspec.json.decode(value) for name, value in translated.fields.items()}
    assert translated.lost is None
    assert [(turn["role"], turn["content"]) for turn in said["messages"]] == [
        (turn["role"], turn["content"]) for turn in chat["messages"]
    ]
    assert said["user"] == chat["user"]
    assert (said["temperature"], said["max_completion_tokens"]) == (0.2, 256)
    assert {0.2, 256} == set(surface_payloads.PARAMETERS[format].values())
    assert abs(len(raw) - len(payloads.request("instant", "m"))) < 50
    told = msgspec.json.decode(answer.to_chat(surface_payloads.answer(format).encode()))
    assert told["choices"][0]["message"]["content"] == payloads.ANSWER
    sent = surface_payloads.events(format)
    assert len(sent) == len(payloads.events()) == 54
    whole = events.assemble(event.partition("data: ")[2].strip().encode() for event in sent)
    assert answer.to_chat(whole)


def result(per_second: float, cpu_us: float) -> dict[str, Any]:
    made = {"per_second": per_second, "cpu_us": cpu_us, "foreign": 0.1, "streams_whole": per_second * 5}
    return {**made, "streams_cut": 0, "unfinished": 0, "first_p50": 12.0, "bad_status": 0}


def test_a_row_is_judged_against_chat_completions_of_its_own_round() -> None:
    speeds = {"chat-chat": [(1000, 100), (500, 100)], "responses-responses": [(900, 110), (450, 200)]}
    visits = [
        {"row": row, "round": number, "measures": {measure.name: result(*of) for measure in surfaces.TAKEN}}
        for row, found in speeds.items()
        for number, of in enumerate(found)
    ]
    head = {
        "date": "2026-01-01",
        "cpu": "a CPU",
        "cores": 2,
        "memory_gib": 8,
        "kernel": "6",
        "python": "3",
        "seconds": 5,
    }
    told = surfaces.render(Run({**head, "seconds": 5}, visits), "cost")
    row = next(line for line in told.splitlines() if line.startswith("| Responses, passed through"))
    assert "| 0.90 [0.90–0.90] |" in row
    assert "0.70 [0.50–0.91] (≥ 0.8: **missed**)" in row
    assert next(line for line in told.splitlines() if line.startswith("| chat completions")).count("–") >= 2


def test_every_pair_of_formats_has_its_row_and_the_page_its_place() -> None:
    pairs = {(row.asked, row.served) for row in surfaces.ROWS}
    assert pairs == {(one, other) for one in surface_payloads.FORMATS for other in surface_payloads.FORMATS}
    text = surfaces.DOCS.read_text(encoding="utf-8")
    assert surfaces.BEGIN in text
    assert surfaces.END in text
