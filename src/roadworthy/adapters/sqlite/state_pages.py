"""Links and pages in ``state.db``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.people.links.model import Link
from roadworthy.people.paging.model import LIVE, Page


class PageRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def link(self, token_hash: str) -> Link | None:
        text = self._connection.scalar(sa.select(t.link.c.record).where(t.link.c.hash == token_hash))
        return None if text is None else msgspec.json.decode(text, type=Link)

    def put_link(self, link: Link) -> None:
        row = {
            "hash": link.hash, "team": link.team, "person": link.person, "expires_at": link.expires_at,
            "record": msgspec.json.encode(link).decode(),
        }  # fmt: skip
        self._change(insert(t.link).values(**row).on_conflict_do_update(index_elements=["hash"], set_=row))

    def expire_links(self, before: float) -> int:
        return self._change(sa.delete(t.link).where(t.link.c.expires_at < before)).rowcount

    def page(self, ident: str) -> Page | None:
        text = self._connection.scalar(sa.select(t.page.c.record).where(t.page.c.id == ident))
        return None if text is None else msgspec.json.decode(text, type=Page)

    def put_page(self, page: Page) -> None:
        row = {
            "id": page.id, "team": page.team, "incident": page.incident, "person": page.person, "state": page.state,
            "made_at": page.made_at, "hop": page.hop, "due_at": page.due_at, "sent_at": page.sent_at,
            "ended_at": page.ended_at, "record": msgspec.json.encode(page).decode(),
        }  # fmt: skip
        self._change(insert(t.page).values(**row).on_conflict_do_update(index_elements=["id"], set_=row))

    def pages(self, *, incident: str | None = None, live_only: bool = False, limit: int = 100) -> Sequence[Page]:
        newest = (t.page.c.made_at.desc(), t.page.c.hop.desc(), t.page.c.id.desc())
        query = sa.select(t.page.c.record).order_by(*newest).limit(limit)
        if incident is not None:
            query = query.where(t.page.c.incident == incident)
        if live_only:
            query = query.where(t.page.c.state.in_(LIVE) | t.page.c.due_at.is_not(None))
        return self._pages(query)

    def due_pages(self, now: float, limit: int) -> Sequence[Page]:
        due = sa.select(t.page.c.record).where(t.page.c.due_at <= now)
        return self._pages(due.order_by(t.page.c.due_at, t.page.c.id).limit(limit))

    def pages_to(self, person: str, since: float) -> Sequence[Page]:
        sent = sa.select(t.page.c.record).where(t.page.c.person == person, t.page.c.sent_at >= since)
        return self._pages(sent.order_by(t.page.c.sent_at, t.page.c.id))

    def expire_pages(self, before: float) -> int:
        return self._change(sa.delete(t.page).where(t.page.c.ended_at < before)).rowcount

    def _pages(self, query: sa.Select[Any]) -> list[Page]:
        return [msgspec.json.decode(text, type=Page) for text in self._connection.scalars(query)]
