"""Where a worker looks for stops by itself, control or not: ``KILL`` files, ``kill.json``, the environment.

Files are looked at ten times a second, by one listing of the data folder and one ``stat``.  Fails closed: what is there
and cannot be read is ``off``, and so is everything while the folder itself cannot be listed; only a system that is out
of descriptors or memory leaves what was known in force.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from roadworthy.adapters.kill_files import LOG, SWITCHES, FileKillStore
from roadworthy.gateway.snapshot import Stopped
from roadworthy.gateway.stopping.board import Board
from roadworthy.kill_switch.files import LONGEST, environment_states, file_states, workflow_of
from roadworthy.kill_switch.model import EVERY, State, Switch

log = logging.getLogger("roadworthy.gateway")

POLL = 0.1
ENVIRONMENT = "ROADWORTHY_KILL"
KEPT = "heard-w{}.json"
"""Control's word as a worker heard it, in ``run``: for its next start, should control be dead then."""

_SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR})
_Mark = tuple[int, ...] | None


def states_of_environment(environment: Mapping[str, str]) -> dict[str, State]:
    return environment_states(environment.get(ENVIRONMENT))


class KillWatch:
    """Keeps a worker's board up to date with its data folder."""

    def __init__(self, root: Path, board: Board) -> None:
        self._root = root
        self._board = board
        self._store = FileKillStore(root)
        self._mark: object = ()
        self._files: dict[str, State] = {}
        board.look_again = self.look_at_switches

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            self.look()
            self._board.tick()

    def look(self) -> None:
        """Read what has changed.  Raises nothing."""
        self.look_at_switches()
        try:
            files = self._kill_files()
        except OSError as error:
            if error.errno in _SHORT_OF:
                return
            files = {EVERY: "off"}
        if files != self._files:
            self._files = files
            said = ", ".join(f"{name}: {state}" for name, state in sorted(files.items()))
            log.warning("what KILL files stop has changed", extra={"reason": said or "nothing"})
        self._board.look("file", files)

    def look_at_switches(self) -> None:
        """``kill.json``, which only control's own data folder has."""
        mark = (_mark(self._root / SWITCHES), _mark(self._root / LOG))
        if mark == self._mark:
            return
        switches = self._store.switches()
        self._mark = mark
        self._board.look(
            "kill.json",
            {name: switch.state for name, switch in switches.items()},
            {name: since(switch) for name, switch in switches.items()},
        )
        known = {name: switch for name, switch in switches.items() if switch.seq}  # 0: nothing could be read
        self._board.learn({name: Stopped(each.state, each.seq, since(each)) for name, each in known.items()})

    def _kill_files(self) -> dict[str, State]:
        with os.scandir(self._root) as entries:
            names = [entry.name for entry in entries if workflow_of(entry.name) is not None and _is_text(entry.name)]
        return file_states({name: content(self._root / name) for name in names}) if names else {}


def _is_text(name: str) -> bool:
    """No workflow has another name."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def since(switch: Switch) -> float:
    """When what is in force began."""
    return max((held.since for held in switch.held.values() if held.state == switch.state), default=0.0)


def content(path: Path) -> bytes | None:
    """Of a ``KILL`` file, one byte more than it may have; ``None``: it cannot be read.  Waits for no pipe."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, LONGEST + 1)
    except OSError:
        return None
    finally:
        os.close(fd)


def keep(path: Path, data: bytes) -> None:
    """Without a sync: it outlives the process, and the power's loss is what snapshot and ``kill.json`` are for."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(data)
        os.replace(fresh, path)
    except OSError as error:
        log.error("the kill state cannot be kept", extra={"error": str(error)})


def restore(run: Path, board: Board) -> None:
    """What any worker of this gateway heard before."""
    for path in sorted(run.glob(KEPT.format("*"))):
        try:
            board.restore(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:  # the others, the snapshot and kill.json say it as well
            log.error("the kept kill state cannot be read", extra={"path": path.name, "error": str(error)})


def _mark(path: Path) -> _Mark:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return (-(error.errno or 1),)
    return status.st_mtime_ns, status.st_ino, status.st_size
