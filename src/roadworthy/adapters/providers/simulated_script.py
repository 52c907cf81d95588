"""The bytes of one simulated answer and when they leave: faults of shape, stream and transport included.  Pure.

A ``Script`` is a list of (wait in seconds, bytes) and how the connection ends, so every misbehaviour of a model API
that the fault catalogue knows is data, and the server only plays it.
"""

from __future__ import annotations

import email.utils
import http
from typing import Any, Literal

import msgspec

from roadworthy.adapters.providers import simulated_surfaces as surfaces
from roadworthy.adapters.providers.simulated_answer import Asked, Spoken, count, speak, vectors
from roadworthy.workflow.simulation import Distribution, Fault, Profile, Seeded

STREAM_FAULTS = frozenset(
    {
        "no_done",
        "error_event",
        "malformed_chunk",
        "duplicate_chunk",
        "reordered_chunk",
        "split_utf8",
        "long_line",
        "mixed_newlines",
    }
)
"""Faults that can only strike a stream."""

_NEVER_STREAMED = ("/v1/embeddings", surfaces.COUNT)
_HTML = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"
_encode = msgspec.json.Encoder().encode
_ERRORS = {
    "context_length": (
        400,
        "This model's maximum context length is 4096 tokens, but the request has more.",
        "invalid_request_error",
        "context_length_exceeded",
    ),
    "content_filter": (400, "The prompt was stopped by the content filter.", "invalid_request_error", "content_filter"),
    "insufficient_quota": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_credits",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class Call(msgspec.Struct):
    """One request and everything drawn for it."""

    number: int
    path: str
    asked: Asked
    random: Seeded
    fault: Fault | None
    now: float
    """Unix seconds."""
    own: surfaces.Own | None = None
    """The request as it came; ``None``: chat completions or embeddings."""


class Sent(msgspec.Struct, omit_defaults=True):
    """One ledger line: what was (or would have been) sent.  ``usage``: did the caller read these counts?"""

    call: int
    id: str
    ts: float
    path: str
    asked: str
    model: str = ""
    status: int = 200
    stream: bool = False
    fault: str | None = None
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    chars: int = 0
    usage: bool = False
    completed: bool = False
    """The whole answer left in good order and the client was still there."""


class Script(msgspec.Struct):
    steps: list[tuple[float, bytes]]
    sent: Sent
    end: Literal["keep", "close", "reset"] = "keep"
    whole: bool = True
    """Playing it to the end is a complete answer."""


def compose(profile: Profile, call: Call) -> Script:
    """The script of a call that the server understood."""
    fault = call.fault
    model = call.asked.model if call.asked.model.startswith("simulated") else f"simulated:{call.asked.model}"
    sent = Sent(
        call=call.number,
        id=f"sim-{call.number}",
        ts=call.now,
        path=call.path,
        asked=call.asked.model,
        model=fault.options["name"] if fault is not None and fault.name == "model" else model,
        stream=call.asked.stream and call.path not in _NEVER_STREAMED,
        fault=None if fault is None else " ".join([fault.name, *[str(value) for value in fault.options.values()]])[:80],
    )
    if fault is not None and fault.name == "status":
        return _status(profile, call, fault, sent)
    if call.path == "/v1/embeddings":
        return _embeddings(profile, call, sent)
    if call.path == surfaces.COUNT:
        return _counted(profile, call, sent)
    choices = [speak(profile, call.asked, call.random, fault) for _ in range(call.asked.n or 1)]
    _count(profile, call, choices, sent)
    timing = _Timing(profile, call)
    if call.asked.stream:
        return _transported(call, sent, timing, _head(sent, b"text/event-stream", None), _events(call, choices, sent))
    body = _body(call, choices, sent)
    if call.own is not None:
        body = surfaces.whole(call.own, body, ident=sent.id, model=sent.model, usage=sent.usage)
    if fault is not None and fault.name == "body":
        body = _broken_body(fault.options["as"], body)
        sent.usage = sent.usage and fault.options["as"] == "extra_fields"
    html = body.startswith(b"<!")
    head = _head(sent, b"text/html" if html else b"application/json", len(body))
    tokens = sum(len(choice.pieces) for choice in choices)
    return _transported(call, sent, timing, head, [(tokens, body)])


def refused(call: Call, status: int, message: str) -> Script:
    """A request that the server could not understand."""
    sent = Sent(
        call=call.number, id=f"sim-{call.number}", ts=call.now, path=call.path, asked=call.asked.model, status=status
    )
    if surfaces.PATHS.get(call.path) == "messages":
        _, body = surfaces.error(status, message)
    else:
        body = _error(message, _TYPES.get(status, "invalid_request_error"), None)
    return Script([(0.0, _head(sent, b"application/json", len(body)) + body)], sent, whole=False)


class _Timing:
    """Waits of a call: the profile's, or those of a ``slow`` fault."""

    def __init__(self, profile: Profile, call: Call) -> None:
        options = call.fault.options if call.fault is not None and call.fault.name == "slow" else {}
        self._random = call.random
        between = _override(options, "inter_token", profile.inter_token)
        self._between = Distribution(value=between.draw(call.random)) if profile.pace == "answer" else between
        self.first = _override(options, "first_token", profile.first_token).draw(call.random)

    def between(self, tokens: int) -> float:
        """Seconds that so many tokens take."""
        if self._between.kind == "fixed":
            return self._between.value * tokens
        return sum(self._between.draw(self._random) for _ in range(tokens))


def _override(options: dict[str, Any], name: str, default: Distribution) -> Distribution:
    return Distribution(value=options[name]) if name in options else default


def _count(profile: Profile, call: Call, choices: list[Spoken], sent: Sent) -> None:
    prompt = max(1, sum(count(len(text)) for text in call.asked.texts()))
    sent.cached = int(prompt * profile.cached_share)
    sent.input = prompt - sent.cached
    sent.reasoning = round(profile.reasoning_tokens.draw(call.random))
    sent.output = sum(len(choice.pieces) for choice in choices) + sent.reasoning
    sent.chars = sum(len(piece) for choice in choices for piece in choice.pieces)
    missing = call.fault is not None and call.fault.name == "usage" and call.fault.options["as"] == "missing"
    wanted = not call.asked.stream or bool((call.asked.stream_options or {}).get("include_usage"))
    sent.usage = wanted and not missing


def _usage(call: Call, sent: Sent) -> dict[str, Any]:
    kind = call.fault.options["as"] if call.fault is not None and call.fault.name == "usage" else ""
    factor = {"zero": 0, "negative": -1, "huge": 100}.get(kind, 1)
    if factor != 1:
        sent.input, sent.cached = sent.input * factor, sent.cached * factor
        sent.output, sent.reasoning = sent.output * factor, sent.reasoning * factor
    prompt = sent.input + sent.cached
    return {
        "prompt_tokens": prompt,
        "completion_tokens": sent.output,
        "total_tokens": prompt + sent.output,
        "prompt_tokens_details": {"cached_tokens": sent.cached},
        "completion_tokens_details": {"reasoning_tokens": sent.reasoning},
    }


def _marks(call: Call, sent: Sent, kind: str) -> dict[str, Any]:
    return {
        "id": sent.id,
        "object": kind,
        "created": int(call.now),
        "model": sent.model,
        "system_fingerprint": "simulated",
        "simulated": True,
    }


def _body(call: Call, choices: list[Spoken], sent: Sent) -> bytes:
    body = _marks(call, sent, "chat.completion")
    body["choices"] = [
        {
            "index": index,
            "message": _message(choice, f"call_{sent.call}_{index}"),
            "logprobs": {"content": [_logprob(piece) for piece in choice.pieces]} if call.asked.logprobs else None,
            "finish_reason": choice.finish,
        }
        for index, choice in enumerate(choices)
    ]
    if sent.usage:
        body["usage"] = _usage(call, sent)
    return _encode(body)


def _message(choice: Spoken, call_id: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    if choice.tool is not None:
        function = {"name": choice.tool, "arguments": choice.text}
        message["tool_calls"] = [{"id": call_id, "type": "function", "function": function}]
    elif not choice.null:
        message["refusal" if choice.refusal else "content"] = choice.text
    return message


def _logprob(piece: str) -> dict[str, Any]:
    return {"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": []}


def _broken_body(kind: str, body: bytes) -> bytes:
    if kind == "empty":
        return b""
    if kind == "html":
        return _HTML
    if kind == "invalid_json":
        return b"{'choices': [None], oops}"
    if kind == "truncated_json":
        return body[: len(body) * 2 // 3]
    found = msgspec.json.decode(body)
    choices = next((name for name in ("choices", "output", "content", "data") if name in found), None)
    if kind == "no_choices":
        return b"{}" if choices in ("data", None) else _encode({**found, choices: []})
    found.update(x_future_field={"a": [1, 2, {"b": None}]}, service_tier="quantum")
    if choices is not None and found[choices]:
        found[choices][0]["x_score"] = 0.5
    return _encode(found)


def _embeddings(profile: Profile, call: Call, sent: Sent) -> Script:
    made, tokens = vectors(call.asked, profile, profile.seed)
    sent.input, sent.usage = tokens, True
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(made)],
        "model": sent.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "simulated": True,
    }
    encoded = _encode(body)
    if call.fault is not None and call.fault.name == "body":
        encoded = _broken_body(call.fault.options["as"], encoded)
        sent.usage = False
    head = _head(sent, b"application/json", len(encoded))
    return _transported(call, sent, _Timing(profile, call), head, [(0, encoded)])


def _counted(profile: Profile, call: Call, sent: Sent) -> Script:
    """What a prompt amounts to; nothing is made."""
    _count(profile, call, [], sent)
    sent.usage = False
    body = _encode({"input_tokens": sent.input + sent.cached, "simulated": True})
    if call.fault is not None and call.fault.name == "body":
        body = _broken_body(call.fault.options["as"], body)
    head = _head(sent, b"application/json", len(body))
    return _transported(call, sent, _Timing(profile, call), head, [(0, body)])


def _status(profile: Profile, call: Call, fault: Fault, sent: Sent) -> Script:
    code, message, kind, name = fault.options["code"], f"simulated {fault.options['code']}", "", None
    kind = _TYPES.get(code, "server_error")
    if "error" in fault.options:
        code, message, kind, name = _ERRORS[fault.options["error"]]
    html = bool(fault.options.get("html"))
    if html:
        body = _HTML
    elif surfaces.PATHS.get(call.path) == "messages":
        code, body = surfaces.error(code, message, fault.options.get("error"))
    else:
        body = _error(message, kind, name)
    sent.status = code
    extra = b""
    wait = fault.options.get("retry_after")
    if wait is not None:
        offset = wait.removeprefix("date+")
        if offset != wait and offset.replace(".", "", 1).isdigit():
            wait = email.utils.formatdate(call.now + float(offset), usegmt=True)
        extra = b"retry-after: %b\r\n" % wait.encode("latin-1", "replace").replace(b"\r", b"").replace(b"\n", b"")
    head = _head(sent, b"text/html" if html else b"application/json", len(body), extra)
    first = profile.first_token.draw(call.random)
    return Script([(first, head + body)], sent, whole=False)


def _error(message: str, kind: str, code: str | None) -> bytes:
    return _encode({"error": {"message": message, "type": kind, "param": None, "code": code}, "simulated": True})


def _head(sent: Sent, kind: bytes, length: int | None, extra: bytes = b"") -> bytes:
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    reason = http.HTTPStatus(sent.status).phrase if sent.status in http.HTTPStatus._value2member_map_ else "Overloaded"
    return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%b: %b\r\nx-simulated: true\r\n%b%b\r\n\r\n" % (
        sent.status,
        reason.encode(),
        kind,
        b"request-id" if surfaces.PATHS.get(sent.path) == "messages" else b"x-request-id",
        sent.id.encode(),
        extra,
        framing,
    )


