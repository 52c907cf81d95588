"""``POST /v1/roadworthy/feedback``: what a user thought of an answer, as a line of the journal.

A worker asks no database, so it cannot know whose an inference is: it vets the shape of what is said, writes down the
team of the key and what it may call, and whoever ships the line stores it only where that fits the inference.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Literal

import msgspec

from roadworthy.gateway.admission.body import LONGEST_VALUE
from roadworthy.gateway.answers.escalations import opened_at
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.messages import Headers, Request, Response
from roadworthy.gateway.ports import Clock
from roadworthy.gateway.world import ServedKey, World
from roadworthy.workflow.inference import Feedback

PATH = "/v1/roadworthy/feedback"
LARGEST = 16 * 1024
"""Bytes of a body."""
LONGEST_COMMENT = 2000
"""Characters."""
OLDEST = 7 * 86_400.0
"""Seconds after which an answer is not rated any more: its facts may be in cold storage by then."""
AHEAD = 60.0
"""Seconds by which the clocks of workers may differ."""
PER_MINUTE = 600
"""Of one key at one worker."""

_ID = re.compile(r"inf_[0-9a-f]{32}")
_JSON: Headers = [(b"content-type", b"application/json")]


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """The body."""

    inference: str
    thumb: Literal["up", "down"] | None = None
    score: float | None = None
    comment: str | None = None
    user: str | None = None


_said = msgspec.json.Decoder(Said)


class Raters:
    """Takes feedback, of one worker."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}

    def take(self, request: Request, key: ServedKey, world: World) -> Response:
        """202 once it is in the journal.  Raises ``Refused`` 400, 413, 429, or 503 where the disk is full."""
        said, now = _read(request.body), self._clock.now()
        _vet(said, now)
        self._limit(key, self._clock.monotonic())
        user = said.user[:LONGEST_VALUE] if said.user else None
        by = user or key.key.id
        if not self._journal.feedback(_lines(said, key, world, now, by)):
            raise Refused(503, "disk_full", "The journal cannot be written now. Send the feedback again later.")
        return Response(202, _JSON, msgspec.json.encode({"object": "roadworthy.feedback", "inference": said.inference}))

    def _limit(self, key: ServedKey, now: float) -> None:
        recent = self._recent.setdefault(key.key.id, deque())
        while recent and recent[0] <= now - 60.0:
            recent.popleft()
        if len(recent) >= PER_MINUTE:
            message = f"This key has given feedback {PER_MINUTE} times in a minute."
            raise Refused(429, "throttled", message, retry_after=60.0 - (now - recent[0]), failure="throttled")
        recent.append(now)


def _read(body: bytes) -> Said:
    if len(body) > LARGEST:
        raise Refused(413, "body_too_large", f"Feedback may have {LARGEST:,} bytes.")
    try:
        return _said.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(
            400, "invalid_type",
            f'{error}. Send {{"inference": "inf_…", "thumb": "up" or "down", "score": 0 to 1, "comment": "…", '
            '"user": "…"}; of thumb, score and comment at least one.',
        ) from None  # fmt: skip
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refused(400, "invalid_json", "The body is not JSON encoded as UTF-8.") from None


def _vet(said: Said, now: float) -> None:
    if _ID.fullmatch(said.inference) is None:
        shown = said.inference[:80]
        message = f"'{shown}' is no inference; take the id from x-request-id or from roadworthy.inference."
        raise Refused(400, "invalid_type", message, param="inference")
    if said.thumb is None and said.score is None and not said.comment:
        raise Refused(400, "invalid_type", "Say something: give 'thumb', 'score' or 'comment'.")
    if said.score is not None and not 0.0 <= said.score <= 1.0:
        raise Refused(400, "invalid_type", f"'score' is {said.score:g}; give 0 (bad) to 1 (good).", param="score")
    if said.comment is not None and len(said.comment) > LONGEST_COMMENT:
        message = f"'comment' has {len(said.comment):,} characters; give at most {LONGEST_COMMENT:,}."
        raise Refused(400, "invalid_type", message, param="comment")
    age = now - opened_at(said.inference)
    if not -AHEAD <= age <= OLDEST:
        message = f"This inference is not of the last {OLDEST / 86_400.0:g} days, so it cannot be rated."
        raise Refused(400, "invalid_type", message, param="inference")


def _lines(said: Said, key: ServedKey, world: World, now: float, by: str) -> list[Feedback]:
    def line(name: str, score: float | None, label: str | None) -> Feedback:
        return Feedback(said.inference, now, name, score, label, by, key.key.team, list(key.names))

    lines = []
    if said.thumb is not None:
        lines.append(line("thumb", 1.0 if said.thumb == "up" else 0.0, said.thumb))
    if said.score is not None:
        lines.append(line("score", said.score, None))
    if said.comment:
        lines.append(line("comment", None, _redacted(said.comment, key, world)))
    return lines


def _redacted(comment: str, key: ServedKey, world: World) -> str:
    """By the rules of every workflow that it may be about."""
    for name in key.names:
        redactor = world.workflows[name].redactor
        if redactor is not None:
            comment = redactor.text(comment)
    return comment
