"""What is said about an escalation to a helpdesk and to a caller's registered URL.  Pure; docs/escalations.md shows it.

Every message is ``{"type", "timestamp", "data"}``, as Standard Webhooks recommends.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from roadworthy.people.escalation.model import Escalation

_encode = msgspec.json.encode


def opened(escalation: Escalation, answer_url: str, now: float) -> str:
    """To the helpdesk: everything that a human needs to answer; a draft that is hidden is not sent."""
    data = {
        **_identity(escalation),
        "failure": escalation.failure,
        "detail": escalation.detail,
        "user": escalation.unit,
        "session": escalation.session,
        "transcript": escalation.messages,
        "draft": escalation.draft,
        "holding": escalation.holding,
        "deadline": iso(escalation.answer_by),
        "answer_url": answer_url,
    }
    return _message("escalation.opened", now, data)


def closed(escalation: Escalation, now: float) -> str:
    """To the helpdesk: nobody need answer any more."""
    return _message(f"escalation.{escalation.state}", now, {**_identity(escalation), "by": escalation.closed_by})


def ended(escalation: Escalation, completion: bytes | None, now: float) -> str:
    """To the caller's registered URL: the answer as the ``chat.completion`` that it would have read, or that there
    will be none."""
    data: dict[str, Any] = {**_identity(escalation), "status": escalation.state}
    if completion is not None:
        data["answer"] = msgspec.Raw(completion)
    return _message(f"escalation.{escalation.state}", now, data)


def iso(ts: float) -> str:
    """RFC 3339, UTC."""
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _identity(escalation: Escalation) -> dict[str, Any]:
    return {
        "id": escalation.id,
        "workflow": escalation.workflow,
        "team": escalation.team,
        "drill": escalation.traffic == "drill",
    }


def _message(kind: str, now: float, data: dict[str, Any]) -> str:
    return _encode({"type": kind, "timestamp": iso(now), "data": data}).decode()
