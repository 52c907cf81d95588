"""JSON of the admin API: msgspec for our structs, dataclasses included; NaN and infinities become null."""

from __future__ import annotations

import msgspec

_encoder = msgspec.json.Encoder()


def json_bytes(value: object) -> bytes:
    return _encoder.encode(value)
