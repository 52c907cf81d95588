"""``python -m bench.surfaces``: what the surfaces beside chat completions cost, passed through and translated.

One gateway with a workflow for every row, all of them measured one after the other in each round, in an order that
turns; so a row is compared with chat completions of the same minute in the same process.  A full run writes its table
into docs/benchmarks.md; ``--translators`` times the translators alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from bench import machine, measures, processes, surface_payloads, table, translators, upstreams
from bench.measures import MEASURES, Result, Tools
from bench.payloads import GAPS_US, MODEL
from bench.peers.base import LOAD_CORE, NotInstalled, Running
from bench.peers.roadworthy import Flow, Roadworthy
from bench.run import DOCS, HERE, RESULTS, WORK, NotReady, alone, brief, first_answer, say
from bench.table import Run
from bench.upstreams import Talk, ToolMissing, Upstream
from roadworthy.formats.model import Format

BEGIN, END = "<!-- surfaces: begin (written by python -m bench.surfaces) -->", "<!-- surfaces: end -->"
TAKEN = [measure for measure in MEASURES if measure.name in ("closed64", "streams256")]
PASSED, TRANSLATED = 0.8, 0.5
"""Least share of chat completions' throughput."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A surface that callers speak, and a target's."""

    asked: Format
    served: Format
    promise: float | None = None
    """Least share of chat completions' throughput."""

    @property
    def name(self) -> str:
        return f"{self.asked}-{self.served}"

    @property
    def title(self) -> str:
        if self.asked == self.served:
            return WORDS[self.asked] if self.promise is None else f"{WORDS[self.asked]}, passed through"
        return f"{WORDS[self.asked]} → {WORDS[self.served]}"


WORDS: dict[Format, str] = {"chat": "chat completions", "responses": "Responses", "messages": "Messages"}
ROWS: tuple[Row, ...] = (
    Row("chat", "chat"),
    Row("responses", "responses", PASSED),
    Row("messages", "messages", PASSED),
    Row("responses", "chat", TRANSLATED),
    Row("responses", "messages", TRANSLATED),
    Row("messages", "chat", TRANSLATED),
    Row("messages", "responses", TRANSLATED),
    Row("chat", "messages", TRANSLATED),
    Row("chat", "responses", TRANSLATED),
)
_TARGETS: dict[Format, dict[str, object]] = {
    "chat": {"provider": "openai", "model": MODEL},
    "responses": {"provider": "openai", "model": MODEL, "capabilities": {"surfaces": ["responses"]}},
    "messages": {"provider": "anthropic", "model": "claude-sonnet-4-5-20250929"},
}


class Surfaces(Roadworthy):
    """Roadworthy with two workflows a row: ``instant`` for whole answers, ``stream256`` for streams."""

    name = "surfaces"

    def flows(self, upstream: Upstream) -> dict[str, Flow]:
        made: dict[str, Flow] = {}
        for row in ROWS:
            for kind, talk in (("instant", "instant"), ("stream256", row.served)):
                name = f"{row.name}-{kind}"
                body = surface_payloads.request(row.asked, name, stream=kind != "instant")
                target = {**_TARGETS[row.served], "endpoint": upstream.base(talk)}
                path, parameters = surface_payloads.PATHS[row.asked], surface_payloads.PARAMETERS[row.asked]
                made[name] = Flow(target, body, path, parameters, surface_payloads.CLIENT[row.asked])
        return made


def talks() -> dict[str, Talk]:
    return {name: Talk(GAPS_US["stream256"], surface_payloads.events(name)) for name in surface_payloads.FORMATS}


def only(running: Running, row: Row) -> Running:
    """The gateway as one row sees it."""
    routes = {kind: running.routes[f"{row.name}-{kind}"] for kind in ("instant", "stream256")}
    return dataclasses.replace(running, routes=routes)


def visits(rounds: int, seconds: float, wanted: Sequence[Row]) -> Path:
    """Measure every row in every round; the path of the results."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}-surfaces.jsonl"
    tools = Tools(upstreams.build(HERE / "load" / "load.c", WORK), WORK)
    peer = Surfaces(WORK)
    head = {**machine.facts(), "versions": {"roadworthy": peer.install()}, "seconds": seconds}
    with upstreams.running(WORK, LOAD_CORE, talks()) as upstream, path.open("a") as out:
        out.write(json.dumps({"run": head}) + "\n")
        peer.prepare(upstream)
        started = time.monotonic()
        running = peer.start(upstream)
        try:
            first_answer(peer, only(running, wanted[0]), started)
            running.answered()
            for number in range(rounds):
                turn = number % len(wanted)
                for row in [*wanted[turn:], *wanted[:turn]]:
                    one = only(running, row)
                    measures.warm_up(tools, one, 1.0)
                    found: dict[str, Result] = {}
                    say(f"round {number + 1}/{rounds}  {row.title}")
                    for measure in TAKEN:
                        processes.settle([*running.gateway_pids(), *running.other_pids()])
                        found[measure.name] = measures.take(measure, tools, one, upstream.pids, seconds)
                        say(f"    {measure.title:<30} {brief(found[measure.name])}")
                    out.write(json.dumps({"round": number, "row": row.name, "measures": found}) + "\n")
                    out.flush()
        finally:
            running.stop()
    return path


def times(run: Run, row: Row, measure: str, rate: Callable[[Result], float]) -> list[float]:
    """Of chat completions in the same round, round by round.  ``rate``: more is better."""
    floor = {visit["round"]: visit["measures"][measure] for visit in run.visits if visit["row"] == ROWS[0].name}
    found = []
    for visit in run.visits:
        here, there = visit["measures"][measure], floor.get(visit["round"])
        if visit["row"] == row.name and there and "failed" not in here and "failed" not in there:
            found.append(rate(here) / rate(there))
    return found


def throughput(result: Result) -> float:
    """Requests a second."""
    return float(result["per_second"])


def whole_streams(result: Result) -> float:
    """Of one measure; its length is the same for all rows."""
    return float(result["streams_whole"])


def by_cpu(result: Result) -> float:
    """Requests for a second of the gateway's CPU: its throughput where nothing else runs."""
    return 1e6 / float(result["cpu_us"])


