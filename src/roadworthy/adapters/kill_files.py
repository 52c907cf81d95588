"""The kill store as two files in the data folder: ``kill.json`` (the switches), ``kill.log`` (a JSON line a record).

No database and no lock stands between a person and a stop.  Standard library and msgspec only.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.kill_switch.model import EVERY, Held, Record, Switch
from roadworthy.kill_switch.rules import recovered

SWITCHES, LOG = "kill.json", "kill.log"

_switches = msgspec.json.Decoder(dict[str, Switch])
_record = msgspec.json.Decoder(Record)


class FileKillStore:
    """``KillStore`` in a folder."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._file = Path(folder) / SWITCHES
        self._log = Path(folder) / LOG

    def switches(self) -> dict[str, Switch]:
        try:
            return _switches.decode(self._file.read_bytes())
        except FileNotFoundError:
            return self._by_log(f"{SWITCHES} is missing", {})
        except (OSError, ValueError, RecursionError) as error:  # also what is not UTF-8, or nested without end
            why = f"{SWITCHES} cannot be read: {error}"
            return self._by_log(why, _everything_off(why))

    def _by_log(self, why: str, without: dict[str, Switch]) -> dict[str, Switch]:
        """``without``: what holds when nothing was ever logged."""
        try:
            lines = self._lines()
        except OSError as error:
            return _everything_off(f"{why}; {LOG}: {error.strerror}")
        records = _read(lines)
        if lines and not records:
            return _everything_off(f"{why}; no line of {LOG} can be read")
        return recovered(records) if records else without

    def keep(self, switch: Switch) -> None:
        kept = {**self.switches(), switch.workflow: switch}
        write_atomically(self._file, msgspec.json.encode(kept))

    def append(self, record: Record) -> None:
        fd = os.open(self._log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = os.lseek(fd, 0, os.SEEK_END)
            torn = end > 0 and os.pread(fd, 1, end - 1) != b"\n"
            os.write(fd, b"\n" * torn + msgspec.json.encode(record) + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)

    def records(self) -> Sequence[Record]:
        return _read(self._lines())

    def _lines(self) -> list[bytes]:
        try:
            return [line for line in self._log.read_bytes().split(b"\n") if line]
        except FileNotFoundError:
            return []


def _read(lines: list[bytes]) -> list[Record]:
    """What a power cut tore, wherever it stands now, is passed over."""
    out = []
    for line in lines:
        try:
            out.append(_record.decode(line))
        except (ValueError, RecursionError):
            continue
    return out


def _everything_off(why: str) -> dict[str, Switch]:
    """Fail-closed, until somebody has looked at the folder and restores."""
    return {EVERY: Switch(EVERY, {"control": Held("off", 0.0, "engine", why)})}
