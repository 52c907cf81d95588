"""Tables for a terminal: plain columns, dim headers, outcomes in colour; cells of others are cleaned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

import click

from roadworthy.cli.terminal import line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

STYLES = {
    "answered": "green",
    "recovered": "cyan",
    "cached": "cyan",
    "canned": "yellow",
    "escalated": "yellow",
    "blocked": "yellow",
    "limited": "yellow",
    "bypassed": "blue",
    "abandoned": "dim",
    "error": "bold red",
    "ok": "green",
    "warn": "yellow",
    "FAIL": "bold red",
    "failing": "bold red",
    "skip": "dim",
    "live": "",
    "revoked": "dim",
}
"""Words of ours → how they look, the same on every screen."""


class Column:
    """A column; ``keep`` says how many characters of it survive on a narrow terminal, 0 as many as there is room for.
    Numbers (``right``) are never cut.  A text that may ``wrap`` is folded to ``keep`` before a column is left out."""

    def __init__(
        self,
        title: str,
        *,
        right: bool = False,
        keep: int = 0,
        optional: bool = False,
        wrap: bool = False,
        spare: int = 0,
    ) -> None:
        self.title = title
        self.justify: Literal["left", "right"] = "right" if right else "left"
        self.keep = keep
        self.optional = optional
        """Left out when every cell of it is empty."""
        self.wrap = wrap
        self.spare = spare
        """Left out when the terminal is too narrow for all columns, those with the highest number first; 0: never."""


PADDING: Final = 3
"""Blanks between two columns."""

SHORTEST: Final = 4
"""Characters to which a text may be cut."""

SHORTEST_FOLD: Final = 12
"""Characters at which a text is folded before another is cut."""


def print_table(console: Console, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of cells (one per column)."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    cells = [[line(cell) for cell in row] for row in rows]
    shown = [
        index
        for index, column in enumerate(columns)
        if not column.optional or any(row[index] not in ("", "–") for row in cells)
    ]
    natural = {
        index: max(cell_len(text) for text in (columns[index].title, *(row[index] for row in cells))) for index in shown
    }
    widths = fitted(columns, natural, console.width)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, width in widths.items():
        column = columns[index]
        table.add_column(
            column.title,
            justify=column.justify,
            no_wrap=not column.wrap,
            overflow="fold" if column.wrap else "ellipsis",
            width=width,
        )
    for row in cells:
        table.add_row(*(styled(row[index]) for index in widths))
    print_trimmed(console, table)


def fitted(columns: Sequence[Column], natural: Mapping[int, int], room: int) -> dict[int, int]:
    """Index → width of the columns to show in ``room`` characters: spare ones go first, unless texts that fold to what
    they keep make room; then texts fold, then the others are cut, the widest first.  Where even that is too little the
    terminal wraps."""
    widths = dict(natural)

    def excess() -> int:
        return sum(widths.values()) + PADDING * (len(widths) - 1) - room

    def foldable() -> int:
        texts = [index for index in widths if columns[index].wrap and columns[index].keep]
        return sum(max(0, widths[index] - columns[index].keep) for index in texts)

    while excess() > foldable():
        spare = max(widths, key=lambda index: columns[index].spare)
        if columns[spare].spare == 0:
            break
        del widths[spare]
    while excess() > 0:
        texts = [index for index in widths if widths[index] > max(columns[index].keep, SHORTEST)]
        texts = [index for index in texts if columns[index].justify == "left"]
        if not texts:
            break
        folds = [index for index in texts if columns[index].wrap and widths[index] > SHORTEST_FOLD]
        widths[max(folds or texts, key=lambda index: widths[index])] -= 1
    while excess() > 0:  # what was to be kept gives way before a number is cut
        folds = [index for index in widths if columns[index].wrap and widths[index] > SHORTEST_FOLD]
        texts = [index for index in widths if columns[index].justify == "left" and widths[index] > SHORTEST]
        if not folds and not texts:
            break
        widths[max(folds or texts, key=lambda index: widths[index])] -= 1
    return widths


def print_trimmed(console: Console, what: RenderableType) -> None:
    """Print without the blanks with which lines are filled up to the console's width."""
    with console.capture() as captured:
        console.print(what)
    for text in captured.get().splitlines():
        click.echo(text.rstrip(), color=True)


def styled(word: str) -> Text:
    from rich.text import Text

    return Text(word, style=STYLES.get(word, ""))
