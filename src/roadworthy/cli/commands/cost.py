"""``cost``: what calls of given sizes would cost, and what a workflow's calls are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.terminal import line
from roadworthy.cost.model import PART_WORDS as KINDS

TOKENS = ("input", "cache_read", "cache_write", "output", "reasoning")


class Percent(click.ParamType[float]):
    """``60%``, ``60 %`` or ``0.6`` → 0.6."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            found = float(text.removesuffix("%")) / 100.0 if text.endswith("%") else float(text)
        except ValueError:
            found = float("nan")
        if not -1.0 <= found <= 1e3:
            self.fail(f"{value!r} is no share; write 60% or 0.6", param, ctx)
        return found


@click.group()
def cost() -> None:
    """Calculate, take apart and compare what calls cost."""


@cost.command()
@click.option("--model", required=True, help="As its provider names it, for example gpt-4o-mini.")
@click.option("--provider", help="Its id in the public price list, where several sell the model.")
@click.option("--in", "given", type=float, required=True, metavar="TOKENS", help="Input tokens of a call.")
@click.option("--out", "written", type=float, required=True, metavar="TOKENS", help="Output tokens of a call.")
@click.option("--volume", default="1000/day", show_default=True, metavar="CALLS/TIME",
              help="For example 2000/day, 50k/month, 3/s.")  # fmt: skip
@click.option("--cache-read", "reads", type=Percent(), default=0.0, metavar="SHARE",
              help="Of the input, read from the provider's cache.")  # fmt: skip
@click.option("--cache-write", "writes", type=Percent(), default=0.0, metavar="SHARE",
              help="Of the input, written to it.")  # fmt: skip
@click.option("--batch", is_flag=True, help="Sent as a batch that is answered within a day.")
@click.option("--batch-off", "off", type=Percent(), default=0.5, show_default="50%", metavar="SHARE",
              help="What a batch takes off.")  # fmt: skip
@json_option
@common
@pass_work
def calculate(
    work: Work, model: str, provider: str | None, given: float, written: float, volume: str, reads: float,
    writes: float, batch: bool, off: float,
) -> None:  # fmt: skip
    """Price calls of a given size, before there is any data.

    Needs no install and no network: prices are those of the public list that is installed with Roadworthy.
    """
    from roadworthy.cost.calculator import Call, Unreadable, calculate
    from roadworthy.cost.calculator import volume as read_volume
    from roadworthy.cost.service import PriceList

    at, priced = PriceList().listed(model, provider)
    if priced.price is None:
        raise BadInput(priced.unknown, "roadworthy cost calculate --help")
    try:
        call = Call(given, written, reads, writes, off if batch else 0.0)
        found = calculate(priced.price, call, read_volume(volume))
    except Unreadable as error:
        raise BadInput(str(error)) from error
    if work.json:
        work.emit(_calculated(model, at, priced, found))
        return
    work.say(f"{line(model)} at {at} ({priced.price.source})")
    work.say(f"  one call      {words.dollars(found.call.total):>12}   {_split(found.call)}")
    if found.uncached != found.call.total and found.uncached:
        saved = 1.0 - found.call.total / found.uncached
        work.say(f"  without cache and batch {words.dollars(found.uncached)}: {words.share(abs(saved))} "
                 f"{'saved' if saved > 0 else 'more is paid'}")  # fmt: skip
    work.say(f"  a day         {words.dollars(found.day):>12}   {found.calls_a_day:,.6g} calls")
    work.say(f"  30 days       {words.dollars(found.month):>12}")
    work.say(f"  a year        {words.dollars(found.year):>12}")
    if priced.note:
        work.say(f"  {priced.note}")


