"""What control signed, as text: a prefix + base64url(JSON) + ``.`` + base64url(signature).

One format for everything that is signed.  The purpose is signed before the JSON, so that nothing that was signed as one
thing can be taken for another.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from roadworthy.evidence.ports import Signer, Verifier

T = TypeVar("T")


class Forged(Exception):
    """The text is nothing that we signed."""


class TooLong(ValueError):
    """Nobody would open it again, so it is not signed; the message says what is too long."""


class Seal(Generic[T]):
    """How one kind of record is signed."""

    def __init__(self, kind: type[T], word: str, prefix: bytes, *, longest: int) -> None:
        """``longest``: bytes of a token; a longer one is not looked at."""
        self.prefix = prefix
        self.longest = longest
        self._word = word
        self._purpose = f"roadworthy {word} 1\n".encode()
        self._decoder = msgspec.json.Decoder(kind)

    def sealed(self, record: T, signer: Signer) -> str:
        """The record as a token.  Raises ``TooLong``."""
        body = msgspec.json.encode(record)
        token = f"{self.prefix.decode()}{_text(body)}.{_text(signer.sign(self._purpose + body))}"
        if len(token) > self.longest:
            raise TooLong(f"the {self._word} has {len(token):,} bytes, at most {self.longest:,} fit: shorten its texts")
        return token

    def opened(self, token: bytes, keys: Sequence[str], verifier: Verifier) -> T:
        """The record in a token.  Raises ``Forged``; nothing of it is looked at before its signature is good."""
        body, dot, signature = token.removeprefix(self.prefix).partition(b".")
        if len(token) > self.longest or not token.startswith(self.prefix) or not dot:
            raise Forged
        try:
            raw, signed = _bytes(body), _bytes(signature)
        except (binascii.Error, ValueError):
            raise Forged from None
        if not verifier.verify(keys, self._purpose + raw, signed):
            raise Forged
        try:
            return self._decoder.decode(raw)
        except msgspec.MsgspecError as error:
            raise Forged from error


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: bytes) -> bytes:
    """Exactly what ``_text`` makes: one token has one spelling."""
    data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if _text(data).encode() != text:
        raise ValueError("not base64url as we write it")
    return data
