"""Ed25519 (RFC 8032) by ``cryptography``: the signer and the verifier of permits.

The library is loaded with the first use: a gateway worker that never sees a permit never loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED_BYTES = 32


class Ed25519Signer:
    """Signs with a private key made of 32 random bytes."""

    def __init__(self, seed: bytes) -> None:
        """Raises ``ValueError`` unless ``seed`` has 32 bytes."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a signing key has {SEED_BYTES} bytes, found {len(seed)}")
        self._seed = seed
        self._key: Ed25519PrivateKey | None = None

    @property
    def public_key(self) -> str:
        """64 hex digits."""
        return self._private().public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._private().sign(message)

    def _private(self) -> Ed25519PrivateKey:
        if self._key is None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

            self._key = Ed25519PrivateKey.from_private_bytes(self._seed)
        return self._key


class Ed25519Verifier:
    def verify(self, public_keys: Sequence[str], message: bytes, signature: bytes) -> bool:
        """Fails closed: false for a key that is none."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        for text in public_keys:
            try:
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(text)).verify(signature, message)
            except (InvalidSignature, ValueError):
                continue
            return True
        return False
