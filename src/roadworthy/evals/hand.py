"""Scores that people give to answers, by the rubric that the workflow's owner has signed.

A score is about a text beside its example, whoever wrote it: another release that answers the same to the letter is
not scored again.  What others thought of an answer is shown to nobody who scores; a share of all answers is given to a
second rater, so that it is known how far people agree.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from roadworthy.evals.model import Answer, Example, HandScore
from roadworthy.evals.pool import Pool
from roadworthy.evals.ports import EvalState, EvalTransaction
from roadworthy.evals.rubric import Rubric, Unusable, read
from roadworthy.evals.rules import rubric_digest
from roadworthy.evals.sealed import Sealed
from roadworthy.evals.service import Evals, Refused, named
from roadworthy.evals.tokens import HAND_SCORE
from roadworthy.evals.turns import SITTING, Turns
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.inference import SERVED_BY_MODEL
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

SHARE: Final = 0.2
"""Of all answers, that a second person scores."""
FEWEST_AGREED: Final = 2
"""Answers scored twice under which nothing can be said of agreement."""
MOST_KNOWN: Final = 64
"""Places whose answers are remembered."""
PACE: Final = 30.0
"""Seconds an answer, of a rater of whom nothing is known."""
QUICKEST: Final = 3.0
"""Seconds an answer under which no estimate goes."""
PAUSE: Final = 300.0
"""Seconds between two scores above which somebody did something else."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to be scored.  Says neither which release wrote it nor what anybody else thought of it."""

    example: Example
    text: str
    answer: str
    """Digest of the text."""
    run: str = ""
    """Empty: captured from traffic."""
    inference: str = ""
    release: str = ""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has to score."""

    workflow: str
    rubric: Rubric
    digest: str
    items: list[Question]
    """In an order of this rater's own, which stays the same."""
    mine: int
    """Answers of these that the rater has scored."""
    of: int
    """Answers that the rater scores in all."""
    seconds: int
    """Of ``items``, those that somebody else has scored."""
    runs: list[str]
    """Runs that the answers are of."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The one answer that a person scores now."""

    desk: Desk
    question: Question | None
    """``None``: nothing is left, or others have all that is left."""
    left: int
    """Answers of the desk that were not skipped."""
    others: list[str]
    """Who else is scoring now."""
    pace: float
    """Seconds that an answer takes this rater."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How far two people say the same of the same answers.  Intervals at 95 %."""

    answers: int
    """Scored by two."""
    same: int
    share: tuple[float, float, float]
    """Of answers that got the same value: (share, lower, upper), Wilson."""
    kappa: tuple[float, float, float]
    """Cohen's: beyond what chance would make them agree on; 1 is all, 0 is chance."""
    raters: list[str]
    differ: list[tuple[str, str, str, str, str]]
    """(example, rater, value, other rater, value) where they do not."""


