"""The rehearsal target: a server of its own that answers like a model API, as a profile says, and keeps a ledger.

``python -m roadworthy.adapters.providers.simulated --profile FILE --port-file F [--ledger FILE]``

Serves ``/v1/chat/completions``, ``/v1/responses``, ``/v1/messages`` (and its ``/count_tokens``), ``/v1/embeddings``,
``/v1/models``, ``/health`` and ``/ledger`` (totals of what it sent) on loopback.  Everything it says is marked: model
``simulated:…``, ``system_fingerprint: simulated``, ``simulated: true``, header ``x-simulated``.  The ledger file has
one JSON line a call (``simulated_script.Sent``).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import re
import signal
import socket
import struct
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import httptools
import msgspec
import uvloop

from roadworthy.adapters.providers import child
from roadworthy.adapters.providers import simulated_surfaces as surfaces
from roadworthy.adapters.providers.simulated_answer import Asked
from roadworthy.adapters.providers.simulated_script import STREAM_FAULTS, Call, Script, Sent, compose, refused
from roadworthy.formats.model import Inexpressible
from roadworthy.workflow import simulation
from roadworthy.workflow.simulation import Fault, FaultRule, Profile, ProfileError, Seeded

_INLINE = re.compile(r"\[\[fault (\w+)((?: +\w+=[^\s\]]+)*) *\]\]")
_REMEMBERED = 200_000
"""Request bodies whose repetitions are counted."""
_asked = msgspec.json.Decoder(Asked)


class InlineFault(Exception):
    """A message orders a fault that there is not."""


class Director:
    """Numbers the calls, seeds them and decides which fault strikes: all state of a simulation."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._calls = 0
        self._strikes: Counter[int] = Counter()
        self._seen: dict[bytes, int] = {}

    def call(
        self, path: str, body: bytes, asked: Asked, order: str | None, now: float, own: surfaces.Own | None = None
    ) -> Call:
        """``order``: value of the ``x-simulate-fault`` header.  Raises ``InlineFault``."""
        self._calls += 1
        digest = hashlib.blake2b(body, digest_size=8).digest()
        repeated = self._seen.get(digest, 0)
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[digest] = repeated + 1
        # a request that names its own seed always gets the same answer
        salt = 0 if asked.seed is not None else repeated
        random = Seeded(int.from_bytes(digest, "big") ^ (self._profile.seed * 0x9E3779B97F4A7C15) ^ (salt << 1))
        # who goes on with a begun answer comes back after the fault that broke it
        fault = self._ordered(body, asked, order, repeated + bool(asked.begun)) or self._struck(asked, random)
        return Call(self._calls, path, asked, random, fault, now, own)

    def _ordered(self, body: bytes, asked: Asked, order: str | None, repeated: int) -> Fault | None:
        if order is not None:
            found = _INLINE.fullmatch(f"[[fault {order}]]")
        elif self._profile.inline_faults and b"[[fault " in body:
            found = next((match for text in asked.texts() if (match := _INLINE.search(text))), None)
        else:
            return None
        if found is None:
            raise InlineFault("expected [[fault NAME key=value …]]")
        options: dict[str, Any] = dict(pair.split("=", 1) for pair in found.group(2).split())
        options = {key: _plain(value) for key, value in options.items()}
        times = options.pop("times", None)
        try:
            fault = simulation.fault("fault", found.group(1), options)
        except ProfileError as error:
            raise InlineFault(str(error)) from error
        return None if isinstance(times, int) and repeated >= times else fault

    def _struck(self, asked: Asked, random: Seeded) -> Fault | None:
        """The first rule whose conditions hold.  Every share is drawn, so rules do not disturb each other."""
        struck: Fault | None = None
        for index, rule in enumerate(self._profile.faults):
            lucky = rule.share is None or random.share() < rule.share
            if struck is None and lucky and self._holds(index, rule, asked):
                self._strikes[index] += 1
                struck = rule.fault
        return struck

    def _holds(self, index: int, rule: FaultRule, asked: Asked) -> bool:
        if rule.every is not None and self._calls % rule.every:
            return False
        if rule.calls is not None and not rule.calls[0] <= self._calls <= rule.calls[1]:
            return False
        if rule.times is not None and self._strikes[index] >= rule.times:
            return False
        if rule.fault.name in STREAM_FAULTS and not asked.stream:
            return False
        return rule.marker is None or any(rule.marker in text for text in asked.texts())


def _plain(value: str) -> Any:
    if value in ("true", "false"):
        return value == "true"
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


class Ledger:
    """What was sent: one JSON line a call (when a file is given) and running totals."""

    def __init__(self, path: Path | None) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = None if path is None else os.open(path, flags, 0o600)
        self._sums: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()

    def write(self, sent: Sent) -> None:
        if self._file is not None:
            os.write(self._file, msgspec.json.encode(sent) + b"\n")
        sums = self._sums
        sums["calls"] += 1
        sums["completed"] += sent.completed
        sums["chars"] += sent.chars
        if sent.usage and sent.completed:
            for name in ("input", "cached", "output", "reasoning"):
                sums[name] += getattr(sent, name)
        self._statuses[sent.status] += 1
        if sent.fault is not None:
            self._faults[sent.fault.partition(" ")[0]] += 1

    def totals(self) -> dict[str, Any]:
        """Token counts are those that a caller read in a complete answer."""
        names = ("calls", "completed", "input", "cached", "output", "reasoning", "chars")
        return {
            "simulated": True,
            **{name: self._sums[name] for name in names},
            "statuses": {str(status): number for status, number in sorted(self._statuses.items())},
            "faults": dict(sorted(self._faults.items())),
        }


