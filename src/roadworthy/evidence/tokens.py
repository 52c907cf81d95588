"""Evidence and waivers as control keeps and hands them on: sealed, for who writes the database must not forge them."""

from __future__ import annotations

from roadworthy.evidence.model import Evidence, Waiver
from roadworthy.evidence.sealing import Seal

EVIDENCE = Seal(Evidence, "evidence", b"rwe-", longest=1 << 20)
WAIVER = Seal(Waiver, "waiver", b"rww-", longest=8192)
