"""What this install signed, and nothing else."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from roadworthy.evidence.ports import Signer, Verifier
from roadworthy.evidence.sealing import Forged, Seal

T = TypeVar("T")
REMEMBERED: Final = 32_768
"""Signatures that were good: a page reads the same thousand records again and again, and each check takes 0.1 ms."""


class Sealed:
    """Signs records and opens those that were signed here.  Thread-safe."""

    def __init__(self, signer: Signer, verifier: Verifier, keys: Sequence[str] = ()) -> None:
        """``keys``: public keys of earlier signers of this install, whose signatures still count."""
        self._signer = signer
        self._verifier = _Remembering(verifier)
        self._keys = (signer.public_key, *keys)

    def seal(self, kind: Seal[T], record: T) -> str:
        """Raises ``evidence.sealing.TooLong``."""
        return kind.sealed(record, self._signer)

    def opened(self, kind: Seal[T], tokens: Iterable[str]) -> list[T]:
        """What we signed, in its order; the rest is passed over."""
        found: list[T] = []
        for token in tokens:
            try:
                found.append(kind.opened(token.encode("utf-8", "replace"), self._keys, self._verifier))
            except Forged:
                continue
        return found


class _Remembering:
    """A ``Verifier`` that checks the same bytes once.  Only what was good is remembered, by its digest."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._good: dict[bytes, None] = {}
        self._lock = threading.Lock()

    def verify(self, keys: Sequence[str], message: bytes, signature: bytes) -> bool:
        parts = [*(key.encode() for key in keys), signature, message]
        whole = b"".join(b"%d:%b" % (len(part), part) for part in parts)  # no other parts make the same bytes
        seen = hashlib.sha256(whole).digest()
        if seen in self._good:
            return True
        if not self._verifier.verify(keys, message, signature):
            return False
        with self._lock:
            while len(self._good) >= REMEMBERED:
                self._good.pop(next(iter(self._good)))
            self._good[seen] = None
        return True
