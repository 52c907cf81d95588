"""Standard Webhooks (spec 1.0): how what we send is signed, and what comes back is verified.

``webhook-signature`` holds ``v1,<base64 HMAC-SHA256>`` over ``<webhook-id>.<webhook-timestamp>.<body>``, several
separated by spaces while a secret is being replaced.  A message is the same message on every retry: same id, new
time stamp.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

PREFIX = "whsec_"
TOLERANCE = 300.0
"""Seconds that a time stamp may lie in the past or the future."""
LONGEST_ID = 256


class SignatureRefused(Exception):
    """What came is not signed by whoever holds the secret, or not now."""


def secret_bytes(secret: str) -> bytes:
    """``whsec_`` + base64 as the spec writes it; any other text stands for its own bytes."""
    if secret.startswith(PREFIX):
        try:
            decoded = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except ValueError:
            decoded = b""
        if decoded:  # of nothing, anybody could make the signature
            return decoded
    return secret.encode()


def derived(key: bytes, purpose: str) -> str:
    """A secret of its own for each purpose, made from the install's key: shown once and never stored."""
    return PREFIX + base64.b64encode(hmac.digest(key, purpose.encode(), "sha256")[:24]).decode()


def sign(secret: str, ident: str, timestamp: int, body: bytes) -> str:
    """Value of ``webhook-signature``."""
    return "v1," + base64.b64encode(_digest(secret_bytes(secret), ident, str(timestamp), body)).decode()


def headers(secret: str, ident: str, now: float, body: bytes) -> dict[str, str]:
    """The headers of one sending."""
    stamp = int(now)
    return {
        "content-type": "application/json",
        "webhook-id": ident,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign(secret, ident, stamp, body),
    }


def verify(secret: str, given: Mapping[str, str], body: bytes, now: float) -> str:
    """The id of a message that is genuine and fresh.  Raises ``SignatureRefused``; compares in constant time."""
    ident, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not ident or len(ident) > LONGEST_ID or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise SignatureRefused("webhook-id or webhook-timestamp (Unix seconds) is missing or malformed")
    if abs(now - int(stamp)) > TOLERANCE:
        raise SignatureRefused(
            f"webhook-timestamp is {abs(now - int(stamp)):.0f} s away from our clock; at most {TOLERANCE:.0f} s pass"
        )
    wanted = _digest(secret_bytes(secret), ident, stamp, body)
    for part in given.get("webhook-signature", "").split()[:10]:
        version, _, encoded = part.partition(",")
        if version != "v1":
            continue
        try:
            found = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if hmac.compare_digest(found, wanted):
            return ident
    raise SignatureRefused("webhook-signature does not belong to this body and secret")


def _digest(key: bytes, ident: str, stamp: str, body: bytes) -> bytes:
    return hmac.new(key, f"{ident}.{stamp}.".encode() + body, hashlib.sha256).digest()
