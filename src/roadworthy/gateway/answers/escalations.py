"""Calls that are handed to a human: opened here, answered elsewhere, told to whoever polls or waits.

The rule: **nobody is told that a human looks at it before the escalation is on disk.**  ``open`` writes and syncs the
journal line; control opens the escalation when it ships that line, and pushes what becomes of it to the private
socket of every worker.  A worker keeps the newest of that in a bounded table; what it does not hold it asks control
for, for a second, and else says ``pending``.  An id alone opens nothing: a key reads the escalations of its team and
of the workflows that it may call.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from typing import Literal, Protocol

import msgspec

from roadworthy.formats.messages import answer as messages_answer
from roadworthy.formats.model import Format
from roadworthy.formats.responses import answer as responses_answer
from roadworthy.gateway.admission.body import Extension, parse_fields, read_extension
from roadworthy.gateway.admission.prompting import schema_of_caller
from roadworthy.gateway.answers.canned import CannedAnswer
from roadworthy.gateway.call import Call
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.messages import Headers, Request, Response
from roadworthy.gateway.ports import Clock
from roadworthy.gateway.world import ServedKey, Serving
from roadworthy.workflow.inference import Escalation, Failure, TrafficClass
from roadworthy.workflow.model import Canned

PATH = "/v1/escalations/"
MOST_KEPT = 4096
"""Escalations of which a worker knows the end; older ones are asked of control."""
LONGEST_WAIT = 120.0
"""Seconds that one call may hold on for a human; a longer wish is cut to it."""
MOST_WAITING = 512
"""Calls of one worker that hold on for a human; the next ones read the holding answer at once."""
LONGEST_TRANSCRIPT = 1024 * 1024
"""Bytes of messages that a human is shown: the newest that fit."""
LONGEST_DRAFT = 100_000
"""Characters of a draft; a human can send no longer answer, and half of one is worse than none."""
LARGEST_REPLY = 256 * 1024
"""Bytes of a helpdesk's answer."""
MOST_RELAYS = 16
"""Helpdesk answers on their way to control at once."""
DRILL_SECONDS = 900.0
"""A drill's escalation ends after this long, whatever the policy says."""
SYNC_PATIENCE = 2.0
"""Seconds for the disk to take the line, as far as the deadline is not past…"""
SYNC_GRACE = 0.2
"""…but this long at least: a target that was silent until the deadline is just what a human is for."""
UNDERWAY_SECONDS = 600.0
"""An id this young that control does not know may be on its way from another worker's journal: it is ``pending``, as
any other that was made up would be."""
POLL_AGAIN = (b"retry-after", b"2")

FOR_HUMANS: frozenset[TrafficClass] = frozenset({"live", "tester", "drill"})
"""Evals, load tests and shadow calls never reach a human's queue."""

Status = Literal["pending", "answered", "expired", "cancelled"]

_ID = re.compile(r"inf_[0-9a-f]{32}")
_PASSED_ON = (b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"content-type")
_FROM_CHAT = {"responses": responses_answer.from_chat, "messages": messages_answer.from_chat}
_encode = msgspec.json.encode


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker knows of one escalation, as control tells it."""

    id: str
    team: str
    workflow: str
    status: Status
    answer_by: float
    text: str | None = None
    """What the human answered."""
    json: msgspec.Raw = msgspec.Raw(b"null")
    """The same as the JSON that satisfies the release's schema, where it does."""
    structured: bool = False
    surface: Format = "chat"
    answered_at: float | None = None


class News(msgspec.Struct, omit_defaults=True):
    """What control pushes to ``POST /internal/escalations``."""

    told: list[Told] = []
    open: dict[str, int] = {}
    """Workflow → escalations that wait for a human, drills left out; all that there are."""
    gone: list[str] = []
    """Ids that were forgotten."""


class Control(Protocol):
    """Control, over its socket."""

    async def ask(self, method: str, path: str, headers: Headers, body: bytes) -> Response | None:
        """Its answer, or ``None`` when there is none within a second."""
        ...


