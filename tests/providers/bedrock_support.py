"""Bedrock for tests: a wire with a clock that stands, and event streams as AWS frames them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from roadworthy.adapters.providers.bedrock import BedrockWire
from roadworthy.gateway.ports import Outgoing
from roadworthy.workflow.model import Target

CASSETTES = Path(__file__).parent / "cassettes"
MODEL = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
ENDPOINT = "https://bedrock-runtime.eu-central-1.amazonaws.com"
API_KEY = "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl"
AWS_KEY = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = 1_440_938_160.0
"""2015-08-30T12:36:00Z, the instant of AWS's signature test suite."""


def target(**more: Any) -> Target:
    return Target(**{"name": "t", "provider": "bedrock", "model": MODEL, "endpoint": ENDPOINT, "key": "env:K", **more})


def wire(secret: str | None = API_KEY, *, base: bytes = b"", **more: Any) -> BedrockWire:
    return BedrockWire(target(**more), base, secret, now=lambda: NOW, mint=lambda: "chatcmpl-1")


def chat(**asked: Any) -> dict[str, msgspec.Raw]:
    said = {"model": "support", "messages": [{"role": "user", "content": "Hello"}], **asked}
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in said.items()}


def sent(of: BedrockWire | None = None, *, stream: bool = False, **asked: Any) -> Outgoing:
    return (of or wire()).encode("chat", chat(**asked), stream=stream)


def body(of: BedrockWire | None = None, **asked: Any) -> Any:
    return json.loads(sent(of, **asked).body)


def frame(kind: str, payload: Any, *, how: str = "event", **headers: str) -> bytes:
    """One message; ``how``: ``event``, ``exception`` or ``error``."""
    named = {f":{how}-type": kind, ":content-type": "application/json", ":message-type": how, **headers}
    heads = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in named.items()
    )
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(heads) + len(data), len(heads))
    message = prelude + struct.pack(">I", crc32(prelude)) + heads + data
    return message + struct.pack(">I", crc32(message))


def frames(events: Iterable[dict[str, Any]]) -> bytes:
    """``[{"messageStart": {…}}, …]`` as a stream."""
    return b"".join(frame(kind, payload) for event in events for kind, payload in event.items())


def cassette(name: str) -> Any:
    return json.loads((CASSETTES / name).read_text())
