"""The in-memory twin of the reviews of the state store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from roadworthy.people.review.model import Review, ReviewKind, State

Kept = dict[str, bytes]
"""Id → its record: what is read back is never the one that was put."""


class ReviewTables:
    """Needs ``_reviews`` and ``_reviews_change`` of ``MemoryTransaction``."""

    @property
    def _reviews(self) -> Kept:
        raise NotImplementedError

    @property
    def _reviews_change(self) -> Kept:
        raise NotImplementedError

    def review(self, ident: str) -> Review | None:
        found = self._reviews.get(ident)
        return None if found is None else msgspec.json.decode(found, type=Review)

    def reviews(
        self,
        *,
        workflow: str | None = None,
        kind: ReviewKind | None = None,
        state: State | None = None,
        limit: int = 50,
    ) -> Sequence[Review]:  # fmt: skip
        every = [msgspec.json.decode(row, type=Review) for row in self._reviews.values()]
        found = [
            each for each in every
            if workflow in (None, each.workflow) and kind in (None, each.kind) and state in (None, each.state)
        ]  # fmt: skip
        return sorted(found, key=lambda each: (each.until, each.id), reverse=True)[:limit]

    def put_review(self, review: Review) -> None:
        self._reviews_change[review.id] = msgspec.json.encode(review)
