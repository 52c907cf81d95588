"""Is the database the one that gateways were last told about, or an older copy that somebody put back?

Beside the database stands how far it had come (``head.json``: epoch, newest audit record), and what the gateways have
seen (``seen.json``).  A database that is behind either has forgotten something: a revocation, a kill, a rollback.  So
nothing is published from it until a person says that it may be (``roadworthy backup accept``).  Fails closed; it is no
evidence against who may write the data folder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.worker.trust import recall
from roadworthy.workflow.ports import State

log = logging.getLogger("roadworthy.control")


class Head(msgspec.Struct, frozen=True):
    """How far a database had come."""

    epoch: int = 0
    audit: int = 0
    """Number of the newest audit record…"""
    hash: str = ""
    """…and its hash."""


class Lineage:
    def __init__(self, folder: DataFolder, gateways: Callable[[], Iterable[DataFolder]] = tuple) -> None:
        """``gateways``: data folders of the gateways on this machine, besides the install's own."""
        self._folder = folder
        self._gateways = gateways

    def broken(self, state: State) -> str:
        """Why nothing may be published from this database; empty: it goes on where it was.  Call it before the epoch
        is raised."""
        head, seen = self._head(), self.seen()
        with state.read() as tx:
            epoch, last = tx.epoch(), tx.last_audit()
            found = tx.audit(after=head.audit - 1, limit=1) if head.audit else []
        newest = 0 if last is None else last.seq
        if epoch < max(seen, head.epoch):
            why = f"its epoch is {epoch}, and gateways have seen {max(seen, head.epoch)}"
        elif newest < head.audit:
            why = f"its audit trail ends at {newest}, and went on to {head.audit}"
        elif head.audit and (not found or found[0].hash != head.hash):
            why = f"its audit record {head.audit} is another one than was written"
        else:
            return ""
        return (
            f"state.db is an older copy, or not the one that ran here ({why}): nothing is published and gateways go "
            "on as they are; put the newer one back, or `roadworthy backup accept --reason WHY` as an owner"
        )

    def seen(self) -> int:
        """The highest epoch that any gateway of this machine was told."""
        return max(recall(folder).epoch for folder in (self._folder, *self._gateways()))

    def highest(self) -> int:
        return max(self.seen(), self._head().epoch)

    def keep(self, state: State, epoch: int) -> None:
        """Note how far it has come.  A disk that refuses is logged: the publication stands."""
        with state.read() as tx:
            last = tx.last_audit()
        head = Head(epoch) if last is None else Head(epoch, last.seq, last.hash)
        if head == self._head():
            return
        try:
            write_atomically(self._folder.head_file, msgspec.json.encode(head))
        except OSError as error:
            log.error("how far state has come cannot be kept", extra={"error": str(error)})

    def tell(self, held: str) -> None:
        """Leave word for ``roadworthy doctor``."""
        if held:
            write_atomically(self._folder.held_file, held.encode())
        else:
            self._folder.held_file.unlink(missing_ok=True)

    def _head(self) -> Head:
        try:
            return msgspec.json.decode(self._folder.head_file.read_bytes(), type=Head)
        except FileNotFoundError:
            return Head()
        except (OSError, ValueError, RecursionError) as error:
            log.error("how far state had come cannot be read", extra={"error": str(error)})
            return Head()
