"""A fact about a release, a workflow or the install, and what a person may put in its place.

Instants are Unix seconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.evidence.kinds import Attestation, Facet, Figures, Role, kind_of

Mode = Literal["live", "mocked", "imported"]
"""``live``: real targets; ``mocked``: something stood for them; ``imported``: another tool's figures, so somebody's
word."""

Age = Literal["fresh", "stale", "lapsed", "missing"]


class Accepted(msgspec.Struct, frozen=True):
    """A person who looked at it and takes it."""

    by: str
    role: Role
    at: float


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A typed, dated fact, with the facets that it is about and the time when it lapses."""

    id: str
    """``evd_`` + 16 hex digits."""
    team: str
    workflow: str = ""
    """Empty: about the install."""
    figures: Figures
    run: str = ""
    """Id of the run that made it; empty for a person's word alone."""
    bound: dict[Facet, str]
    """Facet → digest of the release's facet, name of the workflow, or ``this`` install."""
    mode: Mode = "live"
    by: str
    """Who ran it, or gave the word."""
    made_at: float
    lapses_at: float
    accepted: list[Accepted] = []
    detail: str = ""

    @property
    def kind(self) -> str:
        """What it shows: for a person's word, the kind that it stands for."""
        return self.figures.instead_of if isinstance(self.figures, Attestation) else kind_of(self.figures)

    @property
    def word_only(self) -> bool:
        """Does nothing but somebody's word stand behind it?"""
        return self.mode == "imported" or isinstance(self.figures, Attestation)


class Waiver(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A named person lets an item rest until an end."""

    id: str
    """``wvr_`` + 16 hex digits."""
    team: str
    workflow: str
    item: int | None
    """Number of the item of readiness; ``None``: enforcement as a whole (``observe``)."""
    person: str
    reason: str
    starts: float
    ends: float
    ended_at: float | None = None
    """Taken back before its end."""

    @property
    def over(self) -> float:
        """When it ends, or was taken back."""
        return self.ends if self.ended_at is None else min(self.ends, self.ended_at)

    def holds(self, now: float) -> bool:
        """Never past its end."""
        return self.starts <= now < self.over