_news = msgspec.json.Decoder(News)
_told = msgspec.json.Decoder(Told)
_messages = msgspec.json.Decoder(list[msgspec.Raw])


class Escalations:
    """The escalations of one worker."""

    def __init__(self, journal: Journal, clock: Clock, control: Control | None = None) -> None:
        self._journal = journal
        self._clock = clock
        self._control = control
        self._kept: OrderedDict[str, Told] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[Told | None]] = {}
        self._relays = 0
        self._open: dict[str, int] = {}
        self._unconfirmed: dict[str, set[str]] = {}
        """Workflow → ids opened here of which control has not told us yet."""
        self.opened = 0

    # --- the ladder's step

    def has_room(self, call: Call) -> bool:
        """May this call be handed to a human: is a holding answer declared, and the queue below its capacity?

        Each worker counts what it opened itself and what control told it, so the capacity may be passed by what all
        workers open within a second.
        """
        serving = call.serving
        if serving is None or serving.handling.holding is None or call.operation != "chat":
            return False
        if call.traffic not in FOR_HUMANS:
            return False
        waiting = self._open.get(serving.name, 0) + len(self._unconfirmed.get(serving.name, ()))
        return call.traffic == "drill" or waiting < serving.policy.escalation.capacity

    async def open(self, call: Call, failure: Failure | None, detail: str, holding: str) -> bytes | None:
        """Hand ``call`` to a human.  The JSON of ``roadworthy.escalation`` once the line is on disk, synced.

        ``failure``: why, ``None`` for a human bypass; ``detail``: the same in words.  ``None``: it could not be
        written (disk) or synced in time; the ladder goes on with its next step.
        """
        serving = call.serving
        assert serving is not None
        within = serving.policy.escalation.answer_within
        answer_by = call.ts + (min(within, DRILL_SECONDS) if call.traffic == "drill" else within)
        messages, cut = await transcript(call, serving)
        line = Escalation(
            inference=call.id, ts=call.ts, team=serving.team, workflow=serving.name, failure=failure,
            answer_by=answer_by, digest=serving.digest, unit=call.unit, session=call.session, key=call.key.key.id,
            traffic=call.traffic, detail=f"{detail}{cut}"[:500], messages=messages, draft=_draft(call, serving),
            holding=holding, callback=_wishes(call).callback, structured=call.structured, drill=call.key.drill,
            own_schema=call.structured and schema_of_caller(serving, call.asked()) is not None,
            surface=call.surface.format,
        )  # fmt: skip
        left = call.deadline - self._clock.monotonic()
        if not await self._journal.escalation(line, min(max(left, SYNC_GRACE), SYNC_PATIENCE)):
            return None
        self.opened += 1
        if call.traffic != "drill":
            self._unconfirmed.setdefault(serving.name, set()).add(call.id)
        self._keep(
            Told(
                call.id,
                serving.team,
                serving.name,
                "pending",
                answer_by,
                structured=call.structured,
                surface=call.surface.format,
            )
        )
        return _encode({"id": call.id, "poll_url": PATH + call.id, "answer_by": answer_by})

    async def answer(self, call: Call) -> bytes | None:
        """A human's answer to a call just opened whose caller asked to hold on (``roadworthy: {wait: 30}``).

        A ``chat.completion`` in the caller's shape; ``None``: there is none in time, or nobody asked.  Waiting here
        may go past the inference's deadline: the caller chose so, and its record is written already.
        """
        seconds = _wishes(call).wait
        if not seconds or len(self._waiting) >= MOST_WAITING:
            return None
        waiter: asyncio.Future[Told | None] = asyncio.get_running_loop().create_future()
        self._waiting[call.id] = waiter
        try:
            known = self._kept.get(call.id)
            if known is None or known.status == "pending":
                done, _ = await asyncio.wait([waiter], timeout=min(seconds, LONGEST_WAIT))
                known = waiter.result() if done else None
        finally:
            del self._waiting[call.id]
        if known is None or known.text is None:
            return None
        return completion(known, call.model, call.n)

    def let_go(self) -> None:
        """We are stopping: whoever holds on reads the holding answer now."""
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_result(None)

    # --- what control tells

    def learn(self, body: bytes) -> int:
        """Take news from control.  How many escalations they were about.  Raises ``msgspec.DecodeError``."""
        news = _news.decode(body)
        self._open = news.open
        for told in news.told:
            unconfirmed = self._unconfirmed.get(told.workflow)
            if unconfirmed is not None:
                unconfirmed.discard(told.id)
            self._keep(told)
            waiter = self._waiting.get(told.id)
            if waiter is not None and told.status != "pending" and not waiter.done():
                waiter.set_result(told)
        for ident in news.gone:
            self._kept.pop(ident, None)
            for unconfirmed in self._unconfirmed.values():
                unconfirmed.discard(ident)
        return len(news.told)

    def _keep(self, told: Told) -> None:
        self._kept[told.id] = told
        self._kept.move_to_end(told.id)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    # --- what callers and helpdesks ask

    async def poll(self, key: ServedKey, ident: str) -> Response:
        """``GET /v1/escalations/{id}``.  Raises ``Refused`` 404 for what this key may not read."""
        if _ID.fullmatch(ident) is None:
            raise _unknown(ident)
        told = self._kept.get(ident)
        if told is None or told.status == "pending":
            told = await self._asked(ident) or told
        if told is None:  # control is silent: nothing is known, nothing is given away
            return _polled({"id": ident, "object": "roadworthy.escalation", "status": "pending"}, [POLL_AGAIN])
        if told.team != key.key.team or told.workflow not in key.names:
            raise _unknown(ident)
        shown: dict[str, object] = {
            "id": ident,
            "object": "roadworthy.escalation",
            "status": told.status,
            "workflow": told.workflow,
            "answer_by": told.answer_by,
        }
        if told.text is None:
            return _polled(shown, [POLL_AGAIN] if told.status == "pending" else [])
        shown["answered_at"] = told.answered_at
        shown["answer"] = msgspec.Raw(answer_of(told))
        return _polled(shown, [])

    async def relay(self, request: Request, ident: str) -> Response:
        """``POST /v1/escalations/{id}/answer`` of a helpdesk, as it is, to control, which verifies its signature."""
        if _ID.fullmatch(ident) is None:
            raise _unknown(ident)
        if len(request.body) > LARGEST_REPLY:
            raise Refused(413, "body_too_large", f"An answer may have {LARGEST_REPLY:,} bytes.")
        headers = [pair for pair in request.headers if pair[0] in _PASSED_ON]
        if sum(name in _PASSED_ON[:3] for name, _ in headers) < 3:
            raise Refused(
                401,
                "invalid_signature",
                "The answer is not signed: send webhook-id, webhook-timestamp and webhook-signature, "
                "as Standard Webhooks says.",
            )
        if self._control is None or self._relays >= MOST_RELAYS:
            raise _later()
        self._relays += 1
        try:
            reply = await self._control.ask("POST", f"{PATH}{ident}/reply", headers, request.body)
        finally:
            self._relays -= 1
        if reply is None or reply.status >= 500:
            raise _later()
        told = [pair for pair in reply.headers if pair[0] in (b"content-type", b"retry-after", b"x-should-retry")]
        return Response(reply.status, told, reply.body)

    async def _asked(self, ident: str) -> Told | None:
        """What control knows; ``None`` when it does not answer.  Raises ``Refused`` 404."""
        if self._control is None:
            return None
        reply = await self._control.ask("GET", f"{PATH}{ident}/told", [], b"")
        if reply is None or reply.status >= 500:
            return None
        if reply.status != 200:
            if ident in self._kept or 0.0 <= self._clock.now() - opened_at(ident) < UNDERWAY_SECONDS:
                return None  # opened here or by another worker, and perhaps not shipped yet
            raise _unknown(ident)
        told = _told.decode(reply.body)
        self._keep(told)
        return told


