"""Who was paged about an incident and what came of it, as lines of its time line.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from roadworthy.people.paging.model import Page, Proof
from roadworthy.people.paging.rules import PROVE_BY


class Told(msgspec.Struct, frozen=True):
    at: float
    what: str


def lines(pages: Sequence[Page], names: Mapping[str, str] | None = None) -> list[Told]:
    """Oldest first.  ``names``: of people, by id."""
    found = [each for page in pages for each in _of(page, (names or {}).get(page.person, page.person))]
    return sorted(found, key=lambda each: each.at)


def _of(page: Page, who: str) -> Iterator[Told]:
    if not page.person:
        yield Told(page.made_at, f"Nobody could be paged: {'; '.join(proof.said for proof in page.proofs)}")
        return
    first = "Paged" if page.hop == 0 else "Handed up: paged"
    for number, at in enumerate(page.sendings, 1):
        again = f"Paged again ({number}.): {who}"
        yield Told(at, (f"{first} {who}" if number == 1 else again) + (" (test)" if page.test else ""))
    if page.held:
        yield Told(page.made_at, f"{first} {who}: held back, too many pages in an hour")
    for proof in page.proofs:
        yield Told(_since(page) if proof.at is None else proof.at, f"{who}, {_said(proof)}")
    if page.state == "unproven":
        yield Told(_since(page) + PROVE_BY, f"Unproven: no channel took the page to {who} in {PROVE_BY:.0f} s")
    if page.state == "failed":
        yield Told(max(proof.at or 0.0 for proof in page.proofs), f"{who} was not reached by any channel")
    if page.state == "handed_up" and page.ended_at is not None:
        yield Told(page.ended_at, f"{who} has not acknowledged it")


def _since(page: Page) -> float:
    """When it was sent last."""
    return page.sent_at if page.sent_at is not None else page.made_at


def _said(proof: Proof) -> str:
    said = f": {proof.said}" if proof.said else ""
    if proof.taken:
        return f"{proof.channel} took it{said}"
    return f"{proof.channel} has not taken it{' yet' if proof.at is None else ''}{said}"
