"""What control pushes to the gateways about escalations: all of it, in pieces that a worker takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from people_support import ADA, Desk, ident, line

from roadworthy.engine.escalations import Tidings
from roadworthy.gateway.transports.limits import Limits
from roadworthy.operations.escalating.shapes import MOST_NEWS

LONGEST = "☃" * 100_000
"""What a human may write at most, in letters of three bytes."""


class Worker:
    """Takes news as a worker's private socket does: no body beyond its limit."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.sizes: list[int] = []

    def __call__(self, sock: Path, news: bytes) -> bool:
        self.sizes.append(len(news))
        if len(news) > Limits().body:
            return False
        told: list[dict[str, Any]] = msgspec.json.decode(news).get("told", [])
        self.heard += [one["id"] for one in told]
        return True


def test_many_long_answers_are_told_in_pieces_each_of_bounded_size(tmp_path: Path) -> None:
    desk, worker, sock = Desk(), Worker(), tmp_path / "worker-0.sock"
    sock.touch()
    numbers = range(1, 81)
    desk.open(*(line(number) for number in numbers))
    for number in numbers:
        desk.queue.claim(ident(number), ADA)
        desk.queue.answer(ident(number), ADA, LONGEST)
    Tidings(desk.state, lambda: [sock], worker, clock=desk.clock).round()
    assert sorted(worker.heard) == [ident(number) for number in numbers]
    assert max(worker.sizes) < 2 * MOST_NEWS
