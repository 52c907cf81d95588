"""``forecast``: what a workflow will cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.commands.cost import Percent
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput
from roadworthy.cli.terminal import line
from roadworthy.cost.model import PART_WORDS as KINDS
from roadworthy.operations.costing.forecast_words import LOADS, WHY_NONE, basis, rate, times, tracked

LIMITS_SHOWN = 4


@click.command()
@click.argument("workflow")
@click.option(
    "--volume",
    metavar="CALLS/TIME",
    help="Calls that will come, for example 2000/day: needed before there is traffic, a what-if afterwards.",
)
@click.option(
    "--growth",
    type=Percent(),
    metavar="SHARE",
    help="Growth in thirty days that you expect, for example 10%; what was seen outweighs it with time.",
)
@click.option("--peak", metavar="CALLS/TIME", help="What if the busiest hour had so many, for example 3/s.")
@click.option("--release", default="", metavar="NUMBER", help="Another release than the one that is judged.")
@click.option("--dry-run", is_flag=True, help="Show it, and keep neither the forecast nor its evidence.")
@click.option("--past", is_flag=True, help="Show earlier forecasts, held against what came.")
@json_option
@common
@pass_work
def forecast(
    work: Work, workflow: str, volume: str | None, growth: float | None, peak: str | None, release: str, dry_run: bool,
    past: bool,
) -> None:  # fmt: skip
    """Forecast the cost of WORKFLOW: a call, the expected month, the month at the projected peak, 5× and 10× of it.

    Each with an 80 % interval, the limits that bind first and whether the load is reachable.  Under seven days of
    traffic the figures are an assumption and say so.  It is kept, held against what comes, and evidence of readiness
    once the cost owner accepts it: roadworthy accept WORKFLOW.
    """
    if past:
        if volume or growth is not None or peak or release or dry_run:
            raise BadInput("--past shows what was foretold", "leave the other options out")
        _tell_past(work, work.admin.get("/v1/cost/forecasts", {"workflow": workflow}))
        return
    asked: dict[str, Any] = {"workflow": workflow, "keep": not dry_run}
    if release:
        asked["release"] = release
    if volume is not None:
        asked["calls_a_day"] = _calls("--volume", volume)
    if peak is not None:
        asked["peak"] = _calls("--peak", peak) / 86_400.0
    if growth is not None:
        asked["growth_a_month"] = growth
    made: dict[str, Any] = work.admin.post("/v1/cost/forecasts", asked)
    if work.json:
        work.emit(made)
    else:
        _tell(work, made)


def _calls(option: str, text: str) -> float:
    from roadworthy.cost.calculator import Unreadable, volume

    try:
        return volume(text)
    except Unreadable as error:
        raise BadInput(f"{option}: {error}") from error


def _tell(work: Work, made: Mapping[str, Any]) -> None:
    from roadworthy.cli.tables import Column, print_table

    figures = made["figures"]
    work.say(f"{line(figures['workflow'])}: {basis(figures)}")
    work.say()
    print_table(
        work.console,
        [
            Column(""), Column("calls", right=True), Column("busiest hour", right=True, spare=2),
            Column("cost", right=True), Column("80 % interval", right=True), Column("reachable"),
        ],
        [
            [
                LOADS[each["name"]], "" if each["name"] == "unit" else words.count(each["calls"]),
                "" if each["name"] == "unit" else rate(each["rate"]), words.dollars(each["usd"]["point"]),
                f"{words.dollars(each['usd']['low'])} – {words.dollars(each['usd']['high'])}",
                "" if each["name"] == "unit" else "yes" if each["feasible"] else "no",
            ]
            for each in figures["scenarios"]
        ],
    )  # fmt: skip
    for each in figures["scenarios"]:
        if each["note"]:
            work.say(f"{LOADS[each['name']]}: {line(each['note'])}")
    work.say()
    _tell_why(work, figures)
    work.say()
    work.say(tracked(made["track"]))
    _tell_evidence(work, made)


def _tell_why(work: Work, figures: Mapping[str, Any]) -> None:
    work.say("what moves it:")
    for each in figures["drivers"]:
        work.say(f"  {KINDS.get(each['name'], each['name'])}: {line(each['text'])}")
    bound = figures["limits"][:LIMITS_SHOWN]
    work.say("limits, the one that binds first at the head:")
    for each in bound:
        work.say(f"  {line(each['name'])} of {line(each['of'])}: at {times(each['binds_at'])}× the peak")
    if not bound:
        work.say("  none is declared (targets.*.limits, policy.budgets); a provider has some all the same")
    asked = figures.get("assumptions", {})
    factor = 1 / asked.get("load_factor", 1 / 3)
    work.say("assumed:")
    work.say(f"  growth of {100 * asked.get('growth_a_month', 0.0):.3g} % a month before any was seen, give or take "
             f"{100 * asked.get('growth_sd', 0.1):.0f} %")  # fmt: skip
    work.say(f"  the busiest hour has {factor:.2g} times the mean: {line(str(asked.get('load_factor_from')))}")
    work.say(f"  the cost of a call: from {line(str(asked.get('cost_from')))}")
    work.say(f"  the peak: {line(str(asked.get('peak_from')))}")
    for note in figures.get("notes", []):
        work.say(f"note: {line(note)}")


def _tell_evidence(work: Work, made: Mapping[str, Any]) -> None:
    workflow, owner = made["figures"]["workflow"], made["cost_owner"]
    if made["why_none"]:
        work.say(WHY_NONE[made["why_none"]])
    elif made["accepted_by"]:
        work.say(f"evidence {made['evidence']}: stays inside what {line(made['accepted_by'])} accepted")
    else:
        work.say(f"evidence {made['evidence']}: it counts once {line(owner)} accepts it: roadworthy accept {workflow}")


def _tell_past(work: Work, found: Mapping[str, Any]) -> None:
    from roadworthy.cli.tables import Column, print_table

    items: Sequence[Mapping[str, Any]] = found["items"]
    if work.json:
        work.emit(found)
        return
    if not items:
        work.say("No forecast is kept yet.")
        return
    zone, now = work.zone(), work.clock()
    print_table(
        work.console,
        [
            Column("made"), Column("by", optional=True), Column("basis"), Column("over", right=True),
            Column("foretold", right=True), Column("80 % interval", right=True), Column("came", right=True),
            Column("held"),
        ],
        [_past(item, zone, now) for item in items],
    )  # fmt: skip
    work.say(tracked(found["track"]))


def _past(item: Mapping[str, Any], zone: Any, now: float) -> list[str]:
    figures, told = item["figures"], item["told"]
    row = [words.moment(figures["made_at"], zone, now=now), line(figures["by"]), figures["basis"]]
    if told is None:
        return [*row, "under way", "", "", "", ""]
    held = "" if item["held"] is None else "yes" if item["held"] else "no"
    between = f"{words.dollars(told['low'])} – {words.dollars(told['high'])}"
    return [*row, f"{item['days']} d", words.dollars(told["point"]), between, words.dollars(item["came"]), held]
