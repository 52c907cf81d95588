"""Pages through PagerDuty's Events API v2: trigger, acknowledge and resolve under one dedup key, the incident's id.

https://developer.pagerduty.com/docs/send-alert-event: 202 means that the event was enqueued; 400 that it can never be
taken as it is (a wrong routing key, most often); 429 and 5xx that it should be sent again.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from roadworthy.adapters.outbound import Outbound, OutboundFailed
from roadworthy.http1.messages import Reply
from roadworthy.people.escalation.payloads import iso
from roadworthy.people.outbox.model import Sent
from roadworthy.people.outbox.places import EventsPlace
from roadworthy.people.paging.model import Message
from roadworthy.people.paging.rendering import buttons, headline

ENQUEUE: Final = "/v2/enqueue"
TAKEN: Final = 202
FINAL: Final = frozenset({400, 401, 403, 404})
LARGEST_ANSWER: Final = 64 * 1024


class _Answer(msgspec.Struct):
    status: str = ""
    message: str = ""
    dedup_key: str = ""
    errors: list[str] = []


class PagerDutySender:
    """``people.outbox.service.EventSender``."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def send(self, place: EventsPlace, message: Message) -> Sent:
        """One try; whatever a network or PagerDuty does becomes a ``Sent``."""
        body = msgspec.json.encode(event(message, place.routing_key))
        headers = {"content-type": "application/json", "accept": "application/json"}
        try:
            reply = await self._outbound.call(
                "POST", place.url.rstrip("/") + ENQUEUE, headers, body,
                allow_private=place.allow_private, largest=LARGEST_ANSWER,
            )  # fmt: skip
        except OutboundFailed as error:
            return Sent(error=str(error))
        return _sent(reply, place.routing_key)


def event(message: Message, routing_key: str) -> dict[str, Any]:
    """The body of a call."""
    made: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": message.signal,
        "dedup_key": message.incident,
        "client": "Roadworthy",
    }
    shown = buttons(message)
    if shown:
        made["client_url"] = shown[0].link
    if message.signal == "trigger":
        details = {"paged": message.name, **dict(message.parts)}
        made["payload"] = {
            "summary": headline(message),
            "source": message.workflow or "roadworthy",
            "severity": "info" if message.test else message.severity,
            "timestamp": iso(message.at),
            "component": message.workflow or "roadworthy",
            "class": "test" if message.test else "page",
            "custom_details": details,
        }
        made["links"] = [{"href": button.link, "text": button.label} for button in shown]
    return made


def _sent(reply: Reply, routing_key: str) -> Sent:
    try:
        answer = msgspec.json.decode(reply.body, type=_Answer)
    except (msgspec.DecodeError, msgspec.ValidationError):
        answer = _Answer()
    if reply.status == TAKEN:
        return Sent(TAKEN, said=f"202 by PagerDuty, dedup key {answer.dedup_key[:80] or '(not said)'}")
    told = "; ".join([answer.message, *answer.errors]).strip("; ").replace(routing_key, "…")[:200]
    wrong = f"PagerDuty answered {reply.status}" + (f": {told}" if told else "")
    retry = (reply.header(b"retry-after") or b"").decode("latin-1")
    after = float(retry[:9]) if retry.isascii() and retry.isdigit() else None
    return Sent(reply.status, wrong, after, final=reply.status in FINAL)
