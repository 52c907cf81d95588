"""Gateways are told of a stop at once; one that is silent is named, and none is forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from roadworthy.adapters.kill_files import FileKillStore
from roadworthy.adapters.memory.kill import MemoryKillStore
from roadworthy.gateway.snapshot import Stopped
from roadworthy.gateway.stopping.model import KillNews, KillSeen, SeenState
from roadworthy.kill_switch.model import EVERY, State, Switch
from roadworthy.kill_switch.service import Kills
from roadworthy.wiring.composed.kill import Stopping
from roadworthy.wiring.composed.kill_push import Pusher
from roadworthy.wiring.folders.data_folder import create_folder
from support.waiting import until


class Worker:
    """Listens on a socket as a gateway worker does, and obeys unless told otherwise."""

    def __init__(self, place: Gateway, number: int) -> None:
        self.sock = place.root / f"worker-{number}.sock"
        self.obeys = True
        self.silent = False
        self.files: dict[str, State] = {}
        self.heard: list[KillNews] = []
        self.states: dict[str, SeenState] = {}
        self._answer = place.answer
        self._loop = place.loop
        self.call(self._listen())

    def call(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.sock))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            news = msgspec.json.decode(await reader.readexactly(length), type=KillNews)
            self.heard.append(news)
            while self.silent:
                await asyncio.sleep(0.01)
            if self.obeys:
                for name, stopped in news.states.items():
                    self.states[name] = SeenState(stopped.state, stopped.seq)
            else:
                self.states = {name: SeenState("on", stopped.seq) for name, stopped in news.states.items()}
            body = msgspec.json.encode(KillSeen("w", "x", self.states, self.files))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    def close(self) -> None:
        async def close() -> None:
            self._server.close()

        self.call(close())
        self.sock.unlink()


class Gateway:
    """A gateway as the fleet knows it."""

    def __init__(self, root: Path, name: str, loop: asyncio.AbstractEventLoop, workers: int = 1) -> None:
        self.name, self.root, self.folder, self.loop = name, root / name, str(root / name), loop
        self.root.mkdir()
        self.seen_at = 0.0
        self.alive = True
        self.answer = b""
        self.workers = workers
        self.all = [Worker(self, number) for number in range(workers)]

    def sockets(self) -> dict[int, Path]:
        return {number: worker.sock for number, worker in enumerate(self.all) if worker.sock.exists()}

    def running(self) -> bool:
        return self.alive


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, daemon=True)
    thread.start()
    yield made

    async def end() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(end(), made).result(10)
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


class Line:
    """Kills and a pusher between them and some gateways."""

    def __init__(self, gateways: list[Gateway], heard: Callable[..., None] = lambda gateway, seen: None) -> None:
        self.kills = Kills(MemoryKillStore(), clock=lambda: 1_000.0)
        self.pusher = Pusher(gateways=lambda: gateways, news=self.news, heard=heard)
        self.kills.push = self.pusher.push

    def news(self) -> KillNews:
        return KillNews(
            1, 0.0, {name: Stopped(switch.state, switch.seq) for name, switch in self.kills.switches().items()}
        )

    def __enter__(self) -> Line:
        self.pusher.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.pusher.stop()

    def missing(self, workflow: str = "support", wait: float = 10.0) -> list[str]:
        told = self.pusher.wait(workflow, wait)
        assert told is not None
        assert told.report.reached is not bool(told.report.missing)
        return [each.gateway for each in told.report.missing]


def test_every_worker_of_every_gateway_hears_of_a_stop_and_it_is_measured(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    gateways = [Gateway(tmp_path, "local", loop, 2), Gateway(tmp_path, "b", loop)]
    with Line(gateways) as line:
        line.kills.press("support", "off", "ada")
        assert line.missing() == []
        told = line.pusher.told("support")
        assert told is not None
        assert (told.gateways, told.workers) == (2, 3)
        assert told.report.max is not None
        assert told.report.max >= (told.report.p50 or 0.0) >= 0.0
    assert all(worker.states["support"].state == "off" for each in gateways for worker in each.all)


def test_a_silent_gateway_is_named_with_what_to_run_there_and_asked_until_it_answers(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    gateways = [Gateway(tmp_path, "local", loop), Gateway(tmp_path, "b", loop)]
    gateways[1].all[0].silent = True
    with Line(gateways) as line:
        line.kills.press("support", "off", "ada")
        assert line.missing(wait=0.3) == ["b"]
        told = line.pusher.told("support")
        assert told is not None
        assert told.report.missing[0].run == f"echo off > {gateways[1].folder}/KILL.support"
        gateways[1].all[0].silent = False
        assert line.missing() == []


def test_one_worker_that_goes_on_keeps_its_gateway_missing(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    gateway = Gateway(tmp_path, "local", loop, 2)
    gateway.all[1].obeys = False
    with Line([gateway]) as line:
        line.kills.press("support", "off", "ada")
        assert line.missing(wait=0.3) == ["local"]
        gateway.all[1].obeys = True
        assert line.missing() == []


def test_a_worker_that_its_supervisor_is_starting_again_keeps_its_gateway_missing(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    gateway = Gateway(tmp_path, "local", loop, 2)
    with Line([gateway]) as line:
        gateway.all[1].close()
        line.kills.press("support", "off", "ada")
        assert line.missing(wait=0.3) == ["local"]
        gateway.all[1] = Worker(gateway, 1)
        assert line.missing() == []


def test_a_gateway_that_joins_in_the_middle_is_told_at_once_and_must_confirm(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    gateways = [Gateway(tmp_path, "local", loop)]
    with Line(gateways) as line:
        line.kills.press("support", "off", "ada")
        assert line.missing() == []
        late = Gateway(tmp_path, "late", loop)
        late.all[0].silent = True
        gateways.append(late)
        until(lambda: line.missing(wait=0) == ["late"], "missing gateway")
        late.all[0].silent = False
        assert line.missing() == []
    assert late.all[0].states["support"].state == "off"


def test_a_gateway_whose_processes_are_gone_is_asked_for_nothing(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    gateways = [Gateway(tmp_path, "local", loop), Gateway(tmp_path, "b", loop)]
    with Line(gateways) as line:
        gateways[1].all[0].close()
        gateways[1].alive = False
        line.kills.press("support", "off", "ada")
        assert line.missing() == []


def test_a_supervisor_that_is_gone_and_a_worker_that_serves_on_is_still_asked(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    gateway = Gateway(tmp_path, "b", loop)
    gateway.alive = False
    gateway.all[0].silent = True
    with Line([gateway]) as line:
        line.kills.press("support", "off", "ada")
        assert line.missing(wait=0.3) == ["b"]
        gateway.all[0].silent = False
        assert line.missing() == []


def test_without_any_gateway_nothing_is_confirmed() -> None:
    with Line([]) as line:
        line.kills.press("support", "off", "ada")
        told = line.pusher.wait("support", 0.1)
        assert told is not None
        assert (told.report.reached, told.report.missing) == (False, [])


def test_files_at_one_gateway_are_latched_for_all_and_stay_when_they_are_gone(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    gateways = [Gateway(tmp_path, "local", loop), Gateway(tmp_path, "b", loop)]
    stopping = Stopping(create_folder(tmp_path / "data"), epoch=lambda: 1, gateways=lambda: gateways)
    stopping.start()
    try:
        gateways[1].all[0].files = {EVERY: "off"}
        other = gateways[0].all[0]
        until(lambda: other.states.get(EVERY) is not None and other.states[EVERY].state == "off", "latched stop")
        assert stopping.kills.switch(EVERY).held["file"].active == ["b"]
        gateways[1].all[0].files = {}
        until(lambda: not stopping.kills.switch(EVERY).held["file"].active, "file that is gone")
        assert stopping.kills.switch(EVERY).state == "off"
    finally:
        stopping.stop()


def test_the_line_ends_when_it_is_rung_at_the_same_moment(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    pusher = Line([Gateway(tmp_path, "local", loop)]).pusher
    pusher.start()
    until(lambda: pusher.seen().get("local"), "word from the gateway")

    def both() -> None:
        pusher._over.set()
        pusher._ring()

    assert pusher._loop is not None
    assert pusher._thread is not None
    pusher._loop.call_soon_threadsafe(both)
    pusher._thread.join(10)
    assert not pusher._thread.is_alive()


def test_a_control_that_lost_a_change_holds_what_its_gateways_know(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    gateway = Gateway(tmp_path, "local", loop)
    gateway.all[0].states = {"support": SeenState("off", 9)}
    stopping = Stopping(create_folder(tmp_path / "data"), epoch=lambda: 1, gateways=lambda: [gateway])
    stopping.start()
    try:
        until(lambda: stopping.kills.switch("support").seq == 10, "number above the gateway's")
        assert stopping.kills.switch("support").state == "off"
    finally:
        stopping.stop()


def test_a_gateway_that_reads_the_way_back_on_the_disk_before_control_acts_on_it_does_not_hinder_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = Stopping(create_folder(tmp_path / "data"), epoch=lambda: 1, gateways=list)
    kills = stopping.kills
    kills.push = lambda switch: None
    kills.press("support", "off", "ada")
    store, hearing = FileKillStore(tmp_path / "data"), list[threading.Thread]()

    def keep(switch: Switch) -> None:
        store.keep(switch)
        seen = KillSeen("w0", states={"support": SeenState(switch.state, switch.seq)})
        hearing.append(threading.Thread(target=stopping.hear, args=("local", [seen])))
        hearing[0].start()
        until(lambda: waiting.locked() or not hearing[0].is_alive(), "gateway that is heard")

    class Waiting:
        """The lock that a way back holds, which tells when another waits for it."""

        def __init__(self) -> None:
            self._inner = threading.Lock()
            self._waits = 0

        def locked(self) -> bool:
            return self._waits > 1

        def __enter__(self) -> None:
            self._waits += 1
            self._inner.acquire()

        def __exit__(self, *error: object) -> None:
            self._inner.release()
            self._waits -= 1

    waiting = Waiting()
    monkeypatch.setattr(kills, "_disk", waiting)
    monkeypatch.setattr(kills, "_store", type("Store", (), {"keep": staticmethod(keep), "append": store.append})())
    done = kills.undo("support", "ada")
    hearing[0].join(10)
    assert (done.switch.state, kills.switch("support").seq) == ("on", done.switch.seq)
    assert [line.action for line in kills.records()] == ["press", "undo"]


def test_what_is_stopped_is_told_and_confirmed_again_by_a_control_that_starts(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    gateway = Gateway(tmp_path, "local", loop)
    folder = create_folder(tmp_path / "data")
    first = Stopping(folder, epoch=lambda: 1, gateways=lambda: [gateway])
    first.kills.press("support", "off", "ada")
    first.stop()
    second = Stopping(folder, epoch=lambda: 2, gateways=lambda: [gateway])
    second.start()
    try:
        reached = second.reached("support", 10.0)
        assert reached is not None
        assert reached.all
        assert gateway.all[0].heard[-1].epoch == 2
    finally:
        second.stop()
