"""A ramp as control keeps it: sealed, for who writes the database must not widen one."""

from __future__ import annotations

from roadworthy.evidence.sealing import Seal
from roadworthy.rollout.model import Kept

ROLLOUT = Seal(Kept, "rollout", b"rwo-", longest=1 << 20)
