"""Results → Markdown: the median over the rounds with the smallest and largest value beside it.

Nothing is guessed: a peer that could not be installed or started, a rate that a peer could not hold and a measure
that failed are said in words where the number would stand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.measures import STALL_MS
from bench.peers import ALL

BEGIN, END = "<!-- results: begin (written by make bench) -->", "<!-- results: end -->"
HELD = 0.99
"""A peer holds a rate when it finished this share of the requests that were due."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of the benchmark: its head line and its visits."""

    head: dict[str, Any]
    visits: list[Record]

    def of(self, peer: str) -> list[Record]:
        return [visit for visit in self.visits if visit["peer"] == peer]


def read(path: Path) -> Run:
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return Run(lines[0]["run"], lines[1:])


def write(page: Path, run: Run) -> None:
    """Put the rendered run between the page's two marks."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page}: expected the lines '{BEGIN}' and '{END}' around the results; put them back")
    page.write_text(f"{before}{BEGIN}\n\n{render(run)}\n{END}{after}")


def number(value: float) -> str:
    """Three significant digits, thousands separated."""
    if abs(value) >= 1000:
        return f"{round(value, -len(str(int(abs(value)))) + 3):,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    """``median [least–most]``; the bare number of a single value; a dash for none."""
    if not values:
        return "–"
    middle = number(median(values))
    return middle if len(values) == 1 else f"{middle} [{number(min(values))}–{number(max(values))}]"


def results(run: Run, peer: str, measure: str) -> list[Record]:
    """What a peer's visits found for a measure, in the order of rounds; failed ones are left in."""
    return [visit["measures"][measure] for visit in run.of(peer) if measure in visit["measures"]]


def good(found: Sequence[Record]) -> list[Record]:
    """Without what failed."""
    return [result for result in found if "failed" not in result]


def trouble(found: Sequence[Record]) -> str:
    """Why there is no number, or a remark on it, in words; empty when all is well."""
    sound = good(found)
    if found and not sound:
        return "failed"
    refused = sum(result.get("bad_status", 0) + result.get("broken", 0) + result.get("timeouts", 0) for result in sound)
    return f"{refused:,} failed" if refused else ""


def cell(found: Sequence[Record], field: str) -> str:
    """Spread of a field with a remark when something went wrong."""
    remark = trouble(found)
    text = spread([result[field] for result in good(found)])
    return f"{text} ({remark})" if remark and text != "–" else remark or text


def cpu_cell(found: Sequence[Record]) -> str:
    """The gateway's CPU time for one request; a dash for no gateway."""
    return spread([result["cpu_us"] for result in good(found) if result.get("cpu_us")])


def holds(result: Record) -> bool:
    """Did it finish the requests that were due?"""
    due = float(result["finished"] + result["unfinished"])
    return due > 0 and result["good"] / due >= HELD


def added(run: Run, peer: str, measure: str, field: str) -> list[float]:
    """Milliseconds over direct, round by round, where both held the rate."""
    floor = {visit["round"]: visit["measures"].get(measure) for visit in run.of("direct")}
    found = []
    for visit in run.of(peer):
        here, there = visit["measures"].get(measure), floor.get(visit["round"])
        if here and there and "failed" not in here and "failed" not in there and holds(here):
            found.append(here[field] - there[field])
    return found


def added_cell(run: Run, peer: str, measure: str, field: str) -> str:
    found = good(results(run, peer, measure))
    if found and not all(holds(result) for result in found):
        share = median(result["good"] / max(1, result["finished"] + result["unfinished"]) for result in found)
        return f"not held: {share:.0%} served"
    return spread(added(run, peer, measure, field))


def titles(run: Run) -> list[tuple[str, str]]:
    """Name and table title of the peers that were visited or could not be had, in the table's order."""
    seen = {visit["peer"] for visit in run.visits} | set(run.head["missing"])
    found = []
    for kind in ALL:
        if kind.name in seen:
            version = run.head["versions"].get(kind.name, "")
            title = f"{kind.title} {version}".strip()
            found.append((kind.name, f"**{title}**" if kind.name == "roadworthy" else title))
    return found


