"""What the gateway says about a call, read from whatever a client library hands to the app.

Every answer of Roadworthy holds a ``roadworthy`` object: the body of an answer or an error, the end of a stream.
Client libraries keep it, each at another place; ``told`` knows the places.  It imports none of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any, cast

from roadworthy.client.words import Failure, Outcome, Route

INFERENCE = re.compile(r"inf_[0-9a-f]{32}")
_IDS = ("x-roadworthy-inference", "x-request-id", "request-id")
_INSIDE = ("body", "chunk", "response", "_response", "http_response")
"""Attributes in which clients keep what they were sent: errors their body, events the response that they are about,
helpers of streams the chunk, streams and raw answers the HTTP response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """Where a broken stream was gone on with."""

    at: int
    """Characters before it."""
    target: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated:
    """Where a person's answer will be."""

    id: str
    poll_url: str
    answer_by: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The ``roadworthy`` object of a call.

    Only ``inference`` is always known: a stream that has not ended has no outcome yet, and a key may hide the rest.
    """

    inference: str
    """``inf_…``: give it with feedback, and to ``roadworthy show``."""
    workflow: str | None = None
    release: str | None = None
    route: Route | None = None
    outcome: Outcome | None = None
    failure: Failure | None = None
    target: str | None = None
    """Which target gave the answer."""
    stage: str | None = None
    """Of the ramp."""
    would: str | None = None
    """What enforcement would have done, where the workflow is only observed: ``bypassed: no receipt``."""
    cost_usd: float | None = None
    """``None``: unknown."""
    age_seconds: float | None = None
    """How old a cached answer is."""
    escalation: Escalated | None = None
    notes: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    """Fields of the request that differed from the release."""
    seams: tuple[Seam, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The object as it came, for what a newer gateway says."""

    @property
    def by_model(self) -> bool:
        """Did a model write the text: now, or (``cached``) for an earlier call?  Else a person or nobody did."""
        return self.outcome in ("answered", "recovered", "cached")


def told(answer: object) -> Told | None:
    """What Roadworthy says about ``answer``; ``None`` where it says nothing.

    ``answer`` may be an answer, a chunk or event of a stream, a stream or an ``APIStatusError`` of the OpenAI and
    Anthropic clients, an HTTP response or its headers, or any of these as a dict.  In a stream only what ends it
    holds the object, hence ``said = told(event) or said``; an open stream itself tells by its headers what was known
    when it began.  Never raises.
    """
    if isinstance(answer, Told):
        return answer
    if isinstance(answer, Mapping):
        return _of_mapping(answer)
    extra = getattr(answer, "model_extra", None)  # pydantic: what the client's types do not declare
    if isinstance(extra, Mapping) and (found := _of_mapping(extra)):
        return found
    for name in _INSIDE:
        inside = getattr(answer, name, None)
        if inside is not None and inside is not answer and (found := told(inside)):
            return found
    return _of_response(answer) or _of_id(getattr(answer, "_request_id", None))


def _of_response(answer: object) -> Told | None:
    """Of an HTTP response of any library: its body where that was read, else its headers."""
    headers = getattr(answer, "headers", None)
    if not isinstance(headers, Mapping):
        return None
    read = getattr(answer, "json", None)
    if callable(read) and not iscoroutinefunction(read):
        try:
            body = read()
        except (ValueError, RuntimeError):  # no JSON; the body of a stream is not there as a whole
            body = None
        if isinstance(body, Mapping) and (found := _of_mapping(body)):
            return found
    return _of_mapping(headers)


def _of_mapping(given: Mapping[Any, Any]) -> Told | None:
    """A body, an event, headers, or the object itself."""
    inside = given.get("roadworthy")
    if isinstance(inside, Mapping):
        return _of_object(inside)
    if "inference" in given:
        return _of_object(given)
    response = given.get("response")  # an event of the Responses API
    if isinstance(response, Mapping):
        return _of_mapping(response)
    return _of_headers({str(name).lower(): value for name, value in given.items() if isinstance(value, str)})


def _of_object(given: Mapping[Any, Any]) -> Told | None:
    inference = given.get("inference")
    if not isinstance(inference, str) or INFERENCE.fullmatch(inference) is None:
        return None  # `{"note": "continued"}` in the middle of a stream
    return Told(
        inference=inference,
        workflow=_text(given, "workflow"),
        release=_text(given, "release"),
        route=cast("Route | None", _text(given, "route")),
        outcome=cast("Outcome | None", _text(given, "outcome")),
        failure=cast("Failure | None", _text(given, "failure")),
        target=_text(given, "target"),
        stage=_text(given, "stage"),
        would=_text(given, "would"),
        cost_usd=_number(given, "cost_usd"),
        age_seconds=_number(given, "age_seconds"),
        escalation=_escalated(given.get("escalation")),
        notes=_texts(given, "notes"),
        overrides=_texts(given, "overrides"),
        seams=tuple(
            Seam(at=seam["at"], target=_text(seam, "target"))
            for seam in _listed(given, "seams")
            if isinstance(seam, Mapping) and isinstance(seam.get("at"), int)
        ),
        raw=dict(given),
    )


def _escalated(given: object) -> Escalated | None:
    if not isinstance(given, Mapping):
        return None
    ident, url, by = _text(given, "id"), _text(given, "poll_url"), _number(given, "answer_by")
    return None if ident is None or url is None or by is None else Escalated(id=ident, poll_url=url, answer_by=by)


def _of_headers(headers: Mapping[str, str]) -> Told | None:
    """``headers``: names in lower case."""
    inference = next((headers[name] for name in _IDS if INFERENCE.fullmatch(headers.get(name, ""))), None)
    if inference is None:
        return None
    release, age = headers.get("x-roadworthy-release"), headers.get("x-roadworthy-age", "")
    return Told(
        inference=inference,
        workflow=headers.get("x-roadworthy-workflow"),
        release=None if release == "none" else release,
        route=cast("Route | None", headers.get("x-roadworthy-route")),
        outcome=cast("Outcome | None", headers.get("x-roadworthy-outcome")),
        stage=headers.get("x-roadworthy-stage"),
        would=headers.get("x-roadworthy-would"),
        age_seconds=float(age) if age.isdecimal() else None,
    )


def _of_id(ident: object) -> Told | None:
    """All that is left where a key hides object and headers: ``x-request-id`` is the inference."""
    return Told(inference=ident) if isinstance(ident, str) and INFERENCE.fullmatch(ident) else None


def _text(given: Mapping[Any, Any], name: str) -> str | None:
    found = given.get(name)
    return found if isinstance(found, str) else None


def _number(given: Mapping[Any, Any], name: str) -> float | None:
    found = given.get(name)
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def _listed(given: Mapping[Any, Any], name: str) -> list[Any]:
    found = given.get(name)
    return found if isinstance(found, list) else []


def _texts(given: Mapping[Any, Any], name: str) -> tuple[str, ...]:
    return tuple(text for text in _listed(given, name) if isinstance(text, str))
