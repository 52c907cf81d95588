"""Publishes the snapshot: at once after every change, and when a launched target moved.

Rule: what gateways read on disk is whole or not replaced; a publication that fails leaves the last good one in
force and is tried again.  ``seq`` rises with each publication of an epoch.  A control whose state is older than what
its gateways have seen publishes nothing until somebody has accepted that (``held``).
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.gateway import snapshot as snapshots
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.operations.publication.gathering import Gatherer, Sources
from roadworthy.operations.publication.snapshot import Built, ModelPricesOf, PriceOf, build
from roadworthy.workflow.ports import State

log = logging.getLogger("roadworthy.publish")


class Publisher:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: State,
        *,
        epoch: int,
        snapshot_path: Path,
        settings_path: Path,
        endpoints_path: Path,
        price_of: PriceOf,
        clock: Callable[[], float],
        model_prices_of: ModelPricesOf = lambda target: {},
        permit_keys: Sequence[str] = (),
        sources: Sources | None = None,
        held: str = "",
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """``held``: why nothing may be published.  ``after``: called after every publication."""
        self._gatherer = Gatherer(state, Sources() if sources is None else sources)
        self._held = held
        self._after = after
        self._epoch = epoch
        self._seq = 0
        self._snapshot_path = snapshot_path
        self._settings_path = settings_path
        self._endpoints_path = endpoints_path
        self._price_of = price_of
        self._model_prices_of = model_prices_of
        self._permit_keys = permit_keys
        self._clock = clock
        self._lock = threading.Lock()
        self._content = b""
        self._settings = b""
        self._endpoints_seen: tuple[int, int] | None = None
        self.current: Snapshot | None = None
        self.warnings: list[str] = []

    def publish(self) -> bool:
        """Write the snapshot when it differs from the last one written.  Returns whether it did.

        Raises ``OSError`` when it cannot be written.
        """
        with self._lock:
            if self._held:
                self.warnings = [self._held]
                return False
            seen = _stamp(self._endpoints_path)
            launched = _read_endpoints(self._endpoints_path)
            now = self._clock()
            picture = self._gatherer.picture(now)
            built = build(
                picture,
                launched,
                self._price_of,
                epoch=self._epoch,
                seq=self._seq + 1,
                now=now,
                model_prices_of=self._model_prices_of,
                permit_keys=self._permit_keys,
            )
            applied = picture.configurations[0].configuration if picture.configurations else None
            settings = msgspec.json.encode(None if applied is None else applied.settings)
            content = _content(built) + settings
            self.warnings = built.warnings
            if content == self._content:
                self._endpoints_seen = seen
                return False
            if applied is not None and settings != self._settings:
                write_atomically(self._settings_path, settings)
            write_atomically(self._snapshot_path, snapshots.encode(built.snapshot))
            self._seq += 1
            self._content, self._settings = content, settings
            self._endpoints_seen, self.current = seen, built.snapshot
            self._after()
        log.info("snapshot published", extra={"epoch": self._epoch, "seq": self._seq})
        return True

    def publish_when_moved(self) -> bool:
        """``publish`` when ``endpoints.json`` changed, a key expired, something was audited, or evidence lapsed, since
        the last publication."""
        current = self.current
        if current is not None and _stamp(self._endpoints_path) == self._endpoints_seen:
            now = self._clock()
            expired = any(key.expires_at is not None and key.expires_at <= now for key in current.keys.values())
            if not expired and not self._gatherer.changed(now):
                return False
        return self.publish()

    def accepted(self, epoch: int) -> None:
        """Somebody has accepted what held it; from now on it publishes under this epoch."""
        with self._lock:
            self._held, self._epoch, self._seq, self._content = "", epoch, 0, b""


def _content(built: Built) -> bytes:
    """What makes a snapshot differ: all but its number and time."""
    return snapshots.encode(msgspec.structs.replace(built.snapshot, seq=0, made_at=0.0))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_ino


def _read_endpoints(path: Path) -> dict[str, str]:
    """Fails closed: targets of an unreadable file are down (``unavailable``), and the next change is tried again."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.error("endpoints.json cannot be read", extra={"path": str(path), "error": str(error)})
        return {}
    return {str(name): str(url) for name, url in found.items()} if isinstance(found, dict) else {}
