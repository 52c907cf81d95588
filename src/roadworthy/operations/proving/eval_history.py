"""What earlier runs say about a run: the one that was left open, answers that may be reused, repeats that are averaged
with it, and the release that it is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from roadworthy.evals.model import Answer, Run, Scored
from roadworthy.evals.rules import Scores, standing
from roadworthy.evals.scoring import HAND, scores_of, with_hand
from roadworthy.evals.service import Evals, Refused
from roadworthy.evidence.kinds import KINDS
from roadworthy.evidence.receipt.model import Revocation
from roadworthy.evidence.service import Ledger
from roadworthy.workflow.digest import behaviour_digest
from roadworthy.workflow.model import FrozenRelease
from roadworthy.workflow.ports import State

HandScored = Callable[[Run, Sequence[Scored]], Mapping[str, float]]
"""(run, answers) → slot → score that people gave to that text, averaged over them."""

MOST_RUNS = 1000


class History:
    """Blocking."""

    def __init__(self, state: State, evals: Evals, ledger: Ledger, hand: HandScored = lambda run, found: {}) -> None:
        self._state = state
        self._evals = evals
        self._ledger = ledger
        self._hand = hand

    # --- the run itself

    def release(self, run: Run) -> FrozenRelease:
        """The release that the run is about, as it was frozen.  Raises ``Refused`` for one that was changed since."""
        with self._state.read() as tx:
            frozen = tx.release(run.release)
        if frozen is None or behaviour_digest(frozen.release.behaviour) != run.behaviour:
            raise Refused(f"release {run.release[:12]} is not as it was frozen, so its run counts for nothing")
        return frozen

    def scored(self, run: Run) -> list[Scored]:
        """Everything that it asks, with what people say of the answers.  Raises ``Refused``."""
        found = self._evals.scored(run, self.release(run).release)
        return with_hand(found, self._hand(run, found)) if self._by_hand(run) else found

    def complete(self, run: Run) -> bool:
        """Is every example answered and scored?  Another target that did not answer has been asked, and has not
        passed."""
        return not self.open(run)

    def open(self, run: Run) -> dict[str, str]:
        """Slot → what is still missing."""
        missing = {}
        for each in self.scored(run):
            elsewhere = "@" in each.slot
            if each.answer is None or (each.standing == "unanswered" and not elsewhere):
                missing[each.slot] = "no answer"
            elif each.unscored and not elsewhere:
                name, why = next(iter(each.unscored.items()))
                missing[each.slot] = f"{name}: {why}"
        return missing

    def left_open(self, template: Run, within: float) -> Run | None:
        """The newest run of the very same that was not concluded."""
        for run in self._evals.runs(template.workflow):
            if run.began < template.began - within or not _same(run, template):
                continue
            if run.purpose == "gate":
                known = {each.run for each in self._ledger.known(template.workflow).evidence}
                return run if run.id not in known and self.revoked_since(run) is None else None
            return None if self.complete(run) else run
        return None

    def revoked_since(self, run: Run) -> Revocation | None:
        """Whoever took a behaviour's receipts back meant the runs under way as well."""
        found = self._ledger.known(run.workflow).revocations
        return next((each for each in found if each.behaviour == run.behaviour and each.at >= run.began), None)

    # --- other runs

    def reusable(self, run: Run, within: float) -> dict[str, Answer]:
        """Slot → answer of the same release to the same example, not older than ``within``.  Never of a repeat.

        Only of runs with which ``run`` is averaged: who could bring an answer along from elsewhere would choose it.
        """
        found: dict[str, Answer] = {}
        for other in self._evals.runs(run.workflow, MOST_RUNS):
            if other.began < run.began - 2 * within:
                break
            same = (other.set_version, other.scorers) == (run.set_version, run.scorers)
            if other.release != run.release or other.id == run.id or not same:
                continue
            for where, each in self._evals.answers(other.id).items():
                fresh = not each.reused and not each.repeat and each.at >= run.began - within
                if fresh and where not in found and standing(each.outcome, each.failure) != "unanswered":
                    found[where] = each
        return found

    def askings(self, run: Run, *, any_model: bool = False) -> list[Scored]:
        """The run's own, and those of earlier runs of this behaviour on this set: averaged, never chosen among, not
        even by whoever stops a run that looks bad.  What was reused counts once.  An answer of another model under the
        same name is no repeat, unless ``any_model``."""
        mine = self.scored(run)
        oldest = run.began - KINDS["eval_gate"].life
        models = {each.answer.model_answered for each in mine if each.answer is not None}
        found: dict[tuple[str, str], Scored] = {}
        for other in self._evals.runs(run.workflow, MOST_RUNS):
            same = (other.behaviour, other.set_version, other.scorers) == (run.behaviour, run.set_version, run.scorers)
            if same and other.id != run.id and oldest < other.began <= run.began:
                for each in self.scored(other):
                    if each.answer is not None and (any_model or each.answer.model_answered in models):
                        found[each.answer.reused or other.id, each.slot] = each
        for each in mine:
            if each.answer is not None:
                found[each.answer.reused or run.id, each.slot] = each
        return list(found.values())

    def incumbent(self, run: Run) -> FrozenRelease | None:
        """Whom the run names, else the newest release before it, of another behaviour, whose gate passed."""
        with self._state.read() as tx:
            releases = tx.releases(run.workflow)
        if run.against:
            return next((each for each in releases if each.release.digest == run.against), None)
        known = self._ledger.known(run.workflow)
        gone = {(each.behaviour, each.at) for each in known.revocations}
        passed = {
            each.behaviour
            for each in known.receipts
            if each.verdict == "PASS" and not any(b == each.behaviour and each.issued <= at for b, at in gone)
        }
        return next(
            (
                each
                for each in releases
                if each.number < run.number
                and each.release.behaviour_digest != run.behaviour
                and each.release.behaviour_digest in passed
            ),
            None,
        )

    def scores_on(self, run: Run, before: FrozenRelease) -> Scores | None:
        """What the release before scored on the set and by the scorers of ``run``; ``None``: it never ran on all of
        what ``run`` asks."""
        behaviour = before.release.behaviour_digest
        wanted = {each.example.id for each in self.scored(run)}
        found: list[Scored] = []
        for other in self._evals.runs(run.workflow, MOST_RUNS):
            same = (other.behaviour, other.set_version, other.scorers) == (behaviour, run.set_version, run.scorers)
            if same:
                found += [each for each in self.scored(other) if each.answer is not None and not each.answer.reused]
        answered = {each.example.id for each in found if each.standing != "unanswered" and "@" not in each.slot}
        return scores_of(found) if found and wanted <= answered else None

    def other_answers(self, run: Run) -> Mapping[str, str]:
        """Example → what the release said that it is held against, for scorers that compare two answers."""
        before = self.incumbent(run)
        if before is None:
            return {}
        found: dict[str, str] = {}
        for other in self._evals.runs(run.workflow, MOST_RUNS):
            if other.behaviour == before.release.behaviour_digest:
                for where, each in self._evals.answers(other.id).items():
                    if where == each.example and standing(each.outcome, each.failure) == "good":
                        found.setdefault(where, each.text)
        return found

    def _by_hand(self, run: Run) -> bool:
        return HAND in run.floors or run.primary == HAND


def _same(run: Run, template: Run) -> bool:
    fixed = (
        "release", "set_version", "scorers", "floors", "margin", "rubric", "signed_by", "purpose", "against", "repeat",
        "sample", "targets", "primary", "slices",
    )  # fmt: skip
    return all(getattr(run, name) == getattr(template, name) for name in fixed)
