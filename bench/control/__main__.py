"""``python -m bench.control [--only load busy …]``: the figures of docs/control.md, as tables.

Every figure but those of ramps and shares starts an install of its own, callers that call without pause and an upstream
that counts; all of it is over when this ends, Ctrl-C included.  ``--write PAGE`` replaces the figures in the page, once
all of them are there.  Progress goes to stderr.  Exit code 1 when a promise of the page does not hold.
"""

from __future__ import annotations

import argparse
import io
import signal
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from bench import ramps
from bench.control import hindrances
from bench.control.bench import HEAD, Bench, Presses, bench
from bench.control.drill import drill
from bench.failures import page
from bench.failures.tables import row

GOAL = 1.0
"""Seconds: the slowest of all."""
WORKERS = (1, 4, 16)


@dataclass(frozen=True)
class Size:
    """How much of each is done."""

    presses: int
    callers: int
    rows: int
    ramps: int
    users: int


def pressed(made: Bench, presses: int, press: Callable[[Presses], None], what: str) -> Presses:
    found = Presses()
    for number in range(presses):
        press(found)
        if sys.stderr.isatty():
            print(f"\r{what}: {number + 1} of {presses}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return found


def promises(found: list[Presses]) -> bool:
    """The rows of what was promised of all presses of a table."""
    slowest, late = max(max(each.off) for each in found), sum(each.late for each in found)
    lost = sum(each.unconfirmed for each in found)
    print("\n| | found | promised | holds |\n|---|---|---|---|")
    return all([
        row("slowest of all", f"{slowest * 1000:.0f} ms", "< 1 s", slowest < GOAL),
        row("attempts after the acknowledgement", str(late), "0", late == 0),
        row("presses that somebody did not confirm", str(lost), "0", lost == 0),
    ])  # fmt: skip


def load(size: Size) -> bool:
    """Control has nothing to do but to ship what the callers do."""
    print(f"**{size.presses} presses each, {size.callers} callers without pause**\n\n{HEAD}")
    found = []
    for workers in WORKERS:
        with bench(workers, size.callers) as made:
            found.append(pressed(made, size.presses, made.press, f"load, {workers} workers"))
            print(found[-1].row(_workers(workers)), flush=True)
    return promises(found)


def busy(size: Size) -> bool:
    """Control ships a backlog and answers three questions at once, without pause."""
    print(
        f"**{size.presses} presses each, {size.callers} callers without pause, {size.rows:,} rows of backlog, three "
        f"questions at once without pause**\n\n{HEAD}"
    )
    found, notes = [], []
    with hindrances.backlog(size.rows) as into:
        for workers in WORKERS:
            with bench(workers, size.callers) as made:
                into(made.data)
                before, began = hindrances.stored(made.data), time.monotonic()
                with hindrances.questions(made) as answered:
                    found.append(pressed(made, size.presses, made.press, f"busy, {workers} workers"))
                shipped, took = hindrances.stored(made.data) - before, time.monotonic() - began
                print(found[-1].row(_workers(workers)), flush=True)
                notes.append(f"{_workers(workers)}: {shipped:,} rows shipped in {took:.0f} s, {answered[0]} answers")
    print(f"\nMeanwhile, {'; '.join(notes)}.")
    return promises(found)


def dead(size: Size) -> bool:
    """Control is dead; a ``KILL`` file stops."""
    print(f"**{size.presses} files, {size.callers} callers without pause, control killed**\n\n{HEAD}")
    found = []
    for workers in WORKERS:
        with bench(workers, size.callers) as made, hindrances.dead(made):
            found.append(pressed(made, size.presses, made.file, f"dead, {workers} workers"))
            print(found[-1].row(_workers(workers)), flush=True)
    return promises(found)


def locked(size: Size) -> bool:
    """Another process holds both databases."""
    print(f"**{size.presses} presses, {size.callers} callers without pause, both databases locked**\n\n{HEAD}")
    with bench(4, size.callers) as made, hindrances.locked(made):
        found = pressed(made, size.presses, made.press, "locked")
        print(found.row(_workers(4)), flush=True)
    return promises([found])


def drilled(size: Size) -> bool:
    """``roadworthy drill kill`` on two gateways beside live traffic."""
    return drill(size.callers)


def ramped(size: Size) -> bool:
    """What ramps decide."""
    return ramps.report(size.ramps)


def shares(size: Size) -> bool:
    """Who gets in at 1 %, and who leaves as the share widens."""
    print(f"{ramps.TABLE}")
    return ramps.buckets(size.users)


def _workers(count: int) -> str:
    return f"{count} worker" + ("s" if count > 1 else "")


FIGURES: dict[str, Callable[[Size], bool]] = {
    "load": load, "busy": busy, "dead": dead, "locked": locked, "drill": drilled, "ramps": ramped, "shares": shares,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.control", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(FIGURES), default=list(FIGURES), help="which  [all]")
    parser.add_argument("--presses", type=int, default=200, help="of each row  [%(default)s]")
    parser.add_argument("--callers", type=int, default=32, help="without pause  [%(default)s]")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of backlog  [%(default)s]")
    parser.add_argument("--ramps", type=int, default=1000, help="of each kind  [%(default)s]")
    parser.add_argument("--users", type=int, default=1_000_000, help="  [%(default)s]")
    parser.add_argument("--write", metavar="PAGE", type=Path, help="replace the figures in this page")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as tidy an end as Ctrl-C
    size = Size(chosen.presses, chosen.callers, chosen.rows, chosen.ramps, chosen.users)
    names = [name for name in FIGURES if name in chosen.only]
    try:
        held = _written(chosen.write, names, size) if chosen.write else [_printed(name, size) for name in names]
    except KeyboardInterrupt:
        print("stopped; nothing was written and nothing is left running", file=sys.stderr)
        return 130
    return 0 if all(held) else 1


def _printed(name: str, size: Size) -> bool:
    began = time.monotonic()
    held = FIGURES[name](size)
    print()
    print(
        f"{name} {'holds' if held else 'DOES NOT HOLD'}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True
    )
    return held


def _written(path: Path, names: list[str], size: Size) -> list[bool]:
    """Make the figures, then put them into the page: all of them or none."""
    text = path.read_text(encoding="utf-8")
    page.check(text, names)  # before minutes are spent
    made: dict[str, str] = {}
    held: list[bool] = []
    for name in names:
        out = io.StringIO()
        with redirect_stdout(out):
            held.append(_printed(name, size))
        made[name] = out.getvalue()
    path.write_text(page.replaced(text, made), encoding="utf-8")
    return held


if __name__ == "__main__":
    sys.exit(main())
