"""What is asked of the gateway and how its answers read, without any I/O: both clients send and read by this."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlsplit

from roadworthy.client.errors import Limited, Refused, RoadworthyError, Unavailable, Unreadable
from roadworthy.client.telling import Told, told
from roadworthy.client.words import EscalationStatus, FlagReason, KillState, Route, Thumb

FLAGS = "/ofrep/v1/evaluate/flags"
_log = logging.getLogger("roadworthy.client")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heard:
    """One response."""

    status: int
    headers: Mapping[str, str]
    """Any case: a mapping that looks names up as HTTP does."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """A call that was handed to a person, as it stands."""

    id: str
    status: EscalationStatus
    workflow: str | None
    answer_by: float | None
    """Unix seconds until which an answer is promised."""
    answered_at: float | None
    """Unix seconds."""
    answer: Mapping[str, Any] | None
    """The person's answer as a body in the shape that the call would have had."""
    retry_after: float | None = field(default=None, compare=False)
    """Seconds after which to ask again."""

    @property
    def text(self) -> str | None:
        """What the person wrote."""
        return None if self.answer is None else _text_of(self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Is the AI of a workflow on for a user?  ``if flag:`` reads as ``if flag.on:``."""

    workflow: str
    on: bool
    reason: FlagReason
    route: Route | None = None
    """Which side a call would get."""
    state: KillState | None = None
    """Of the kill switch."""
    stage: str | None = None
    release: str | None = None
    error: RoadworthyError | None = field(default=None, compare=False)
    """Why nobody could say; the flag is off then."""

    def __bool__(self) -> bool:
        return self.on


class Flags(dict[str, Flag]):
    """Workflow → its flag.  A workflow that nobody spoke of is off."""

    error: RoadworthyError | None = None
    """Why there are none."""

    def __missing__(self, workflow: str) -> Flag:
        error = self.error or Refused(404, "FLAG_NOT_FOUND", f"This key knows no workflow '{workflow}'.")
        return Flag(workflow=workflow, on=False, reason="ERROR", error=error)


# --- where and who


def place(base_url: str | None, api_key: str | None) -> tuple[str, str]:
    """The gateway's root (without ``/v1``) and the key.  Raises ``ValueError`` where one is missing."""
    base_url = base_url or os.environ.get("ROADWORTHY_BASE_URL")
    api_key = api_key or os.environ.get("ROADWORTHY_API_KEY")
    if not base_url:
        raise ValueError("Where is the gateway? Give base_url or set ROADWORTHY_BASE_URL: https://ai.example.com/v1")
    if not api_key:
        raise ValueError("Who is asking? Give api_key or set ROADWORTHY_API_KEY: rw-…")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"base_url is '{base_url}'; give a URL such as https://ai.example.com/v1")
    return base_url.rstrip("/").removesuffix("/v1"), api_key


def inference_of(given: str | Told) -> str:
    return given.inference if isinstance(given, Told) else given


# --- what is asked


def ask_feedback(
    inference: str | Told, thumb: Thumb | None, score: float | None, comment: str | None, user: str | None
) -> Ask:
    said = {
        "inference": inference_of(inference), "thumb": thumb, "score": score, "comment": comment, "user": user,
    }  # fmt: skip
    body = {name: value for name, value in said.items() if value is not None}
    return Ask("POST", "/v1/roadworthy/feedback", body)


def ask_escalation(escalation: str | Told) -> Ask:
    return Ask("GET", f"/v1/escalations/{quote(inference_of(escalation), safe='')}")


def ask_flag(workflow: str, user: str | None) -> Ask:
    return Ask("POST", f"{FLAGS}/{quote(workflow, safe='')}", _context(user))


def ask_flags(user: str | None, etag: str | None) -> Ask:
    return Ask("POST", FLAGS, _context(user), {} if etag is None else {"if-none-match": etag})


def ask_models() -> Ask:
    return Ask("GET", "/v1/models")


def _context(user: str | None) -> dict[str, Any]:
    return {"context": {} if user is None else {"targetingKey": user}}


# --- how answers read


