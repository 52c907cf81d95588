"""What the secret of a Bedrock target holds, and for which region its calls are signed.

A secret is one of
- a Bedrock API key (sent as a bearer token, nothing is signed);
- ``ACCESS_KEY_ID:SECRET_ACCESS_KEY`` or ``ACCESS_KEY_ID:SECRET_ACCESS_KEY:SESSION_TOKEN``;
- JSON as AWS's own tools write it (``aws configure export-credentials``, ``aws sts assume-role``), or with the names of
  the environment variables in lower case without ``aws_``; it may say the ``region``, too.

Nothing here quotes a secret in an error.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

import msgspec

EXPECTED = (
    "expected a Bedrock API key, ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN], or JSON with access_key_id and "
    "secret_access_key (and session_token, region)"
)
_HOST = re.compile(
    r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.(?:[a-z0-9-]+\.)*(?:amazonaws\.[a-z.]+|api\.[a-z.]+)$"
)
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z]+:([a-z0-9-]+):")
_KEY_ID = re.compile(r"\w{1,128}", re.ASCII)
_NAMES = {"AccessKeyId": "access_key", "access_key_id": "access_key", "SecretAccessKey": "secret_key",
          "secret_access_key": "secret_key", "SessionToken": "token", "session_token": "token", "region": "region",
          "Expiration": "expires", "expiration": "expires"}  # fmt: skip


class Credentials(msgspec.Struct, frozen=True):
    """Of an AWS principal, under the names that botocore's signers read."""

    access_key: str
    secret_key: str
    token: str | None = None
    region: str | None = None
    expires: float | None = None
    """Unix seconds."""

    def __repr__(self) -> str:
        return "Credentials(…)"


class ApiKey(msgspec.Struct, frozen=True):
    token: str

    def __repr__(self) -> str:
        return "ApiKey(…)"


def parse(secret: str) -> Credentials | ApiKey:
    """Raises ``ValueError`` saying what is wrong, without a word of the secret."""
    secret = secret.strip()
    if secret.startswith("{"):
        found = _of_json(secret)
    elif ":" in secret:
        parts = secret.split(":")
        if len(parts) > 3:
            raise ValueError(f"holds {len(parts)} parts between colons; {EXPECTED}")
        found = dict(zip(("access_key", "secret_key", "token"), parts, strict=False))
    else:
        if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ValueError(f"is none that can be sent; {EXPECTED}")
        return ApiKey(secret)
    for name in ("access_key", "secret_key", "token", "region"):
        value = found.get(name, "")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError(f"holds a {name.replace('_', ' ')} that is none; {EXPECTED}")
    if not _KEY_ID.fullmatch(found.get("access_key", "")):
        raise ValueError(f"holds no access key id; {EXPECTED}")
    if not found.get("secret_key"):
        raise ValueError(f"holds no secret access key; {EXPECTED}")
    return Credentials(
        found["access_key"], found["secret_key"], found.get("token") or None, found.get("region") or None,
        _instant(found.get("expires")),
    )  # fmt: skip


def region_of(host: str, model: str) -> str | None:
    """Region of an endpoint of Amazon's, else of the model's ARN."""
    found = _HOST.search(host) or _ARN.match(model)
    return found.group(1) if found else None


def _of_json(secret: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(secret)
    except msgspec.DecodeError:
        raise ValueError(f"begins like JSON and is none; {EXPECTED}") from None
    inner = found.get("Credentials", found)
    if not isinstance(inner, dict):
        raise ValueError(f"is JSON of another shape; {EXPECTED}")
    return {_NAMES[name]: value for name, value in inner.items() if name in _NAMES and value is not None}


def _instant(written: Any) -> float | None:
    if written is None:
        return None
    try:
        return datetime.datetime.fromisoformat(written).timestamp()
    except (TypeError, ValueError):
        raise ValueError("holds an expiration that is no date (expected 2026-01-31T12:00:00+00:00)") from None
