"""How often a cost forecast holds what it claims, and how wide it is: on made traces and on minutes of the Azure ones.

``python -m bench.forecasting [DATA]``; ``DATA``: folder that holds ``azure/*.csv``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from roadworthy.statistics.forecasting import DayCalls, Prior, cost_draws, fit_volume, interval, volume_draws
from roadworthy.statistics.rates import wilson_interval

COVERS = 0.8
DRAWS = 600
AHEAD = 30
"""Days."""
SEEN = (14, 21, 28, 42)
"""Days that a forecast of a made trace is made on, in turn."""
SAMPLED = 200
"""Calls of a day whose costs are known one by one."""
IN, OUT = 0.15e-6, 0.60e-6
"""US dollars a token, for the Azure traces."""


class Coverage(NamedTuple):
    """How a series of forecasts did."""

    forecasts: int
    held: int
    coverage: float
    low: float
    """Wilson interval of ``coverage``, 95 %."""
    high: float
    median_width: float
    """Width of the interval over what came."""
    median_ratio: float
    """What came over the point."""


class Trace(NamedTuple):
    """Days with their calls; the weekday of the first is 0."""

    days: Sequence[DayCalls]


def made(rng: np.random.Generator, days: int) -> Trace:
    """A trace: weekends, growth, a level that drifts in one of three, days that vary and resemble their neighbours,
    calls whose cost has a long tail."""
    volume = float(np.exp(rng.uniform(np.log(60.0), np.log(5000.0))))
    weekend = rng.uniform(0.3, 1.1)
    growth = rng.normal(0.0, 0.1) / 30.0
    sd, alike = rng.uniform(0.05, 0.3), rng.uniform(0.0, 0.5)
    cost, cost_sd, tail = 0.002, rng.uniform(0.02, 0.2), rng.uniform(0.3, 1.2)
    noise = _neighbours(rng, days, sd, alike)
    if rng.random() < 1 / 3:
        noise = noise * np.exp(rng.normal(0.0, rng.uniform(0.0, 0.05), size=days).cumsum())
    drift = _neighbours(rng, days, cost_sd, alike)
    found = []
    for day in range(days):
        rate = volume * (weekend if day % 7 >= 5 else 1.0) * np.exp(growth * day) * noise[day]
        calls = int(rng.poisson(rate))
        sample = rng.lognormal(-tail * tail / 2, tail, size=min(calls, SAMPLED))
        rest = calls - sample.size
        # the mean of thousands is normal: drawn at once
        total = sample.sum() + (rng.normal(rest, np.sqrt(rest * np.expm1(tail * tail))) if rest else 0.0)
        mean = float(cost * drift[day] * total / calls) if calls else 0.0
        found.append(DayCalls(calls, mean, (cost * drift[day] * sample).tolist()))
    return Trace(found)


def _neighbours(rng: np.random.Generator, days: int, sd: float, alike: float) -> np.ndarray:
    """Log-normal noise of mean 1 whose neighbours correlate."""
    steps = rng.normal(0.0, 1.0, size=days)
    for day in range(1, days):
        steps[day] = alike * steps[day - 1] + np.sqrt(1 - alike * alike) * steps[day]
    return np.exp(sd * steps - sd * sd / 2)


def held_out(trace: Trace, seen: int, ahead: int, rng: np.random.Generator, season: int = 7) -> tuple[float, ...]:
    """(what came, point, lower, upper) of a forecast that is made on the first ``seen`` days of a trace."""
    past, future = trace.days[:seen], trace.days[seen : seen + ahead]
    volume = fit_volume([day.calls for day in past], 0, Prior(), season)
    calls = volume_draws(volume, seen % season, ahead, DRAWS, rng)
    costs = cost_draws(past, ahead, DRAWS, rng)
    return sum(day.calls * day.mean for day in future), *interval((calls * costs).sum(axis=1), COVERS)


def _coverage(results: Sequence[tuple[float, ...]]) -> Coverage:
    held = sum(low <= came <= high for came, _, low, high in results)
    low, high = wilson_interval(held, len(results))
    widths = [(high - low) / came for came, _, low, high in results if came]
    ratios = [came / point for came, point, _, _ in results if point]
    return Coverage(
        len(results), held, held / len(results), low, high, float(np.median(widths)), float(np.median(ratios))
    )


def simulate(n: int = 200, seed: int = 5) -> dict[str, float]:
    """``n`` made traces: a forecast of thirty days on the first two to six weeks of each, held against the rest."""
    rng = np.random.default_rng(seed)
    results = []
    for number in range(n):
        seen = SEEN[number % len(SEEN)]
        results.append(held_out(made(rng, seen + AHEAD), seen, AHEAD, rng))
    return dict(_coverage(results)._asdict())


def resampled(path: Path, n: int = 200, seed: int = 5, seen: int = 21, ahead: int = 30) -> dict[str, float]:
    """``n`` traces whose days are minutes of an Azure trace, drawn in runs of five on average, so that neighbours are
    as alike as they are there (D. Politis and J. Romano, J. American Statistical Association 89 (1994) 1303-1313)."""
    blocks = list(_blocks(path, 60.0))
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(n):
        at, days = int(rng.integers(len(blocks))), []
        for _ in range(seen + ahead):
            days.append(blocks[at])
            at = int(rng.integers(len(blocks))) if rng.random() < 0.2 else (at + 1) % len(blocks)
        results.append(held_out(Trace(days), seen, ahead, rng, season=1))
    return dict(_coverage(results)._asdict())


def azure(path: Path, seen: int = 10, ahead: int = 10, block: float = 60.0) -> dict[str, float]:
    """A forecast of the next ``ahead`` minutes at every minute of a trace that has so many before and after it.

    Minutes stand for days: these traces are an hour long.  Neighbouring forecasts share most of their minutes, so they
    are fewer than they look.
    """
    blocks = list(_blocks(path, block))
    rng = np.random.default_rng(5)
    starts = range(len(blocks) - seen - ahead + 1)
    results = [held_out(Trace(blocks[at : at + seen + ahead]), seen, ahead, rng, season=1) for at in starts]
    return dict(_coverage(results)._asdict())


def _blocks(path: Path, block: float) -> Iterator[DayCalls]:
    """The whole blocks of an Azure trace (``TIMESTAMP,ContextTokens,GeneratedTokens``)."""
    calls: list[tuple[float, float]] = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp()
            calls.append((at, int(row["ContextTokens"]) * IN + int(row["GeneratedTokens"]) * OUT))
    begin = min(at for at, _ in calls)
    whole = int((max(at for at, _ in calls) - begin) // block)
    for number in range(whole):
        low, high = begin + number * block, begin + (number + 1) * block
        mine = [cost for at, cost in calls if low <= at < high]
        yield DayCalls(len(mine), sum(mine) / len(mine) if mine else 0.0, mine[:SAMPLED])


def main() -> None:
    print("made traces:", simulate())
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if folder is None:
        print("Azure traces: skipped, no DATA was named")
        return
    for path in sorted((folder / "azure").glob("*.csv")):
        print(f"{path.name}, traces of its minutes:", resampled(path))
        print(f"{path.name}, as it was, from every minute on:", azure(path))


if __name__ == "__main__":
    main()
