"""Stopping from the command line, whatever state control is in.

Control answers: it does it.  No control runs: a ``KILL`` file first, which gateways obey within a tenth of a second,
then the lock, and with it the switch itself, so that the stop is latched; no database is needed for that.  Control
holds the lock and does not answer: the file alone; it is latched when control is back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import httpx2
import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.gateway.snapshot import Snapshot, SnapshotRefused, decode
from roadworthy.gateway.stopping.model import KillNews
from roadworthy.kill_switch.files import file_name, file_text, state_in
from roadworthy.kill_switch.model import EVERY, Held, State, Switch, severity
from roadworthy.kill_switch.rules import UNDO_SECONDS
from roadworthy.operations.stops.kill_desk import KillDesk, Stand
from roadworthy.operations.stops.kill_words import reads
from roadworthy.wiring.composed.kill import Stopping, reached
from roadworthy.wiring.composed.kill_push import Pusher
from roadworthy.wiring.fleet.gateways import Fleet
from roadworthy.wiring.folders.data_folder import DataFolder, DataFolderHeld, FolderLock, lock_holder
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

CONTROL_HAS = 1.5
"""Seconds that control has to say that it stopped it, before it is left alone."""
WAIT = 2.0
"""Seconds that gateways have to confirm before they are named."""

How = Literal["control", "alone", "file"]


class Pressed(msgspec.Struct, frozen=True):
    """What came of a stop."""

    how: How
    """``control`` did it; ``alone``: this command, in control's place; ``file``: by a file, control being silent."""
    stand: dict[str, Any]
    """``Stand`` as plain values."""
    files: list[str] = []
    """``KILL`` files that were left, on purpose."""
    why: str = ""
    """Why control did not do it."""


class Silent(Exception):
    """Control does not answer in time, or says that it cannot."""


def press(
    folder: DataFolder, workflow: str, to: State, reason: str, control: ControlLine, *, clock: Callable[[], float]
) -> Pressed:
    """Stop it now.  Raises what ``judge`` raises when control says no, ``rules.Refused``, ``Unknown``, and ``OSError``
    when not even a file can be written."""
    why = "no control is running"
    if lock_holder(folder.control_lock) is not None:
        try:
            return Pressed("control", control.stop(workflow, to, reason))
        except Silent as silent:
            why = str(silent)
    snapshot = _snapshot(folder)
    known = set() if snapshot is None else set(snapshot.workflows)
    if known and workflow != EVERY and workflow not in known:
        raise Unknown(f"no workflow {workflow[:80]!r}: {did_you_mean(workflow, known)}")
    by = f"os:{os.geteuid()}"
    fleet = Fleet(folder, clock=clock)
    places = [
        folder.root,
        *(Path(each.folder) for each in fleet.gateways() if not each.local and each.ended_at is None),
    ]
    ours = write_files(places, workflow, to, by, clock(), reason)
    try:
        lock = FolderLock(folder.control_lock, purpose="roadworthy kill")
    except DataFolderHeld:
        stand = _by_file(fleet, snapshot, workflow, to, by, reason, clock)
        left = [str(place / file_name(workflow)) for place in places if (place / file_name(workflow)).exists()]
        return Pressed("file", msgspec.to_builtins(stand), left, why)
    with lock:
        stand = _alone(folder, fleet, snapshot, workflow, to, by, reason, clock)
        missing = {each.gateway for each in stand.reached.missing} if stand.reached is not None else set()
        silent_places = {Path(each.folder) for each in fleet.gateways() if each.name in missing}
        if not stand.at_risk:
            for path in ours:
                if path.parent not in silent_places:
                    path.unlink(missing_ok=True)
    return Pressed("alone", msgspec.to_builtins(stand), [str(path) for path in ours if path.exists()], why)


def write_files(places: Iterable[Path], workflow: str, to: State, by: str, at: float, reason: str) -> list[Path]:
    """A ``KILL`` file in each folder.  Returns those that are new: one that was there is made stricter, and stays.

    Raises ``OSError`` when it cannot be written into the first folder; the others are named as missing then.
    """
    made: list[Path] = []
    for number, place in enumerate(places):
        path = place / file_name(workflow)
        try:
            found: bytes | None = path.read_bytes()
        except FileNotFoundError:
            found, new = b"", True
        except OSError:
            continue  # unreadable: off
        else:
            new = False
        if not new and severity(state_in(found)) >= severity(to):
            continue
        try:
            write_atomically(path, file_text(to, by, at, reason))
        except OSError:
            if number == 0:
                raise
            continue
        if new:
            made.append(path)
    return made


