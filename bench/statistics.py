"""``python -m bench.statistics [DATA]``: are the figures that the product decides with what was published, and do they
hold?

Everything is computed by the functions that decide in an install; *expected* is the published or the declared figure.
``DATA`` is a folder with ``pandalm/`` (testset-v1.json, gpt35.json, pandalm7b.json) and ``azure/`` (the two CSV of the
Azure LLM inference traces of 2023); none of it is part of this repository.  Without it the parts that need it are named
as skipped, and what docs/statistics.md says of them from an earlier run stays.  Exit code 1: a figure does not hold.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from math import log
from pathlib import Path
from statistics import NormalDist, median
from typing import Any, NamedTuple

import numpy as np

from bench import forecasting
from roadworthy.inference_log import drift
from roadworthy.inference_log.model import Rating
from roadworthy.latency.model import Arrivals
from roadworthy.latency.pacing import plan
from roadworthy.latency.traces import burstiness, read_azure
from roadworthy.statistics.agreement import alpha_interval, cohen_kappa, kappa_interval, krippendorff_alpha
from roadworthy.statistics.drift import mix_shift
from roadworthy.statistics.eprocess import calls_to_prove, log_above
from roadworthy.statistics.judged import (
    mcnemar,
    mean_errors,
    prediction_powered,
    rogan_gladen,
)
from roadworthy.statistics.latency import matched, quantiles
from roadworthy.statistics.paired import (
    paired_lower,
    pairs_to_pass,
    pairs_to_see,
    pass_share,
    smallest_visible_drop,
)
from roadworthy.statistics.rates import (
    trials_without_failure,
    wilson_interval,
    wilson_lower,
    zero_failure_bound,
)
from roadworthy.statistics.sequences import margin, tuned_rho

PAGE = Path(__file__).parent.parent / "docs" / "statistics.md"
DAY = 86_400.0
COMPRESSION = 60.0
CV_WITHIN = 0.05
TAIL = 3.0


class Row(NamedTuple):
    what: str
    found: str
    expected: str
    holds: bool


class Section(NamedTuple):
    name: str
    """Marks its place in the page."""
    title: str
    made: Callable[[np.random.Generator], list[Row]] | None
    """``None``: it needs data that is not there."""
    said: str = ""


def near(what: str, found: float, expected: float, within: float, form: str = "{:.4g}") -> Row:
    return Row(what, form.format(found), form.format(expected), abs(found - expected) <= within)


def below(what: str, found: float, most: float, form: str = "{:.1%}") -> Row:
    return Row(what, form.format(found), "under " + form.format(most), found < most)


def above(what: str, found: float, least: float, form: str = "{:.1%}") -> Row:
    return Row(what, form.format(found), "at least " + form.format(least), found >= least)


# --- rates, gates, planning


def rates(rng: np.random.Generator) -> list[Row]:
    low, high = wilson_interval(90, 100)
    rows = [
        near("Wilson interval of 90 of 100, lower", low, 0.826, 5e-4, "{:.3f}"),
        near("Wilson interval of 90 of 100, upper", high, 0.945, 5e-4, "{:.3f}"),
    ]
    for n, bound in ((50, 0.058), (100, 0.030), (300, 0.010)):
        rows.append(near(f"no failure in {n}: upper 95 % bound", zero_failure_bound(n), bound, 5e-4, "{:.1%}"))
    return rows


def gates(rng: np.random.Generator) -> list[Row]:
    z2 = NormalDist().inv_cdf(0.95) ** 2
    rows = [
        near(
            "Tango's lower bound, 50 pairs that do not differ", paired_lower(0, 0, 50), -z2 / (50 + z2), 1e-6, "{:.4f}"
        ),
        near("first release: 45 of 50 good, lower bound", wilson_lower(45, 50), 0.808, 5e-4, "{:.1%}"),
        near("first release: 43 of 50 good, lower bound", wilson_lower(43, 50), 0.761, 5e-4, "{:.1%}"),
        near("examples to pass at a 5-point margin, a fifth differ", pairs_to_pass(0.05, 0.2), 492, 1, "{:.0f}"),
    ]
    for differ, shares in ((0.1, (0.63, 0.90, 1.00)), (0.2, (0.44, 0.71, 0.93))):
        for n, share in zip((50, 100, 200), shares, strict=True):
            name = f"an unchanged release passes, {n} examples, {differ:.0%} differ, 10-point margin"
            rows.append(near(f"{name} (summed)", pass_share(n, differ, 0.10), share, 0.02, "{:.0%}"))
            rows.append(near(f"{name} (simulated)", _passes(rng, n, differ), share, 0.04, "{:.0%}"))
    for drop, needed in ((0.05, (312, 626, 940)), (0.10, (77, 155, 234))):
        for differ, n in zip((0.1, 0.2, 0.3), needed, strict=True):
            rows.append(
                near(
                    f"examples that see a drop of {drop:.0%}, {differ:.0%} differ",
                    pairs_to_see(drop, differ),
                    n,
                    1,
                    "{:.0f}",
                )
            )
    for n, drop in ((50, 0.17), (100, 0.12), (200, 0.09), (400, 0.06)):
        rows.append(near(f"smallest drop that {n} examples see", smallest_visible_drop(n, 0.2), drop, 0.005, "{:.2f}"))
    return rows


def _passes(rng: np.random.Generator, n: int, differ: float, runs: int = 2000) -> float:
    drawn = rng.multinomial(n, [differ / 2, differ / 2, 1 - differ], size=runs)
    return float(np.mean([paired_lower(int(gained), int(lost), n) > -0.10 for gained, lost, _ in drawn]))


# --- looking often


def sequences(rng: np.random.Generator) -> list[Row]:
    looks = np.arange(50, 2001, 10)
    drawn = rng.random((600, 2000))
    values = np.where(drawn < 0.1, -1.0, np.where(drawn < 0.2, 1.0, 0.0))
    means = values.cumsum(axis=1)[:, looks - 1] / looks
    variances = (values**2).cumsum(axis=1)[:, looks - 1] / looks - means**2
    rho = tuned_rho(1000, 0.2, 0.05)
    wide = np.vectorize(lambda n, v: margin(n, v, rho, 0.05))(looks, variances)
    fixed = float((np.abs(means) > 1.96 * np.sqrt(variances / looks)).any(axis=1).mean())
    null, proof = "600 null runs, a look every 10 from 50 to 2,000", "calls without a failure that prove less than"
    return [
        near(f"{null}: false alarms at a fixed z = 1.96", fixed, 0.41, 0.06, "{:.0%}"),
        below("the same by the confidence sequence", float((np.abs(means) > wide).any(axis=1).mean()), 0.05),
        near("budget 2 %, truth 8 %: rolled back after a median of calls", _rolled_back(rng), 69, 6, "{:.0f}"),
        near(f"{proof} 5 %, at every look", calls_to_prove(0.0, 0.05, 0.05) or 0, 73, 0, "{:.0f}"),
        *(
            near(f"one look: {proof} {share:.0%}", trials_without_failure(share), n, 0, "{:.0f}")
            for share, n in ((0.05, 59), (0.02, 149), (0.01, 299))
        ),
    ]  # fmt: skip


def _rolled_back(rng: np.random.Generator, runs: int = 500, longest: int = 600) -> float:
    """Median calls to a roll back, budget 2 %, truth 8 %, a look at every call."""
    threshold, found = log(1 / 0.05), []
    known: dict[tuple[int, int], bool] = {}
    for run in rng.random((runs, longest)) < 0.08:
        bad = 0
        for n, hit in enumerate(run, 1):
            bad += int(hit)
            if hit and (bad, n) not in known:
                known[bad, n] = log_above(bad, n, 0.02) >= threshold
            if hit and known[bad, n]:
                break
        found.append(n)
    return float(median(found))


# --- judges


def judges(rng: np.random.Generator) -> list[Row]:
    rows = []
    for kappa_of, n in ((0.6, 50), (0.9, 50), (0.9, 100)):
        apart = (1 - kappa_of) / 4
        truth = np.array([[0.5 - apart, apart], [apart, 0.5 - apart]])
        held = 0
        for seed in range(500):
            table = rng.multinomial(n, truth.ravel())
            one = np.repeat([0, 0, 1, 1], table).tolist()
            other = np.repeat([0, 1, 0, 1], table).tolist()
            found = kappa_interval(one, other, seed=seed, draws=600)
            held += found.lower <= kappa_of <= found.upper
        rows.append(above(f"95 % interval of kappa holds {kappa_of}, {n} answers", held / 500, 0.92))
    for good, q0, q1 in ((0.8, 0.85, 0.9), (0.6, 0.7, 0.75)):
        rows.append(
            above(
                f"95 % interval of Rogan-Gladen holds {good:.0%} (specificity {q0}, sensitivity {q1})",
                _corrected(rng, good, q0, q1),
                0.93,
            )
        )
    powered, worth = _powered(rng)
    rows.append(above("95 % interval of PPI++ holds 70 % (60 hand scores, 1,000 judged)", powered, 0.92))
    rows.append(
        Row(
            "the same: hand scores that a judge right nine times in ten makes of 60",
            f"{worth:.0f}",
            "more than 60",
            worth > 60,
        )
    )
    return rows


def _corrected(rng: np.random.Generator, good: float, q0: float, q1: float, runs: int = 1500) -> float:
    held = 0
    for _ in range(runs):
        m1 = int(rng.binomial(100, good))
        right1, right0 = int(rng.binomial(m1, q1)), int(rng.binomial(100 - m1, q0))
        said = int(rng.binomial(200, good * q1 + (1 - good) * (1 - q0)))
        found = rogan_gladen(said, 200, (right0, 100 - m1), (right1, m1))
        held += found.lower <= good <= found.upper
    return held / runs


def _powered(rng: np.random.Generator, runs: int = 1000) -> tuple[float, float]:
    held, worth = 0, []
    for _ in range(runs):
        truth = rng.random(1060) < 0.7
        judge = np.where(rng.random(1060) < 0.9, truth, ~truth).astype(float).tolist()
        found = prediction_powered(truth[:60].astype(float).tolist(), judge[:60], judge[60:])
        held += found.mean.lower <= 0.7 <= found.mean.upper
        worth.append(found.worth)
    return held / runs, median(worth)


def drifts(rng: np.random.Generator) -> list[Row]:
    false = sum(_fell(rng, 0.9, 0.9) is not None for _ in range(100)) / 100
    few, many = ([_fell(rng, 0.95, 0.8, a_day) for _ in range(30)] for a_day in (20, 100))
    told = [each for each in few if each is not None]
    quick = [each for each in many if each is not None]
    shuffled = sum(
        mix_shift(_users(rng, 200, 0.2), _users(rng, 100, 0.2), draws=199, seed=seed).p <= 0.01 for seed in range(500)
    )
    seen = sum(bool(drift.mixes("w", _asked(rng, 300, 0.1), _asked(rng, 150, 0.3), "")) for _ in range(40))
    return [
        below("a score that did not fall is told as fallen within two weeks", false, 0.05),
        above("a fall from 95 % to 80 % is told within two weeks, 20 scored answers a day", len(told) / 30, 0.9),
        Row("the same: median days until it is told", f"{median(told):.0f}", "at most 8", median(told) <= 8),
        Row("100 scored answers a day: median days", f"{median(quick):.0f}", "at most 2", median(quick) <= 2),
        below("a mix that did not change, p at or under 1 %", shuffled / 500, 0.02),
        above(
            "a kind of question that goes from 10 % to 30 % of a day's is told at the first look (150 users)",
            seen / 40,
            0.5,
        ),
    ]


def _fell(rng: np.random.Generator, before: float, now: float, a_day: int = 20) -> int | None:
    """Days until a fall is told, looked at every day for two weeks; ``None``: it is not."""
    day0 = 60 * DAY
    rows = [
        Rating(f"inf_{n}", at, f"u{n}", "rel_1", "tone", float(rng.random() < (before if at < day0 else now)))
        for n, at in enumerate(np.arange(day0 - 35 * DAY, day0 + 14 * DAY, DAY / a_day))
    ]
    for day in range(1, 15):
        until = day0 + day * DAY
        if drift.scores("w", [each for each in rows if each.ts < until], until, lambda digest, name: None):
            return day
    return None


def _users(rng: np.random.Generator, n: int, share: float) -> list[dict[str, int]]:
    return [{"a" if rng.random() < share else "b": int(rng.integers(1, 4))} for _ in range(n)]


def _asked(rng: np.random.Generator, n: int, share: float) -> list[drift.Asked]:
    return [drift.Asked(f"u{at}", f"inf_{at}", {"kind": "a" if rng.random() < share else "b"}) for at in range(n)]


# --- forecasts


def forecasts(rng: np.random.Generator) -> list[Row]:
    return _forecast_rows("200 made traces, 30 days ahead", forecasting.simulate(200))


def _forecast_rows(name: str, found: dict[str, float]) -> list[Row]:
    covered = f"{found['coverage']:.0%} of {found['forecasts']:.0f} ({found['low']:.0%} to {found['high']:.0%})"
    return [
        Row(f"{name}: the 80 % interval held", covered, "80 %, within its interval or above", found["high"] >= 0.80),
        Row(f"{name}: median width over what came", f"{found['median_width']:.0%}", "reported", True),
    ]


# --- against published data


def pandalm(folder: Path) -> Callable[[np.random.Generator], list[Row]]:
    def made(rng: np.random.Generator) -> list[Row]:
        people, gpt, small = (_json(folder / name) for name in ("testset-v1.json", "gpt35.json", "pandalm7b.json"))
        raters = [[row[f"annotator{at}"] for row in people] for at in (1, 2, 3)]
        units = list(zip(*raters, strict=True))
        truth = [Counter(unit).most_common(1)[0][0] for unit in units]
        counts = Counter(truth)
        one = [float(_choice(row["gpt_result"]) == each) for row, each in zip(gpt, truth, strict=True)]
        other = [float(_choice(row["pandalm_result"]) == each) for row, each in zip(small, truth, strict=True)]
        gained = sum(a > b for a, b in zip(one, other, strict=True))
        lost = sum(a < b for a, b in zip(one, other, strict=True))
        test, (paired, unpaired) = mcnemar(gained, lost), mean_errors(one, other)
        alpha = alpha_interval(units)
        rows = [
            near(
                f"Cohen's kappa of annotators {a + 1} and {b + 1}",
                cohen_kappa(raters[a], raters[b]),
                kappa,
                5e-5,
                "{:.4f}",
            )
            for (a, b), kappa in zip(((0, 1), (0, 2), (1, 2)), (0.8520, 0.8789, 0.8617), strict=True)
        ]
        labels = "/".join(str(counts[each]) for each in (0, 1, 2))
        return [
            *rows,
            Row("majority labels (tie, first, second)", labels, "105/422/472", labels == "105/422/472"),
            near("Krippendorff's alpha of the three", krippendorff_alpha(units), 0.8642, 5e-5, "{:.4f}"),
            Row(
                "the same, bootstrap interval",
                f"{alpha.lower:.3f} to {alpha.upper:.3f}",
                "holds it",
                alpha.lower < 0.8642 < alpha.upper,
            ),
            near("accuracy of the judge GPT-3.5", sum(one) / len(one), 0.6977, 5e-5, "{:.4f}"),
            near("accuracy of the judge PandaLM-7B", sum(other) / len(other), 0.6677, 5e-5, "{:.4f}"),
            Row("discordant pairs", f"{gained}/{lost}", "145/115", (gained, lost) == (145, 115)),
            near("McNemar's χ², corrected", test.chi2 or 0.0, 3.23, 5e-3, "{:.2f}"),
            near("standard error of the difference, paired", paired, 0.0161, 5e-5, "{:.4f}"),
            near("standard error of the difference, as if unpaired", unpaired, 0.0208, 5e-5, "{:.4f}"),
        ]

    return made


def azure(folder: Path) -> Callable[[np.random.Generator], list[Row]]:
    def made(rng: np.random.Generator) -> list[Row]:
        rows = []
        for name, calls, rate, cv in (("conv", 19_366, 5.53, 1.09), ("code", 8_819, 2.57, 13.15)):
            trace = read_azure(folder / f"AzureLLMInferenceTrace_{name}.csv")
            own = burstiness([each.at for each in trace])
            rows += [
                near(f"{name}: calls", own.calls, calls, 0, "{:,.0f}"),
                near(f"{name}: calls a second", own.rate, rate, 0.01, "{:.2f}"),
                near(f"{name}: variation of the gaps (CV)", own.cv, cv, 0.01, "{:.2f}"),
            ]
            arrivals = Arrivals(shape="replay", seconds=own.seconds / COMPRESSION + 1, compression=COMPRESSION)
            replayed = burstiness([each.at for each in plan(arrivals, 1, trace)])
            apart = abs(replayed.cv / own.cv - 1)
            rows.append(
                Row(
                    f"{name}: replayed at ×60, CV",
                    f"{replayed.cv:.2f}",
                    f"within 5 % of {own.cv:.2f}",
                    apart <= CV_WITHIN,
                )
            )
            rows += _ideal(name, [each.output_tokens or 1 for each in trace])
            found = forecasting.azure(folder / f"AzureLLMInferenceTrace_{name}.csv")
            rows += _reported(f"{name}: forecast of ten minutes on the ten before", found)
        return rows

    return made


def _ideal(name: str, lengths: Sequence[int]) -> list[Row]:
    """A provider that is never slow: half a second, and 50 tokens a second after that."""
    taken = [0.5 + each / 50 for each in lengths]
    raw, alone = quantiles(taken).ratio.value, quantiles(matched(taken, lengths)).ratio.value
    return [
        Row(f"{name}: raw p99/p50 of an ideal provider", f"{raw:.1f}", "more than 3", raw > TAIL),
        Row(f"{name}: the same at matched length", f"{alone:.2f}", "at most 3", alone <= TAIL),
    ]


def _reported(name: str, found: dict[str, float]) -> list[Row]:
    """Neighbouring forecasts of one hour share their minutes: what they covered is told, not held against a claim."""
    covered = f"{found['coverage']:.0%} of {found['forecasts']:.0f}, median width {found['median_width']:.0%}"
    return [Row(f"{name}: the 80 % interval held", covered, "reported", True)]


def _choice(said: Any) -> int | None:
    """Which of two answers a judge preferred; a tie is 0, an answer that says nothing is none."""
    return {"0": 0, "1": 1, "2": 2, "Tie": 0}.get(str(said))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# --- the page


def sections(data: Path | None) -> list[Section]:
    def given(part: str) -> Path | None:
        return data / part if data is not None and (data / part).is_dir() else None

    panda, traces = given("pandalm"), given("azure")
    return [
        Section("rates", "Shares", rates),
        Section("gates", "The gate: pairs, floors, what a set can see", gates),
        Section("sequences", "Looking often", sequences),
        Section("judges", "Judges: do the intervals hold?", judges),
        Section("drift", "Drift: false alarms, and what is seen", drifts),
        Section("forecasts", "Forecasts", forecasts),
        Section("pandalm", "Against PandaLM's test set (999 comparisons, three annotators)",
                pandalm(panda) if panda else None, "Y. Wang et al., PandaLM, ICLR 2024."),
        Section("azure", "Against the Azure LLM inference traces (2023)", azure(traces) if traces else None,
                "P. Patel et al., Splitwise, ISCA 2024. The ideal provider answers after half a second, with 50 tokens "
                "a second: its tail is long answers, not the system."),
    ]  # fmt: skip


HEAD = """# Statistics

