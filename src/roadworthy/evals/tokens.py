"""What evals keep, sealed: a row that somebody else wrote into the database counts for nothing."""

from __future__ import annotations

from roadworthy.evals.model import Answer, Publication, Run, Signature
from roadworthy.evidence.sealing import Seal

PUBLICATION = Seal(Publication, "example set", b"rwb-", longest=8192)
SIGNATURE = Seal(Signature, "rubric signature", b"rwu-", longest=8192)
RUN = Seal(Run, "eval run", b"rwv-", longest=64 * 1024)
ANSWER = Seal(Answer, "eval answer", b"rwa-", longest=1 << 22)
