"""The kill switch at control: acts first, records after.

A stop is in memory and on its way to the gateways before anything is written; then it is made durable (``kill.json``),
then logged (``kill.log``); the audit chain mirrors the log later.  A way back is made durable first, so that no gateway
ever goes on by a word that a crash could take back.  Lines that were not logged yet are kept with the switch itself.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from roadworthy.kill_switch.model import EVERY, Record, Right, Source, State, Switch, Trigger, severity
from roadworthy.kill_switch.ports import KillStore
from roadworthy.kill_switch.rules import Effect, Event, Refused, record, step

MOST_WORDS = 500
"""Characters of a reason."""


class Done(msgspec.Struct, frozen=True):
    """What a change came to."""

    switch: Switch
    before: State
    record: Record | None
    """``None``: nothing changed, and nobody pressed."""
    effects: tuple[Effect, ...] = ()
    at_risk: str = ""
    """It is in force, but could not be kept: why a restart of control would forget it."""


class NotKept(Exception):
    """A way back could not be made durable, so nothing was restored."""


class Kills:
    """Thread-safe.  ``push`` must return at once."""

    def __init__(
        self,
        store: KillStore,
        *,
        clock: Callable[[], float],
        push: Callable[[Switch], None] = lambda switch: None,
        new_id: Callable[[], str] = lambda: f"kil_{secrets.token_hex(8)}",
    ) -> None:
        """Reads what is in force; logs what a crash kept from being logged.  Fails closed, as the store does."""
        self._store = store
        self._clock = clock
        self.push = push
        self._new_id = new_id
        self._lock = threading.Lock()
        self._disk = threading.Lock()
        self._switches = dict(store.switches())
        self._records: list[Record] = _read(store)
        self._waiting: list[Record] = []
        known = {line.id for line in self._records}
        for switch in self._switches.values():
            self._waiting += [line for line in switch.unlogged if line.id not in known]
        self._waiting.sort(key=lambda line: (line.at, line.seq))
        self._unkept: set[str] = set()
        self.settle()

    # --- reading

    def switches(self) -> Mapping[str, Switch]:
        """Workflow or ``*`` → its switch.  Never changed in place."""
        return self._switches

    def switch(self, workflow: str) -> Switch:
        return self._switches.get(workflow) or Switch(workflow)

    def lacks(self, workflow: str, seq: int) -> bool:
        """Is ``seq``, of which somebody knows, of a change that was lost here?

        Gateways of this folder read a way back from the disk before it is in force here: that is waited for.
        """
        if seq <= self.switch(workflow).seq:
            return False
        with self._disk:
            return seq > self.switch(workflow).seq

    def records(self) -> Sequence[Record]:
        """What is in the kill log, oldest first."""
        return tuple(self._records)

    def restored_at(self, workflow: str) -> float:
        """When the workflow was last switched on again, by itself or with all; 0: never."""
        return max(
            (
                line.at
                for line in self._records
                if line.workflow in (workflow, EVERY)
                and not line.denied
                and line.action in ("restore", "undo")
                and severity(line.after) < severity(line.before)
            ),
            default=0.0,
        )

    @property
    def at_risk(self) -> list[str]:
        """Workflows whose switch is in force and not durable."""
        return sorted(self._unkept)

    # --- acting.  All raise ``rules.Refused``, which is recorded too.

    def press(
        self, workflow: str, to: State, by: str, reason: str = "", *,
        source: Literal["control", "link"] = "control", on_behalf_of: str = "",
    ) -> Done:  # fmt: skip
        return self._act(
            workflow, Event(kind="press", by=by, to=to, source=source, reason=reason, on_behalf_of=on_behalf_of)
        )

    def restore(
        self, workflow: str, to: State, by: str, reason: str, rights: frozenset[Right], *, on_behalf_of: str = ""
    ) -> Done:
        """Raises ``NotKept`` too."""
        return self._act(
            workflow, Event(kind="restore", by=by, to=to, reason=reason, rights=rights, on_behalf_of=on_behalf_of)
        )

    def undo(self, workflow: str, by: str, *, on_behalf_of: str = "") -> Done:
        """Raises ``NotKept`` too."""
        return self._act(workflow, Event(kind="undo", by=by, on_behalf_of=on_behalf_of))

    def explain(
        self, workflow: str, by: str, reason: str, *, source: Source = "control", on_behalf_of: str = ""
    ) -> Done:
        """Give the reason of a stop afterwards."""
        return self._act(
            workflow, Event(kind="explain", by=by, source=source, reason=reason, on_behalf_of=on_behalf_of)
        )

    def trip(self, workflow: str, trigger: Trigger, to: State, why: str) -> Done:
        return self._act(workflow, Event(kind="trip", by="engine", to=to, source=trigger, reason=why))

    def clear(self, workflow: str, trigger: Trigger) -> Done:
        return self._act(workflow, Event(kind="clear", by="engine", source=trigger))

    def report(self, workflow: str, gateway: str, source: Source, to: State) -> Done:
        """A gateway's ``KILL`` file or environment says ``to``; ``on``: no more."""
        return self._act(workflow, Event(kind="report", by=gateway, to=to, source=source))

    def hold(self, workflow: str, to: State, by: str, reason: str, *, seq: int = 0) -> Done:
        """Keep a state of its own; ``seq``: the highest that a gateway knows, when it knows more than we do."""
        return self._act(workflow, Event(kind="hold", by=by, to=to, reason=reason, seq=seq))

    def refuse(self, workflow: str, by: str, action: str, why: str, *, on_behalf_of: str = "") -> None:
        """Record that somebody was denied something before any rule was asked."""
        state = self.switch(workflow).state
        self._log(
            Record(
                id=self._new_id(), at=self._clock(), workflow=workflow, action=action, before=state, after=state,
                by=by, on_behalf_of=on_behalf_of, denied=why,
            )
        )  # fmt: skip

    def settle(self) -> bool:
        """Keep and log what could not be; ``False``: something still cannot.  Call it again and again."""
        with self._disk:
            for workflow in list(self._unkept):
                if self._keep(workflow):
                    return False
            return not self._flush()

    # --- how

    def _act(self, workflow: str, event: Event) -> Done:
        now = self._clock()
        event = replace(event, reason=event.reason.strip()[:MOST_WORDS])
        try:
            return self._stop(workflow, event, now) or self._go_back(workflow, event, now)
        except Refused as refused:
            before = self.switch(workflow)
            self._log(record(before, before, event, now, self._new_id(), denied=str(refused)))
            raise

    def _stop(self, workflow: str, event: Event, now: float) -> Done | None:
        """In force, then told, then durable, then logged.  ``None``: it would loosen."""
        with self._lock:
            before = self.switch(workflow)
            after, effects = step(before, event, now)
            if severity(after.state) < severity(before.state):
                return None
            if not effects:
                return Done(after, before.state, None)
            line = record(before, after, event, now, self._new_id())
            after = replace(after, unlogged=[*self._still(workflow), line])
            self._switches = {**self._switches, workflow: after}
            self._waiting.append(line)
            self._unkept.add(workflow)
            self.push(after)
        with self._disk:
            risk = self._keep(workflow) or self._flush()
        return Done(after, before.state, line, effects, risk)

    def _go_back(self, workflow: str, event: Event, now: float) -> Done:
        """Durable, then in force, told and logged.  Who stops it in between wins."""
        with self._disk:
            before = self.switch(workflow)
            after, effects = step(before, event, now)
            line = record(before, after, event, now, self._new_id())
            after = replace(after, unlogged=[*self._still(workflow), line])
            try:
                self._store.keep(after)
            except OSError as error:
                raise NotKept(f"nothing was restored: the switch cannot be written: {error}; mend that") from error
            with self._lock:
                if self.switch(workflow) is before:
                    self._switches = {**self._switches, workflow: after}
                    self._waiting.append(line)
                    self._unkept.discard(workflow)
                    self.push(after)
                    stopped = False
                else:
                    self._unkept.add(workflow)
                    stopped = True
            if stopped:
                self._keep(workflow)
                raise Refused("somebody stopped it at the same moment, and that is in force; look, then try again")
            return Done(after, before.state, line, effects, self._flush())

    def _still(self, workflow: str) -> list[Record]:
        return [line for line in self._waiting if line.workflow == workflow]

    def _keep(self, workflow: str) -> str:
        """Under ``_disk``: the newest of a workflow becomes durable, or why not."""
        switch = self._switches[workflow]
        try:
            self._store.keep(switch)
        except OSError as error:
            return f"the switch cannot be written: {error}"
        with self._lock:
            if self._switches[workflow] is switch:
                self._unkept.discard(workflow)
        return ""

    def _log(self, line: Record) -> None:
        with self._lock:
            self._waiting.append(line)
        with self._disk:
            self._flush()

    def _flush(self) -> str:
        """Under ``_disk``: append what waits, in order, or why not."""
        while self._waiting:
            line = self._waiting[0]
            try:
                self._store.append(line)
            except OSError as error:
                return f"the kill log cannot be written: {error}"
            self._records.append(line)
            with self._lock:
                self._waiting.pop(0)
        return ""


def _read(store: KillStore) -> list[Record]:
    """Fails open: a log that cannot be read hides what was, not what is in force."""
    try:
        return list(store.records())
    except OSError:
        return []
