"""Bodies, packed: zstd with a dictionary.

A dictionary is trained on prompts, schemas and synthetic text, never on a live body: it is kept for as long as
anything was packed with it, and must hold nothing that retention or forgetting would have to take out.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence

import apsw
import msgspec
import zstandard

from roadworthy.workflow.inference import Inference

DICTIONARY_BYTES = 16 * 1024
LEVEL = 2
"""Packing is what a record costs most in control.  Level 2 takes two thirds of the time of level 3, zstd's default, for
English text in chats of 0.5 to 60 KB, and packs it at most 4 % larger."""


class Bodies(msgspec.Struct, omit_defaults=True):
    """What is packed together: one frame compresses better than three."""

    request: msgspec.Raw = msgspec.Raw(b"null")
    prompt: str | None = None
    response: msgspec.Raw = msgspec.Raw(b"null")


_decoder = msgspec.json.Decoder(Bodies)


def of(inference: Inference) -> bytes | None:
    """The bodies of an inference as one JSON text; ``None`` when there are none."""
    if inference.request is None and inference.prompt is None and inference.response is None:
        return None
    null = msgspec.Raw(b"null")
    return msgspec.json.encode(Bodies(inference.request or null, inference.prompt, inference.response or null))


def into(inference: Inference, data: bytes) -> None:
    """Put unpacked bodies back into their inference."""
    bodies = _decoder.decode(data)
    null = msgspec.Raw(b"null")
    inference.request = None if bodies.request == null else bodies.request
    inference.prompt = bodies.prompt
    inference.response = None if bodies.response == null else bodies.response


def synthetic_samples() -> list[bytes]:
    """Text of the shape of chat requests and answers, made up: the first dictionary knows the format's words."""
    openings = (
        "I cannot log in",
        "Where is my order",
        "Please cancel",
        "The invoice is wrong",
        "How do I",
        "Thank you",
    )
    roles = ("system", "user", "assistant", "tool", "developer")
    samples = []
    for n in range(240):
        request = {
            "model": ("support-triage", "gpt-4o-mini", "claude-sonnet", "summarise")[n % 4],
            "messages": [
                {"role": roles[n % 2], "content": f"You are a helpful assistant. Answer in JSON. Step {n}."},
                {"role": roles[(n + 1) % 5], "content": f"{openings[n % 6]} since {n} days. Can you help me with it?"},
            ],
            "temperature": n % 10 / 10,
            "max_tokens": 64 * (n % 9 + 1),
            "stream": n % 2 == 0,
            "stream_options": {"include_usage": True},
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object", "properties": {}}},
            },
        }
        response = {
            "id": f"chatcmpl-{n * 7919:012x}",
            "object": "chat.completion",
            "created": 1_760_000_000 + n * 61,
            "model": "gpt-4o-mini",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": f"Thank you for your message number {n}.",
                        "refusal": None,
                    },
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 20 + n,
                "completion_tokens": 9 + n,
                "total_tokens": 29 + 2 * n,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        }
        samples.append(msgspec.json.encode({"request": request, "response": response}))
    return samples


def _trained(samples: Sequence[bytes]) -> bytes:
    texts: list[bytes | bytearray | memoryview] = [
        *synthetic_samples(),
        *(sample for sample in samples for _ in range(8)),
    ]
    return zstandard.train_dictionary(DICTIONARY_BYTES, texts, level=LEVEL).as_bytes()


@functools.cache
def _first() -> bytes:
    """The dictionary of a new log: always the same, and it takes 13 ms to make."""
    return _trained([])


class Packer:
    """Packs with the newest dictionary, unpacks with the one that is named.  Thread-safe."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._lock = threading.Lock()
        self._dictionaries: dict[int, zstandard.ZstdCompressionDict] = {}
        self._unpackers: dict[int, zstandard.ZstdDecompressor] = {}
        self._newest = 0
        for identity, data in connection.execute("SELECT id, data FROM dictionary ORDER BY id"):
            self._learn(identity, data)
        if not self._newest:
            self.train(connection, [])

    def train(self, connection: apsw.Connection, samples: Sequence[bytes]) -> None:
        """Make a new dictionary of synthetic text and ``samples`` (prompts, schemas), and use it from now on."""
        data = _trained(samples) if samples else _first()
        with connection:
            known = connection.execute("SELECT id FROM dictionary WHERE data = ?", (data,)).fetchone()
            if known:
                return
            connection.execute("INSERT INTO dictionary (data) VALUES (?)", (data,))
            identity = connection.last_insert_rowid()
        self._learn(identity, data)

    def _learn(self, identity: int, data: bytes) -> None:
        with self._lock:
            self._dictionaries[identity] = zstandard.ZstdCompressionDict(data)
            self._newest = identity
            self._packer = zstandard.ZstdCompressor(level=LEVEL, dict_data=self._dictionaries[identity])

    def pack(self, data: bytes) -> tuple[int, bytes]:
        """→ (dictionary, packed)"""
        with self._lock:
            return self._newest, self._packer.compress(data)

    def unpack(self, dictionary: int, packed: bytes) -> bytes:
        with self._lock:
            unpacker = self._unpackers.get(dictionary)
            if unpacker is None:
                unpacker = zstandard.ZstdDecompressor(dict_data=self._dictionaries[dictionary])
                self._unpackers[dictionary] = unpacker
            return unpacker.decompress(packed)