```
make statistics                 # what needs no data, in about a minute
make statistics DATA=PATH       # PATH holds pandalm/ and azure/
```

What the product decides with, computed by the functions that decide, beside the figure that was published or declared.
`make statistics` writes this page; data is never part of the repository.
"""


def page(made: Sequence[tuple[Section, list[Row] | None]], before: str) -> str:
    """``None``: skipped; what the page said of it before stays."""
    text = HEAD
    for section, rows in made:
        text += f"\n## {section.title}\n\n<!-- {section.name} -->\n"
        if rows is None:
            text += _kept(section.name, before) or "Skipped: needs `DATA`.\n"
        else:
            text += f"{section.said}\n\n" if section.said else ""
            text += "| | found | expected | holds |\n|---|---|---|---|\n"
            text += "".join(
                f"| {row.what} | {row.found} | {row.expected} | {'yes' if row.holds else '**no**'} |\n" for row in rows
            )
        text += f"<!-- /{section.name} -->\n"
    return text


def _kept(name: str, before: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", before, re.DOTALL)
    return found[1] if found and "|" in found[1] else ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.statistics", description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="folder with pandalm/ and azure/")
    parser.add_argument("--seed", type=int, default=20261123)
    asked = parser.parse_args()
    if asked.data is not None and not asked.data.is_dir():
        parser.error(f"{asked.data}: is no folder; expected one with pandalm/ and azure/")
    made: list[tuple[Section, list[Row] | None]] = []
    failed = 0
    for section in sections(asked.data):
        if section.made is None:
            print(f"{section.title}: skipped, needs DATA", flush=True)
            made.append((section, None))
            continue
        began = time.monotonic()
        rows = section.made(np.random.default_rng(asked.seed))
        print(f"{section.title} ({time.monotonic() - began:.0f} s)")
        for row in rows:
            print(f"  {'ok ' if row.holds else 'NOT'} {row.what}: {row.found} (expected {row.expected})", flush=True)
            failed += not row.holds
        made.append((section, rows))
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(page(made, before), encoding="utf-8")
    held = f"{failed} figures do not hold" if failed else "every figure holds"
    print(f"docs/{PAGE.name} is written; {held}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
