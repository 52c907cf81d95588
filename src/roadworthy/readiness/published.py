"""The registry of items for others: the tables of ``docs/readiness.md``.

``python -m roadworthy.readiness.published docs/readiness.md`` rewrites them; a test fails while they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from roadworthy.evidence.kinds import DAY
from roadworthy.readiness.items import ITEMS
from roadworthy.readiness.model import Item
from roadworthy.readiness.sequence import STEPS

START, END = "<!-- {}: written from the registry, do not edit -->", "<!-- end of {} -->"


def items_table() -> str:
    lines = ["| # | item | evidence | about | holds | without it | renewed by | minutes a month |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    lines += [_row(item) for item in ITEMS]
    return "\n".join(lines)


def steps_table() -> str:
    lines = ["| # | step | reached when | items |", "|---|---|---|---|"]
    for number, step in enumerate(STEPS, 1):
        items = ", ".join(str(item.number) for item in ITEMS if item.step == step.name)
        lines.append(f"| {number} | {step.name} | {step.means} | {items or '–'} |")
    return "\n".join(lines)


def _row(item: Item) -> str:
    kinds = "<br>".join(f"`{kind}`" for kind in item.kinds)
    without = "testers only" if item.missing == "testers" else "pilot share"
    never = "" if item.waivable else "; never waived"
    machine = " (auto)" if item.auto and item.renew is not None else ""
    commands = [command for command in (item.made_by, item.renew) if command is not None]
    renewed = ", then ".join(f"`{command}`" for command in commands) or item.command("")
    cells = (
        str(item.number), f"{item.name}", f"{item.shows} ({kinds})", " + ".join(item.about),
        f"{item.life / DAY:.0f} days", without + never, renewed + machine, f"{item.minutes:g}",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


TABLES: Final = {"the ten items": items_table, "the ten steps": steps_table}


def with_tables(page: str) -> str:
    """The page with the tables between its markers written anew.  Raises ``ValueError`` when a marker is missing."""
    for name, table in TABLES.items():
        start, end = START.format(name), END.format(name)
        head, tail = page.index(start) + len(start), page.index(end)
        page = f"{page[:head]}\n{table()}\n{page[tail:]}"
    return page


def main(path: Path) -> None:
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
