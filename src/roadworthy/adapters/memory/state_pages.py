"""The in-memory twin of the links and pages of the state store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from roadworthy.people.links.model import Link
from roadworthy.people.paging.model import Page


@dataclass
class Paged:
    links: dict[str, Link] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)

    def copy(self) -> Paged:
        return Paged(dict(self.links), dict(self.pages))


class PageTables:
    """Needs ``_paged`` and ``_paged_change`` of ``MemoryTransaction``."""

    @property
    def _paged(self) -> Paged:
        raise NotImplementedError

    @property
    def _paged_change(self) -> Paged:
        raise NotImplementedError

    def link(self, token_hash: str) -> Link | None:
        return self._paged.links.get(token_hash)

    def put_link(self, link: Link) -> None:
        self._paged_change.links[link.hash] = link

    def expire_links(self, before: float) -> int:
        rows = self._paged_change.links
        old = [row.hash for row in rows.values() if row.expires_at < before]
        for token_hash in old:
            del rows[token_hash]
        return len(old)

    def page(self, ident: str) -> Page | None:
        return self._paged.pages.get(ident)

    def put_page(self, page: Page) -> None:
        self._paged_change.pages[page.id] = page

    def pages(self, *, incident: str | None = None, live_only: bool = False, limit: int = 100) -> Sequence[Page]:
        found = [
            row
            for row in self._paged.pages.values()
            if incident in (None, row.incident) and (row.live or not live_only)
        ]
        return sorted(found, key=lambda row: (row.made_at, row.hop, row.id), reverse=True)[:limit]

    def due_pages(self, now: float, limit: int) -> Sequence[Page]:
        found = [(row.due_at, row.id, row) for row in self._paged.pages.values() if row.due_at is not None]
        return [row for due, _, row in sorted(found, key=lambda item: item[:2]) if due <= now][:limit]

    def pages_to(self, person: str, since: float) -> Sequence[Page]:
        found = [
            (row.sent_at, row.id, row)
            for row in self._paged.pages.values()
            if row.person == person and row.sent_at is not None and row.sent_at >= since
        ]
        return [row for _, _, row in sorted(found, key=lambda item: item[:2])]

    def expire_pages(self, before: float) -> int:
        rows = self._paged_change.pages
        old = [row.id for row in rows.values() if row.ended_at is not None and row.ended_at < before]
        for ident in old:
            del rows[ident]
        return len(old)
