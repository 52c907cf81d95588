"""The engine keeps its modules apart."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.engine.supervise import LONGEST_PAUSE, NICENESS_BEHIND, Engine, Module, blocking, pause_after


async def fine() -> None:
    return None


async def broken() -> None:
    raise RuntimeError("no such table")


async def hanging() -> None:
    await asyncio.Event().wait()


@given(st.floats(0.01, 3600), st.integers(0, 10_000))
def test_the_pause_never_shrinks_with_failures_and_stays_bounded(interval: float, failures: int) -> None:
    pause = pause_after(interval, failures)
    assert interval <= pause <= max(LONGEST_PAUSE, interval)
    assert pause <= pause_after(interval, failures + 1)


def test_a_broken_and_a_hanging_module_leave_the_others_running() -> None:
    counted = 0

    async def count() -> None:
        nonlocal counted
        counted += 1
        if counted == 3:
            engine.stop()

    engine = Engine(
        [
            Module("broken", broken, 0.001),
            Module("hanging", hanging, 0.001, timeout=0.01),
            Module("counting", count, 0.001),
        ]
    )
    asyncio.run(engine.run())
    assert counted >= 3
    health = {module.name: module for module in engine.health()}
    assert health["counting"].failures == 0
    assert health["broken"].last_error == "RuntimeError: no such table"
    assert health["hanging"].last_error == "took longer than its 0.01 s"


def test_a_module_that_recovers_is_healthy_again() -> None:
    results = iter([broken, fine])

    async def flaky() -> None:
        await next(results)()

    engine = Engine([Module("flaky", flaky, 1.0)], clock=lambda: 1000.0)

    async def story() -> tuple[bool, bool]:
        return await engine.round("flaky"), await engine.round("flaky")

    assert asyncio.run(story()) == (False, True)
    (health,) = engine.health()
    assert (health.state, health.failures, health.failures_in_a_row, health.last_good) == ("waiting", 1, 0, 1000.0)


def test_a_failure_is_one_structured_line(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine([Module("broken", broken, 1.0)])
    with caplog.at_level(logging.ERROR, logger="roadworthy.engine"):
        asyncio.run(engine.round("broken"))
    (record,) = caplog.records
    assert record.__dict__["module_name"] == "broken"
    assert record.__dict__["error"] == "RuntimeError: no such table"


def test_a_time_out_of_the_module_itself_is_not_mistaken_for_the_limit() -> None:
    async def asks_someone_slow() -> None:
        raise TimeoutError("upstream")

    engine = Engine([Module("m", asks_someone_slow, 1.0)])
    asyncio.run(engine.round("m"))
    assert engine.health()[0].last_error == "TimeoutError: upstream"


def test_waking_a_module_runs_it_before_its_interval_is_over() -> None:
    rounds = 0

    async def count() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            engine.stop()
        else:
            engine.wake("m")

    engine = Engine([Module("m", count, 3600.0)])

    async def story() -> None:
        running = asyncio.create_task(engine.run())
        await asyncio.sleep(0)
        engine.wake("m")
        await running

    asyncio.run(asyncio.wait_for(story(), 5))
    assert rounds == 2


def test_a_module_may_ask_for_a_last_round_when_the_engine_stops() -> None:
    rounds: list[str] = []

    async def ship() -> None:
        rounds.append("ship")
        engine.stop()

    engine = Engine([Module("ship", ship, 3600.0, last_round=True)])
    asyncio.run(engine.run())
    assert rounds == ["ship", "ship"]


def test_blocking_work_never_runs_twice_at_once() -> None:
    release, inside, most = threading.Event(), 0, 0

    def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        release.wait(5)
        inside -= 1

    engine = Engine([Module("slow", blocking(work, name="slow"), 0.001, timeout=0.02)])

    async def story() -> None:
        for _ in range(3):
            assert not await engine.round("slow")
        release.set()
        assert await engine.round("slow")

    asyncio.run(story())
    assert most == 1


def test_two_modules_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="share a name"):
        Engine([Module("m", fine, 1.0), Module("m", fine, 1.0)])


def test_work_behind_serving_gives_way_in_its_own_thread_alone() -> None:
    seen: list[int] = []

    def work() -> None:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    own = os.getpriority(os.PRIO_PROCESS, 0)
    asyncio.run(blocking(work, name="polite", behind=True)())
    asyncio.run(blocking(work, name="prompt")())
    assert seen == [max(own, NICENESS_BEHIND), own]
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
