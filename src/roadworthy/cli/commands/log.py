"""``log``: find inferences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.commands.filters import filters, flush, in_words, query, window_of
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import AlreadyTold, BadInput
from roadworthy.cli.terminal import line
from roadworthy.inference_log.when import Window

SHORT_ID = 24
"""Characters of an id in a table: ``inf_``, its time and 8 random digits; `show` takes such a beginning."""

Row = Mapping[str, Any]


@click.command()
@filters
@click.option("--limit", "-n", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most rows.")
@click.option("--after", metavar="CURSOR", help="The page after the one that printed this cursor.")
@click.option("--follow", "-f", is_flag=True, help="Keep printing new inferences, newest last, until Ctrl-C.")
@common
@json_option
@pass_work
def log(work: Work, /, limit: int, after: str | None, follow: bool, **chosen: Any) -> None:
    """Find inferences, newest first: `roadworthy log tuesday 2pm --user u-42`.

    WHEN is a time of the past as you would say it: "tuesday 2pm", yesterday, "last hour", "3h ago", 14:00-15:00,
    monday..wednesday, "2026-11-17 14:00", ISO 8601 with an offset.  An instant means its natural window, and the
    output says how it was read.  Exit 1 when nothing is found.
    """
    if follow and (chosen["when"] or after):
        raise BadInput("--follow starts now", "leave WHEN and --after away")
    window = window_of(work, chosen["when"], chosen["tz"])
    zone = work.zone(chosen["tz"])
    params = query(work, chosen, window)
    flush(work)
    if follow:
        _follow(work, params, limit, zone)
        return
    page = work.admin.get("/v1/log", {**params, "limit": limit, "after": after})
    rows: list[Row] = page.get("items") or []
    if work.json:
        reading = {"since": window.since, "until": window.until, "reading": window.reading} if window else None
        work.emit({"window": reading, **page})
        if not rows:
            raise AlreadyTold
        return
    if not rows:
        _tell_nothing(work, params, window, zone)
        raise AlreadyTold
    print_log(work, rows, zone)
    work.say()
    spoken = "" if window else f", times in {zone}"
    work.say(f"{words.plural(len(rows), 'inference')}: {line(in_words(params, window))}{spoken}")
    if page.get("next"):
        work.say(f"There are more: add --after '{page['next']}'")


def print_log(work: Work, rows: list[Row], zone: tzinfo) -> None:
    from roadworthy.cli.tables import Column, print_table

    print_table(
        work.console,
        [
            Column("time", keep=8), Column("workflow", keep=8), Column("user", optional=True, keep=6),
            Column("outcome", keep=9), Column("failure", optional=True, keep=8), Column("class", optional=True),
            Column("stage", optional=True, spare=1), Column("would", optional=True, keep=10, spare=3),
            Column("kill", optional=True),
            Column("target", optional=True, spare=5), Column("latency", right=True, keep=7),
            Column("tokens", right=True, spare=4), Column("cost", right=True, keep=5, spare=2),
            Column("id", keep=SHORT_ID),
        ],
        [_cells(row, zone, work.clock()) for row in rows],
    )  # fmt: skip


def _cells(row: Row, zone: tzinfo, now: float) -> list[str]:
    return [
        words.moment(row["ts"], zone, now=now),
        row.get("workflow") or words.UNKNOWN,
        user(row),
        row.get("outcome", ""),
        row.get("failure") or row.get("code") or "",
        "" if row.get("traffic", "live") == "live" else row["traffic"],
        row.get("stage") or "",
        row.get("would") or "",
        row.get("kill") or "",
        row.get("target") or "",
        words.seconds(row.get("latency")),
        words.count(total(row.get("tokens"))),
        words.dollars(row.get("cost_usd")),
        str(row["id"])[:SHORT_ID],
    ]


def user(row: Row) -> str:
    """The unit, unless it was made up for a call that named nobody."""
    return str(row.get("unit") or "") if row.get("unit_source", "random") != "random" else ""


def total(tokens: Mapping[str, int] | None) -> float | None:
    if not tokens:
        return None
    return sum(tokens.get(kind, 0) for kind in ("input", "cache_read", "cache_write", "output"))


def _tell_nothing(work: Work, params: dict[str, Any], window: Window | None, zone: tzinfo) -> None:
    """Say what was searched and where the nearest data is."""
    work.say(f"Nothing found: {line(in_words(params, window))}.")
    rest = {name: value for name, value in params.items() if name not in ("since", "until")}
    if window is not None:
        for label, row in nearest(work, rest, window):
            work.say(f"Nearest {label}: {words.moment(row['ts'], zone)}, {str(row['id'])[:SHORT_ID]}")
            return
    if len(rest) > 0:
        page = work.admin.get("/v1/log", {"limit": 1}).get("items") or []
        if page:
            work.say(f"Without those filters the newest is {words.moment(page[0]['ts'], zone)}: roadworthy log -n 5")
            return
    work.say("The log is empty: no call has reached the gateway yet. `roadworthy status` says where it listens.")


def nearest(work: Work, params: dict[str, Any], window: Window) -> Iterator[tuple[str, Row]]:
    """The matches just before and just after the window, the nearer one first."""
    found: list[tuple[float, str, Row]] = []
    before = work.admin.get("/v1/log", {**params, "until": repr(window.since), "limit": 1}).get("items") or []
    if before:
        found.append((window.since - before[0]["ts"], "before", before[0]))
    # `before=CURSOR` pages towards the newer: from a cursor at the window's end it gives the first one after it.
    after = work.admin.get("/v1/log", {**params, "before": f"{window.until!r}~!", "limit": 1}).get("items") or []
    if after:
        found.append((after[-1]["ts"] - window.until, "after", after[-1]))
    for _, label, row in sorted(found, key=lambda entry: entry[0]):
        yield label, row


def _follow(work: Work, params: dict[str, Any], limit: int, zone: tzinfo) -> None:
    """Print the newest rows, then every later one, until interrupted."""
    page = work.admin.get("/v1/log", {**params, "limit": min(limit, 10)})
    cursor = page.get("previous")
    header = not work.json
    rows: list[Row] = page.get("items") or []
    if header:
        work.note(f"Following {line(in_words(params, None))}; Ctrl-C ends it.")
    try:
        while True:
            for row in reversed(rows):
                _tell_row(work, row, zone)
            work.sleep(1.0)
            flush(work)
            page = work.admin.get(
                "/v1/log", {**params, "limit": 200, "before": cursor} if cursor else {**params, "limit": 10}
            )
            rows = page.get("items") or []
            cursor = page.get("previous") or cursor
    except KeyboardInterrupt:
        return


def _tell_row(work: Work, row: Row, zone: tzinfo) -> None:
    if work.json:
        work.emit_line(row)
        return
    from rich.text import Text

    from roadworthy.cli.tables import STYLES

    cells = [line(cell) for cell in _cells(row, zone, work.clock())]
    text = Text(f"{cells[0]:<8}  {line(cells[1], 20):<20} {line(cells[2], 12):<12} ")
    text.append(f"{cells[3]:<9}", style=STYLES.get(cells[3], ""))
    text.append(f" {cells[4]:<13} {line(cells[9], 12):<12} {cells[10]:>9} {cells[11]:>6} {cells[12]:>10}  {cells[13]}")
    work.console.print(text, soft_wrap=True)
