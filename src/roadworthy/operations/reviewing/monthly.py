"""The monthly review: is the AI as good as it was, how is that known, and are the examples still the right ones?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from roadworthy.evals.calibration import LIFE, Calibration
from roadworthy.evals.hand import Agreement
from roadworthy.evals.model import Run
from roadworthy.operations.proving.evals import Concluded
from roadworthy.operations.reviewing.comparing import moved
from roadworthy.operations.reviewing.sources import Sources
from roadworthy.people.review.model import Change, Facts, Figure, Table
from roadworthy.people.review.rules import Period
from roadworthy.workflow import words
from roadworthy.workflow.model import Workflow

DRIFT: Final = "drift"
"""Name of the alert that tells of it."""
MANY: Final = 20
"""Examples that wait from which on somebody should look at them."""
AGREE: Final = 0.4
"""Cohen's kappa under which two people mean different things by the rubric (Landis and Koch, 1977)."""
SLACK: Final = 0.02
"""Of a score, that is no change worth a line."""
SOON: Final = 14 * 86_400.0

Judged = tuple[Run, Concluded]


def draft(sources: Sources, flow: Workflow, period: Period, before: Period) -> Facts:
    runs = sources.runs(flow.name)
    now, last = (_concluded(sources, runs, each) for each in (period, before))
    drifts = [
        each for each in sources.incidents(flow.name)
        if each.name == DRIFT and period.since <= each.opened_at < period.until
    ]  # fmt: skip
    waiting, agreement = sources.waiting_examples(flow.name), sources.agreement(flow.name)
    judges = _newest(sources.calibrations(flow.name))
    gates = [each for each in now if each[0].purpose == "gate"]
    figures = [
        Figure("Gates", "count", len(gates), sum(run.purpose == "gate" for run, _ in last)),
        Figure("Nightly runs", "count", sum(run.purpose == "nightly" for run, _ in now),
               sum(run.purpose == "nightly" for run, _ in last)),
        *_scores(now, last),
        Figure("Signs of drift", "count", len(drifts), None, "less"),
        Figure("Examples that wait", "count", waiting),
        Figure("People agree (kappa)", "score", None if agreement is None else agreement.kappa[0], None, "more"),
    ]  # fmt: skip
    return Facts(
        headline=_headline(gates, now, len(drifts)), figures=figures,
        changes=[*_changes(now, last), *(Change(each.title, each.told) for each in drifts)],
        decide=list(_decide(sources, flow, now, waiting, agreement, judges, len(drifts))),
        tables=list(_tables(sources, now, judges)), gaps=list(_gaps(now, agreement, judges)),
    )  # fmt: skip


def _concluded(sources: Sources, runs: Sequence[Run], period: Period) -> list[Judged]:
    """Newest first."""
    mine = [run for run in runs if period.since <= run.began < period.until and run.purpose != "answers"]
    return [(run, found) for run in mine if (found := sources.concluded(run)) is not None]


def _newest(found: Sequence[Calibration]) -> list[Calibration]:
    """The newest concluded one of each judge."""
    by_scorer: dict[str, Calibration] = {}
    for each in sorted(found, key=lambda one: one.began):
        if each.concluded is not None:
            by_scorer[each.scorer] = each
    return list(by_scorer.values())


def _scores(now: Sequence[Judged], last: Sequence[Judged]) -> Iterator[Figure]:
    if not now:
        return
    earlier = last[0][1].judgement.scores if last else {}
    floors = {each.name: each.floor for each in now[0][1].judgement.floors}
    for name, score in sorted(now[0][1].judgement.scores.items()):
        floor = floors.get(name)
        against = "" if floor is None else f"floor {words.share(floor)}"
        yield Figure(name, "share", score, earlier.get(name), "more", against, floor is not None and score < floor)


def _headline(gates: Sequence[Judged], now: Sequence[Judged], drifts: int) -> str:
    said = "no gate was run"
    if gates:
        run, found = gates[0]
        said = f"the newest gate, of release {run.number}, is {found.verdict}"
    told = words.plural(drifts, "sign of drift", "signs of drift") if drifts else "no sign of drift"
    return f"{words.plural(len(now), 'run')} of the examples; {said}; {told}"


def _changes(now: Sequence[Judged], last: Sequence[Judged]) -> Iterator[Change]:
    if now and last:
        (run, found), (older, before) = now[0], last[0]
        why = "" if run.release == older.release else f"release {run.number} answers instead of {older.number}"
        if run.set_version != older.set_version:
            why = f"{why}; the examples were changed".removeprefix("; ")
        for name, score in sorted(found.judgement.scores.items()):
            was = before.judgement.scores.get(name)
            if was is not None and abs(score - was) > SLACK:
                yield Change(moved(name, words.share(was), words.share(score), score > was), why)
    for run, found in now:
        for each in found.judgement.slices:
            if each.failed:
                yield Change(f"Release {run.number}: {each.name} where {each.tag} is {each.value}", each.failed)


def _decide(
    sources: Sources, flow: Workflow, now: Sequence[Judged], waiting: int, agreement: Agreement | None,
    judges: Sequence[Calibration], drifts: int,
) -> Iterator[str]:  # fmt: skip
    if not now:
        yield f"Nothing was measured. Run the examples: roadworthy evals run {flow.name}?"
    failed = [run for run, found in now if found.verdict == "FAIL"]
    if failed:
        yield f"Run {failed[0].id} failed. Mend the release, or are its examples wrong?"
    if drifts:
        yield "What users ask or how it answers has drifted. Capture new examples (roadworthy evals capture)?"
    if waiting >= MANY:
        yield f"{waiting} examples wait. Publish them: roadworthy evals publish {flow.name}?"
    if agreement is not None and agreement.kappa[0] < AGREE:
        kappa = f"kappa {agreement.kappa[0]:.2f}"
        yield f"People disagree about {len(agreement.differ)} answers ({kappa}). Sharpen the rubric?"
    for each in judges:
        assert each.concluded is not None
        if each.concluded.verdict != "PASS":
            yield f"Judge {each.scorer} does not agree with people ({each.concluded.verdict}). Change or drop it?"
        elif each.concluded.at + LIFE < sources.clock() + SOON:
            yield f"The calibration of judge {each.scorer} is good for less than two weeks. Who renews it?"


def _tables(sources: Sources, now: Sequence[Judged], judges: Sequence[Calibration]) -> Iterator[Table]:
    zone = sources.zone()
    if now:
        rows = [
            [words.moment(run.began, zone), run.purpose, f"{run.number}", found.verdict, "; ".join(found.why[:2])]
            for run, found in now[:15]
        ]
        yield Table("Runs", ["when", "for", "release", "verdict", "why"], rows)
    if judges:
        rows = [
            [each.scorer, "" if each.concluded is None else each.concluded.verdict,
             "" if each.concluded is None else words.moment(each.concluded.at, zone)]
            for each in judges
        ]  # fmt: skip
        yield Table("Judges", ["judge", "verdict", "when"], rows)


def _gaps(now: Sequence[Judged], agreement: Agreement | None, judges: Sequence[Calibration]) -> Iterator[str]:
    if not now:
        yield "no run ended in this month, so it is not known whether the answers are as good as they were"
    if agreement is None:
        yield "too few answers were scored by two people to say whether they agree"
    if not judges:
        yield "no judge was held against people"
