"""``stats``, ``anomalies`` and ``export``."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click

from roadworthy.cli import words
from roadworthy.cli.commands.filters import (
    filters,
    flush,
    in_words,
    query,
    summable_filters,
    vet_workflow,
    window_of,
)
from roadworthy.cli.commands.log import total
from roadworthy.cli.commands.releases import items, short
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import AlreadyTold, BadInput, Finding
from roadworthy.cli.terminal import line

SORTS = ("group", "count", "errors", "p50", "p95", "p99", "tokens", "cost")


@click.command()
@summable_filters
@click.option("--by", default="workflow", show_default=True, metavar="A,B",
              help="Dimensions: workflow, hour, day, release, outcome, failure, target, model, user, class, key, "
              "session, route, code, tag:NAME…")  # fmt: skip
@click.option("--sort", type=click.Choice(SORTS), default="group", show_default=True, help="Order of the rows.")
@click.option("--limit", "-n", type=click.IntRange(min=1), default=200, show_default=True, help="Most rows.")
@common
@json_option
@pass_work
def stats(work: Work, /, by: str, sort: str, limit: int, **chosen: Any) -> None:
    """Sum inferences up: count, outcomes, latency, time to first token, tokens, cost, by any dimension.

    `roadworthy stats yesterday --by workflow,hour`.  Traffic classes (live, tester, load…) are never pooled.
    """
    window = window_of(work, chosen["when"], chosen["tz"])
    params = query(work, chosen, window)
    flush(work)
    answer = work.admin.get("/v1/stats", {**params, "by": by, "tz": str(work.zone(chosen["tz"]))})
    rows = [row for row in answer.get("rows") or [] if isinstance(row, dict)]
    rows.sort(key=_sort_key(sort))
    if work.json:
        work.emit({**answer, "rows": rows[:limit]})
    elif rows:
        _print_stats(work, rows[:limit])
        work.say()
        exact = "" if not answer.get("relative_error") else f", percentiles ± {words.share(answer['relative_error'])}"
        calls = sum(int(row.get("count", 0)) for row in rows)
        work.say(f"{words.plural(calls, 'inference')}: {line(in_words(params, window))}{exact}")
        if len(rows) > limit:
            work.say(f"{len(rows) - limit} more rows: raise --limit or narrow the filter")
    else:
        work.say(f"Nothing found: {line(in_words(params, window))}.")
    if not rows:
        raise AlreadyTold


def _sort_key(sort: str) -> Any:
    def key(row: dict[str, Any]) -> Any:
        group = [str(value or "") for value in (row.get("group") or {}).values()]
        if sort == "group":
            return group
        if sort == "errors":
            value = (row.get("outcomes") or {}).get("error", 0)
        elif sort == "tokens":
            value = total(row.get("tokens"))
        else:
            value = row.get("cost_usd" if sort == "cost" else sort)
        return (-(value or 0), group)

    return key


def _print_stats(work: Work, rows: list[dict[str, Any]]) -> None:
    from roadworthy.cli.tables import Column, print_table

    dimensions = [name for name in (rows[0].get("group") or {}) if name != "traffic"]
    releases = _releases(work) if "release" in dimensions else {}
    classes = {(row.get("group") or {}).get("traffic", "live") for row in rows}
    if classes != {"live"}:
        dimensions.append("traffic")
    top = max(int(row.get("count", 0)) for row in rows)
    columns = [Column("class" if name == "traffic" else "user" if name == "unit" else name) for name in dimensions]
    columns += [
        Column("calls", right=True), Column("", spare=6), Column("outcomes", wrap=True),
        Column("p50", right=True, spare=2), Column("p95", right=True), Column("p99", right=True, spare=4),
        Column("first token", right=True, optional=True, spare=5), Column("tokens", right=True, spare=3),
        Column("cost", right=True),
    ]  # fmt: skip
    print_table(
        work.console,
        columns,
        [
            [
                *(_member(name, (row.get("group") or {}).get(name), releases) for name in dimensions),
                f"{int(row.get('count', 0)):,}", _bar(int(row.get("count", 0)), top), outcomes(row),
                words.seconds(row.get("p50")), words.seconds(row.get("p95")), words.seconds(row.get("p99")),
                words.seconds(row.get("first_token_p50")), words.count(total(row.get("tokens"))), cost(row),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _releases(work: Work) -> dict[str, str]:
    """Digest → how a person calls the release."""
    found = items(work.admin.get("/v1/releases"), "releases")
    several = len({row.get("workflow") for row in found}) > 1
    return {
        str(row.get("digest")): f"{row.get('workflow') if several else 'release'} {row.get('number')}" for row in found
    }


def _member(dimension: str, value: Any, releases: Mapping[str, str]) -> str:
    """A member of a dimension as a person reads it; ``--json`` keeps it whole."""
    if not value:
        return words.UNKNOWN
    if dimension == "release":
        known = releases.get(str(value))
        return f"{known} ({short(value)})" if known else short(value)
    if dimension == "hour":
        return f"{datetime.datetime.fromisoformat(str(value)):%Y-%m-%d %H:%M}"
    return str(value)


def _bar(number: int, top: int) -> str:
    """A bar of at most 8 characters in eighths."""
    eighths = round(number / top * 64) if top else 0
    full, part = divmod(max(eighths, 1 if number else 0), 8)
    return "█" * full + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[part]


def outcomes(row: Mapping[str, Any]) -> str:
    """``answered 96 %, error 4 %``, the largest first."""
    found = row.get("outcomes") or {}
    calls = sum(found.values())
    order = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {words.share(number / calls)}" for name, number in order if number)


def cost(row: Mapping[str, Any]) -> str:
    """The known sum; ``+ 3 unknown`` where calls are not in it."""
    known = words.dollars(row.get("cost_usd"))
    return known + (f" + {row['cost_unknown']} unknown" if row.get("cost_unknown") else "")


@click.command()
@click.option("--workflow", "-w", help="Of this workflow.")
@common
@json_option
@pass_work
def anomalies(work: Work, workflow: str | None) -> None:
    """List what is unlike the same hours before: volume, errors, latency, cost.  Exit 1 when there is one.

    Each block of time is held against the median and spread of the same hours of earlier days; while there is
    too little history, the output says which cruder rule was used.
    """
    vet_workflow(work, workflow)
    flush(work)
    answer = work.admin.get("/v1/anomalies", {"workflow": workflow})
    rows = items(answer, "anomalies")
    if work.json:
        work.emit(answer)
    elif rows:
        _print_anomalies(work, rows)
    else:
        work.say("Nothing unusual.")
    if rows:
        raise AlreadyTold


def _print_anomalies(work: Work, rows: list[dict[str, Any]]) -> None:
    from roadworthy.cli.tables import Column, print_table

    zone = work.zone()
    print_table(
        work.console,
        [Column("time"), Column("workflow"), Column("measure"), Column("observed", right=True),
         Column("expected", right=True), Column("weight"), Column("what", wrap=True)],
        [
            [
                words.moment(row.get("since"), zone, now=work.clock()), str(row.get("workflow", "")),
                str(row.get("metric", "")), _number(row.get("observed")), _number(row.get("expected")),
                str(row.get("severity", "")), str(row.get("text", "")),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else words.UNKNOWN


@click.command()
@filters
@click.option(
    "--format", "form", type=click.Choice(("json", "csv", "parquet")), help="[default: by the file's ending, else json]"
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File to write; without it, standard output.")
@click.option("--bodies", is_flag=True, help="Prompts and answers as well.")
@common
@pass_work
def export(work: Work, /, form: str | None, output: Path | None, bodies: bool, **chosen: Any) -> None:
    """Write inferences to a file or to standard output: JSON lines, CSV or Parquet.

    The file appears only when it is whole.
    """
    window = window_of(work, chosen["when"], chosen["tz"])
    params = query(work, chosen, window)
    params["format"] = form or _form_of(output)
    if bodies:
        params["bodies"] = "true"
    flush(work)
    if output is None:
        stdout = sys.stdout.buffer
        if params["format"] == "parquet" and sys.stdout.isatty():
            raise BadInput("Parquet is not for a terminal", "add --output FILE.parquet")
        for piece in work.admin.stream("/v1/export", params):
            stdout.write(piece)
        stdout.flush()
        return
    if output.exists():
        raise BadInput(f"{output}: exists already", "give another name, or remove it first")
    if not output.parent.is_dir():
        raise BadInput(f"{output.parent}: no such folder", "create it, or give another place")
    size = _to_file(work, output, params)
    work.note(f"Wrote {words.size(size)} to {output}: {line(in_words(_filters_only(params), window))}")
    if size == 0:
        raise Finding("nothing matched")


def _filters_only(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in ("format", "bodies")}


def _form_of(output: Path | None) -> str:
    ending = output.suffix.lower() if output else ""
    return {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}.get(ending, "json")


def _to_file(work: Work, output: Path, params: dict[str, Any]) -> int:
    """Write beside the file, private, and rename; an interrupted export leaves nothing.  Returns bytes."""
    temporary = output.with_name(f".{output.name}.part")
    done = False
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            size = _copy(work, file, params)
        temporary.replace(output)
        done = True
    finally:
        if not done:
            temporary.unlink(missing_ok=True)
    return size


def _copy(work: Work, file: BinaryIO, params: dict[str, Any]) -> int:
    size, told = 0, 0
    show = sys.stderr.isatty()
    for piece in work.admin.stream("/v1/export", params):
        size += file.write(piece)
        if show and size - told > 10_000_000:
            told = size
            click.echo(f"\r{words.size(size)} written", err=True, nl=False)
    if told:
        click.echo("", err=True)
    return size
