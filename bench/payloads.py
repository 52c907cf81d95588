"""What travels in the benchmark: one realistic chat request (about 1.7 KB), its answer (1.1 KB) and its stream."""

from __future__ import annotations

import json
from typing import Any, Literal

Kind = Literal["instant", "stream256", "stream512"]
KINDS: tuple[Kind, ...] = ("instant", "stream256", "stream512")
"""``instant``: a JSON answer at once.  The two streams differ in how fast the upstream talks."""

GAPS_US: dict[Kind, int] = {"stream256": 10_000, "stream512": 20_000}
"""Microseconds between two events of a stream: 256 and 512 streams both make about 26,000 events a second."""

CLIENT_KEY = "sk-bench-0042-0123456789abcdef0123456789abcdef"

CLIENT_HEADERS = {
    "Authorization": f"Bearer {CLIENT_KEY}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "AsyncOpenAI/Python 2.54.0",
    "X-Stainless-Lang": "python",
    "X-Stainless-Package-Version": "2.54.0",
    "X-Stainless-OS": "Linux",
    "X-Stainless-Arch": "x64",
    "X-Stainless-Runtime": "CPython",
    "X-Stainless-Runtime-Version": "3.11.7",
    "X-Stainless-Async": "async:asyncio",
    "X-Stainless-Retry-Count": "0",
    "X-Stainless-Read-Timeout": "600",
}
"""What the OpenAI client sends."""

SYSTEM = (
    "You are a helpful senior engineer who answers questions about networking, HTTP clients and Python services. "
    "Be precise, give the reason first and the recommendation second, and never exceed eight sentences. If the user "
    "asks for code, answer with a short, runnable snippet and explain the one line that matters most."
)

_ASK = (
    "We run a small gateway that forwards chat requests to several providers. Yesterday at peak we saw that p99 "
    "latency doubled although the providers themselves reported normal numbers. We looked at the event loop lag and "
    "it stayed under four milliseconds; CPU was at about sixty percent on one core. What should we look at first?"
)
_REPLY = (
    "Look at connection reuse first: count how many new TCP connections per second the gateway opens toward each "
    "provider. If that number rises with traffic, the pool is too small or idle connections are being closed early, "
    "and each request is paying for a handshake. Then look at queueing in the client pool itself."
)
_FOLLOW_UP = (
    "We did: it opens about two hundred new connections each second at peak. The pool limit is one hundred and the "
    "idle timeout is five seconds. Explain why connection pooling matters here, and what limits you would set. Assume "
    "the providers allow five hundred concurrent requests for our account, that the median answer takes sixty "
    "milliseconds to the first byte, and that about one request in ten is streamed and stays open for up to forty "
    "seconds. Also say how you would notice a pool that is too large."
)
ANSWER = (
    "Connection pooling matters because each new TCP (and TLS) handshake adds one or more round trips before the first "
    "byte of the request can be sent. A pooled client keeps idle connections open and hands them to the next request, "
    "so the cost is paid once. The trade-off is that stale connections must be detected and retried, and the pool must "
    "be bounded so a slow upstream does not exhaust file descriptors. In practice a bounded pool per upstream with an "
    "idle timeout is enough."
)
STREAMED = (
    "the pool keeps idle connections open so that each new request can skip the handshake and reuse a warm socket "
    "which lowers tail latency for every caller and also reduces the load on the upstream because fewer handshakes"
)

TURNS = [
    {"role": "user", "content": _ASK},
    {"role": "assistant", "content": _REPLY},
    {"role": "user", "content": _FOLLOW_UP},
]
"""The conversation behind the system message."""
USER = "tenant-42/user-1187"
MODEL = "gpt-4o-mini"
_ANSWERED_BY = {"model": f"{MODEL}-2024-07-18", "service_tier": "default", "system_fingerprint": "fp_560af6e559"}
_ID = "chatcmpl-BxQ2v7mTj3K1oYpLr9sWnEfHdAzCu"
_DETAILS = {"cached_tokens": 0, "audio_tokens": 0}


def compact(value: Any) -> str:
    """JSON as the official clients write it."""
    return json.dumps(value, separators=(",", ":"))


def request(kind: Kind, model: str, **changes: Any) -> bytes:
    """The caller's body for ``model``; a change of ``None`` removes the field."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": SYSTEM}, *TURNS],
        "temperature": 0.2,
        "max_tokens": 256,
        "user": USER,
    }
    if kind != "instant":
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body |= changes
    return compact({name: value for name, value in body.items() if value is not None}).encode()


def answer() -> str:
    """The upstream's JSON answer."""
    message = {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []}
    usage = {
        "prompt_tokens": 312,
        "completion_tokens": 97,
        "total_tokens": 409,
        "prompt_tokens_details": _DETAILS,
        "completion_tokens_details": {"reasoning_tokens": 0, **_DETAILS},
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": _ID, "object": "chat.completion", "created": 1763860000}
    return compact({**head, **_ANSWERED_BY, "choices": [choice], "usage": usage})


def events() -> list[str]:
    """The upstream's stream: role, 50 words, finish, usage, ``[DONE]``; 54 events of about 310 bytes."""

    def event(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> str:
        head = {"id": _ID, "object": "chat.completion.chunk", "created": 1763860000}
        return f"data: {compact({**head, **_ANSWERED_BY, 'choices': choices, 'usage': usage})}\n\n"

    def choice(delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    words = STREAMED.split()
    usage = {"prompt_tokens": 312, "completion_tokens": 50, "total_tokens": 362, "prompt_tokens_details": _DETAILS}
    return [
        event(choice({"role": "assistant", "content": "", "refusal": None})),
        *(event(choice({"content": " " + words[i % len(words)]})) for i in range(50)),
        event(choice({}, "stop")),
        event([], usage),
        "data: [DONE]\n\n",
    ]
