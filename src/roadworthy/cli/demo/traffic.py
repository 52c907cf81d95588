"""Customer messages sent through the gateway, and what came back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import httpx2
import jsonschema_rs
import msgspec

from roadworthy.cli.demo.system import WORKFLOW, Message, sample
from roadworthy.workflow.inference import SERVED_BY_MODEL

AT_ONCE = 3
"""Calls to the bundled model at a time: it has room for four, and one is left for whoever tries it."""
CROWD_AT_ONCE = 8
"""Customers of a crowd who call at a time."""
PAUSE = 0.02
"""Seconds between two calls of one of ``Callers``."""
QUESTION = "Where is my parcel?"
"""What every customer of a crowd asks."""


class Reply(msgspec.Struct, frozen=True):
    """What one customer's message came to."""

    message: Message
    inference: str
    outcome: str
    text: str
    valid: bool
    """The text is JSON that satisfies the sample's output schema."""


class Tally(msgspec.Struct, frozen=True):
    """What the story says of one release.  Only what a model wrote counts as valid; canned text does not."""

    sent: int
    by_model: int
    valid: int

    def __str__(self) -> str:
        told = f"{self.valid} of {self.sent} answers were valid JSON from the model"
        fell_back = self.sent - self.by_model
        return f"{told} ({fell_back} were cut off or unusable: the declared text instead)" if fell_back else told


def tally(replies: Sequence[Reply]) -> Tally:
    written = [reply for reply in replies if reply.outcome in SERVED_BY_MODEL]
    return Tally(
        sent=len(replies),
        by_model=len(written),
        valid=sum(reply.valid for reply in written),
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
    ident, outcome = str(about.get("inference", "")), str(about.get("outcome", ""))
    return Reply(message, ident, outcome, text, read_answer(text)[0])


class Met(msgspec.Struct, frozen=True):
    """What one customer of a crowd got."""

    user: str
    inference: str
    route: str
    read: str
    """What the app reads: the answer, or the error's message."""


def crowd(url: str, token: str, users: Sequence[str], tag: str, done: Callable[[], None] = lambda: None) -> list[Met]:
    """A call of each user; they all ask the same.  In the order of ``users``."""
    limits = httpx2.Limits(max_connections=CROWD_AT_ONCE)
    with (
        httpx2.Client(timeout=120.0, trust_env=False, limits=limits) as client,
        ThreadPoolExecutor(CROWD_AT_ONCE) as pool,
    ):

        def one(user: str) -> Met:
            met = ask(client, url, token, user, tag)
            done()
            return met

        return list(pool.map(one, users))


def ask(client: httpx2.Client, url: str, token: str, user: str, tag: str) -> Met:
    headers = {"authorization": f"Bearer {token}", "x-roadworthy-tag-demo": tag}
    response = client.post(f"{url}/chat/completions", json=body(QUESTION, user), headers=headers)
    answer = response.json()
    route = response.headers.get("x-roadworthy-route", "")
    inference = response.headers.get("x-roadworthy-inference", "")
    if "error" in answer:
        return Met(user, inference, route, str(answer["error"].get("message", "")))
    return Met(user, inference, route, str(answer["choices"][0]["message"].get("content") or ""))


class Callers:
    """``with Callers(…) as callers``: users who call one after the other until the end of the block."""

    def __init__(self, url: str, token: str, users: Sequence[str], tag: str) -> None:
        self.met: list[Met] = []
        """In the order in which they were answered."""
        self._tag = tag
        self._url = url
        self._token = token
        self._users = users
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(each,)) for each in range(AT_ONCE)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self, place: int) -> None:
        with httpx2.Client(timeout=120.0, trust_env=False) as client:
            while not self._over.is_set():
                self.met.append(ask(client, self._url, self._token, self._users[place % len(self._users)], self._tag))
                place += AT_ONCE
                self._over.wait(PAUSE)