def completion(told: Told, model: str, choices: int) -> bytes:
    """A human's answer as the ``chat.completion`` that the caller expects: where a schema or tools apply, JSON that
    satisfies it, else ``content: null`` with the text in ``message.refusal``."""
    found = msgspec.json.decode(told.json)
    answer = CannedAnswer(Canned(told.text or "", found))
    created = int(told.answered_at or 0)
    return answer.body(
        inference=told.id, created=created, model=model, choices=min(choices, 128), structured=told.structured
    )


def answer_of(told: Told) -> bytes:
    """A human's answer as one choice in the format in which the call came."""
    body = completion(told, told.workflow, 1)
    translate = _FROM_CHAT.get(told.surface)
    return body if translate is None else translate(body, asked={}, ident=told.id, model=told.workflow)


def opened_at(ident: str) -> float:
    """Unix seconds; an inference's id begins with its time."""
    return int(ident[4:16], 16) / 1000.0


def vet_wishes(extension: Extension, key: ServedKey) -> None:
    """What a caller asks for the case that its call is escalated.  Raises ``Refused`` 400 before anything is spent."""
    if extension.wait is not None and not 0.0 <= extension.wait <= 3600.0:
        raise Refused(
            400, "invalid_type", f"'roadworthy.wait' is {extension.wait:g}; give seconds, 0 to {LONGEST_WAIT:g}.",
            param="roadworthy",
        )  # fmt: skip
    if extension.callback is not None and extension.callback not in key.key.callbacks:
        raise Refused(
            400,
            "callback_not_registered",
            "'roadworthy.callback' is no URL that is registered on this key. Register it when the key is made: "
            "'roadworthy keys create NAME --callback URL'.",
            param="roadworthy",
        )