def withdraw(folder: DataFolder, workflow: str, now: float) -> list[str]:
    """Remove the files by which this OS user stopped it in the last ten minutes.  Returns their paths."""
    gone = []
    by = f" by os:{os.geteuid()} at ".encode()
    for each in Fleet(folder).gateways():
        path = Path(each.folder) / file_name(workflow)
        with suppress(OSError):
            if by in path.read_bytes() and now - path.stat().st_mtime <= UNDO_SECONDS:
                path.unlink()
                gone.append(str(path))
    return gone


def _alone(
    folder: DataFolder, fleet: Fleet, snapshot: Snapshot | None, workflow: str, to: State, by: str, reason: str,
    clock: Callable[[], float],
) -> Stand:  # fmt: skip
    """In control's place, under its lock: the switch itself, and every gateway told."""
    epoch = 0 if snapshot is None else snapshot.epoch
    stopping = Stopping(folder, epoch=lambda: epoch, gateways=fleet.gateways, clock=clock, hears=False)
    nobody: Callable[[], Mapping[str, Any]] = dict
    desk = KillDesk(stopping.kills, stopping, snapshot=lambda: snapshot, workflows=nobody, clock=clock)
    stopping.stopped = desk.stopped
    stopping.start()
    try:
        return desk.press(workflow, to, reason, Actor(by), WAIT)
    finally:
        stopping.stop()


def _by_file(
    fleet: Fleet, snapshot: Snapshot | None, workflow: str, to: State, by: str, reason: str, clock: Callable[[], float]
) -> Stand:
    """Ask the workers whether they act on the file; nothing is told to them."""
    pusher = Pusher(gateways=fleet.gateways, news=lambda: KillNews(0, clock()), clock=clock)
    now = clock()
    pusher.start()
    try:
        pusher.push(Switch(workflow, {"file": Held(to, now, by, reason)}))
        told = pusher.wait(workflow, WAIT)
    finally:
        pusher.stop()
    names = [workflow] if workflow != EVERY else sorted({} if snapshot is None else snapshot.workflows)
    texts = {name: reads(snapshot, name, to) for name in names}
    return Stand(
        workflow=workflow, state=to, in_force=to, since=now, by=by, reason=reason, seq=0, sources=[], undo_by=by,
        undo_until=now + UNDO_SECONDS, may_restore={}, reads={name: text for name, text in texts.items() if text},
        reached=None if told is None else reached(told),
    )  # fmt: skip


class ControlLine:
    """The control that runs, asked so that it can never keep anybody waiting for long.

    A login session that is over does not stand in the way of a stop: then the OS user acts.
    """

    def __init__(
        self, folder: DataFolder, token: str | None, judge: Callable[[httpx2.Response], dict[str, Any]]
    ) -> None:
        """``judge``: an answer's body; raises what the command says for one that is a refusal."""
        self._socket = str(folder.control_socket)
        self._tokens = [token, None] if token else [None]
        self._judge = judge

    def stop(self, workflow: str, to: State, reason: str) -> dict[str, Any]:
        """Raises ``Silent``."""
        body = {"workflow": workflow, "to": to, "reason": reason, "wait": 0}
        answer = self._ask("POST", "/v1/kill", CONTROL_HAS, json=body)
        while answer.status_code == 401 and len(self._tokens) > 1:
            self._tokens.pop(0)
            answer = self._ask("POST", "/v1/kill", CONTROL_HAS, json=body)
        stand = self._judge(answer)
        if stand["reached"] is not None and stand["reached"]["all"]:
            return stand
        query = {"workflow": workflow, "wait": WAIT}
        with suppress(Silent):  # it is stopped; only the confirmations are not known
            found: dict[str, Any] = self._judge(self._ask("GET", "/v1/kill", WAIT + 1.0, params=query))["items"][0]
            return found
        return stand

    def _ask(self, method: str, path: str, seconds: float, **what: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self._tokens[0]}"} if self._tokens[0] else {}
        transport = httpx2.HTTPTransport(uds=self._socket, verify=False)
        try:
            with httpx2.Client(transport=transport, timeout=seconds, trust_env=False) as client:
                answer = client.request(method, f"http://control{path}", headers=headers, **what)
        except httpx2.TransportError as error:
            raise Silent(f"control does not answer ({type(error).__name__})") from error
        if answer.status_code >= 500:
            raise Silent(f"control cannot do it: it answered {answer.status_code}")
        return answer


def _snapshot(folder: DataFolder) -> Snapshot | None:
    try:
        return decode(folder.snapshot.read_bytes())
    except (OSError, SnapshotRefused):
        return None
