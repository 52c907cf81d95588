"""The life of a page, as a table: (state, event) → state.  Pure; timers are instants in the page.

A page goes out by all channels of a person at once.  *Taken*: a channel has answered that it has it.  *Silent*: none
did within ``PROVE_BY``; nobody may have read it, so the next person is paged at once, and so it is where every channel
*refused*.  *Due*: nobody acknowledged in time: the next person is paged; the last one, the catch-all, is paged *again*
each time, for as long as nobody has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec.structs import replace

from roadworthy.people.paging.model import Page, PageState, Proof

PROVE_BY: Final = 60.0
"""Seconds in which a channel must have taken a page: three tries and more."""
HOUR: Final = 3600.0

EventKind = Literal["taken", "silent", "refused", "due", "again", "acknowledge", "resolve"]
TRANSITIONS: Final[dict[tuple[PageState, EventKind], PageState]] = {
    ("sent", "taken"): "delivered",
    ("sent", "silent"): "unproven",
    ("sent", "refused"): "failed",
    ("sent", "due"): "handed_up",
    ("unproven", "taken"): "delivered",
    ("unproven", "refused"): "failed",
    ("delivered", "due"): "handed_up",
    ("sent", "again"): "sent",
    ("delivered", "again"): "sent",
    ("unproven", "again"): "sent",
    ("failed", "again"): "sent",
    ("sent", "acknowledge"): "acknowledged",
    ("delivered", "acknowledge"): "acknowledged",
    ("unproven", "acknowledge"): "acknowledged",
    ("failed", "acknowledge"): "acknowledged",
    ("handed_up", "acknowledge"): "acknowledged",
    ("sent", "resolve"): "resolved",
    ("delivered", "resolve"): "resolved",
    ("unproven", "resolve"): "resolved",
    ("failed", "resolve"): "resolved",
}

Effect = Literal["", "next", "again"]
"""Nothing; page the next person; page this one again."""


def sent(page: Page, proofs: Sequence[Proof], hand_up: float, now: float) -> Page:
    """It left, for the first time or again."""
    out = replace(
        page, state=_state(page, "again"), proofs=list(proofs), sendings=[*page.sendings, now], held=False,
        hand_up_at=now + hand_up,
    )  # fmt: skip
    return _refused(_timed(out, now), now)


def held(page: Page, hand_up: float, now: float) -> Page:
    """It did not leave: the person was paged too often.  It is handed up like one that did."""
    return _timed(replace(page, state=_state(page, "again"), proofs=[], held=True, hand_up_at=now + hand_up), now)


def proved(page: Page, proof: Proof, now: float) -> Page:
    """A channel answered.  What it says of an earlier sending is not looked at."""
    proofs = [proof if known.delivery == proof.delivery else known for known in page.proofs]
    if not proof.delivery or proofs == page.proofs:
        return page
    after = replace(page, proofs=proofs)
    if proof.taken:
        return _timed(replace(after, state=_state(page, "taken")), now)
    return _refused(after, now)


def passed(page: Page, hand_up: float, now: float) -> tuple[Page, Effect]:
    """Time passed.  Does nothing while nothing is due."""
    if page.due_at is None or page.due_at > now:
        return page, ""
    if page.hand_up_at is not None and page.hand_up_at <= now:
        return _handed(page, hand_up, now)
    if page.state == "sent" and not page.held:
        silent = replace(page, state=_state(page, "silent"))
        return _on(silent, now)
    if page.state == "failed":
        return _on(page, now)
    return _timed(page, now), ""


def handed_over(page: Page, now: float) -> Page:
    """Not the last one any more: somebody else is on call now."""
    state: PageState = "handed_up" if page.state in ("sent", "delivered") else page.state
    return replace(page, state=state, due_at=None, hand_up_at=None, ended_at=now)


def acknowledge(page: Page, by: str, how: str, now: float) -> Page:
    """Somebody has the incident.  A page that was handed up is theirs only if they are who was paged."""
    if page.state == "handed_up" and page.person != by:
        return page
    return _ended(page, "acknowledge", now, by=by, how=how)


def resolve(page: Page, now: float) -> Page:
    """The incident is over."""
    return _ended(page, "resolve", now)


def who_next(order: Sequence[str], paged: Sequence[str]) -> tuple[str, bool]:
    """Who is paged now, and whether they are the last: the first of those on call who was not paged yet, else the
    last of them.  ``("", True)``: there is nobody."""
    last = order[-1] if order else ""
    person = next((person for person in order if person not in paged), last)
    return person, person == last


def room(sendings: Sequence[float], most: int, now: float) -> Literal["page", "digest", "hold"]:
    """May somebody be paged once more?  Of what is too much the first is sent as a digest that says so."""
    recent = sum(at > now - HOUR for at in sendings)
    return "page" if recent < most else "digest" if recent == most else "hold"


def _handed(page: Page, hand_up: float, now: float) -> tuple[Page, Effect]:
    if page.test:
        return _over(replace(page, state=_state(page, "due")), now), ""
    if page.last:
        return _timed(replace(page, hand_up_at=now + hand_up), now), "again"
    return replace(page, state=_state(page, "due"), due_at=None, hand_up_at=None, ended_at=now), "next"


def _on(page: Page, now: float) -> tuple[Page, Effect]:
    """Nobody may have read it: on to the next one now, and the last one again in time."""
    if page.test and page.state == "failed":
        return _over(page, now), ""
    if page.test or page.last:
        return _timed(page, now), ""
    over = now if page.state == "failed" else None  # whom nobody reached may still be: a channel is tried on
    return replace(page, due_at=None, hand_up_at=None, ended_at=over), "next"


def _refused(page: Page, now: float) -> Page:
    """Every channel said no: whoever comes next is due at once."""
    if page.state not in ("sent", "unproven") or any(proof.at is None or proof.taken for proof in page.proofs):
        return page
    failed = replace(page, state=_state(page, "refused"))
    waits = page.hand_up_at is None or (page.last and not page.test)
    return _timed(failed, now) if waits else replace(failed, due_at=now)


def _ended(page: Page, event: EventKind, now: float, by: str = "", how: str = "") -> Page:
    state = TRANSITIONS.get((page.state, event))
    if state is None or (page.state == "failed" and page.due_at is None):
        return page
    return replace(_over(page, now), state=state, ended_by=by, how=how)


def _over(page: Page, now: float) -> Page:
    """Nothing happens any more, but that what came of a test is kept at once."""
    return replace(page, due_at=now if page.test else None, hand_up_at=None, ended_at=now)


def _state(page: Page, event: EventKind) -> PageState:
    """A page on which an event says nothing new stays as it is."""
    return TRANSITIONS.get((page.state, event), page.state)


def _timed(page: Page, now: float) -> Page:
    """With its next instant: proof first, then the hand-up."""
    prove = (page.sent_at or now) + PROVE_BY if page.state == "sent" and not page.held else None
    instants = [at for at in (prove, page.hand_up_at) if at is not None]
    return replace(page, due_at=min(instants, default=None))
