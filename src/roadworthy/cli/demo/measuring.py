"""The demo's measurements of the sample: a short load test, and what its calls will cost."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.cli.demo.system import WORKFLOW, System
from roadworthy.cli.errors import CliError
from roadworthy.cli.words import dollars, seconds

POLL = 0.5
ENDING = 60.0
"""Seconds after the load within which a test must have come to an end."""
LISTED = "gpt-4o-mini"
"""A hosted model of the public price list, for what the same calls would cost there."""
MOST_USD = 0.05

Progress = Callable[[int, int], None]


class Item(msgspec.Struct, frozen=True):
    """One item of the checklist, as readiness words it."""

    number: int
    verdict: str
    figure: str

    def __str__(self) -> str:
        return f"item {self.number}: {self.verdict}, {self.figure}"


class Loaded(msgspec.Struct, frozen=True):
    """A load test of the sample."""

    run: str
    peak: float
    """Projected, calls a second."""
    rate: float
    """Calls a second that were meant."""
    seconds: float
    calls: int
    answered: int
    """By the model."""
    whole: float
    """Median of the whole answer, seconds from the intended start."""
    evidence: str

    def __str__(self) -> str:
        return (
            f"{self.answered} of {self.calls} calls answered at {self.rate:g}/s, {self.rate / self.peak:g} × the "
            f"projected peak; half of them within {seconds(self.whole)}"
        )


class Costs(msgspec.Struct, frozen=True):
    """What the sample will cost."""

    id: str
    basis: str
    volume: float
    """Calls a day, stated."""
    calls: int
    """Eval calls by which a call is priced."""
    unit: float
    """US dollars a call."""
    month: float
    """Of the expected month, with the 80 % interval."""
    low: float
    high: float
    evidence: str
    """Id; empty: it is none."""
    input: float
    """Mean tokens of a call."""
    output: float
    listed: float
    """US dollars of thirty days of such calls on ``LISTED``."""
    calculate: str
    """The command that says so."""

    def __str__(self) -> str:
        what = "assumption, not forecast" if self.basis == "assumption" else self.basis
        return (
            f"{what}: {self.volume:,.0f} calls a day come to {dollars(self.month)} a month ({dollars(self.low)} to "
            f"{dollars(self.high)}) by the sample's invented price, {dollars(self.listed)} by that of {LISTED}"
        )


def load(system: System, release: int, length: float, told: Progress = lambda done, wanted: None) -> Loaded:
    """Test a release under load for ``length`` seconds; ``told(done, wanted)`` counts calls.

    Raises ``CliError`` when no call of it was answered.
    """
    order = {"workflow": WORKFLOW, "release": str(release), "seconds": length, "bodies": "examples", "usd": MOST_USD}
    run = system.admin.post("/v1/loads", order)
    deadline = time.monotonic() + length + ENDING
    while run.get("state", "running") == "running" and time.monotonic() < deadline:
        time.sleep(POLL)
        run = system.admin.get(f"/v1/loads/{run['id']}")
        told(run.get("progress", {}).get("ended", 0), run["plan"]["calls"])
    measured = (run.get("came") or {}).get("measured") or {}
    if not measured.get("whole"):
        raise CliError(f"the load test {run.get('state', 'running')}: {run.get('detail', '')} (no call was answered)")
    return Loaded(
        run=run["id"],
        peak=run["plan"]["peak"]["rate"],
        rate=run["plan"]["rate"],
        seconds=length,
        calls=measured["sent"],
        answered=measured["answered"],
        whole=measured["whole"]["p50"]["value"],
        evidence=run.get("evidence", ""),
    )


def forecast(system: System, release: int, volume: float, run: str) -> Costs:
    """Forecast the cost of a release that has no whole day of traffic: by its eval calls, at a stated volume.

    ``run``: of the gate, whose tokens say what the same calls would cost on ``LISTED``.
    """
    made = system.admin.post(
        "/v1/cost/forecasts", {"workflow": WORKFLOW, "release": str(release), "calls_a_day": volume}
    )
    figures = made["figures"]
    loads = {each["name"]: each["usd"] for each in figures["scenarios"]}
    calls = asked(system, run)
    given, written = (round(sum(each) / len(calls)) for each in zip(*map(sizes, calls), strict=True))
    calculate = f"cost calculate --model {LISTED} --in {given} --out {written} --volume {volume:g}/day"
    return Costs(
        id=figures["id"],
        basis=figures["basis"],
        volume=volume,
        calls=len(calls),
        unit=loads["unit"]["point"],
        month=loads["expected"]["point"],
        low=loads["expected"]["low"],
        high=loads["expected"]["high"],
        evidence=made.get("evidence", ""),
        input=given,
        output=written,
        listed=_calculated(calculate),
        calculate=calculate,
    )


def item(system: System, release: int, number: int) -> Item:
    """An item of the checklist as it stands."""
    report = system.admin.get("/v1/readiness", {"workflow": WORKFLOW, "release": str(release)})
    found = next(each for each in report["items"] if each["number"] == number)
    return Item(number, found["verdict"], found["figure"])


def asked(system: System, run: str) -> list[dict[str, Any]]:
    """Answers of an eval run whose tokens are known."""
    answers = (each["answer"] or {} for each in system.admin.get(f"/v1/evals/runs/{run}/answers")["items"])
    return [each for each in answers if each.get("tokens")]


def sizes(answer: dict[str, Any]) -> tuple[int, int]:
    """(input, output) tokens, all attempts together."""
    tokens = answer["tokens"]
    return sum(tokens.get(kind, 0) for kind in ("input", "cache_read", "cache_write")), tokens.get("output", 0)


def _calculated(command: str) -> float:
    from roadworthy.cost.calculator import Call, calculate, volume
    from roadworthy.cost.service import PriceList

    words = shlex.split(command)
    given, written, calls = (words[words.index(name) + 1] for name in ("--in", "--out", "--volume"))
    price = PriceList().listed(LISTED, None)[1].price
    if price is None:
        raise CliError(f"the public price list holds no {LISTED}")
    return calculate(price, Call(float(given), float(written)), volume(calls)).month
