"""A child is restarted with growing pauses and stopped in good order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.wiring.processes.keeper import LONGEST_PAUSE, STEADY, Keeper, exit_in_words, restart_pause


class FakeProcess:
    def __init__(self, pid: int, *, stubborn: bool = False) -> None:
        self.pid = pid
        self.signals: list[str] = []
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._stubborn = stubborn

    async def wait(self) -> int:
        return await self._ended

    def end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    def terminate(self) -> None:
        self.signals.append("TERM")
        if not self._stubborn:
            self.end(0)

    def kill(self) -> None:
        self.signals.append("KILL")
        self.end(-9)


class FakeLauncher:
    def __init__(self, *, stubborn: bool = False, failures: int = 0) -> None:
        self.started: list[FakeProcess] = []
        self._stubborn = stubborn
        self._failures = failures

    async def start(
        self,
        command: Sequence[str],
        *,
        log: Path | None = None,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        orphan_signal: int,
    ) -> FakeProcess:
        if self._failures:
            self._failures -= 1
            raise OSError("no more processes")
        self.started.append(FakeProcess(100 + len(self.started), stubborn=self._stubborn))
        return self.started[-1]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def keeper(launcher: FakeLauncher, clock: Clock, on_exit: Callable[[int], bool] = lambda code: True) -> Keeper:
    return Keeper("w0", lambda: ["w"], launcher, clock=lambda: clock.now, sleep=clock.sleep, on_exit=on_exit)


def story(tell: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(tell(), 5))  # type: ignore[arg-type]


@given(st.integers(0, 10_000))
def test_pauses_grow_and_stay_bounded(deaths: int) -> None:
    assert 0 < restart_pause(deaths) <= restart_pause(deaths + 1) <= LONGEST_PAUSE


def test_exit_codes_are_said_in_words() -> None:
    assert exit_in_words(3) == "exit code 3"
    assert exit_in_words(-signal.SIGKILL) == "killed by SIGKILL"


def test_a_dying_child_is_restarted_with_growing_pauses() -> None:
    async def tell() -> None:
        launcher, clock = FakeLauncher(), Clock()
        kept = keeper(launcher, clock)
        kept.start()
        for number in range(4):
            await turns()
            launcher.started[number].end(-9)
        await turns()
        assert clock.pauses == [0.1, 0.2, 0.4, 0.8]
        assert (kept.facts.restarts, kept.facts.state, kept.facts.last_exit) == (4, "running", "killed by SIGKILL")
        await kept.stop(1.0)

    story(tell)


def test_a_child_that_lived_long_is_restarted_at_once() -> None:
    async def tell() -> None:
        launcher, clock = FakeLauncher(), Clock()
        kept = keeper(launcher, clock)
        kept.start()
        for number in range(3):
            await turns()
            clock.now += STEADY
            launcher.started[number].end(1)
        await turns()
        assert clock.pauses == [0.1, 0.1, 0.1]
        await kept.stop(1.0)

    story(tell)


def test_a_child_that_cannot_be_started_is_tried_again() -> None:
    async def tell() -> None:
        launcher, clock = FakeLauncher(failures=2), Clock()
        kept = keeper(launcher, clock)
        kept.start()
        await turns()
        assert kept.facts.state == "running"
        assert kept.facts.last_exit == "could not be started"
        await kept.stop(1.0)

    story(tell)


def test_stopping_asks_and_does_not_restart() -> None:
    async def tell() -> None:
        launcher = FakeLauncher()
        kept = keeper(launcher, Clock())
        kept.start()
        await turns()
        await kept.stop(1.0)
        assert [process.signals for process in launcher.started] == [["TERM"]]
        assert kept.facts.state == "stopped"

    story(tell)


def test_a_child_that_does_not_end_in_time_is_killed() -> None:
    async def tell() -> None:
        launcher = FakeLauncher(stubborn=True)
        kept = keeper(launcher, Clock())
        kept.start()
        await turns()
        await kept.stop(0.01)
        assert launcher.started[0].signals == ["TERM", "KILL"]

    story(tell)


def test_stopping_during_a_pause_starts_nothing_more() -> None:
    async def tell() -> None:
        launcher = FakeLauncher()
        kept = Keeper("w0", lambda: ["w"], launcher, sleep=lambda seconds: asyncio.sleep(60))
        kept.start()
        await turns()
        launcher.started[0].end(1)
        await turns()
        assert kept.facts.state == "waiting"
        await kept.stop(1.0)
        assert len(launcher.started) == 1

    story(tell)


def test_a_child_whose_end_is_final_is_left_alone() -> None:
    async def tell() -> None:
        launcher = FakeLauncher()
        kept = keeper(launcher, Clock(), on_exit=lambda code: code != 2)
        kept.start()
        await turns()
        launcher.started[0].end(2)
        await turns()
        assert (len(launcher.started), kept.facts.state) == (1, "stopped")
        await kept.stop(1.0)

    story(tell)
