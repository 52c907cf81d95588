"""What evals keep, sealed: a row that somebody else wrote into the database counts for nothing."""

from __future__ import annotations

from roadworthy.evals.model import Answer, Captured, HandScore, Publication, Run, Signature, Waiting
from roadworthy.evidence.sealing import Seal

PUBLICATION = Seal(Publication, "example set", b"rwb-", longest=512 * 1024)
SIGNATURE = Seal(Signature, "rubric signature", b"rwu-", longest=8192)
RUN = Seal(Run, "eval run", b"rwv-", longest=512 * 1024)
WAITING = Seal(Waiting, "waiting example", b"rwp-", longest=1 << 22)
CAPTURED = Seal(Captured, "captured answer", b"rwc-", longest=1 << 22)
HAND_SCORE = Seal(HandScore, "hand score", b"rwh-", longest=8192)
ANSWER = Seal(Answer, "eval answer", b"rwa-", longest=1 << 22)
