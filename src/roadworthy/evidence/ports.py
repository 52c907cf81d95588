"""Who signs and who verifies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Signer(Protocol):
    """Holds a private key.  Only control has one."""

    @property
    def public_key(self) -> str:
        """What verifiers need, as text."""
        ...

    def sign(self, message: bytes) -> bytes: ...


class Verifier(Protocol):
    def verify(self, public_keys: Sequence[str], message: bytes, signature: bytes) -> bool:
        """Did the holder of one of the keys sign ``message``?  Fails closed: false for a key that cannot be read."""
        ...