def _events(call: Call, choices: list[Spoken], sent: Sent) -> list[tuple[int, bytes]]:
    """(tokens, event bytes with their empty line), stream faults included."""
    marks = _marks(call, sent, "chat.completion.chunk")
    events = [(0, _event(marks, index, {"role": "assistant", "content": ""})) for index in range(len(choices))]
    for index, choice in enumerate(choices):
        events += _spoken(marks, index, choice, call)
    for index, choice in enumerate(choices):
        events.append((0, _event(marks, index, {}, choice.finish)))
    if sent.usage:
        shape = call.fault is not None and call.fault.name == "usage" and call.fault.options["as"] == "delta_chunk"
        usage_choices = [{"index": 0, "delta": {}, "finish_reason": None}] if shape else []
        events.append((0, _line({**marks, "choices": usage_choices, "usage": _usage(call, sent)})))
    if call.own is None:
        events.append((0, b"data: [DONE]\n\n"))
    else:
        created = int(call.now)
        events = surfaces.stream(call.own, events, ident=sent.id, model=sent.model, created=created, usage=sent.usage)
    return _faulty_events(call, events, sent) if call.fault is not None else events


def _spoken(marks: dict[str, Any], index: int, choice: Spoken, call: Call) -> list[tuple[int, bytes]]:
    if choice.tool is None:
        key = "refusal" if choice.refusal else "content"
        if not call.asked.logprobs:
            return [(1, _event(marks, index, {key: piece})) for piece in choice.pieces]
        return [(1, _event(marks, index, {key: piece}, None, _logprob(piece))) for piece in choice.pieces]
    opening = {"index": 0, "id": f"call_{call.number}_{index}", "type": "function"}
    opened = {**opening, "function": {"name": choice.tool, "arguments": ""}}
    calls = [opened, *({"index": 0, "function": {"arguments": piece}} for piece in choice.pieces)]
    return [(1, _event(marks, index, {"tool_calls": [call]})) for call in calls]


