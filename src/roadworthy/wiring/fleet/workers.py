"""What control asks of the workers of every gateway on this machine, over their private sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx2
import msgspec

from roadworthy.operations.status import TargetSeen

Sockets = Callable[[], Iterable[Path]]
"""The private socket of every worker that is known now, dead or alive."""

PATIENCE = 0.5
"""Seconds; a worker that does not answer is asked again by the next command."""


class _Journal(msgspec.Struct):
    waiting: int = 0
    dropped: int = 0
    bodies_dropped: int = 0


class _Answers(msgspec.Struct):
    answers: int


class _Report(msgspec.Struct):
    """What status reads of a worker's counters."""

    journal: _Journal = msgspec.field(default_factory=_Journal)
    targets: list[TargetSeen] = []


class _Serves(msgspec.Struct):
    snapshot_epoch: int = 0
    snapshot_seq: int = 0


class Heard(msgspec.Struct):
    """What the workers that answer say."""

    journal: dict[str, int]
    """What they could not write: inferences (yet, at all), and bodies alone."""
    targets: list[TargetSeen]
    """How each of them finds each target."""
    workers: int = 0
    """How many answer."""


def hear(sockets: Iterable[Path]) -> Heard:
    heard = Heard({"waiting": 0, "dropped": 0, "bodies_dropped": 0}, [])
    for answer in _ask(sockets, "GET", "/internal/counters"):
        heard.workers += 1
        report = msgspec.json.decode(answer, type=_Report)
        heard.journal["waiting"] += report.journal.waiting
        heard.journal["dropped"] += report.journal.dropped
        heard.journal["bodies_dropped"] += report.journal.bodies_dropped
        heard.targets += report.targets
    return heard


def places_of(sockets: Iterable[Path]) -> list[tuple[int, int]]:
    """Epoch and number of the snapshot that each worker serves which answers."""
    answers = (msgspec.json.decode(answer, type=_Serves) for answer in _ask(sockets, "GET", "/internal/counters"))
    return [(found.snapshot_epoch, found.snapshot_seq) for found in answers]


def rotate_journals(sockets: Iterable[Path]) -> None:
    """Have every worker begin a new segment, so that what it wrote so far can be shipped and deleted."""
    for _ in _ask(sockets, "POST", "/internal/rotate"):
        pass


class KeptAnswers:
    """What the workers keep of answers (the cache; those of ``Idempotency-Key``), as a store of ``forget``.

    Fails closed: a worker that holds its socket and does not answer in time may still keep something, so it counts as
    one answer found; a worker that is gone keeps nothing.
    """

    name = "answer caches"

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    def forget(self, unit: str, at: float) -> int:
        return self._sum("/internal/cache/purge", unit, silent=0)

    def search(self, unit: str) -> int:
        return self._sum("/internal/cache/count", unit, silent=1)

    def _sum(self, path: str, unit: str, *, silent: int) -> int:
        body = msgspec.json.encode({"unit": unit})
        return sum(self._answers(sock, path, body, silent) for sock in self._sockets())

    def _answers(self, sock: Path, path: str, body: bytes, silent: int) -> int:
        try:
            with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(sock)), timeout=PATIENCE) as client:
                response = client.post(f"http://worker{path}", content=body)
        except httpx2.ConnectError:
            return 0
        except httpx2.TransportError:
            return silent
        return msgspec.json.decode(response.content, type=_Answers).answers if response.status_code == 200 else silent


def tell_worker(sock: Path, news: bytes) -> bool:
    """Push news of escalations to one worker.  Did it take them?"""
    try:
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(sock), verify=False), timeout=PATIENCE) as client:
            return client.post("http://worker/internal/escalations", content=news).status_code == 200
    except httpx2.TransportError:
        return False


def _ask(sockets: Iterable[Path], method: str, path: str) -> Iterator[bytes]:
    """Bodies of the workers that answer with 200."""
    for sock in sockets:
        try:
            with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(sock)), timeout=PATIENCE) as client:
                response = client.request(method, f"http://worker{path}")
        except httpx2.TransportError:
            continue
        if response.status_code == 200:
            yield response.content
