"""What makes a permit valid now.  Pure; every rule fails closed."""

from __future__ import annotations

import zlib
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from roadworthy.evidence.permit.model import LOCAL, LONGEST_LIFE, Permit

CLOCK_SKEW = 5.0
"""Seconds that a permit may come from the future."""


class Problem(msgspec.Struct, frozen=True):
    """Why a permit may not be used."""

    status: int
    """401: it is none (any more); 403: it is one, and not for this."""
    code: str
    message: str


def vet(permit: Permit, *, now: float, began: float, gateway: str = LOCAL) -> Problem | None:
    """``began``: when this gateway worker began to count; an older permit may have been used up before.  ``gateway``:
    which one it is; what another counts would be granted twice here."""
    if permit.gateway != gateway:
        return Problem(403, "permit_not_allowed", f"This permit is good at the gateway '{permit.gateway[:60]}' only.")
    if permit.issued > now + CLOCK_SKEW:
        return Problem(401, "permit_not_yet_valid", "This permit is from the future: compare the clocks.")
    if permit.expires <= now:
        return Problem(401, "permit_expired", "This permit has expired. Ask control for a new one.")
    if permit.expires - permit.issued > LONGEST_LIFE:
        return Problem(401, "permit_invalid", "This permit is made for longer than two hours.")
    if permit.issued < began - CLOCK_SKEW:
        return Problem(
            401, "permit_expired", "The gateway was started after this permit was issued, so its calls are not counted."
        )
    if permit.calls < 1 or permit.usd < 0:
        return Problem(401, "permit_invalid", "This permit allows no call.")
    if permit.traffic != "drill" and (permit.substitutes or permit.budgets or permit.unpriced or permit.fault):
        return Problem(403, "permit_not_allowed", "Only a drill may put something in the place of a target.")
    if permit.target and permit.traffic != "eval":
        return Problem(403, "permit_not_allowed", "Only an eval may name the target that it asks.")
    for target, url in permit.substitutes.items():
        if not harmless(url):
            return Problem(
                403, "permit_not_allowed", f"The place of target '{target[:100]}' may be taken on loopback only."
            )
    return None


def worker_of(ident: str, workers: int) -> int:
    """Number of the worker of a gateway that counts the calls of a permit."""
    return zlib.crc32(ident.encode()) % workers


def harmless(url: str) -> bool:
    """Does the URL lead to this very machine by a literal loopback address, or to a name that never resolves?

    ``.invalid`` is reserved for that (RFC 6761).  Other names are refused, for they may resolve to anything.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or parts.username is not None or not parts.hostname or not port:
        return False
    if parts.hostname.endswith(".invalid"):
        return True
    try:
        return ip_address(parts.hostname).is_loopback
    except ValueError:
        return False