class Connection(asyncio.Protocol):
    """One client: requests are answered one after the other."""

    def __init__(self, profile: Profile, director: Director, ledger: Ledger, now: Any = time.time) -> None:
        self._profile = profile
        self._director = director
        self._ledger = ledger
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._order: str | None = None
        self._body: list[bytes] = []
        self._waiting: deque[Script | bytes] = deque()
        self._playing: Script | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._playing is not None:
            self._ledger.write(self._playing.sent)
            self._playing = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-simulate-fault":
            self._order = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        path = self._url.partition(b"?")[0].decode("latin-1")
        body, order = b"".join(self._body), self._order
        self._url, self._body, self._order = b"", [], None
        self._waiting.append(self._answer(path, body, order))
        if self._playing is None:
            self._next()

    def _answer(self, path: str, body: bytes, order: str | None) -> Script | bytes:
        if path == "/ledger":
            return _plain_answer(self._ledger.totals())
        if path == "/health":
            return _plain_answer({"status": "ok", "simulated": True})
        if path == "/v1/models":
            return _plain_answer({"object": "list", "data": [{"id": "simulated", "object": "model"}]})
        unknown = Call(0, path, Asked(), Seeded(0), None, self._now())
        foreign = path in surfaces.PATHS
        if not foreign and path not in ("/v1/chat/completions", "/v1/embeddings"):
            return refused(unknown, 404, f"no such path {path!r} here")
        try:
            asked, own = surfaces.read(path, body) if foreign else (_asked.decode(body), None)
            if (excess := asked.too_much()) is not None:
                return refused(unknown, 400, excess)
            call = self._director.call(path, body, asked, order, self._now(), own)
        except (msgspec.DecodeError, UnicodeDecodeError, Inexpressible, InlineFault) as error:
            return refused(unknown, 400, str(error))
        return compose(self._profile, call)

    def _next(self) -> None:
        while self._waiting and self._playing is None and not self._transport.is_closing():
            script = self._waiting.popleft()
            if isinstance(script, bytes):
                self._transport.write(script)
            else:
                self._playing = script
                self._play(0)

    def _play(self, at: int, waited: bool = False) -> None:
        """Send the steps from ``at`` on, up to the next one that must wait."""
        script = self._playing
        if script is None:
            return
        ready: list[bytes] = []
        steps = script.steps
        while at < len(steps):
            wait, data = steps[at]
            if wait > 0 and not waited:
                break
            waited = False
            ready.append(data)
            at += 1
        if ready:
            self._transport.write(b"".join(ready))
        if at < len(steps):
            self._timer = self._loop.call_later(steps[at][0], self._play, at, True)
        else:
            self._end(script)

    def _end(self, script: Script) -> None:
        script.sent.completed = script.whole
        self._playing = None
        self._ledger.write(script.sent)
        if script.end == "reset":
            self._loop.call_later(0.02, _reset, self._transport)  # after what was written has left
        elif script.end == "close":
            self._transport.close()
        else:
            self._next()


def _plain_answer(found: dict[str, Any]) -> bytes:
    body = msgspec.json.encode(found)
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _reset(transport: Any) -> None:
    """Close with a TCP reset instead of a FIN."""
    if transport.is_closing():
        return
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def read_profile(path: Path) -> Profile:
    """A profile from a YAML or JSON file.  Raises ``ProfileError``, with the file in its message's field."""
    import yaml

    try:
        if path.suffix == ".json":  # YAML would take its 5e-06 for a text
            return simulation.parse(msgspec.json.decode(path.read_bytes()))
        return simulation.parse(yaml.safe_load(path.read_bytes()))
    except (yaml.YAMLError, msgspec.DecodeError) as error:
        raise ProfileError(str(path), str(error).replace("\n", " "), "YAML or JSON") from error
    except ProfileError as error:
        raise ProfileError(f"{path}: {error.field}", error.found, error.expected) from error


async def serve(profile: Profile, ledger: Ledger, port_file: Path, port: int = 0) -> None:
    """Serve on loopback until SIGTERM or SIGINT; announces the port in ``port_file`` once it listens."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    director = Director(profile)
    server = await loop.create_server(
        lambda: Connection(profile, director, ledger), "127.0.0.1", port, backlog=2048, reuse_address=True
    )
    child.announce(port_file, server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="simulated", description="A rehearsal target that answers as a profile says.")
    parser.add_argument("--profile", type=Path, help="YAML or JSON; without it, forty words at once")
    parser.add_argument("--port-file", type=Path, required=True, help="where the port is written once it listens")
    parser.add_argument("--ledger", type=Path, help="append one JSON line a call to this file")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--parent", type=int, help="end when this process is no longer the parent")
    chosen = parser.parse_args(arguments)
    try:
        profile = read_profile(chosen.profile) if chosen.profile else Profile()
        ledger = Ledger(chosen.ledger)
    except (ProfileError, OSError) as error:
        print(f"simulated: {error}", file=sys.stderr)
        return 2
    child.die_with(chosen.parent)
    uvloop.run(serve(profile, ledger, chosen.port_file, chosen.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
