"""The dead-man's switch is called while the duties behind a page are alive, and falls silent when they are not."""

from __future__ import annotations

import asyncio

from people.on_call_support import MONDAY, Bench, configuration
from roadworthy.adapters.heartbeat import HttpBeat
from roadworthy.engine.heartbeat import SILENT, VITAL, HeartbeatDuty, ailing
from roadworthy.engine.supervise import ModuleHealth
from roadworthy.people.incident.service import Incidents
from roadworthy.workflow.model import Heartbeat, Settings


class Switch:
    """Whoever raises the alarm when nobody calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bool]] = []
        self.refuses = ""

    async def beat(self, method: str, url: str, allow_private: bool) -> str:
        self.calls.append((method, url, allow_private))
        return self.refuses


class World:
    def __init__(self, *, declared: bool = True) -> None:
        heartbeat = Heartbeat("env:BEAT") if declared else None
        self.bench = Bench()
        self.bench.apply(configuration(settings=Settings(heartbeat=heartbeat)))
        self.switch = Switch()
        self.health = [ModuleHealth(name, last_good=MONDAY) for name in (*VITAL, "rollup")]
        self.incidents = Incidents(self.bench.state, clock=lambda: self.bench.now)
        self.secrets = {"env:BEAT": "https://beat.example/secret-path"}
        self.duty = HeartbeatDuty(
            lambda: heartbeat, lambda: self.health, lambda: self.switch, self.incidents,
            secret=self.secrets.get, clock=lambda: self.bench.now,
        )  # fmt: skip

    def run(self, seconds: float, *, alive: bool = True) -> None:
        for _ in range(int(seconds // 5)):
            self.bench.now += 5.0
            if alive:
                for each in self.health:
                    each.last_good = self.bench.now
            asyncio.run(self.duty.round())

    def told(self) -> list[tuple[str, str]]:
        return [(each.key, each.state) for each in self.incidents.list()]


def test_it_is_called_as_often_as_declared_and_not_at_all_when_it_is_not_declared() -> None:
    world = World()
    world.run(180)
    assert world.switch.calls == [("GET", "https://beat.example/secret-path", False)] * 3
    silent = World(declared=False)
    silent.run(180)
    assert silent.switch.calls == []
    assert silent.duty.counts() is None


def test_it_falls_silent_while_a_duty_behind_a_page_is_dead_and_goes_on_when_it_lives() -> None:
    world = World()
    world.run(60)
    called = len(world.switch.calls)
    world.run(SILENT + 120, alive=False)
    assert len(world.switch.calls) <= called + SILENT // 60  # until it counts as dead
    withheld = world.duty.withheld
    assert withheld >= 1
    world.run(120)
    assert len(world.switch.calls) > called + 1
    assert world.duty.withheld == withheld


def test_a_duty_that_hangs_counts_as_dead_and_one_that_pages_nobody_does_not() -> None:
    now = MONDAY + 1000.0
    health = [ModuleHealth("ship", last_good=now), ModuleHealth("paging", last_good=MONDAY), ModuleHealth("rollup")]
    assert ailing(health, now, MONDAY) == ["paging"]
    assert ailing(health, now, now - 60.0) == []  # it has just started


def test_three_failures_in_a_row_are_told_once_and_are_over_when_it_arrives() -> None:
    world = World()
    world.switch.refuses = "it answered 500"
    world.run(120)
    assert world.told() == []
    world.run(600)
    assert world.told() == [("heartbeat", "open")]
    world.switch.refuses = ""
    world.run(60)
    assert world.told() == [("heartbeat", "resolved")]
    assert "secret-path" not in str(world.incidents.list())


def test_a_secret_that_is_not_there_is_told_by_its_name() -> None:
    world = World()
    world.secrets.clear()
    world.run(600)
    assert "env:BEAT is not there" in world.incidents.list()[0].summary


def test_an_address_without_tls_or_that_is_private_is_not_called() -> None:
    async def go() -> list[str]:
        beat = HttpBeat()
        return [
            await beat.beat("GET", "http://beat.example/x", False),
            await beat.beat("GET", "https://127.0.0.1:1/secret-path", False),
            await beat.beat("POST", "file:///etc/passwd", True),
        ]

    plain, private, odd = asyncio.run(go())
    assert plain == odd == "the secret holds no https address"
    assert "not public" in private
    assert "secret-path" not in private
