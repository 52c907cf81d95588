"""Closed months and corrections, sealed: a row that somebody else wrote into the database counts for nothing."""

from __future__ import annotations

from roadworthy.cost.sheet import Closed, Correction
from roadworthy.evidence.sealing import Seal

CLOSED = Seal(Closed, "closed month", b"rwm-", longest=64 * 1024)
CORRECTION = Seal(Correction, "correction of a month", b"rwx-", longest=8192)