def _calculated(model: str, provider: str, priced: Any, found: Any) -> dict[str, Any]:
    price = {name: getattr(priced.price, name) for name in ("input", "output", "cache_read", "cache_write")}
    return {
        "model": model, "provider": provider, "source": priced.price.source, "note": priced.note, "price": price,
        "call": {name: getattr(found.call, name) for name in found.call.__struct_fields__},
        "call_usd": found.call.total, "uncached_call_usd": found.uncached, "calls_a_day": found.calls_a_day,
        "day_usd": found.day, "month_usd": found.month, "year_usd": found.year,
    }  # fmt: skip


def _split(call: Any) -> str:
    """``input $0.000153 + output $0.000077``."""
    made = [(KINDS[name], getattr(call, name)) for name in ("input", "cache_read", "cache_write", "output", "request")]
    return " + ".join(f"{name} {words.dollars(usd)}" for name, usd in made if usd)


@cost.command()
@click.argument("workflow")
@click.option("--days", type=click.FloatRange(min=0, min_open=True, max=400), default=30.0, show_default=True,
              help="How far back.")  # fmt: skip
@click.option("--minute-usd", type=click.FloatRange(min=0), metavar="USD",
              help="What a minute of a person costs; without it minutes are counted and not priced.")  # fmt: skip
@json_option
@common
@pass_work
def unit(work: Work, workflow: str, days: float, minute_usd: float | None) -> None:
    """Show what a call, an outcome and an answered customer of WORKFLOW cost, and what that is made of."""
    asked = {"workflow": workflow, "days": days, "minute_usd": minute_usd}
    found: dict[str, Any] = work.admin.get("/v1/cost/unit", asked)
    if work.json:
        work.emit(found)
    elif found["calls"]:
        _tell(work, found)
    if not found["calls"]:
        raise Finding(
            f"{workflow} had no live calls in {days:g} days",
            "before any traffic: roadworthy cost calculate, or roadworthy forecast WORKFLOW --volume 2000/day",
        )


def _tell(work: Work, found: Mapping[str, Any]) -> None:
    from roadworthy.cli.tables import Column, print_table

    calls, unknown = int(found["calls"]), int(found["unknown"])
    work.say(f"{line(str(found['workflow']))}: {calls:,} live calls, {words.dollars(found['usd'])}")
    if unknown:
        work.say(f"the cost of {unknown:,} calls is not known ({words.share(unknown / calls)}): they are in no figure "
                 "here; roadworthy check says which target lacks a price")  # fmt: skip
    work.say()
    rows = [["a call", f"{calls - unknown:,}", words.dollars(found["per_call"])]]
    rows += [[str(each["outcome"]), f"{each['calls']:,}", words.dollars(_each(each))] for each in found["outcomes"]]
    rows.append(["an answered customer", f"{found['customers']:,}", words.dollars(found["per_customer"])])
    columns = [Column("cost of"), Column("how many", right=True), Column("each", right=True)]
    print_table(work.console, columns, rows)
    if found["unnamed"]:
        work.say(f"{found['unnamed']:,} answered calls name no user; they are nobody's cost")
    work.say()
    print_table(
        work.console,
        [Column("made of"), Column("share", right=True), Column("cost", right=True), Column("", right=True)],
        [
            [KINDS[part["name"]], words.share(part["share"]) if part["usd"] is not None else words.UNKNOWN,
             words.dollars(part["usd"]), _how_many(part)]
            for part in found["parts"]
        ],
    )  # fmt: skip
    if found["read"] < calls:
        work.say(f"parts are read from {found['read']:,} of the calls, the same ones every time")
    for name, usd in sorted(found["other_classes"].items()):
        work.say(f"beside live traffic, {name}: {words.dollars(usd)}")


def _each(outcome: Mapping[str, Any]) -> float | None:
    known = outcome["calls"] - outcome["unknown"]
    return outcome["usd"] / known if outcome["usd"] is not None and known else None


def _how_many(part: Mapping[str, Any]) -> str:
    name, number = part["name"], words.count(part["count"])
    if name in TOKENS:
        return f"{number} tokens"
    return f"{number} minutes" if name == "people" else f"{number} times"
