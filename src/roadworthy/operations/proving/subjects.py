"""The answers that people scored, each with its text and its example: what judges are held against."""

from __future__ import annotations

from roadworthy.evals.hand import HandScores, digest_of
from roadworthy.evals.model import Example, HandScore
from roadworthy.evals.pool import Pool
from roadworthy.evals.scorers.base import Case
from roadworthy.evals.service import Evals
from roadworthy.operations.proving.calibrating import Subject

RUNS = 50
"""Newest runs whose answers are looked through, beside those that scores name."""


class Subjects:
    """Blocking."""

    def __init__(self, evals: Evals, pool: Pool, hand: HandScores) -> None:
        self._evals = evals
        self._pool = pool
        self._hand = hand

    def of(self, workflow: str, rubric: str) -> list[Subject]:
        """Those scored by the rubric of this digest; what was forgotten since, or whose text is kept nowhere, is not
        among them."""
        scores: dict[tuple[str, str], list[HandScore]] = {}
        for each in self._hand.of(workflow, rubric):
            scores.setdefault((each.example, each.answer), []).append(each)
        examples, texts = self._examples(workflow), self._texts(workflow, scores)
        found = []
        for (ident, answer), given in sorted(scores.items()):
            example, text = examples.get(ident), texts.get((ident, answer))
            if example is not None and text is not None:
                case = Case(text, example.expected, example.text, messages=example.messages, inputs=example.inputs)
                found.append(Subject(example=ident, answer=answer, case=case, scores=given, held_out=example.held_out))
        return found

    def _examples(self, workflow: str) -> dict[str, Example]:
        """By id; of the set in force where it says something else than what waits."""
        published = self._evals.published(workflow)
        found = self._pool.examples(workflow)
        in_force = None if published is None else self._evals.examples(published.version)
        return found | ({} if in_force is None else {each.id: each for each in in_force.items})

    def _texts(self, workflow: str, scores: dict[tuple[str, str], list[HandScore]]) -> dict[tuple[str, str], str]:
        named = {score.run for given in scores.values() for score in given if score.run}
        mine = [run.id for run in self._evals.runs(workflow, RUNS) if run.id in named]
        found = {(each.example, digest_of(each.text)): each.text for each in self._pool.captured(workflow)}
        for run in [*mine, *sorted(named.difference(mine))]:
            for answer in self._evals.answers(run).values():
                found[answer.example, digest_of(answer.text)] = answer.text
        return {key: text for key, text in found.items() if key in scores}
