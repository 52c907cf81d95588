"""A permit on the wire: a sealed token (``rwp-…``), sent as the API key."""

from __future__ import annotations

from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.sealing import Forged, Seal

PREFIX = b"rwp-"
LONGEST = 8192
"""Bytes of a token."""

_SEAL = Seal(Permit, "permit", PREFIX, longest=LONGEST)

sealed = _SEAL.sealed
opened = _SEAL.opened

__all__ = ["LONGEST", "PREFIX", "Forged", "opened", "sealed"]