def judged(row: Row, found: Sequence[float]) -> str:
    if row.promise is None:
        return "–"
    if not found:
        return "not measured"
    return f"{table.spread(found)} (≥ {row.promise:g}: {'met' if median(found) >= row.promise else '**missed**'})"


def compared(row: Row, found: Sequence[float]) -> str:
    return "–" if row.promise is None else table.spread(found)


def taken(run: Run, row: Row, measure: str) -> list[Result]:
    return [visit["measures"][measure] for visit in run.visits if visit["row"] == row.name]


def answers(run: Run, row: Row) -> list[tuple[str, str]]:
    """(column, cell)."""
    found = taken(run, row, "closed64")
    return [
        ("requests/s", table.cell(found, "per_second")),
        ("× chat completions", compared(row, times(run, row, "closed64", throughput))),
        ("CPU a request, µs", table.cpu_cell(found)),
        ("× chat completions by CPU", judged(row, times(run, row, "closed64", by_cpu))),
    ]


def streams(run: Run, row: Row) -> list[tuple[str, str]]:
    """(column, cell)."""
    found = taken(run, row, "streams256")
    lost = sum(result.get("streams_cut", 0) + result.get("unfinished", 0) for result in table.good(found))
    return [
        ("streams/s", table.cell(found, "per_second")),
        ("× chat completions", compared(row, times(run, row, "streams256", whole_streams))),
        ("CPU a stream, µs", table.cpu_cell(found)),
        ("× chat completions by CPU", judged(row, times(run, row, "streams256", by_cpu))),
        ("first event p50, ms", table.cell(found, "first_p50")),
        ("cut or unfinished", f"{lost:,}"),
    ]


def rows(run: Run, columns: Callable[[Run, Row], list[tuple[str, str]]]) -> str:
    seen = {visit["row"] for visit in run.visits}
    told = [(row.title, columns(run, row)) for row in ROWS if row.name in seen]
    names = [name for name, _ in told[0][1]]
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    return "\n".join(lines + [f"| {title} | " + " | ".join(cell for _, cell in cells) + " |" for title, cells in told])


def render(run: Run, cost: str) -> str:
    head = run.head
    rounds = len({visit["round"] for visit in run.visits})
    results = [result for visit in run.visits for result in visit["measures"].values()]
    foreign = [result["foreign"] for result in results if "foreign" in result]
    return "\n\n".join(
        [
            f"Run of {head['date']}; {head['cpu']}, {head['cores']} cores, {head['memory_gib']} GiB, "
            f"Linux {head['kernel']}, Python {head['python']}; {rounds} interleaved rounds, {head['seconds']:g} s a "
            "measure. Median [least–most]; ratios are to chat completions in the same round.",
            "**Whole answers**, 64 connections.",
            rows(run, answers),
            "**256 streams**, 10 ms between two events of the upstream.",
            rows(run, streams),
            f"CPU used by anything else on the machine meanwhile: median {median(foreign):.2f}, most "
            f"{max(foreign):.2f} of a core.",
            "**Translating** by itself, µs of CPU (`python -m bench.surfaces --translators`).",
            cost,
        ]
    )


def write(page: Path, told: str) -> None:
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page}: expected the lines '{BEGIN}' and '{END}' around the results; put them back")
    page.write_text(f"{before}{BEGIN}\n\n{told}\n\n{END}{after}")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.surfaces", description="Compare the surfaces with chat completions.")
    parser.add_argument("--rounds", type=int, default=3, help="measures of each row (default 3)")
    parser.add_argument("--only", default="", help=f"comma-separated out of: {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--quick", action="store_true", help="short measures: a smoke test, not a result")
    parser.add_argument("--table", type=Path, help="write docs/benchmarks.md from these results and stop")
    parser.add_argument("--translators", action="store_true", help="time the translators alone and stop")
    chosen = parser.parse_args(argv)
    names = {name for name in chosen.only.split(",") if name}
    if unknown := names - {row.name for row in ROWS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    chosen.rows = [row for row in ROWS if not names or row.name in names or row is ROWS[0]]
    return chosen


def main(argv: list[str] | None = None) -> int:
    chosen = arguments(argv)
    if chosen.translators:
        say(translators.render())
        return 0
    if chosen.table:
        write(DOCS, render(table.read(chosen.table), translators.render()))
        say(f"wrote {DOCS}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        upstreams.require("nginx", "wrk", "gcc", "taskset")
        with alone():
            results = visits(chosen.rounds, 2.0 if chosen.quick else 5.0, chosen.rows)
    except (ToolMissing, NotInstalled, NotReady) as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("\ninterrupted: everything started was stopped; finished measures are kept in bench/results/")
        return 130
    told = render(table.read(results), translators.render())
    say(f"\n{told}\n\nresults: {results}")
    if not (chosen.quick or chosen.only):
        write(DOCS, told)
        say(f"wrote {DOCS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
