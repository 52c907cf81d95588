"""What a customer's client reads of an answer, whole or streamed, made into what a drill has seen.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from roadworthy.fallback.drills.model import Seen
from roadworthy.workflow.inference import OUTCOMES, Inference, Outcome

_MARKS = ("chatcmpl-", "msg_", "resp_")
"""Begin of the id of an answer, by the format in which the provider told it."""


def whole(status: int, headers: Mapping[str, str], body: bytes, seconds: float) -> Seen:
    """A whole answer or an error.  Header names in lower case."""
    found = _decoded(body)
    choices = [choice for choice in found.get("choices") or () if isinstance(choice, dict)]
    finished = "error" in found or bool(found.get("data")) or any(choice.get("finish_reason") for choice in choices)
    text = "".join(_said(choice.get("message") or {}) for choice in choices)
    return _seen(status, headers, [found], text, finished, seconds, stream=False)


def streamed(status: int, headers: Mapping[str, str], body: bytes, seconds: float) -> Seen:
    """A stream of events; one that was answered whole is read as such."""
    if not headers.get("content-type", "").startswith("text/event-stream"):
        return msgspec.structs.replace(whole(status, headers, body, seconds), stream=True)
    parts = [part[6:] for part in body.split(b"\n\n") if part.startswith(b"data: ")]
    found = [_decoded(part) for part in parts if part != b"[DONE]"]
    choices = [choice for event in found for choice in event.get("choices") or () if isinstance(choice, dict)]
    text = "".join(_said(choice.get("delta") or {}) for choice in choices)
    ended = b"[DONE]" in parts and any(choice.get("finish_reason") for choice in choices)
    failed = any("error" in event for event in found)
    return _seen(status, headers, found, text, ended or failed, seconds, stream=True)


def with_record(seen: Seen, record: Inference | None) -> Seen:
    """The same with what the log says about it."""
    if record is None:
        return seen
    return msgspec.structs.replace(
        seen,
        recorded=record.outcome,
        record_failure=record.failure,
        first_failure=record.attempts[0].failure if record.attempts else None,
        attempts=len(record.attempts),
        cost_usd=record.cost_usd,
        cost_unknown=record.cost_unknown,
        notes=record.notes,
        tokens=record.tokens.total,
        model_recorded=record.model_answered or "",
        traffic=record.traffic,
    )


def _seen(
    status: int,
    headers: Mapping[str, str],
    found: list[dict[str, Any]],
    text: str,
    finished: bool,
    seconds: float,
    *,
    stream: bool,
) -> Seen:
    told: dict[str, Any] = next((event["roadworthy"] for event in reversed(found) if "roadworthy" in event), {})
    error: dict[str, Any] = next((event["error"] for event in found if isinstance(event.get("error"), dict)), {})
    return Seen(
        stream=stream,
        status=status,
        text=text or str(error.get("message", "")),
        finished=finished,
        seconds=seconds,
        outcome=_outcome(told.get("outcome") or headers.get("x-roadworthy-outcome")),
        failure=told.get("failure"),
        code=str(error.get("code") or ""),
        inference=headers.get("x-request-id", ""),
        retry_header=headers.get("x-should-retry") == "false",
        mark=_mark(found),
        model=next((str(event["model"]) for event in found if event.get("model")), ""),
    )


def _mark(found: Iterable[Mapping[str, Any]]) -> str:
    """Nonce in the ids of the answer; the last one's, for a continued stream carries two."""
    ids = [str(event.get("id", "")) for event in found]
    marks = [ident.removeprefix(begin) for ident in ids for begin in _MARKS if ident.startswith(begin)]
    return marks[-1] if marks else ""


def _said(message: Mapping[str, Any]) -> str:
    said = str(message.get("content") or message.get("refusal") or "")
    for call in message.get("tool_calls") or ():
        said += str((call.get("function") or {}).get("arguments") or "")
    return said


def _outcome(word: object) -> Outcome | None:
    return next((outcome for outcome in OUTCOMES if outcome == word), None)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}
