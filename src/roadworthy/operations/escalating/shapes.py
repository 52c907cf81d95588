"""Escalations meet the gateway's shapes: what gateways are told, what a caller reads, what a schema accepts."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.gateway.answers.escalations import News, Status, Told, answer_of
from roadworthy.people.escalation.model import Escalation, State
from roadworthy.people.ports import PeopleState, PeopleTransaction

_STATUS: dict[State, Status] = {
    "queue": "pending",
    "claimed": "pending",
    "answered": "answered",
    "expired": "expired",
    "cancelled": "cancelled",
}
PAGE = 100
"""Escalations that gateways are told at once…"""
MOST_NEWS = 1024 * 1024
"""…as far as they fit into so many bytes, the first one always: a worker takes 16 MiB."""


def told(escalation: Escalation) -> Told:
    """What a gateway knows of it: nothing that only people may read."""
    answer = escalation.answer
    return Told(
        id=escalation.id,
        team=escalation.team,
        workflow=escalation.workflow,
        status=_STATUS[escalation.state],
        answer_by=escalation.answer_by,
        text=None if answer is None else answer.text,
        json=msgspec.Raw(b"null") if answer is None else answer.json,
        structured=escalation.structured,
        surface=escalation.surface,
        answered_at=None if answer is None else answer.at,
    )


def completion(escalation: Escalation) -> bytes:
    """An answered escalation as its caller reads it, in the format in which it asked."""
    return answer_of(told(escalation))


def fits(tx: PeopleTransaction, escalation: Escalation, text: str) -> msgspec.Raw:
    """``text`` when it is JSON that satisfies the schema of the release that was asked, else ``null``.

    A schema that the caller brought itself is not known here: then nothing fits.
    """
    nothing = msgspec.Raw(b"null")
    frozen = None if escalation.digest is None or escalation.own_schema else tx.release(escalation.digest)
    schema = None if frozen is None else frozen.release.behaviour.schema
    if schema is None:
        return nothing
    try:
        value: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return nothing
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())
    return msgspec.Raw(msgspec.json.encode(value)) if value is not None and validator.is_valid(value) else nothing


def news_after(state: PeopleState, seq: int) -> tuple[bytes, int]:
    """What a gateway that was told up to ``seq`` must hear, and up to where that goes."""
    with state.read() as tx:
        found = tx.escalations_after(seq, PAGE)
        waiting = tx.open_escalations()
    news = News(open=waiting)
    room = MOST_NEWS
    for row in found:
        one = told(row)
        room -= len(msgspec.json.encode(one))
        if room < 0 and news.told:
            break
        news.told.append(one)
        seq = row.seq
    return msgspec.json.encode(news), seq
