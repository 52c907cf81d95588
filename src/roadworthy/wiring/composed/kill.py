"""The kill switch of this install, composed: files, rules, the line to the gateways, the audit mirror, the triggers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from roadworthy.adapters.kill_files import FileKillStore
from roadworthy.engine import triggers
from roadworthy.engine.supervise import Module, blocking
from roadworthy.gateway.snapshot import Snapshot, Stopped
from roadworthy.gateway.stopping.model import KillNews, KillSeen
from roadworthy.inference_log.ports import LogStore
from roadworthy.kill_switch.model import AT_GATEWAYS, State, Switch, effective
from roadworthy.kill_switch.service import Kills
from roadworthy.operations.stops.kill_desk import KillDesk, Reached
from roadworthy.operations.stops.kill_mirror import KillMirror
from roadworthy.operations.stops.kill_triggers import Recent, TriggerWatch
from roadworthy.people.incident.service import Incidents
from roadworthy.people.ports import PeopleState
from roadworthy.wiring.composed.kill_push import Place, Pusher, Told
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.workflow.model import Workflow

log = logging.getLogger("roadworthy.kill")

TEND = 0.2
"""Seconds between two looks at what is to be mirrored."""


class Stopping:
    """What stops: the switches and the line to the gateways.  It needs the lock of control, and no database."""

    def __init__(
        self,
        folder: DataFolder,
        *,
        epoch: Callable[[], int],
        gateways: Callable[[], Sequence[Place]],
        clock: Callable[[], float] = time.time,
        hears: bool = True,
    ) -> None:
        """``hears``: is what gateways report of their files latched?"""
        self._clock = clock
        self._epoch = epoch
        self.stopped: Callable[[], dict[str, Stopped]] = self._plainly
        self.kills = Kills(FileKillStore(folder.root), clock=clock)
        self.pusher = Pusher(
            gateways=gateways, news=self._news, heard=self.hear if hears else lambda gateway, seen: None, clock=clock
        )
        self.kills.push = self._push
        self._started = False

    def start(self) -> None:
        """Begin to tell the gateways; everything that is stopped is told, and confirmed, again."""
        if not self._started:
            self._started = True
            self.pusher.start()
            for switch in self.kills.switches().values():
                if switch.state != "on":
                    self.pusher.push(switch)

    def stop(self) -> None:
        if self._started:
            self.pusher.stop()

    def reached(self, workflow: str, wait: float = 0.0) -> Reached | None:
        told = self.pusher.wait(workflow, wait) if wait else self.pusher.told(workflow)
        return None if told is None else reached(told)

    def hear(self, gateway: str, seen: Sequence[KillSeen]) -> None:
        """Latch what a gateway's files and environment say, and catch up with what it knows and we lost."""
        said: dict[str, Mapping[str, State]] = {
            "file": _strictest([one.files for one in seen]),
            "environment": _strictest([one.environment for one in seen]),
        }
        for source in AT_GATEWAYS:
            found = said[source]
            for workflow, state in found.items():
                if state != "on":
                    self.kills.report(workflow, gateway, source, state)
            for workflow, switch in self.kills.switches().items():
                held = switch.held.get(source)
                if held is not None and gateway in held.active and found.get(workflow, "on") == "on":
                    self.kills.report(workflow, gateway, source, "on")
        for one in seen:
            for workflow, known in one.states.items():
                if self.kills.lacks(workflow, known.seq):
                    log.warning("a gateway knows a newer switch", extra={"gateway": gateway, "workflow": workflow})
                    why = f"gateway {gateway} was told of a change that this control has lost"
                    self.kills.hold(workflow, known.state, "engine", why, seq=known.seq)

    def _push(self, switch: Switch) -> None:
        self.start()
        self.pusher.push(switch)

    def _news(self) -> KillNews:
        return KillNews(self._epoch(), self._clock(), self.stopped())

    def _plainly(self) -> dict[str, Stopped]:
        return {
            name: Stopped(switch.state, switch.seq, max((held.since for held in switch.held.values()), default=0.0))
            for name, switch in self.kills.switches().items()
        }


class Killing(Stopping):
    """All of it, in control."""

    def __init__(
        self,
        folder: DataFolder,
        *,
        epoch: Callable[[], int],
        gateways: Callable[[], Sequence[Place]],
        snapshot: Callable[[], Snapshot | None],
        workflows: Callable[[], Mapping[str, Workflow]],
        state: PeopleState,
        incidents: Incidents,
        store: LogStore,
        publish: Callable[[], object],
        clock: Callable[[], float],
        on_shift: Callable[[str, str], bool] = lambda workflow, person: False,
    ) -> None:
        """``on_shift``: (workflow, person) → is the person on call for it now?"""
        super().__init__(folder, epoch=epoch, gateways=gateways, clock=clock)
        self.desk = KillDesk(self.kills, self, snapshot=snapshot, workflows=workflows, clock=clock, on_shift=on_shift)
        self.stopped = self.desk.stopped
        self.mirror = KillMirror(self.kills, state, incidents, clock=clock)
        self.recent = Recent(clock)
        self._publish = publish
        self._watch = TriggerWatch(self.kills, self.recent, store, workflows)

    def tend(self) -> None:
        """Mirror into the audit chain, tell people, publish.  Raises what these raise, to be tried again."""
        if self.mirror.tend():
            self._publish()

    def modules(self) -> list[Module]:
        return [
            Module("kill switch", blocking(self.tend, name="kill switch"), TEND, last_round=True),
            triggers.module(self._watch),
        ]


def reached(told: Told) -> Reached:
    report = told.report
    return Reached(
        report.reached, told.gateways, told.workers, report.missing, report.p50, report.max, report.took, report.at
    )


def _strictest(said: Sequence[Mapping[str, State]]) -> dict[str, State]:
    names = {name for each in said for name in each}
    return {name: effective(each.get(name, "on") for each in said) for name in names}
