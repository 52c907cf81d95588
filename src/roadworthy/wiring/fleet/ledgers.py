"""The workers' tables of what they have spent: made ready before they start, read while they run.

A worker's table is its own while it lives.  When the number of workers changes, nobody would go on with the tables of
those that are no more, so what they hold is spread over the new ones here, by the supervisor, before any worker runs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from roadworthy.cost.budgets import RATE, begin_before, kind_of
from roadworthy.cost.lending import EVERYTHING, Parts, first_share, part_at
from roadworthy.gateway.limits.ledger import Booked, Ident, Ledger, LedgerRefused, fresh, read
from roadworthy.wiring.fleet.parts import PartsFile
from roadworthy.wiring.folders.data_folder import DataFolder

log = logging.getLogger("roadworthy.ledgers")


def prepare(folder: DataFolder, workers: int) -> None:
    """Carry what was spent over to ``workers`` workers, and what they together may spend.  None may run.

    Fails open: a table that cannot be read is put aside and what it held counts as not spent; the log line says so.
    """
    kept: dict[Path, tuple[int, dict[Ident, Booked]]] = {}
    for path in tables(folder):
        try:
            kept[path] = read(path)
        except (OSError, LedgerRefused) as error:
            log.error("what a worker had spent cannot be read", extra={"path": str(path), "error": str(error)})
            path.replace(path.with_suffix(".damaged"))
    wanted = {folder.spend_file(index) for index in range(workers)}
    if all(path in wanted and made_for == workers for path, (made_for, _) in kept.items()):
        return
    parts = PartsFile(folder.parts_file).now
    totals: dict[Ident, int] = {}
    for _, records in kept.values():
        for ident, booked in records.items():
            if kind_of(ident[2]) != RATE:
                totals[ident] = totals.get(ident, 0) + booked.spent + booked.reserved
    fresh = []
    for index in range(workers):
        path = folder.spend_file(index).with_suffix(".new")
        path.unlink(missing_ok=True)
        ledger = Ledger(path, workers=workers)
        for ident, held in totals.items():
            share = first_share(index, workers, _share(ident, list(kept.values()), parts))
            ledger.book(ident, held // workers + (index < held % workers), share)
        ledger.save()
        ledger.close()
        fresh.append(path)
    for path in fresh:  # cut short here, a part is counted twice next time and nothing is forgotten
        path.replace(path.with_suffix(".bin"))
    for path in kept.keys() - wanted:
        path.unlink()


def _share(ident: Ident, kept: Sequence[tuple[int, Mapping[Ident, Booked]]], parts: Parts) -> int:
    """What the workers before had of a scope together: those that never heard of it had their first share."""
    part = part_at(parts, begin_before(ident[2]))
    known = [(records[ident].share, made_for) for made_for, records in kept if ident in records]
    lent = sum(share if share >= 0 else fresh(share) for share, _ in known)
    before = max(made_for for _, made_for in known)
    return lent + part * (before - len(known)) // before if before > len(known) else lent


def open_ledger(folder: DataFolder, worker: int, workers: int, parts: Parts = EVERYTHING) -> Ledger:
    """A worker's own table.  Fails open: without it, what this worker spends is forgotten with it."""
    path = folder.spend_file(worker)
    try:
        return Ledger(path, workers=workers, first=first_share(worker, workers, part_at(parts, math.inf)))
    except (OSError, LedgerRefused) as error:
        log.error("what this worker spends cannot be kept", extra={"path": str(path), "error": str(error)})
        return Ledger(workers=workers)


def totals(files: Iterable[Path]) -> dict[Ident, Booked]:
    """What the workers of these tables together have spent and reserved, running or not; shares are added up too."""
    found: dict[Ident, Booked] = {}
    for path in files:
        try:
            _, records = read(path)
        except (OSError, LedgerRefused):
            continue
        for ident, booked in records.items():
            if booked.share < 0:
                booked = booked._replace(share=fresh(booked.share))
            known = found.get(ident)
            found[ident] = booked if known is None else Booked(*(a + b for a, b in zip(known, booked, strict=True)))
    return found


def tables(folder: DataFolder) -> list[Path]:
    """Of the workers of one gateway."""
    return sorted(folder.run.glob("spend-w*.bin"))
