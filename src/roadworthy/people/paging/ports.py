"""What paging needs of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from roadworthy.people.paging.model import Page


class PageTransaction(Protocol):
    """Pages; the same transaction object as ``people.ports.PeopleTransaction``."""

    def page(self, ident: str) -> Page | None: ...

    def put_page(self, page: Page) -> None:
        """Insert, or replace the one with the same id."""
        ...

    def pages(self, *, incident: str | None = None, live_only: bool = False, limit: int = 100) -> Sequence[Page]:
        """Newest first; of one incident the last hop first."""
        ...

    def due_pages(self, now: float, limit: int) -> Sequence[Page]:
        """Whose time has come, the longest due first."""
        ...

    def pages_to(self, person: str, since: float) -> Sequence[Page]:
        """Sent to a person last since then."""
        ...

    def expire_pages(self, before: float) -> int:
        """Delete those that ended before then → how many."""
        ...


class OnCall(Protocol):
    """Who is on call."""

    def now(self, workflow: str) -> Sequence[str]:
        """Ids of people in the order of the hand-up; the last is the catch-all.  Raises ``Unknown``."""
        ...

    def hand_up(self, workflow: str) -> float:
        """Seconds until a page that nobody acknowledged goes to the next person."""
        ...