class HandScores:
    """Thread-safe as its store is; blocking."""

    def __init__(
        self, state: EvalState, evals: Evals, pool: Pool, sealed: Sealed, *, clock: Callable[[], float]
    ) -> None:
        self._state = state
        self._evals = evals
        self._pool = pool
        self._sealed = sealed
        self._clock = clock
        self.turns = Turns(clock)
        self._known: dict[tuple[str, str], dict[tuple[str, str], Question]] = {}

    # --- scoring

    def desk(self, workflow: str, actor: Actor, run: str = "", share: float = SHARE) -> Desk:
        """What the rater has to score: of ``run``, else what was captured and the newest answers of a run.

        Raises ``Unknown`` and ``Refused``.
        """
        return self.desk_of(workflow, actor.id, run, share)

    def desk_of(self, workflow: str, rater: str, run: str = "", share: float = SHARE) -> Desk:
        """The same, by the rater's name."""
        with self._state.read() as tx:
            flow = named(tx, workflow)
        rubric, digest = self._by(flow)
        questions = self._questions(workflow, run)
        raters: dict[tuple[str, str], set[str]] = {}
        for score in self.of(workflow, digest):
            raters.setdefault((score.example, score.answer), set()).add(score.rater)
        mine = [each for each in questions if rater in raters.get(_key(each), ())]
        left = [each for each in questions if wanted(_key(each), raters.get(_key(each), set()), rater, share)]
        left.sort(key=lambda each: _drawn(f"order {rater}", *_key(each)))
        return Desk(
            workflow=workflow, rubric=rubric, digest=digest, items=left, mine=len(mine), of=len(mine) + len(left),
            seconds=sum(bool(raters.get(_key(each))) for each in left),
            runs=sorted({each.run for each in questions if each.run}),
        )  # fmt: skip

    def turn(self, workflow: str, actor: Actor, run: str = "", share: float = SHARE) -> Turn:
        """The next answer that nobody else has before them; it is the rater's for as long as their page is heard of.

        Raises ``Unknown`` and ``Refused``.
        """
        desk, passed = self.desk(workflow, actor, run, share), self.turns.skipped(workflow, actor.id)
        items = {_key(each): each for each in desk.items if _key(each) not in passed}
        key = self.turns.next(workflow, actor.id, list(items))
        return Turn(
            desk=desk, question=None if key is None else items[key], left=len(items),
            others=self.turns.others(workflow, actor.id),
            pace=self.pace_of(workflow, actor.id, desk.digest),
        )  # fmt: skip

    def pace_of(self, workflow: str, rater: str, rubric: str = "") -> float:
        """Seconds that an answer takes this rater."""
        return pace(each.at for each in self.of(workflow, rubric) if each.rater == rater)

    def skip(self, workflow: str, example: str, answer: str, actor: Actor) -> None:
        """Pass an answer over for now; ``back`` takes that back, too."""
        self.turns.skip(workflow, actor.id, (example, answer))

    def back(self, workflow: str, actor: Actor) -> str:
        """Take back what this rater did last in this sitting, and have that answer before them → the value that was
        taken back; empty: it was passed over.  Raises ``Unknown``: there is nothing.
        """
        mine = [each for each in self.of(workflow) if each.rater == actor.id and each.at > self._clock() - SITTING]
        skipped = list(self.turns.skipped(workflow, actor.id).items())
        if skipped and (not mine or skipped[-1][1] >= mine[-1].at):
            key, value = skipped[-1][0], ""
            self.turns.unskip(workflow, actor.id, key)
        elif mine:
            key = _of(mine[-1])
            value = self.undo(workflow, *key, actor).value
        else:
            raise Unknown("there is nothing of this sitting to take back")
        self.turns.take(workflow, actor.id, key)
        return value

    def hold(
        self, workflow: str, example: str, answer: str, actor: Actor, share: float = SHARE
    ) -> str:  # fmt: skip
        """Have an answer before oneself, or have it longer → why not; empty: the person has it.  Raises ``Unknown``."""
        holder = self.turns.take(workflow, actor.id, (example, answer))
        if holder:
            return f"{holder} is scoring this answer now"
        raters = {each.rater for each in self.of(workflow, examples=[example]) if each.answer == answer}
        if raters and not wanted((example, answer), raters, actor.id, share):
            self.turns.leave(workflow, actor.id)
            return f"{' and '.join(sorted(raters))} scored this answer meanwhile"
        return ""

    def score(self, workflow: str, example: str, answer: str, value: str, actor: Actor, run: str = "") -> HandScore:
        """Keep what a person thinks of an answer; what they thought before is replaced.  Audited.

        Raises ``Unknown`` and ``Refused``.
        """
        question = self._question(workflow, run, example, answer)
        with self._state.read() as tx:
            flow = named(tx, workflow)
        rubric, digest = self._by(flow)
        chosen = rubric.named(value)
        if chosen is None:
            names = [each.name for each in rubric.values]
            raise Refused(f"the rubric of {workflow} has no value '{value[:40]}'; {did_you_mean(value, names)}")
        holder = self.turns.other(workflow, actor.id, (example, answer))
        if holder:
            raise Refused(f"{holder} is scoring this answer now, and two never score one at once; take the next one")
        with self._state.write() as tx:
            others = [
                each for each in self._read(tx, workflow, example)
                if (each.answer, each.rubric) == (answer, digest) and each.rater != actor.id
            ]  # fmt: skip
            made = HandScore(
                team=flow.team, workflow=workflow, example=example, answer=answer, rubric=digest, rater=actor.id,
                value=value, score=chosen.score, at=self._clock(), blind=bool(others), release=question.release,
                run=question.run,
            )  # fmt: skip
            tx.put_hand_score(made, self._sealed.seal(HAND_SCORE, made))
            self._audit(tx, _event(actor, "evals.score", flow, {"example": example, "answer": answer, "value": value}))
        self.turns.leave(workflow, actor.id)
        return made

    def undo(self, workflow: str, example: str, answer: str, actor: Actor) -> HandScore:
        """Take the rater's own score back → it.  Audited.  Raises ``Unknown``: there is none."""
        with self._state.write() as tx:
            flow = named(tx, workflow)
            digest = rubric_digest(flow.rubric or "")
            found = [
                each for each in self._read(tx, workflow, example)
                if (each.answer, each.rubric, each.rater) == (answer, digest, actor.id)
            ]  # fmt: skip
            if not found:
                raise Unknown(f"{actor.id} has not scored this answer to {example}")
            tx.drop_hand_score(found[0])
            self._audit(tx, _event(actor, "evals.unscore", flow, {"example": example, "answer": answer}))
        return found[0]

    # --- what was scored

    def of(self, workflow: str, rubric: str = "", examples: Iterable[str] | None = None) -> list[HandScore]:
        """Oldest first.  ``rubric``: digest of the one that they must be by; empty: the one in force."""
        with self._state.read() as tx:
            rubric = rubric or rubric_digest(named(tx, workflow).rubric or "")
            found = [each for each in self._read(tx, workflow) if each.rubric == rubric]
        wanted_ = None if examples is None else set(examples)
        return [each for each in found if wanted_ is None or each.example in wanted_]

    def by_slot(self, workflow: str, answers: Mapping[str, Answer], rubric: str = "") -> dict[str, float]:
        """Slot of an answer → what people gave it, the mean where several did; nothing for what nobody scored."""
        given: dict[tuple[str, str], list[float]] = {}
        for each in self.of(workflow, rubric):
            given.setdefault((each.example, each.answer), []).append(each.score)
        found = {}
        for where, answer in answers.items():
            scores = given.get((answer.example, digest_of(answer.text)))
            if scores:
                found[where] = sum(scores) / len(scores)
        return found

    def agreement(self, workflow: str) -> Agreement | None:
        """``None``: too few answers were scored by two.  Raises ``Unknown``."""
        scored: dict[tuple[str, str], list[HandScore]] = {}
        for each in self.of(workflow):
            scored.setdefault((each.example, each.answer), []).append(each)
        return agreed([found[:2] for found in scored.values() if len(found) > 1])

    # --- inside

    def _by(self, flow: Workflow) -> tuple[Rubric, str]:
        """The rubric in force, if its owner has signed it.  Raises ``Refused``."""
        text = flow.rubric or ""
        if not text.strip():
            raise Refused(
                f"{flow.name} has no rubric; write how people score its answers into workflows/{flow.name}/rubric.md, "
                "name it in workflow.yaml (rubric: rubric.md) and apply"
            )
        try:
            rubric = read(text, f"workflows/{flow.name}/rubric.md")
        except Unusable as error:
            raise Refused(f"people score by named values, and the rubric of {flow.name} has none:\n{error}") from error
        digest = rubric_digest(text)
        owner = flow.owners.workflow
        if self._evals.signed_by(flow.name, digest, self._clock(), owner) != owner:
            raise Refused(
                f"{owner} has not signed the rubric of {flow.name} as it is now, and what is scored "
                f"before that is worth nothing: roadworthy evals sign {flow.name}"
            )
        return rubric, digest

    def _questions(self, workflow: str, run: str) -> list[Question]:
        """Every answer that can be scored, one for each text."""
        examples = self._pool.examples(workflow)
        found: dict[tuple[str, str], Question] = {}
        if run:
            of = self._evals.run(run)
            if of.workflow != workflow:
                raise Unknown(f"run {run} is of {of.workflow}, not of {workflow}")
            runs = [of.id]
            examples |= self._examples_of(of.set_version)
        else:
            for each in self._pool.captured(workflow):
                if each.example in examples:
                    question = Question(
                        example=examples[each.example], text=each.text, answer=digest_of(each.text),
                        inference=each.inference, release=each.release,
                    )  # fmt: skip
                    found[_key(question)] = question
            runs = [each.id for each in self._evals.runs(workflow, 1)]
        for ident in runs:
            release = self._evals.run(ident).release
            for answer in self._evals.answers(ident).values():
                if answer.outcome not in SERVED_BY_MODEL or not answer.text.strip() or answer.example not in examples:
                    continue
                question = Question(
                    example=examples[answer.example], text=answer.text, answer=digest_of(answer.text), run=ident,
                    inference=answer.inference, release=release,
                )  # fmt: skip
                found[_key(question)] = question
        while len(self._known) >= MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[workflow, run] = found
        return list(found.values())

    def _question(self, workflow: str, run: str, example: str, answer: str) -> Question:
        """Raises ``Unknown``: there is no such answer.  Remembered: a key press reads no thousand rows."""
        for _ in range(2):
            found = self._known.get((workflow, run), {}).get((example, answer))
            if found is not None:
                return found
            self._questions(workflow, run)
        raise Unknown(
            f"there is no such answer to {example[:40]}; roadworthy evals score {workflow} shows those there are"
        )

    def _examples_of(self, version: str) -> dict[str, Example]:
        found = self._evals.examples(version)
        return {} if found is None else {each.id: each for each in found.items}

    def _read(self, tx: EvalTransaction, workflow: str, example: str = "") -> list[HandScore]:
        found = self._sealed.opened(HAND_SCORE, tx.hand_scores(workflow, example))
        return [each for each in found if each.workflow == workflow]

    def _audit(self, tx: EvalTransaction, event: Event) -> None:
        tx.append_audit(chain(tx.last_audit(), event, self._clock()))


