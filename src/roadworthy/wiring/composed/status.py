"""Gathers what ``operations/status.py`` makes a screen of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.engine.publish import Publisher
from roadworthy.engine.supervise import Engine, ModuleHealth
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Log
from roadworthy.operations.budgets import BudgetBoard
from roadworthy.operations.gateways import GatewayStatus
from roadworthy.operations.publication.approvals import Pending
from roadworthy.operations.ramps.would import LOOKS_BACK, Would, would_have
from roadworthy.operations.status import (
    Standing,
    Waiting,
    target_statuses,
    waiting,
    waiting_for_owners,
    workflow_statuses,
)
from roadworthy.operations.stops.kill_desk import Stand
from roadworthy.wiring.fleet.gateways import Fleet
from roadworthy.wiring.fleet.workers import hear
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.folders.run_facts import run_facts
from roadworthy.workflow.model import Configuration, Settings
from roadworthy.workflow.service import Workflows


class StatusBoard:
    def __init__(
        self,
        folder: DataFolder,
        fleet: Fleet,
        *,
        epoch: int,
        workflows: Workflows,
        publisher: Publisher,
        log: Log,
        clock: Callable[[], float],
        budgets: BudgetBoard,
        people: Callable[[], list[Waiting]] = list,
        gateways: Callable[[], Sequence[GatewayStatus]] = tuple,
        standings: Callable[[Configuration, Snapshot | None], Mapping[str, Standing]] = lambda flows, told: {},
        pending: Callable[[], list[Pending]] = list,
        stops: Callable[[], list[Stand]] = list,
    ) -> None:
        """``people``: what waits for a person to act on it; ``pending``: for an owner's approval; ``stops``: what the
        kill switch holds."""
        self._standings = standings
        self._pending = pending
        self._stops = stops
        self._folder = folder
        self._fleet = fleet
        self._gateways = gateways
        self._epoch = epoch
        self._workflows = workflows
        self._publisher = publisher
        self._log = log
        self._clock = clock
        self._budgets = budgets
        self._people = people
        self._started = clock()
        self.engine: Engine | None = None
        self.configuration_errors: list[str] = []
        """Of the folder that ``up`` was to apply and could not."""

    def health(self) -> list[ModuleHealth]:
        """Of the engine's modules; empty while none runs."""
        return [] if self.engine is None else self.engine.health()

    def read(self) -> dict[str, Any]:
        """Keys: version, data, timezone, listen, metrics, base_url, configuration, workflows, targets, budgets,
        would, kill, gateways, journal, processes, control, waiting.  Instants are Unix seconds, money US dollars."""
        self._publisher.publish_when_moved()
        now = self._clock()
        applied = self._workflows.configuration()
        configuration = Configuration(Settings(), {}, {}, {}) if applied is None else applied.configuration
        zone = ZoneInfo(configuration.settings.timezone)
        served, candidates = self._workflows.served(), self._workflows.candidates()
        hour = self._log.stats("workflow", Filter(since=now - 3600.0)).rows
        today = self._log.stats("workflow", Filter(since=midnight(now, zone))).rows
        snapshot = self._publisher.current
        endpoints = {} if snapshot is None else {name: end.url for name, end in snapshot.endpoints.items()}
        priced = frozenset() if snapshot is None else frozenset({*snapshot.prices, *snapshot.model_prices})
        facts, lag, heard = run_facts(self._folder), self._log.lag(), hear(self._fleet.sockets().values())
        configured = {} if snapshot is None else snapshot.targets
        targets = target_statuses(configured, endpoints, priced, heard.targets)
        warnings = [*self.configuration_errors, *self._publisher.warnings]
        standings = self._standings(configuration, snapshot)
        owners = waiting_for_owners(configuration, standings, self._pending())
        return {
            "version": version("roadworthy"),
            "data": str(self._folder.root),
            "timezone": configuration.settings.timezone,
            "listen": facts.listen or configuration.settings.listen,
            "metrics": facts.metrics or configuration.settings.metrics,
            "base_url": self.base_url(),
            "configuration": None
            if applied is None
            else {
                "version": applied.version,
                "applied_at": applied.applied_at,
                "applied_by": applied.applied_by,
                "errors_at_start": self.configuration_errors,
            },
            "workflows": workflow_statuses(configuration, served, hour, today, standings),
            "would": self._would(now),
            "targets": targets,
            "kill": self._stops(),
            "gateways": self._gateways(),
            "budgets": self._budgets.lines(people=False),
            "journal": {**msgspec.structs.asdict(lag), **heard.journal},
            "processes": facts.processes,
            "control": {
                "pid": os.getpid(),
                "since": self._started,
                "epoch": self._epoch if snapshot is None else snapshot.epoch,
                "seq": 0 if snapshot is None else snapshot.seq,
                "published_at": None if snapshot is None else snapshot.made_at,
                "engine": self.health(),
            },
            "waiting": [
                *waiting(applied, candidates, targets, facts.processes, lag, warnings),
                *owners,
                *self._people(),
            ],
        }

    def _would(self, now: float) -> list[Would]:
        found = self._log.would(now - LOOKS_BACK, now)
        if not found:
            return []
        return would_have(found, self._log.stats("workflow", Filter(since=now - LOOKS_BACK, traffic="live")).rows)

    def base_url(self) -> str:
        """Where clients call: as declared, else as far as this machine sees it."""
        applied = self._workflows.configuration()
        settings = Settings() if applied is None else applied.configuration.settings
        if settings.public_url is not None:
            return f"{settings.public_url.rstrip('/')}/v1"
        listen = run_facts(self._folder).listen or settings.listen
        host, _, port = listen.rpartition(":")
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{port}/v1"  # noqa: S104


def midnight(now: float, zone: ZoneInfo) -> float:
    """The instant at which today began in ``zone``."""
    return datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
