"""Answers beside what was expected, and what that comes to, asking by asking.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard

from msgspec.structs import replace

from roadworthy.evals.model import Answer, Example, Run, Scored, slot
from roadworthy.evals.rules import Scores, averaged, sampled, standing
from roadworthy.evals.scorers.base import CannotScore, Case, Pure, Scorer, marked
from roadworthy.workflow.model import Release

HAND = "hand"
"""Score that people give (``evals score``)."""


def slots(run: Run, items: Sequence[Example]) -> list[tuple[str, Example, str]]:
    """Everything that a run asks: (slot, example, target; empty: the release's own ladder)."""
    chosen = sampled(items, run.sample, run.seed or run.id)
    found = [(slot(each.id, repeat), each, "") for repeat in range(run.repeat) for each in chosen]
    critical = [each for each in chosen if each.critical]
    return found + [(slot(each.id, 0, target), each, target) for target in run.targets for each in critical]


def case_of(example: Example, answer: Answer, release: Release, other: str | None = None) -> Case:
    """``other``: what the release answered that this one is held against."""
    return Case(
        answer.text, example.expected, example.text, release.behaviour.schema, example.messages, example.inputs,
        answer.tool_calls, answer.seconds, answer.usd, other,
    )  # fmt: skip


def score(
    example: Example, answer: Answer | None, scorers: Sequence[Scorer], release: Release, *, where: str = ""
) -> Scored:
    """One answer held against what was expected.  ``where``: its slot."""
    where = where or example.id
    how = "unanswered" if answer is None else standing(answer.outcome, answer.failure)
    if answer is None or how == "unanswered":
        return Scored(example, answer, "unanswered", slot=where)
    scores: dict[str, float] = {}
    unscored: dict[str, str] = {}
    lost: dict[str, str] = {}
    case = case_of(example, answer, release)
    for each in scorers:
        if lacks(each, example):
            continue
        if how == "bad":
            scores[each.name] = 0.0
            continue
        mark = marked(each, case) if is_pure(each) else answer.marks.get(each.name)
        if mark is None or mark.again:
            unscored[each.name] = "was not asked yet" if mark is None else mark.broke
        elif mark.value is None:
            lost[each.name] = mark.broke or f"'{mark.label}' is worth nothing"
        else:
            scores[each.name] = mark.value
    return Scored(example, answer, how, scores, unscored, lost, where)


def is_pure(scorer: Scorer) -> TypeGuard[Pure]:
    """As ``isinstance`` has it, at a hundredth of the cost."""
    return hasattr(scorer, "score")


def lacks(scorer: Scorer, example: Example) -> bool:
    """Does the example not say what would be right for this score?"""
    if not is_pure(scorer) or not scorer.expects:
        return False
    try:
        scorer.score(Case("", example.expected, example.text, messages=example.messages, inputs=example.inputs))
    except CannotScore:
        return True
    return False


def lacking(scorers: Iterable[Scorer], items: Sequence[Example]) -> dict[str, frozenset[str]]:
    """Score → examples that do not say what would be right for it."""
    found = {each.name: frozenset(item.id for item in items if lacks(each, item)) for each in scorers}
    return {name: ids for name, ids in found.items() if ids}


def with_hand(found: Iterable[Scored], hand: Mapping[str, float]) -> list[Scored]:
    """The same with the score ``hand``, as far as people gave it.  ``hand``: slot → score."""
    out = []
    for each in found:
        if each.standing == "bad":
            out.append(replace(each, scores={**each.scores, HAND: 0.0}))
        elif each.standing == "good" and each.slot in hand:
            out.append(replace(each, scores={**each.scores, HAND: hand[each.slot]}))
        elif each.standing == "good":
            out.append(replace(each, unscored={**each.unscored, HAND: "nobody has scored it by hand yet"}))
        else:
            out.append(each)
    return out


def scores_of(scored: Iterable[Scored]) -> Scores:
    """Score → example → score, averaged over the askings on the release's own ladder."""
    return averaged(_single(each) for each in scored if each.answer is not None and not each.answer.asked_target)


def scores_elsewhere(scored: Iterable[Scored], targets: Iterable[str]) -> dict[str, Scores]:
    """Target → what its answers to the critical examples came to; nothing for one that did not answer."""
    found: dict[str, list[Scores]] = {target: [] for target in targets}
    for each in scored:
        if each.answer is not None and each.answer.asked_target in found:
            found[each.answer.asked_target].append(_single(each))
    return {target: averaged(each) for target, each in found.items()}


def _single(scored: Scored) -> Scores:
    return {name: {scored.example.id: value} for name, value in scored.scores.items()}
