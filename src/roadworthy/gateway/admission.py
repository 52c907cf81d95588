"""Who may call, and how often.

Authentication fails closed: a key is looked up by the full HMAC of the whole token, so nothing about a key can be
learnt from timing, and a key that is not in the snapshot (unknown, revoked) or has expired does not exist.

Limits are per worker: with N workers each one grants 1/N of a key's limit, since callers' connections are spread
over the workers by the kernel.  A caller with a single connection may therefore be limited early; a limit below
the number of workers is enforced late, for each worker grants at least one call.
"""

from __future__ import annotations

import hashlib

from roadworthy.gateway.buckets import Bucket
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.world import ServedKey, Serving, World

LONGEST_TOKEN = 512
_DAY = 86_400.0


def token_of(headers: dict[bytes, bytes]) -> bytes | None:
    """The caller's token: ``Authorization: Bearer`` or ``x-api-key``."""
    given = headers.get(b"authorization")
    if given is not None:
        scheme, _, token = given.partition(b" ")
        if scheme.lower() == b"bearer":
            return token.strip()
    return headers.get(b"x-api-key")


class KeyedHash:
    """HMAC-SHA256 (RFC 2104) under one key whose two blocks are hashed once: a third of what ``hmac.digest`` takes."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        """``key``: at most 64 bytes, a block of SHA-256."""
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def hex(self, message: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


def authenticate(headers: dict[bytes, bytes], world: World, keyed: KeyedHash, now: float) -> ServedKey:
    """The caller's key.  Raises ``Refused`` 401 ``invalid_api_key``."""
    token = token_of(headers)
    if not token or len(token) > LONGEST_TOKEN:
        raise Refused(
            401,
            "invalid_api_key",
            "No API key was given. Send 'Authorization: Bearer rw-…' with a key made by 'roadworthy keys create'.",
        )
    found = world.keys.get(keyed.hex(token))
    if found is None or found.key.revoked_at is not None:
        raise Refused(
            401,
            "invalid_api_key",
            "This API key is unknown or revoked. Keys are listed by 'roadworthy keys list'.",
        )
    if found.key.expires_at is not None and found.key.expires_at <= now:
        raise Refused(401, "invalid_api_key", "This API key has expired. Make a new one with 'roadworthy keys rotate'.")
    return found


class TesterDay:
    """What a tester key has used today (UTC)."""

    __slots__ = ("calls", "day", "dollars")

    def __init__(self, day: int) -> None:
        self.day = day
        self.calls = 0
        self.dollars = 0.0


class Limits:
    """Buckets and daily counts of every key, kept across snapshots.  Bounded by the number of keys."""

    def __init__(self, workers: int) -> None:
        self._share = 1.0 / workers
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._testers: dict[tuple[str, str], TesterDay] = {}

    def admit(self, served: ServedKey, serving: Serving, *, now: float, monotonic: float) -> None:
        """Count one call.  Raises ``Refused`` 429 (outcome ``limited``)."""
        key = served.key
        per_minute = key.requests_per_minute
        if per_minute is None:
            per_minute = serving.policy.requests_per_minute_per_key
        if per_minute is not None:
            self._admit_minute(key.id, serving.name, per_minute, monotonic)
        if key.kind == "tester":
            self._admit_tester(key.id, serving, now)

    def spent(self, key_id: str, workflow: str, dollars: float) -> None:
        """Settle a tester's call."""
        day = self._testers.get((key_id, workflow))
        if day is not None:
            day.dollars += dollars

    def _admit_minute(self, key_id: str, workflow: str, per_minute: int, now: float) -> None:
        share = per_minute * self._share
        bucket = self._buckets.get((key_id, workflow))
        if bucket is None:
            bucket = self._buckets[(key_id, workflow)] = Bucket(share, now)
        wait = bucket.take(now, share)
        if wait > 0.0:
            raise Refused(
                429,
                "throttled",
                f"This key may call {workflow} {per_minute} times a minute. Try again in {wait:.1f} s.",
                outcome="limited",
                failure="throttled",
                retry_after=wait,
            )

    def _admit_tester(self, key_id: str, serving: Serving, now: float) -> None:
        today = int(now // _DAY)
        used = self._testers.get((key_id, serving.name))
        if used is None or used.day != today:
            used = self._testers[(key_id, serving.name)] = TesterDay(today)
        policy = serving.policy
        over_calls = used.calls >= max(1, int(policy.tester_calls_per_day * self._share))
        over_spend = used.dollars >= policy.tester_usd_per_day * self._share
        if over_calls or over_spend:
            limit = f"{policy.tester_calls_per_day} calls" if over_calls else f"{policy.tester_usd_per_day:g} dollars"
            raise Refused(
                429,
                "throttled",
                f"This tester key has used its {limit} of {serving.name} for today (UTC).",
                outcome="limited",
                failure="throttled" if over_calls else "overspent",
                retry_after=(today + 1) * _DAY - now,
            )
        used.calls += 1