def _event(
    marks: dict[str, Any],
    index: int,
    delta: dict[str, Any],
    finish: str | None = None,
    logprob: dict[str, Any] | None = None,
) -> bytes:
    probabilities = None if logprob is None else {"content": [logprob]}
    choice = {"index": index, "delta": delta, "logprobs": probabilities, "finish_reason": finish}
    return _line({**marks, "choices": [choice]})


def _line(body: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % _encode(body)


def _faulty_events(call: Call, events: list[tuple[int, bytes]], sent: Sent) -> list[tuple[int, bytes]]:
    fault, middle = call.fault, max(1, len(events) // 2)
    assert fault is not None
    odd = _odd(call, sent) if call.own is None else surfaces.ODD[call.own.format]
    if fault.name == "no_done":
        return events[: len(events) - odd.markers]
    if fault.name in ("error_event", "malformed_chunk"):
        sent.usage = False
        return [*events[:middle], (0, odd.error if fault.name == "error_event" else odd.half)]
    if fault.name == "duplicate_chunk":
        return [*events[:middle], events[middle], *events[middle:]]
    if fault.name == "reordered_chunk":
        return [*events[: middle - 1], events[middle], events[middle - 1], *events[middle + 1 :]]
    if fault.name == "long_line":
        long = {**odd.padded, "padding": "x" * fault.options["bytes"]}
        return [*events[:middle], (0, _line(long)), *events[middle:]]
    if fault.name == "mixed_newlines":
        ends = (b"\r\n\r\n", b"\n\n", b"\r\n\n")
        mixed = [(tokens, event[:-2] + ends[at % 3]) for at, (tokens, event) in enumerate(events)]
        return [(0, b": a comment\r\n\r\n"), *mixed]
    if fault.name == "split_utf8":
        return [piece for tokens, event in events for piece in _split(tokens, event)]
    return events


def _odd(call: Call, sent: Sent) -> surfaces.Oddities:
    """Odd events of chat completions."""
    return surfaces.Oddities(
        half=b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"cut he\n\n',
        error=b"data: %b\n\n" % _error("The server had an error while processing.", "server_error", None),
        padded={**_marks(call, sent, "chat.completion.chunk"), "choices": []},
        markers=1,
    )


def _split(tokens: int, event: bytes) -> list[tuple[int, bytes]]:
    """Cut inside the first character of several bytes."""
    at = next((at for at, byte in enumerate(event) if byte >= 0xC0), None)
    return [(tokens, event)] if at is None else [(tokens, event[: at + 1]), (0, event[at + 1 :])]


def _transported(call: Call, sent: Sent, timing: _Timing, head: bytes, parts: list[tuple[int, bytes]]) -> Script:
    """Frame head and parts (a whole body, or events as HTTP chunks), spread them over time, break the transport."""
    frames = [b"%x\r\n%b\r\n" % (len(data), data) if sent.stream else data for _, data in parts]
    waits = [timing.between(tokens) for tokens, _ in parts]
    if sent.stream:
        frames.append(b"0\r\n\r\n")
        waits.append(0.0)
    steps = [(timing.first, head), *zip(waits, frames, strict=True)]
    if call.fault is None or call.fault.name not in ("reset", "stall", "cut", "slow_close"):
        return Script(steps, sent)
    return _broken(call.fault, steps, sent)


def _broken(fault: Fault, steps: list[tuple[float, bytes]], sent: Sent) -> Script:
    """Head and some of the body, then what the fault does to the transport."""
    if fault.name == "slow_close":
        wait, last = steps[-1]
        closing = last[: -len(b"0\r\n\r\n")] if sent.stream else last[:-1]
        return Script([*steps[:-1], (wait, closing), (fault.options["seconds"], last[len(closing) :])], sent)
    place = fault.options.get("at", "mid_body")
    kept = 0 if place == "before_first_byte" else 1
    if place == "mid_body":
        if len(steps) == 2:  # a whole body: cut it inside
            wait, body = steps[1]
            steps = [steps[0], (wait, body[: len(body) // 2]), (0.0, body[len(body) // 2 :])]
            kept = 2
        else:
            kept = max(2, len(steps) // 2)
    if fault.name == "stall":
        wait, data = steps[kept]
        return Script([*steps[:kept], (wait + fault.options["seconds"], data), *steps[kept + 1 :]], sent)
    sent.usage = False
    end: Literal["close", "reset"] = "reset" if fault.name == "reset" else "close"
    return Script(steps[:kept] or [(steps[0][0], b"")], sent, end=end, whole=False)
