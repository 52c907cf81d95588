"""Control's side of the gateways: who may join, what they are given, and how each of them is."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from roadworthy.inference_log import segments
from roadworthy.inference_log.service import Shipper
from roadworthy.operations.gateways import NOTHING, GatewayStatus, Joined, Joining, JoinRefused, Pull, Pulled
from roadworthy.wiring.fleet.gateways import Fleet, Known
from roadworthy.wiring.fleet.workers import places_of
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.folders.gateway_folder import MARK, mark_of, nested
from roadworthy.wiring.worker.place import LOCAL
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.ports import State


class Desk:
    """``operations.gateways.Gateways``.  Blocking."""

    def __init__(
        self,
        fleet: Fleet,
        folder: DataFolder,
        state: State,
        shipper: Shipper,
        *,
        public_key: str,
        newest: Callable[[], tuple[int, int]],
        clock: Callable[[], float],
    ) -> None:
        """``public_key``: hex, of what control signs with; ``newest``: epoch and number of the snapshot that was
        published last."""
        self._fleet = fleet
        self._folder = folder
        self._state = state
        self._shipper = shipper
        self._public_key = public_key
        self._newest = newest
        self._clock = clock

    def join(self, asked: Joining, actor: str) -> Joined:
        new = self._fleet.get(asked.name) is None
        try:
            self._vet(asked)
            known = self._fleet.add(
                asked.name,
                Path(asked.folder),
                asked.workers,
                first=asked.first,
                listen=asked.listen,
                metrics=asked.metrics,
            )
        except JoinRefused as refused:
            self._audit(Event(actor, "gateway.join", f"gateway/{asked.name[:60]}", reason=str(refused)[:300],
                              outcome="denied"))  # fmt: skip
            raise
        if new:
            after = {"folder": known.folder, "workers": known.workers, "first": known.first}
            self._audit(Event(actor, "gateway.join", f"gateway/{known.name}", after=after))
        return Joined(known.first, self._folder.hmac_key().hex(), self._signing_pub())

    def pull(self, asked: Pull) -> Pulled | None:
        if asked.name == LOCAL or not self._fleet.seen(asked.name):
            return None
        parts = list(self._fleet.parts_of(asked.name))
        stamp = ":".join((*(_stamp(path) for path in (self._folder.snapshot, self._folder.settings)), str(parts[-1:])))
        if stamp == asked.stamp:
            return Pulled(stamp)
        return Pulled(stamp, _raw(self._folder.snapshot), _raw(self._folder.settings), self._signing_pub(), parts)

    def leave(self, name: str) -> bool:
        return self._fleet.ended(name)

    def remove(self, name: str, actor: str, on_behalf_of: str) -> Known | None:
        known = self._fleet.get(name)
        if known is None:
            return None
        if known.local:
            raise JoinRefused(f"{LOCAL!r} is control's own gateway and is always there")
        if known.running():
            raise JoinRefused(f"the gateway {name!r} runs (in {known.folder}); stop it first")
        self._shipper.ship()
        left = segments.segments(known.data.journal)
        if left:
            raise JoinRefused(
                f"{known.data.journal} holds {len(left)} segments that are not shipped yet; look at `roadworthy status`"
                " and try again"
            )
        self._fleet.remove(name)
        self._audit(Event(actor, "gateway.remove", f"gateway/{name}", on_behalf_of, before={"folder": known.folder}))
        return known

    def status(self) -> list[GatewayStatus]:
        now, newest = self._clock(), self._newest()
        return [self._status(known, now, newest) for known in self._fleet.gateways()]

    def numbers(self) -> dict[str, dict[str, float]]:
        """For ``/metrics``: ``gateway:NAME`` → its numbers, where there are several."""
        now, known = self._clock(), self._fleet.gateways()
        found = {}
        for one in known if len(known) > 1 else ():
            size, age = self._shipper.pending(one.data.journal)
            found[f"gateway:{one.name}"] = {
                "up": float(one.ended_at is None and not one.stale(now)),
                "seen_at": one.seen_at,
                "pending_bytes": size,
                "pending_seconds": age,
            }
        return found

    def _status(self, known: Known, now: float, newest: tuple[int, int]) -> GatewayStatus:
        places = places_of(known.sockets().values())
        epoch, seq = min(places, default=(0, 0))
        size, age = self._shipper.pending(known.data.journal)
        return GatewayStatus(
            known.name,
            known.folder,
            known.listen,
            known.metrics,
            known.workers,
            len(places),
            epoch,
            seq,
            bool(places) and (epoch, seq) >= newest,
            known.joined_at,
            known.seen_at,
            known.ended_at,
            known.stale(now),
            size,
            age,
        )

    def _vet(self, asked: Joining) -> None:
        """Is the folder one that a gateway of this user made for itself?  Raises ``JoinRefused``."""
        root = Path(asked.folder)
        if nested(root, self._folder.root):
            raise JoinRefused(
                f"folder: {root} and control's own {self._folder.root} are the same or inside one another; "
                "give the gateway a folder of its own"
            )
        try:
            found = os.stat(root)
        except OSError as error:
            raise JoinRefused(f"folder: {root} cannot be looked at ({error.strerror})") from error
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise JoinRefused(
                f"folder: {root} belongs to uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}; expected uid "
                f"{os.geteuid()} and mode 0700: run the gateway as the user of control"
            )
        mark = mark_of(root)
        if mark is None or mark.name != asked.name:
            raise JoinRefused(
                f"folder: {root / MARK} does not name {asked.name!r}; `roadworthy gateway` makes the folder"
            )

    def _signing_pub(self) -> str:
        try:
            return self._folder.public_key_file.read_text()
        except FileNotFoundError:
            return f"{self._public_key}\n"

    def _audit(self, event: Event) -> None:
        with self._state.write() as tx:
            tx.append_audit(chain(tx.last_audit(), event, self._clock()))


def _stamp(path: Path) -> str:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return "-"
    return f"{found.st_mtime_ns}.{found.st_ino}"


def _raw(path: Path) -> msgspec.Raw:
    try:
        return msgspec.Raw(path.read_bytes())
    except FileNotFoundError:
        return NOTHING
