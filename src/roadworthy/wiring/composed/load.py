"""Load tests, composed: the generator's process, the copy for rehearsals, the kill drill's press, and where evidence
goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec

from roadworthy.adapters.providers.simulated_answer import example
from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.cost.service import PriceList
from roadworthy.engine.ports import Launcher
from roadworthy.evals.model import Example
from roadworthy.evidence.kinds import LoadTest
from roadworthy.evidence.model import Mode
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.ports import LogStore
from roadworthy.inference_log.service import Shipper
from roadworthy.kill_switch.model import State as Switch
from roadworthy.latency.model import Sample
from roadworthy.operations.drills.kill_drill_runs import KillDrillRefused, KillDrills
from roadworthy.operations.drills.kill_drill_runs import Order as KillOrder
from roadworthy.operations.loading.job import LONGEST_LINE, Command, Job, Told
from roadworthy.operations.loading.model import Fit, Kill, LoadRun
from roadworthy.operations.loading.planning import Known, Planner, Ready
from roadworthy.operations.loading.ports import Kept, Ports, Rehearsed
from roadworthy.operations.loading.runs import LoadRuns
from roadworthy.wiring.composed.drills import leased
from roadworthy.wiring.copies.copied import Original
from roadworthy.wiring.copies.install import sweep
from roadworthy.wiring.copies.rehearsal import PREFIX, rehearsal
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.processes.launcher import LinuxLauncher
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import FrozenRelease, Target, Workflow
from roadworthy.workflow.service import Actor, Unknown
from roadworthy.workflow.simulation import Seeded

HOST = "roadworthy.wiring.processes.load"
LOOKED_AT = 5
"""Newest load tests whose calls are recorded ones to plan with."""
LOOK = 0.2
"""Seconds between two looks at the kill drill."""

_samples = msgspec.json.Decoder(list[Sample])
_told = msgspec.json.Decoder(Told)


class ChildGenerator:
    """``Generator`` over the socket of a child."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def play(self, job: Job, on_progress: Callable[[Told], None]) -> tuple[list[Sample], Told]:
        self._order(Command(job=job))
        await self._writer.drain()
        while line := await self._reader.readline():
            told = _told.decode(line)
            if told.error:
                raise OSError(f"the generator could not make its calls: {told.error}")
            on_progress(told)
            if told.done:
                return await asyncio.to_thread(lambda: _samples.decode(Path(job.samples).read_bytes())), told
        raise OSError("the generator's process has ended in the middle of the test")

    def stop(self, why: str, *, cut: bool = False) -> None:
        self._order(Command(stop=why, cut=cut))

    def _order(self, command: Command) -> None:
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(command) + b"\n")


class ChildGenerators:
    def __init__(self, folder: DataFolder, launcher: Launcher) -> None:
        self._log = folder.run / "load.log"
        self._launcher = launcher

    @asynccontextmanager
    async def open(self, ttl: float) -> AsyncIterator[ChildGenerator]:
        async with leased(self._launcher, HOST, ttl, self._log, LONGEST_LINE) as (reader, writer):
            yield ChildGenerator(reader, writer)


class Loading:
    """Everything of control that is about load tests."""

    def __init__(
        self,
        state: SqliteState,
        folder: DataFolder,
        signer: Ed25519Signer,
        *,
        store: LogStore,
        shipper: Shipper,
        prices: PriceList,
        flow: Callable[[str], Workflow],
        frozen: Callable[[str, str], FrozenRelease | None],
        examples: Callable[[str], list[Example]],
        snapshot: Callable[[], Snapshot | None],
        switch: Callable[[str], Switch],
        workers: Callable[[], int],
        base_url: Callable[[], str],
        publish: Callable[[], None],
        kill_drills: KillDrills,
        keep: Callable[[LoadRun, LoadTest, Mode], Kept],
        clock: Callable[[], float],
    ) -> None:
        """``keep``: makes evidence of figures."""
        self._state = state
        self._launcher = LinuxLauncher()
        self._store = store
        self._shipper = shipper
        self._snapshot = snapshot
        self._kill_drills = kill_drills
        self._keep = keep
        self._workers = workers
        known = Known(
            flow=flow, frozen=frozen, target=self._target, snapshot=snapshot, price_of=prices.price_of,
            examples=examples, store=store, switch=switch, workers=workers, example=_example,
            load_permits=self._load_permits, clock=clock,
        )  # fmt: skip
        self._planner = Planner(known)
        ports = Ports(
            signer=signer, generators=ChildGenerators(folder, self._launcher), base_url=base_url, publish=publish,
            fit=self._planner.fit, copy=self._copy, records=self._records, press=self._press, keep=self._kept,
            scratch=folder.run / "load", clock=clock,
        )  # fmt: skip
        self.runs = LoadRuns(state, state, self._planner, ports)

    def recover(self) -> None:
        """At the start of control: nothing of a test is left that an earlier one was leading when it was killed."""
        sweep(PREFIX)
        self.runs.recover()

    def _load_permits(self, workflow: str) -> list[str]:
        newest = self.runs.runs(workflow, LOOKED_AT)
        return [permit for run in newest if run.order.kind != "limit" for permit in run.permits]

    def _target(self, name: str) -> Target | None:
        with self._state.read() as tx:
            applied = tx.applied()
        return None if applied is None else applied.configuration.targets.get(name)

    def _copy(self, ready: Ready, fit: Fit) -> AbstractAsyncContextManager[Rehearsed]:
        snapshot = self._snapshot()
        with self._state.read() as tx:
            applied = tx.applied()
        assert snapshot is not None
        assert applied is not None
        original = Original(applied.configuration, ready.frozen, dict(snapshot.prices))
        return rehearsal(original, fit.profile, max(1, self._workers()), self._launcher)

    def _records(self, permit: str) -> list[Inference]:
        self._shipper.ship()
        return list(self._store.scan(Filter(key=permit)))

    def _press(self, actor: Actor) -> Kill:
        """One press of each reserved workflow, by the drill that there is for it."""
        try:
            run = self._kill_drills.start(KillOrder(presses=1), actor)
            while run.state == "running":
                time.sleep(LOOK)
                run = self._kill_drills.look(run.id)
        except (KillDrillRefused, Unknown) as error:
            return Kill("roadworthy-drill", f"not pressed: {error}", None)
        figures = run.figures
        if figures is None:
            return Kill("roadworthy-drill", f"not measured: the kill drill was {run.state}: {run.detail}", None)
        lost = [name for name, seconds in figures.gateways.items() if seconds is None]
        return Kill(
            workflow="roadworthy-drill",
            said="Roadworthy's own drill workflows, under the load; live calls went on (a press of the workflow itself "
            f"would have stopped them; --rehearse --with-kill presses it in a copy). Run {run.id}",
            seconds=None if lost else figures.max,
            late=figures.late_attempts,
            acknowledged=None if lost else figures.max,
        )

    def _kept(self, run: LoadRun, ready: Ready, figures: LoadTest | None) -> Kept:
        if figures is None:
            return Kept()
        target = self._target(ready.plan.target)
        stood_in = run.order.kind == "rehearsal" or (target is not None and target.provider == "simulated")
        return self._keep(run, figures, "mocked" if stood_in else "live")


def _example(schema: object) -> object:
    return example(schema, Seeded(time.monotonic_ns()))
