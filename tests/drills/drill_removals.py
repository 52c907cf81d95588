"""What stands for a rule of ours when a drill's test takes it away.

A rule that is not named here is replaced by a function that finds nothing: it returns ``None``.
"""

from __future__ import annotations

import contextlib
import fcntl
import inspect
import ssl
import time
from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.adapters.providers import openai_shape, sse
from roadworthy.gateway.ports import Unusable
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.workflow.inference import Tokens


def finds_nothing(original: Any) -> Any:
    """The default."""
    if inspect.iscoroutinefunction(original):

        async def nothing_later(*_: Any, **__: Any) -> None:
            return None

        return nothing_later
    return lambda *_, **__: None


def finds_no_fault(original: Any) -> Any:
    return lambda *_, **__: []


def _strict(original: Any) -> Any:
    """A reader that refuses fields which it does not know."""
    known = {field.encode_name for field in msgspec.structs.fields(openai_shape.Body)} | {"id", "object", "created"}

    def read(data: bytes) -> Any:
        unknown = set(msgspec.json.decode(data)) - known
        if unknown:
            raise msgspec.ValidationError(f"unknown fields {unknown}")
        return original(data)

    return read


def _all_in_time(original: Any) -> Any:
    return lambda wait, seconds: True


def _never_used_up(original: Any) -> Any:
    """A ladder that forgets which of its steps were taken."""
    return lambda failure, history: (0, 0)


def _all_passing(original: Any) -> Any:
    """A client that takes every refusal for a passing trouble of the provider."""
    return lambda status, what: "unavailable"


def _unverified(original: Any) -> Any:
    """TLS without anybody vouching for the server."""

    def context() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        return made

    return context


def _wants_the_marker(original: Any) -> Any:
    """A stream that is whole only when it says [DONE]."""

    def end(self: Any) -> Any:
        return original(self) if self.reader.done else Unusable("truncated", "no [DONE]")

    return end


def _goes_on(original: Any) -> Any:
    """A reader that goes on whatever it reads: it skips chunks that are not JSON, and looks at no error in a stream."""

    def chunk(self: Any, data: bytes) -> Any:
        try:
            found = msgspec.json.decode(data)
        except msgspec.DecodeError:
            found = {"choices": []}
        found.pop("error", None)
        return original(self, msgspec.json.encode(found))

    return chunk


def _piece_by_piece(original: Any) -> Any:
    """A reader that takes each piece of the network for text of its own."""
    return lambda self, data: original(self, data.decode(errors="replace").encode())


def _as_it_is(original: Any) -> Any:
    return lambda self, data: data


def _unbounded(original: Any) -> Any:
    """Events of any size."""

    def split(splitter: Any, data: bytes) -> Any:
        bound = sse.MAX_EVENT
        sse.MAX_EVENT = 1 << 40
        try:
            return original(splitter, data)
        finally:
            sse.MAX_EVENT = bound

    return split


def _any_delta(original: Any) -> Any:
    """A reader to which every delta is text."""
    return lambda part: part is not None


def _believed(original: Any) -> Any:
    """A reader that believes every usage."""
    return lambda usage: None if usage is None else Tokens(usage.prompt_tokens or 0, 0, 0, usage.completion_tokens or 0)


def _free(original: Any) -> Any:
    """An unknown price taken for none."""
    return lambda tokens, price, target: (0.0, "")


def _believes_all(original: Any) -> Any:
    return lambda *_: True


def _always_written(original: Any) -> Any:
    """A journal that says that it took a line, and did not."""
    return lambda self, line: True


def _by_the_wall(original: Any) -> Any:
    """Deadlines by the clock that people set."""
    return staticmethod(lambda: time.time())


def _by_leave_of_control(original: Any) -> Any:
    """A worker that serves only while control and its state are there."""

    def load(self: Any) -> None:
        folder = DataFolder(self._path.parents[1])
        if folder.snapshot.exists():
            with folder.control_lock.open() as lock, contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                raise SystemExit("control is dead")
            if folder.state_db.read_bytes()[:15] != b"SQLite format 3":
                raise SystemExit("state is dead")
        original(self)

    return load


REMOVED: dict[str, Callable[[Any], Any]] = {
    "adapters.providers.refusals:failure_of": _all_passing,
    "cost.rules:settle": _free,
    "cost.rules:believable": _believes_all,
    "gateway.journal:Journal.start": _always_written,
    "wiring.gateway:SystemClock.monotonic": _by_the_wall,
    "wiring.gateway:SnapshotFile.load": _by_leave_of_control,
    "fallback.rules:_progress": _never_used_up,
    "fallback.rules:in_time": _all_in_time,
    "http1.origin:default_tls": _unverified,
    "gateway.checks.structure:SchemaCheck.faults": finds_no_fault,
    "adapters.providers.openai_shape:read": _strict,
    "adapters.providers.openai_shape:carries": _any_delta,
    "adapters.providers.openai_shape:tokens_of": _believed,
    "adapters.providers.openai:OpenAIEvents._chunk": _goes_on,
    "adapters.providers.common:split_events": _unbounded,
    "adapters.providers.sse:EventSplitter.feed": _piece_by_piece,
    "adapters.providers.sse:EventSplitter._unify": _as_it_is,
    "gateway.checks.structure:ToolCheck.faults": finds_no_fault,
    "gateway.streaming.live:LiveStream.end": _wants_the_marker,
}
