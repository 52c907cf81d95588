"""What this install signed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from roadworthy.evidence.ports import Signer, Verifier
from roadworthy.evidence.sealing import Forged, Seal

T = TypeVar("T")


class Sealed:
    """Signs records and opens those that were signed here.  Thread-safe."""

    def __init__(self, signer: Signer, verifier: Verifier, keys: Sequence[str] = ()) -> None:
        """``keys``: public keys of earlier signers of this install, whose signatures still count."""
        self._signer = signer
        self._verifier = verifier
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
