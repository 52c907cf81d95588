"""Customer messages sent through the gateway, and what came back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import jsonschema_rs
import msgspec

from roadworthy.cli.demo.system import WORKFLOW, Message, sample
from roadworthy.workflow.inference import SERVED_BY_MODEL

AT_ONCE = 2
"""The bundled model answers two calls at a time."""


class Reply(msgspec.Struct, frozen=True):
    """What one customer's message came to."""

    message: Message
    inference: str
    outcome: str
    text: str
    valid: bool
    """The text is JSON that satisfies the sample's output schema."""
    topic: str | None


class Tally(msgspec.Struct, frozen=True):
    """What the story says of one release.  Only what a model wrote counts as valid or right; canned text does not."""

    sent: int
    by_model: int
    valid: int
    right_topic: int
    commonest_topic: int
    """How many a guesser who always names the commonest topic would get right."""

    def __str__(self) -> str:
        fell_back = self.sent - self.by_model
        words = f"{self.valid} of {self.sent} answers were valid JSON from the model"
        if fell_back:
            words += f" ({fell_back} were cut off or not usable, and the customer read the declared text)"
        if self.valid:
            words += (
                f"; {self.right_topic} named the topic that a human gave "
                f"(always guessing the commonest: {self.commonest_topic})"
            )
        return words


def tally(replies: Sequence[Reply]) -> Tally:
    written = [reply for reply in replies if reply.outcome in SERVED_BY_MODEL]
    return Tally(
        sent=len(replies),
        by_model=len(written),
        valid=sum(reply.valid for reply in written),
        right_topic=sum(reply.topic == reply.message.topic for reply in written),
        commonest_topic=max(Counter(reply.message.topic for reply in replies).values()),
    )


def body(message: str, user: str) -> dict[str, Any]:
    return {"model": WORKFLOW, "user": user, "messages": [{"role": "user", "content": message}]}


def read_answer(text: str | None) -> tuple[bool, str | None]:
    """(valid against the sample's schema, topic) of an answer's text."""
    schema = json.loads(sample().joinpath("second/workflows", WORKFLOW, "output.schema.json").read_text())
    try:
        answer = json.loads(text or "")
    except ValueError:
        return False, None
    if not jsonschema_rs.is_valid(schema, answer):
        return False, None
    return True, str(answer["topic"])


def send(
    url: str, token: str, messages: Sequence[Message], run: str, done: Callable[[], None] = lambda: None
) -> list[Reply]:
    """Send each message as its own user; ``done`` is called after each.  Replies are in the order of the messages."""
    with httpx2.Client(timeout=120.0, trust_env=False) as client, ThreadPoolExecutor(AT_ONCE) as pool:

        def one(message: Message) -> Reply:
            response = client.post(
                f"{url}/chat/completions",
                json=body(message.message, f"customer-{message.id}"),
                headers={"authorization": f"Bearer {token}", "x-roadworthy-tag-demo": run},
            )
            done()
            return _reply(message, response.json())

        return list(pool.map(one, messages))


def _reply(message: Message, answer: dict[str, Any]) -> Reply:
    about = answer.get("roadworthy", {})
    choices = answer.get("choices") or [{"message": {}}]
    text = str(choices[0]["message"].get("content") or "")
    valid, topic = read_answer(text)
    return Reply(message, str(about.get("inference", "")), str(about.get("outcome", "")), text, valid, topic)
