"""Calls start when they are due, whatever became of those before."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from roadworthy.latency.generator import Progress, Stop, drive
from roadworthy.latency.model import Arrival, Sample


class Clock:
    """Time that passes only while somebody sleeps; calls under way end by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self._waiting: list[tuple[float, asyncio.Event]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        for _ in range(2):  # what is ready runs before time passes
            await asyncio.sleep(0)
        self.now += max(seconds, 0.0001)
        for at, event in self._waiting:
            if at <= self.now:
                event.set()
        self._waiting = [each for each in self._waiting if each[0] > self.now]
        for _ in range(5):
            await asyncio.sleep(0)

    async def until(self, at: float) -> None:
        event = asyncio.Event()
        self._waiting.append((at, event))
        await event.wait()


def _every(gap: float, count: int) -> list[Arrival]:
    return [Arrival(number * gap, number % 3) for number in range(count)]


class Provider:
    """Answers each call ``takes`` seconds after it was asked."""

    def __init__(self, clock: Clock, takes: float, **fields: Any) -> None:
        self.clock = clock
        self.takes = takes
        self.fields = {"outcome": "answered", "status": 200, "usd": 0.01, **fields}
        self.asked: list[float] = []

    async def __call__(self, arrival: Arrival, due: float) -> Sample:
        self.asked.append(self.clock())
        late = self.clock() - due
        await self.clock.until(self.clock() + self.takes)
        return Sample(at=arrival.at, late=late, sent=late, ended=self.clock() - due, first_token=0.1, **self.fields)


def _run(made: Callable[[Clock], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(made(Clock()), 20))


def test_a_slow_answer_delays_no_later_call() -> None:
    async def scene(clock: Clock) -> list[Sample]:
        return await drive(
            iter(_every(0.1, 20)), Provider(clock, 60.0), most_under_way=50, clock=clock, sleep=clock.sleep
        )

    samples = _run(scene)
    assert [sample.at for sample in samples] == [each.at for each in _every(0.1, 20)]
    assert max(sample.late for sample in samples) < 0.002
    assert all(sample.ended == pytest.approx(60, abs=0.02) for sample in samples)


def test_a_call_too_many_is_dropped_at_once_and_counted_never_delayed() -> None:
    async def scene(clock: Clock) -> list[Sample]:
        return await drive(
            iter(_every(0.1, 20)), Provider(clock, 60.0), most_under_way=5, clock=clock, sleep=clock.sleep
        )

    samples = _run(scene)
    assert [sample.sent is None for sample in samples] == [False] * 5 + [True] * 15
    assert all(sample.ended is None and sample.outcome is None for sample in samples[5:])


def test_a_generator_that_was_held_up_makes_the_calls_that_it_missed_and_owns_the_delay() -> None:
    async def scene(clock: Clock) -> list[Sample]:
        async def stuck(seconds: float) -> None:
            await clock.sleep(2.0 if 100.5 < clock.now < 101 else seconds)

        return await drive(iter(_every(0.1, 40)), Provider(clock, 0.01), most_under_way=50, clock=clock, sleep=stuck)

    samples = _run(scene)
    assert len(samples) == 40
    assert sum(sample.late > 0.05 for sample in samples) == pytest.approx(20, abs=2)
    assert max(sample.late for sample in samples) == pytest.approx(2, abs=0.15)
    assert all(sample.ended is not None and sample.ended >= sample.late for sample in samples)


def test_a_stop_starts_nothing_more_and_waits_for_what_is_under_way() -> None:
    stop = Stop()

    def seen(sample: Sample) -> None:
        if sample.at >= 0.5:
            stop.now("enough")
            stop.now("a later reason")

    async def scene(clock: Clock) -> list[Sample]:
        return await drive(
            iter(_every(0.1, 1000)), Provider(clock, 1.0), most_under_way=50, clock=clock, sleep=clock.sleep,
            stop=stop, seen=seen,
        )  # fmt: skip

    samples = _run(scene)
    assert stop.reason == "enough"
    assert 14 <= len(samples) <= 18
    assert all(sample.outcome == "answered" for sample in samples)


def test_a_cut_ends_what_is_under_way_and_still_accounts_for_it() -> None:
    stop = Stop()

    async def scene(clock: Clock) -> list[Sample]:
        return await drive(
            iter(_every(0.1, 1000)), Provider(clock, 1e9), most_under_way=500, clock=clock, sleep=clock.sleep,
            stop=stop, told=lambda now: stop.now("Ctrl-C", cut=True) if now.seconds > 1 else None,
        )  # fmt: skip

    samples = _run(scene)
    assert len(samples) > 5
    assert {sample.code for sample in samples} == {"cut_off"}
    assert {sample.ended for sample in samples} == {None}


def test_cancelling_the_test_leaves_no_call_behind() -> None:
    async def scene(clock: Clock) -> int:
        before = len(asyncio.all_tasks())
        provider = Provider(clock, 1e9)
        task = asyncio.ensure_future(
            drive(iter(_every(0.1, 100000)), provider, most_under_way=9, clock=clock, sleep=clock.sleep)
        )
        while len(provider.asked) < 5:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks()) - before

    assert _run(scene) == 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_progress_is_told_four_times_a_second_and_at_the_end() -> None:
    heard: list[Progress] = []

    async def scene(clock: Clock) -> list[Sample]:
        return await drive(
            iter(_every(0.05, 200)), Provider(clock, 0.2, outcome="error"), most_under_way=500, clock=clock,
            sleep=clock.sleep, told=heard.append,
        )  # fmt: skip

    _run(scene)
    assert 38 <= len(heard) <= 44
    assert [now.done for now in heard] == [False] * (len(heard) - 1) + [True]
    last = heard[-1]
    assert (last.planned, last.ended, last.errors, last.answered, last.under_way) == (200, 200, 200, 0, 0)
    assert last.usd == pytest.approx(2.0)
    assert all(later.planned >= now.planned for now, later in pairwise(heard))


def test_calls_without_a_price_are_counted_and_not_taken_for_free() -> None:
    heard: list[Progress] = []

    async def scene(clock: Clock) -> list[Sample]:
        return await drive(
            iter(_every(0.1, 7)), Provider(clock, 0.2, usd=None), most_under_way=500, clock=clock, sleep=clock.sleep,
            told=heard.append,
        )  # fmt: skip

    _run(scene)
    assert (heard[-1].usd, heard[-1].unpriced) == (0.0, 7)


def test_a_sender_that_breaks_ends_the_test_and_is_not_taken_for_calls_that_never_were() -> None:
    async def broken(arrival: Arrival, due: float) -> Sample:
        raise RuntimeError("a defect")

    async def scene(clock: Clock) -> list[Sample]:
        return await drive(iter(_every(0.1, 20)), broken, most_under_way=50, clock=clock, sleep=clock.sleep)

    with pytest.raises(RuntimeError, match="a defect"):
        _run(scene)