async def transcript(call: Call, serving: Serving) -> tuple[msgspec.Raw | None, str]:
    """The caller's messages as a human may read them (redacted by policy), and what to say where some are left out."""
    raw = parse_fields(call.asked()).get("messages")
    if raw is None:
        return None, ""
    data, cut = bytes(raw), ""
    if len(data) > LONGEST_TRANSCRIPT:
        data, cut = newest(data)
    if serving.redactor is not None:
        redacted = await asyncio.to_thread(serving.redactor.json, data)
        if redacted is None:
            return None, " (the messages cannot be redacted and are left out)"
        data = redacted
    return msgspec.Raw(data), cut


def newest(data: bytes) -> tuple[bytes, str]:
    """The last messages that fit, and what was left out."""
    messages = _messages.decode(data)
    kept: list[msgspec.Raw] = []
    room = LONGEST_TRANSCRIPT
    for message in reversed(messages):
        room -= len(memoryview(message)) + 1
        if room < 0:
            break
        kept.append(message)
    left = len(messages) - len(kept)
    return _encode(kept[::-1]), f" ({left} of {len(messages)} messages are too long and left out)"


def _draft(call: Call, serving: Serving) -> str | None:
    if call.draft is None or len(call.draft) > LONGEST_DRAFT:
        return None
    if serving.redactor is None:
        return call.draft
    return serving.redactor.text(call.draft)


def _wishes(call: Call) -> Extension:
    """Read again from the body, so that calls that are not escalated carry nothing for it."""
    return read_extension(parse_fields(call.request.body))


def _polled(shown: dict[str, object], headers: Headers) -> Response:
    return Response(
        200, [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), *headers], _encode(shown)
    )


def _unknown(ident: str) -> Refused:
    return Refused(404, "not_found", f"There is no escalation '{ident[:80]}' that this key may read.")


def _later() -> Refused:
    return Refused(503, "unavailable", "Control does not answer now. Send the answer again.", retry_after=5.0)
