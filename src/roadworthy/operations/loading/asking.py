"""What a test asks: bodies from recorded traffic, from published examples or from a file, ready to be sent.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from roadworthy.evals.asking import CannotAsk, question
from roadworthy.evals.model import Example
from roadworthy.latency.model import Body
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Release

USERS = 1000
"""Made-up users that a test's calls are spread over, so that no budget of one user ends it."""


def of_log(calls: Iterable[Inference]) -> list[Body]:
    """What callers asked, as the log keeps it (redacted by policy); each question once."""
    found: dict[bytes, Body] = {}
    for call in calls:
        try:
            asked = msgspec.json.decode(call.asked() or b"", type=dict[str, Any])
            extension = asked.get("roadworthy") or {}
            body = msgspec.convert(
                {"messages": asked.get("messages"), "inputs": extension.get("inputs") or {}, "source": "log"}, Body
            )
        except (msgspec.MsgspecError, AttributeError):
            continue  # what came in was no chat request
        if body.messages:
            found.setdefault(msgspec.json.encode(body), body)
    return list(found.values())


def answer_of(call: Inference) -> str:
    """The text that a model wrote; empty: none is kept."""
    try:
        found = msgspec.json.decode(call.said() or b"", type=_Response)
    except msgspec.MsgspecError:
        return ""
    return (found.choices[0].message.content or "") if found.choices else ""


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message = _Message()


class _Response(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []


def of_examples(release: Release, examples: Iterable[Example]) -> list[Body]:
    """Raises ``CannotAsk`` where they do not fit the release."""
    found = []
    for example in examples:
        asked = question(release, example)
        found.append(Body(messages=asked["messages"], inputs=dict(example.inputs), source="examples"))
    return found


def vetted(release: Release, bodies: Sequence[Body]) -> list[Body]:
    """Those of a file, with the prompt that an app would send.  Raises ``CannotAsk``."""
    examples = [
        Example(id=f"row-{number}", messages=list(body.messages), inputs=dict(body.inputs))
        for number, body in enumerate(bodies, 1)
    ]
    return [msgspec.structs.replace(body, source="file") for body in of_examples(release, examples)]


def spread(bodies: Sequence[Body], tag: str) -> list[Body]:
    """Every question by as many made-up users as it takes to have about ``USERS`` of them."""
    each = max(1, USERS // max(len(bodies), 1))
    return [
        msgspec.structs.replace(body, user=f"load-{tag}-{index * each + turn}")
        for turn in range(each)
        for index, body in enumerate(bodies)
    ]


__all__ = ["USERS", "CannotAsk", "answer_of", "of_examples", "of_log", "spread", "vetted"]