def rows(run: Run, columns: Sequence[tuple[str, Callable[[str], str]]]) -> str:
    """A Markdown table with one row a peer."""
    lines = ["| | " + " | ".join(name for name, _ in columns) + " |", "|---|" + "---:|" * len(columns)]
    for peer, title in titles(run):
        if peer in run.head["missing"]:
            cells = ["not installed", *["–"] * (len(columns) - 1)]
        elif all("failed" in visit for visit in run.of(peer)):
            cells = ["did not start", *["–"] * (len(columns) - 1)]
        else:
            cells = [value(peer) for _, value in columns]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def requests_table(run: Run) -> str:
    return rows(
        run,
        [
            ("requests/s, 64 connections", lambda p: cell(results(run, p, "closed64"), "per_second")),
            ("requests/s, 256 connections", lambda p: cell(results(run, p, "closed256"), "per_second")),
            ("CPU a request, µs", lambda p: cpu_cell(results(run, p, "closed64"))),
            ("added p50 at 100/s, ms", lambda p: added_cell(run, p, "open100", "p50")),
            ("added p99 at 100/s, ms", lambda p: added_cell(run, p, "open100", "p99")),
            ("added p50 at 500/s, ms", lambda p: added_cell(run, p, "open500", "p50")),
            ("added p99 at 500/s, ms", lambda p: added_cell(run, p, "open500", "p99")),
        ],
    )


def streams_table(run: Run, measure: str) -> str:
    def total(peer: str, *fields: str) -> str:
        found = good(results(run, peer, measure))
        return f"{sum(result[field] for result in found for field in fields):,}" if found else "–"

    return rows(
        run,
        [
            ("first chunk p50, ms", lambda p: cell(results(run, p, measure), "first_p50")),
            ("first chunk p99, ms", lambda p: cell(results(run, p, measure), "first_p99")),
            ("events/s", lambda p: cell(results(run, p, measure), "events_per_second")),
            ("whole streams", lambda p: total(p, "streams_whole")),
            ("cut or unfinished", lambda p: total(p, "streams_cut", "unfinished")),
            ("stalls", lambda p: total(p, "stalls")),
        ],
    )


def footprint_table(run: Run) -> str:
    def field(peer: str, name: str) -> str:
        return spread([visit[name] for visit in run.of(peer) if name in visit])

    return rows(
        run,
        [
            ("ready, s", lambda p: field(p, "ready_seconds")),
            ("memory idle, MiB", lambda p: field(p, "memory_idle")),
            ("memory after load, MiB", lambda p: field(p, "memory_loaded")),
        ],
    )


@dataclass(frozen=True)
class Budget:
    """A promise of the project and what the run says about it."""

    promise: str
    found: float | None
    limit: float
    at_most: bool = False

    def row(self) -> str:
        if self.found is None:
            return f"| {self.promise} | not measured | |"
        met = self.found <= self.limit if self.at_most else self.found >= self.limit
        return f"| {self.promise} | {number(self.found)} | {'met' if met else '**missed**'} |"