def read(heard: Heard) -> dict[str, Any]:
    """The body of a good answer.  Raises ``Refused`` and ``Unreadable``."""
    try:
        body = json.loads(heard.body)
    except ValueError:
        body = None
    if 200 <= heard.status < 300 and isinstance(body, dict):
        return body
    if heard.status < 400:
        shown = heard.body[:80].decode(errors="replace")
        raise Unreadable(f"HTTP {heard.status} and no JSON object but {shown!r}: is this a Roadworthy gateway?")
    raise _refused(heard, body if isinstance(body, dict) else {})


def read_escalation(heard: Heard) -> Escalation:
    body = read(heard)
    if not isinstance(body.get("id"), str) or not isinstance(body.get("status"), str):
        raise Unreadable(f"an escalation has an id and a status, not {sorted(body)}")
    return Escalation(
        id=body["id"],
        status=cast(EscalationStatus, body["status"]),
        workflow=body.get("workflow"),
        answer_by=body.get("answer_by"),
        answered_at=body.get("answered_at"),
        answer=body.get("answer"),
        retry_after=_seconds(heard),
    )


def read_flag(workflow: str, heard: Heard) -> Flag:
    return _flag(workflow, read(heard))


def read_flags(heard: Heard) -> Flags:
    return Flags({each["key"]: _flag(each["key"], each) for each in _listed(read(heard), "flags", "key")})


def read_models(heard: Heard) -> list[str]:
    return [each["id"] for each in _listed(read(heard), "data", "id")]


def _listed(body: dict[str, Any], name: str, known_by: str) -> list[dict[str, Any]]:
    """A list of objects, each with the string ``known_by``.  Raises ``Unreadable``."""
    found = body.get(name)
    if not isinstance(found, list) or not all(
        isinstance(each, dict) and isinstance(each.get(known_by), str) for each in found
    ):
        raise Unreadable(f"'{name}' is a list of objects with '{known_by}'; found {str(found)[:80]}")
    return found


def unknown_flag(workflow: str, error: RoadworthyError) -> Flag:
    """The safe answer where nobody can say."""
    _log.warning("the flag of %s is off, for nobody can say: %s", workflow, error)
    return Flag(workflow=workflow, on=False, reason="ERROR", error=error)


def unknown_flags(error: RoadworthyError) -> Flags:
    _log.warning("every flag is off, for nobody can say: %s", error)
    flags = Flags()
    flags.error = error
    return flags


def _flag(workflow: str, found: Mapping[str, Any]) -> Flag:
    if "errorCode" in found:
        error = Refused(400, found["errorCode"], found.get("errorDetails", ""))
        return Flag(workflow=workflow, on=False, reason="ERROR", error=error)
    if not isinstance(found.get("value"), bool):
        raise Unreadable(f"a flag's 'value' is true or false, not {found.get('value')!r}")
    facts = found.get("metadata") or {}
    return Flag(
        workflow=workflow, on=found["value"], reason=found.get("reason", "STATIC"), route=facts.get("route"),
        state=facts.get("state"), stage=facts.get("stage"), release=facts.get("release"),
    )  # fmt: skip


def _refused(heard: Heard, body: dict[str, Any]) -> Refused:
    kind = Limited if heard.status == 429 else Unavailable if heard.status >= 500 else Refused
    error = body.get("error")
    if not isinstance(error, dict):  # a flag's, or of somebody else
        error = {"code": body.get("errorCode"), "message": body.get("errorDetails")}
    return kind(
        heard.status,
        error.get("code"),
        error.get("message") or f"HTTP {heard.status} without a word of the gateway",
        param=error.get("param"),
        retry_after=_seconds(heard),
        should_retry=heard.headers.get("x-should-retry") == "true",
        told=told(body) or told(heard.headers),
    )


def _seconds(heard: Heard) -> float | None:
    """``Retry-After``, which the gateway gives in seconds."""
    try:
        return max(0.0, float(heard.headers.get("retry-after", "")))
    except ValueError:
        return None


def _text_of(answer: Mapping[str, Any]) -> str | None:
    """The text of a body of chat completions, Responses or Messages; a refusal's where it is one."""
    if "choices" in answer:
        parts: list[dict[str, Any]] = [choice["message"] for choice in answer["choices"][:1]]
    elif "output" in answer:
        parts = [part for item in answer["output"] for part in item.get("content") or ()]
    else:
        parts = answer.get("content") or []
    return "".join(_said(part) for part in parts) or None


def _said(part: Mapping[str, Any]) -> str:
    found = part.get("text") or part.get("content") or part.get("refusal")
    return found if isinstance(found, str) else ""
