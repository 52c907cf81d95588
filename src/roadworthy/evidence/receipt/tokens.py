"""Receipts and revocations as they travel to gateways: sealed tokens (``rwr-…``, ``rwx-…``)."""

from __future__ import annotations

from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.evidence.sealing import Seal

RECEIPT = Seal(Receipt, "receipt", b"rwr-", longest=8192)
REVOCATION = Seal(Revocation, "revocation", b"rwx-", longest=8192)