def budgets(run: Run) -> list[Budget]:
    """The project's own budgets, from this run."""

    def mid(peer: str, measure: str, field: str) -> float | None:
        values = [result[field] for result in good(results(run, peer, measure))]
        return median(values) if values else None

    def times(peer: str) -> float | None:
        ours, theirs = mid("roadworthy", "closed64", "per_second"), mid(peer, "closed64", "per_second")
        return ours / theirs if ours is not None and theirs else None

    def extra(field: str) -> float | None:
        values = added(run, "roadworthy", "open500", field)
        return median(values) if values else None

    def visit(field: str) -> float | None:
        values = [found[field] for found in run.of("roadworthy") if field in found]
        return median(values) if values else None

    streams = [result for name in ("streams256", "streams512") for result in good(results(run, "roadworthy", name))]
    cut = sum(result["streams_cut"] + result["unfinished"] for result in streams) if streams else None
    stalls = sum(result["stalls"] for result in good(results(run, "roadworthy", "streams512"))) if streams else None
    return [
        Budget("≥ 10,000 requests/s on one core", mid("roadworthy", "closed64", "per_second"), 10_000),
        Budget("≥ 0.4 × nginx as a plain reverse proxy", times("nginx"), 0.4),
        Budget("≥ 3 × TensorZero", times("tensorzero"), 3),
        Budget("≥ 20 × Portkey", times("portkey"), 20),
        Budget("≥ 100 × LiteLLM", times("litellm"), 100),
        Budget("added p50 ≤ 0.4 ms at 500 requests/s", extra("p50"), 0.4, at_most=True),
        Budget("added p99 ≤ 1.5 ms at 500 requests/s", extra("p99"), 1.5, at_most=True),
        Budget("events/s over 256 streams ≥ 0.99 of direct's", _share(mid, "streams256"), 0.99),
        Budget("streams cut or unfinished: none", cut, 0, at_most=True),
        Budget("512 streams without a stall", stalls, 0, at_most=True),
        Budget("gateway memory ≤ 120 MiB after load", visit("memory_loaded"), 120, at_most=True),
        Budget("ready within 1.5 s", visit("ready_seconds"), 1.5, at_most=True),
    ]


def _share(mid: Callable[[str, str, str], float | None], measure: str) -> float | None:
    ours, floor = mid("roadworthy", measure, "events_per_second"), mid("direct", measure, "events_per_second")
    return ours / floor if ours is not None and floor else None


def notes(run: Run) -> list[str]:
    """Everything that a reader must know about the run."""
    head, found = run.head, []
    said = {peer: f"not installed: {why}" for peer, why in head["missing"].items()}
    for visit in run.visits:
        if "failed" in visit:
            said[visit["peer"]] = f"round {visit['round'] + 1}: {visit['failed']}"
    found += [f"- {peer}: {why}" for peer, why in said.items()]
    foreign = [r["foreign"] for visit in run.visits for r in visit["measures"].values() if "foreign" in r]
    if foreign:
        found.append(
            f"- CPU used by anything else on the machine while measuring: median {median(foreign):.2f}, "
            f"most {max(foreign):.2f} of a core."
        )
    others = [visit["memory_others"] for visit in run.of("roadworthy") if "memory_others" in visit]
    if others:
        found.append(f"- Roadworthy's supervisor and control, on the other core: {spread(others)} MiB after load.")
    if head["quick"]:
        found.append("- A quick run: a smoke test, not a result.")
    return found


def render(run: Run) -> str:
    """The whole report."""
    head = run.head
    taken = {visit["round"] for visit in run.visits}
    where = f"{head['cpu']}, {head['cores']} cores, {head['memory_gib']} GiB, Linux {head['kernel']}"
    parts = [
        f"Run of {head['date']}; {where}, Python {head['python']}; {len(taken)} interleaved rounds, "
        f"{head['seconds']:g} s a measure. Median [least–most].",
        "**Requests**: 1.7 KB in, 1.1 KB out, an upstream that answers at once.",
        requests_table(run),
        f"**256 streams**, 54 events each, 10 ms apart. A stall is a silence of more than {STALL_MS:g} ms.",
        streams_table(run, "streams256"),
        "**512 streams**, 54 events each, 20 ms apart.",
        streams_table(run, "streams512"),
        "**Footprint**: processes on the gateway's core.",
        footprint_table(run),
    ]
    if run.of("roadworthy"):
        lines = "\n".join(budget.row() for budget in budgets(run))
        parts += ["**Budgets** of the project (medians).", f"| budget | found | |\n|---|---:|---|\n{lines}"]
    remarks = notes(run)
    if remarks:
        parts.append("\n".join(remarks))
    return "\n\n".join(parts) + "\n"
