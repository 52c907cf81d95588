"""Passwords as Argon2id hashes (RFC 9106, its low-memory choice: 64 MiB, 3 rounds, 4 lanes).

Hashing is slow and heavy on purpose, so few are done at once: somebody who sends thousands of log-ins makes each wait,
and takes no more memory.
"""

from __future__ import annotations

import threading
from typing import Protocol

AT_ONCE = 2


class Hasher(Protocol):
    """``argon2.PasswordHasher``."""

    def hash(self, password: str) -> str: ...

    def verify(self, hash: str, password: str) -> bool: ...

    def check_needs_rehash(self, hash: str) -> bool: ...


class Passwords:
    """Thread-safe; blocks for about 0.1 s of CPU.  The library is loaded when the first password comes."""

    def __init__(self, hasher: Hasher | None = None) -> None:
        self._given = hasher
        self._nobody: str | None = None
        self._gate = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()

    def hash(self, password: str) -> str:
        with self._gate:
            return self._hasher().hash(password)

    def matches(self, kept: str | None, password: str) -> bool:
        """Of nobody (``None``) it takes the same work, so that time tells nothing about who has an account."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._gate:
            hasher = self._hasher()
            try:
                good = hasher.verify(kept if kept is not None else self._decoy(hasher), password)
            except (VerificationError, InvalidHashError):
                return False
            return good and kept is not None

    def outdated(self, kept: str) -> bool:
        """Was it made with weaker parameters than today's?"""
        return self._hasher().check_needs_rehash(kept)

    def _hasher(self) -> Hasher:
        with self._lock:
            if self._given is None:
                from argon2 import PasswordHasher

                self._given = PasswordHasher()
            return self._given

    def _decoy(self, hasher: Hasher) -> str:
        if self._nobody is None:
            self._nobody = hasher.hash("nobody has this password")
        return self._nobody
