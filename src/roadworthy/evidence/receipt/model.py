"""What a receipt says, and what becomes of a share under it.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.evidence.kinds import Verdict
from roadworthy.evidence.model import Age

Grant = Literal["full", "pilot", "testers"]
"""The most that a receipt allows: everybody, the pilot share, named testers only."""


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The result of an eval gate for one behaviour; every release of the workflow with that behaviour shares it."""

    id: str
    """``rcp_`` + 16 hex digits."""
    team: str
    workflow: str
    behaviour: str
    """Digest."""
    verdict: Verdict
    floors_met: bool
    evidence: str
    """Id of the gate's evidence."""
    run: str
    epoch: int
    """Of the control that signed it."""
    issued: float
    expires: float
    set_version: str = ""
    scorers: str = ""
    policy: str = ""
    """Hash of the policy that the gate ran under."""
    targets: list[str] = []
    """Other targets of the ladder that passed every critical example; where there are some, no other is used."""

    @property
    def order(self) -> tuple[int, float]:
        """A later receipt of a behaviour is greater."""
        return self.epoch, self.issued


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """A named person takes back every receipt of a behaviour that was issued until then."""

    id: str
    """``rev_`` + 16 hex digits."""
    team: str
    workflow: str
    behaviour: str
    person: str
    reason: str
    at: float
    epoch: int


class Standing(msgspec.Struct, frozen=True):
    """What a receipt is worth now."""

    grant: Grant
    age: Age
    """``missing``: it is refused, as if there were none."""
    promotes: bool
    """May the share rise on it?"""
    why: str
