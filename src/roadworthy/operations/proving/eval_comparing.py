"""Two runs beside each other: paired differences over the examples that both answered, and which answers changed."""

from __future__ import annotations

import msgspec

from roadworthy.evals.examples import unread
from roadworthy.evals.gate import Asked, Terms, paired
from roadworthy.evals.model import Example, PairResult, Run, Scored
from roadworthy.evals.scoring import lacking, scores_of
from roadworthy.evals.service import Refused
from roadworthy.operations.proving.evals import Gate
from roadworthy.workflow.service import Unknown


class Side(msgspec.Struct, frozen=True):
    """What one run answered to an example, the first time that it was asked."""

    text: str
    outcome: str
    scores: dict[str, float]
    """Averaged over its askings."""


class Change(msgspec.Struct, frozen=True):
    """An example on which the two differ in a score; of a held-out one, only which it is and its scores."""

    example: Example
    before: Side
    after: Side


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """``b`` beside ``a``."""

    a: Run
    b: Run
    examples: int
    """That both answered."""
    left_out: int
    """That one of them did not."""
    pairs: list[PairResult]
    better: list[Change]
    """Examples on which some score rose and none fell."""
    worse: list[Change]
    """Those on which one fell."""


def compared(gate: Gate, one: str, other: str) -> Compared:
    """``one`` and ``other``: ids of runs.  Raises ``Unknown`` and ``Refused``."""
    a, b = gate.evals.run(one), gate.evals.run(other)
    if a.workflow != b.workflow:
        raise Refused(f"run {a.id} is of {a.workflow} and run {b.id} of {b.workflow}: they answer other examples")
    before, after = _answered(gate, a), _answered(gate, b)
    both = [each for each in before if each in after]
    if not both:
        raise Refused(f"runs {a.id} and {b.id} answered no example in common")
    old = scores_of(each for ident in both for each in before[ident])
    new = scores_of(each for ident in both for each in after[ident])
    basis = gate.evals.basis(b)
    items = [after[ident][0].example for ident in both]
    asked = Asked.of(items, lacking(basis.scorers, items))
    names = [name for name in new if name in old]
    changed = [_change(before[ident], after[ident]) for ident in both]
    return Compared(
        a=a, b=b, examples=len(both), left_out=len(before.keys() ^ after.keys()),
        pairs=paired(new, old, asked, Terms(floors=dict.fromkeys(names, 0.0), margin=b.margin)),
        better=[each for each in changed if _moved(each) > 0], worse=[each for each in changed if _moved(each) < 0],
    )  # fmt: skip


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One example of a run, beside what another run answered to it."""

    example: Example
    """Of a held-out one, without what it asks and expects."""
    slot: str
    now: Side
    before: Side | None
    """``None``: there is no other run, or it did not answer this one."""
    moved: int
    """-1: a score fell, 1: one rose and none fell, 0: none moved."""
    wrong: bool
    reasons: list[tuple[str, str]]
    """(score, why) as far as a scorer said."""
    missing: str
    """What it has no answer or no score for, in words; empty: all is there."""
    inference: str
    target: str
    """Who answered, where it was asked apart from the ladder."""


def side_by_side(gate: Gate, run: Run, other: Run | None) -> list[Shown]:
    """Every asking of a run: what got worse first, then what is wrong, then what is missing, then the rest.

    Raises ``Refused``.
    """
    before = {} if other is None else _answered(gate, other)
    found = [_shown(each, before.get(each.example.id)) for each in gate.scored(run)]
    return sorted(found, key=lambda each: (each.moved >= 0, not each.wrong, not each.missing, each.moved <= 0))


def _shown(scored: Scored, before: list[Scored] | None) -> Shown:
    answer, mine = scored.answer, unread(scored.example)
    apart = answer is not None and bool(answer.asked_target)
    old = None if before is None or apart else before
    sides = _side([scored]), None if old is None else _side(old)
    moved = 0 if old is None or sides[1] is None else _moved(Change(mine, sides[1], sides[0]))
    hidden = scored.example.held_out or (old is not None and old[0].example.held_out)
    if hidden:
        sides = msgspec.structs.replace(sides[0], text=""), sides[1] and msgspec.structs.replace(sides[1], text="")
    gone = {**scored.unscored, **scored.lost}
    missing = "no answer" if scored.standing == "unanswered" else "; ".join(f"{n}: {why}" for n, why in gone.items())
    marks = {} if answer is None or hidden else answer.marks
    return Shown(
        example=mine, slot=scored.slot or scored.example.id, now=sides[0], before=sides[1], moved=moved,
        wrong=scored.standing == "bad" or any(value < 1 for value in scored.scores.values()),
        reasons=[(name, mark.reason or mark.label) for name, mark in marks.items() if mark.reason or mark.label],
        missing=missing, inference="" if answer is None else answer.inference,
        target=answer.asked_target if answer is not None else "",
    )  # fmt: skip


def run_of(gate: Gate, workflow: str, which: str) -> str:
    """A run's id: as it is, or the newest run of a release's number or digest.  Raises ``Unknown``."""
    if which.startswith("evr_"):
        return which
    for run in gate.evals.runs(workflow, 1000):
        if which in (str(run.number), run.release) or (len(which) >= 8 and run.release.startswith(which)):
            return run.id
    raise Unknown(
        f"no run of {workflow} is '{which}', and none is of a release '{which}'; roadworthy evals runs {workflow} "
        "lists them"
    )


def _answered(gate: Gate, run: Run) -> dict[str, list[Scored]]:
    """Example → its askings on the release's own ladder."""
    found: dict[str, list[Scored]] = {}
    for each in gate.scored(run):
        if each.standing != "unanswered" and each.answer is not None and not each.answer.asked_target:
            found.setdefault(each.example.id, []).append(each)
    return found


def _change(before: list[Scored], after: list[Scored]) -> Change:
    example = unread(after[0].example)
    sides = _side(before), _side(after)
    if example.held_out or before[0].example.held_out:
        sides = msgspec.structs.replace(sides[0], text=""), msgspec.structs.replace(sides[1], text="")
    return Change(example, *sides)


def _side(found: list[Scored]) -> Side:
    scores = scores_of(found)
    answer = found[0].answer
    return Side(
        "" if answer is None else answer.text, "" if answer is None else str(answer.outcome),
        {name: next(iter(each.values())) for name, each in scores.items()},
    )  # fmt: skip


def _moved(change: Change) -> int:
    """-1: a score fell, 1: one rose and none fell, 0: none moved."""
    names = change.before.scores.keys() & change.after.scores.keys()
    moves = [change.after.scores[name] - change.before.scores[name] for name in names]
    return -1 if any(each < 0 for each in moves) else int(any(each > 0 for each in moves))
