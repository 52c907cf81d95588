"""A user is forgotten: their examples leave every set, with what was answered to them and thought of the answers.

A set without somebody's examples is another version.  It takes the place of the one before under the same publication,
so it is in force from the same day on, and gates that were run on the one before still count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Final, Protocol

from msgspec.structs import replace

from roadworthy.evals.examples import set_of
from roadworthy.evals.judges import JudgeTransaction
from roadworthy.evals.model import Example, Publication
from roadworthy.evals.ports import EvalTransaction
from roadworthy.evals.sealed import Sealed
from roadworthy.evals.tokens import CAPTURED, PUBLICATION, WAITING
from roadworthy.workflow.audit import Event, chain

PREFIX: Final = "usr_"
SCORING: Final = "eval-scoring"
"""User of the calls in which a judge reads examples: nobody knows which of them, so all go."""
BORN: Final = slice(4, 16)
"""Digits of an inference's id that say when it was."""


class ForgettingTransaction(EvalTransaction, JudgeTransaction, Protocol):
    """Examples, and what judges said of answers to them."""


class ForgettingState(Protocol):
    """The state store, as far as forgetting needs it."""

    def read(self) -> AbstractContextManager[ForgettingTransaction]: ...

    def write(self) -> AbstractContextManager[ForgettingTransaction]: ...


class UserLog(Protocol):
    """What the inference log knows of users."""

    def forget(self, unit: str, at: float) -> dict[str, int]: ...

    def unit_hash(self, unit: str) -> str: ...

    def covers_hash(self, hashed: str, ts: float) -> bool: ...


def unit_of(log: UserLog) -> Callable[[str], str]:
    """How an example names the user that it came from."""
    return lambda unit: PREFIX + log.unit_hash(unit)


class ExampleEraser:
    """``operations.forget.Eraser`` of examples."""

    name = "examples"

    def __init__(
        self, state: ForgettingState, sealed: Sealed, log: UserLog, *, scrub: Callable[[], None],
        changed: Callable[[], None], clock: Callable[[], float],
    ) -> None:  # fmt: skip
        """``changed``: what is published changed."""
        self._state = state
        self._sealed = sealed
        self._log = log
        self._scrub = scrub
        self._changed = changed
        self._clock = clock

    def forget(self, unit: str, at: float) -> int:
        mine = PREFIX + self._log.unit_hash(unit)
        count, gone = self._without(lambda cluster, asked: cluster == mine and asked <= at)
        if gone:
            self._changed()
        for ident in gone:
            self._log.forget(f"eval-{ident}", at)
        if gone:
            self._log.forget(SCORING, at)
        return count

    def search(self, unit: str) -> int:
        mine = PREFIX + self._log.unit_hash(unit)
        with self._state.read() as tx:
            return sum(cluster == mine for _, cluster, _ in self._all(tx))

    def settle(self) -> int:
        """Before anything is published, after a restore: what is of users who were forgotten since → rows."""
        return self._without(self._covered)[0]

    # --- inside

    def _covered(self, cluster: str, asked: float) -> bool:
        return bool(cluster) and self._log.covers_hash(cluster.removeprefix(PREFIX), asked)

    def _without(self, theirs: Callable[[str, float], bool]) -> tuple[int, set[str]]:
        """(rows that are gone, ids of the examples)."""
        with self._state.write() as tx:
            gone = {ident for ident, cluster, asked in self._all(tx) if theirs(cluster, asked)}
            if not gone:
                return 0, gone
            count = sum(self._shrunk(tx, version, gone) for version in tx.eval_versions())
            count += tx.forget_examples(sorted(gone)) + tx.forget_judged(sorted(gone))
        self._scrub()
        return count, gone

    def _shrunk(self, tx: EvalTransaction, version: str, gone: set[str]) -> int:
        """One version without them → how many of them it held."""
        examples = tx.eval_set(version)
        left = [] if examples is None else [each for each in examples.items if each.id not in gone]
        if examples is None or len(left) == len(examples.items):
            return 0
        smaller = set_of(left)
        tokens = {}
        for publication in self._publications(tx):
            if publication.version != version:
                continue
            made = replace(
                publication, version=smaller.version, count=len(left), critical=sum(each.critical for each in left),
                forgotten_from=[*publication.forgotten_from, version],
            )  # fmt: skip
            tokens[made.id] = self._sealed.seal(PUBLICATION, made)
            event = Event(
                "engine", "evals.forget", f"workflow/{made.workflow}", team=made.team,
                before={"set": version, "examples": publication.count},
                after={"set": made.version, "examples": made.count}, reason="a user was forgotten", evidence=made.id,
            )  # fmt: skip
            tx.append_audit(chain(tx.last_audit(), event, self._clock()))
        tx.replace_eval_set(version, smaller, tokens)
        return len(examples.items) - len(left)

    def _publications(self, tx: EvalTransaction) -> Iterable[Publication]:
        for workflow in tx.eval_workflows():
            yield from self._sealed.opened(PUBLICATION, tx.eval_sets(workflow))

    def _all(self, tx: EvalTransaction) -> Iterable[tuple[str, str, float]]:
        """(id, user, when it was asked) wherever an example is kept."""
        found: list[Example] = []
        for version in tx.eval_versions():
            examples = tx.eval_set(version)
            found += [] if examples is None else examples.items
        for workflow in tx.eval_workflows():
            found += [each.example for each in self._sealed.opened(WAITING, tx.waiting(workflow))]
            for captured in self._sealed.opened(CAPTURED, tx.captured(workflow)):
                yield captured.example, captured.cluster, captured.at
        for each in found:
            yield each.id, each.cluster, asked_at(each.label)


def asked_at(label: str) -> float:
    """When an example was asked: its inference's id says so; an imported one counts as having been asked always."""
    try:
        return int(label[BORN], 16) / 1000 if label.startswith("inf_") else 0.0
    except ValueError:
        return 0.0