def digest_of(text: str) -> str:
    """``ans_`` + 32 hex digits: names an answer by its text."""
    return "ans_" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def wanted(answer: tuple[str, str], raters: set[str], rater: str, share: float) -> bool:
    """Should this person score this answer?  Once each, and a drawn share by a second person.  Pure."""
    if rater in raters:
        return False
    return not raters or (len(raters) == 1 and _drawn("second", *answer) < share)


def pace(at: Iterable[float]) -> float:
    """Seconds that an answer takes a rater, by when they scored; the middle of what lies between two scores.  Pure."""
    instants = sorted(at)
    gaps = [later - earlier for earlier, later in pairwise(instants) if later - earlier <= PAUSE]
    return max(statistics.median(gaps), QUICKEST) if len(gaps) >= 3 else PACE


def agreed(pairs: Sequence[Sequence[HandScore]]) -> Agreement | None:
    """Two scores of each answer → how far they agree.  Pure."""
    if len(pairs) < FEWEST_AGREED:
        return None
    from roadworthy.statistics.agreement import kappa_interval
    from roadworthy.statistics.rates import wilson_interval

    one, other = ([pair[at].value for pair in pairs] for at in (0, 1))
    same = sum(a == b for a, b in zip(one, other, strict=True))
    kappa = kappa_interval(one, other)
    return Agreement(
        answers=len(pairs), same=same, share=(same / len(pairs), *wilson_interval(same, len(pairs))),
        kappa=(kappa.value, kappa.lower, kappa.upper), raters=sorted({each.rater for pair in pairs for each in pair}),
        differ=[(a.example, a.rater, a.value, b.rater, b.value) for a, b in pairs if a.value != b.value],
    )  # fmt: skip


def _key(question: Question) -> tuple[str, str]:
    return question.example.id, question.answer


def _of(score: HandScore) -> tuple[str, str]:
    return score.example, score.answer


def _drawn(salt: str, example: str, answer: str) -> float:
    """In [0, 1), the same for the same answer."""
    digest = hashlib.sha256(f"{salt}\n{example}\n{answer}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _event(actor: Actor, action: str, flow: Workflow, after: Mapping[str, str]) -> Event:
    target = f"workflow/{flow.name}"
    return Event(actor.id, action, target, on_behalf_of=actor.on_behalf_of, after=dict(after), team=flow.team)
