"""A permit on the wire: ``rwp-`` + base64url(JSON) + ``.`` + base64url(signature), sent as the API key."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import msgspec

from roadworthy.evidence.model import Permit
from roadworthy.evidence.ports import Signer, Verifier

PREFIX = b"rwp-"
LONGEST = 8192
"""Bytes of a token."""
_PURPOSE = b"roadworthy permit 1\n"
"""Signed before the JSON, so that nothing else that we sign can be taken for a permit."""

_decoder = msgspec.json.Decoder(Permit)


class Forged(Exception):
    """The token is no permit that we signed."""


def sealed(permit: Permit, signer: Signer) -> str:
    """The permit as a token."""
    body = msgspec.json.encode(permit)
    return f"{PREFIX.decode()}{_text(body)}.{_text(signer.sign(_PURPOSE + body))}"


def opened(token: bytes, keys: Sequence[str], verifier: Verifier) -> Permit:
    """The permit in a token.  Raises ``Forged``; nothing of it is looked at before its signature is good."""
    body, dot, signature = token.removeprefix(PREFIX).partition(b".")
    if len(token) > LONGEST or not token.startswith(PREFIX) or not dot:
        raise Forged
    try:
        raw, signed = _bytes(body), _bytes(signature)
    except (binascii.Error, ValueError):
        raise Forged from None
    if not verifier.verify(keys, _PURPOSE + raw, signed):
        raise Forged
    try:
        return _decoder.decode(raw)
    except msgspec.MsgspecError as error:
        raise Forged from error


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: bytes) -> bytes:
    if text.translate(None, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"):
        raise ValueError("not base64url")
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))
