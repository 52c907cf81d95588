"""Keeps example sets, rubric signatures, runs and answers, each sealed, and reads only what we signed.

What a run came to is computed from its kept answers every time.  A row that somebody else wrote, a set whose content
was changed where it is kept, an answer of another run: none of them counts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from roadworthy.evals.examples import eased, sound
from roadworthy.evals.importing import Columns, Imported, read_rows
from roadworthy.evals.model import Answer, Examples, Publication, Run, Scored, Signature
from roadworthy.evals.ports import EvalState, EvalTransaction
from roadworthy.evals.rules import rubric_digest
from roadworthy.evals.scorers.base import Scorer
from roadworthy.evals.scorers.recorded import declared, of_records, of_this_version
from roadworthy.evals.scorers.registry import NotReady, UnknownScorer, hash_of, recorded
from roadworthy.evals.scoring import score, slots
from roadworthy.evals.sealed import Sealed
from roadworthy.evals.tokens import ANSWER, PUBLICATION, RUN, SIGNATURE
from roadworthy.evidence.ports import Signer, Verifier
from roadworthy.evidence.rules import Refused as NotTaken
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import Release, Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

T = TypeVar("T")
REMEMBERED_SETS: Final = 64


class Refused(NotTaken):
    """It is not done; the message says why and what would be."""


class Published(msgspec.Struct, frozen=True):
    """The set in force."""

    publication: Publication
    examples: Examples


class Basis(msgspec.Struct, frozen=True):
    """What a run is judged by."""

    examples: Examples
    scorers: list[Scorer]


class Taken(msgspec.Struct, frozen=True):
    """What came of an import."""

    publication: Publication
    imported: Imported
    created: bool
    """``False``: this very set is in force already."""


class Evals:
    """Thread-safe as its store is; blocking."""

    def __init__(
        self,
        state: EvalState,
        signer: Signer,
        verifier: Verifier,
        *,
        clock: Callable[[], float],
        keys: Sequence[str] = (),
        new_id: Callable[[str], str] = lambda prefix: prefix + secrets.token_hex(8),
    ) -> None:
        """``keys``: public keys of earlier signers of this install, whose signatures still count."""
        self._state = state
        self._sealed = Sealed(signer, verifier, keys)
        self._clock = clock
        self._new_id = new_id
        self._sound: dict[bytes, None] = {}
        """Digests of sets that have the version that their content gives them."""

    # --- example sets

    def publish(self, workflow: str, text: str, columns: Columns, actor: Actor, source: str = "") -> Taken:
        """Judge the workflow by these rows from now on.  Older gates are stale then.

        Raises ``Unknown`` and ``NotImported``; nothing is changed.
        """
        imported = read_rows(text, columns, source)
        with self._state.write() as tx:
            made, created = self.publishing(tx, named(tx, workflow), imported.examples, actor, source)
        return Taken(made, imported, created)

    def publishing(
        self, tx: EvalTransaction, flow: Workflow, examples: Examples, actor: Actor, source: str = "", reason: str = ""
    ) -> tuple[Publication, bool]:
        """Inside a transaction of the caller's → what is in force then, and whether it is new; audited.

        Raises ``Refused``: a scorer that the workflow declares cannot be made, or the examples lack what it needs.
        """
        before = self.newest(tx, flow.name)
        scorers = _declared(tx, flow, examples)
        name = hash_of(scorers)
        if before is not None and (before.version, before.scorers) == (examples.version, name):
            return before, False
        was = None if before is None else self._examples(tx, before.version)
        changed = [] if was is None else eased(was.items, examples.items)
        made = Publication(
            id=self._new_id("evs_"), team=flow.team, workflow=flow.name, version=examples.version,
            scorers=name, at=self._clock(), by=actor.id, count=len(examples.items), source=source[:200],
            scorer_records=[recorded(each) for each in scorers], critical=sum(each.critical for each in examples.items),
            eased=changed,
        )  # fmt: skip
        tx.add_eval_set(made, examples, self._sealed.seal(PUBLICATION, made))
        event = Event(
            actor.id, "evals.publish", f"workflow/{flow.name}", on_behalf_of=actor.on_behalf_of, team=flow.team,
            before=None if before is None else {"set": before.version, "examples": before.count},
            after={"set": made.version, "examples": made.count, "source": made.source, "eased": changed}, reason=reason,
            evidence=made.id,
        )  # fmt: skip
        self._audit(tx, event)
        return made, True

    def newest(self, tx: EvalTransaction, workflow: str, *, by_person: bool = False) -> Publication | None:
        """Inside a transaction of the caller's.  ``by_person``: not one that only followed a scorer of ours."""
        found = self._sealed.opened(PUBLICATION, tx.eval_sets(workflow))
        mine = [each for each in found if each.workflow == workflow and not (by_person and each.by == "engine")]
        return max(mine, key=lambda each: each.at, default=None)  # as it was signed, in whatever order the rows stand

    def scored_otherwise(self, tx: EvalTransaction, flow: Workflow) -> bool:
        """Would the set in force be published with other scorers now?  A declared one was changed, or a judge frozen
        anew, or one cannot be made as things are."""
        newest = self.newest(tx, flow.name)
        examples = None if newest is None else self._examples(tx, newest.version)
        if newest is None or examples is None:
            return False
        try:
            return newest.scorers != hash_of(_declared(tx, flow, examples))
        except Refused:
            return True

    def kept(self, tx: EvalTransaction, version: str) -> Examples | None:
        """``examples`` inside a transaction of the caller's."""
        return self._examples(tx, version)

    def published(self, workflow: str) -> Publication | None:
        """The newest publication that we signed; ``None``: there is none."""
        with self._state.read() as tx:
            return self.newest(tx, workflow)

    def current(self, workflow: str) -> Published:
        """The set in force.  Raises ``Refused``: none is published, or it was changed where it is kept."""
        with self._state.read() as tx:
            publication = self.newest(tx, workflow)
            examples = None if publication is None else self._examples(tx, publication.version)
        if publication is None:
            raise Refused(
                f"{workflow} has no examples; import hand-labelled ones: "
                f"roadworthy evals import {workflow} FILE.jsonl --input KEY --expect FIELD"
            )
        if examples is None:
            raise Refused(
                f"the examples of {workflow} were changed in the database and count for nothing; import them again"
            )
        return Published(publication, examples)

    def publish_anew(self) -> list[str]:
        """Have what is published follow the scorers of this version: gates by older ones are stale.  The workflows."""
        renewed = []
        with self._state.write() as tx:
            applied = tx.applied()
            for workflow in () if applied is None else applied.configuration.workflows:
                before = self.newest(tx, workflow)
                examples = None if before is None else self._examples(tx, before.version)
                if before is None or examples is None:
                    continue
                scorers = of_this_version(before.scorer_records, examples)
                if before.scorers == (now := hash_of(scorers)):
                    continue
                made = msgspec.structs.replace(
                    before, id=self._new_id("evs_"), scorers=now, at=self._clock(), by="engine",
                    scorer_records=[recorded(each) for each in scorers],
                )  # fmt: skip
                tx.add_eval_set(made, examples, self._sealed.seal(PUBLICATION, made))
                after = {"set": made.version, "scorers": made.scorers}
                event = Event("engine", "evals.publish", f"workflow/{workflow}", team=made.team, after=after,
                              reason="scorers of a newer version", evidence=made.id)  # fmt: skip
                self._audit(tx, event)
                renewed.append(workflow)
        return renewed

    def examples(self, version: str) -> Examples | None:
        """The content of a version; ``None``: there is none, or it was changed where it is kept."""
        with self._state.read() as tx:
            return self._examples(tx, version)

    # --- the rubric

    def sign(self, workflow: str, actor: Actor) -> Signature:
        """The workflow's owner stands for its rubric as applied.  Raises ``Unknown`` and ``Refused``, audited."""
        event = Event(actor.id, "evals.sign", f"workflow/{workflow}", on_behalf_of=actor.on_behalf_of)
        with self._state.write() as tx:
            flow = named(tx, workflow)
            why = _may_not_sign(flow, actor)
            if not why:
                digest = rubric_digest(flow.rubric or "")
                known = self._signatures(tx, workflow)
                found = next((each for each in known if (each.rubric, each.person) == (digest, actor.id)), None)
                if found is not None:
                    return found
                made = Signature(
                    id=self._new_id("sgn_"), team=flow.team, workflow=workflow, rubric=digest, person=actor.id,
                    at=self._clock(),
                )  # fmt: skip
                tx.add_rubric_signature(made, self._sealed.seal(SIGNATURE, made))
                self._audit(tx, dataclasses.replace(event, team=flow.team, after={"rubric": digest}, evidence=made.id))
                return made
            self._audit(tx, dataclasses.replace(event, team=flow.team, outcome="denied", reason=why))
        raise Refused(why)

    def signed_by(self, workflow: str, rubric: str, until: float, owner: str = "") -> str:
        """Who had signed this rubric at an instant, the ``owner`` first; empty: nobody."""
        with self._state.read() as tx:
            found = self._signatures(tx, workflow)
        people = [each.person for each in found if each.rubric == rubric and each.at <= until]
        return owner if owner in people else next(iter(people), "")

    # --- runs

    def begin(self, run: Run) -> Run:
        """Fix what a run is about before its first call; audited."""
        with self._state.write() as tx:
            tx.add_eval_run(run, self._sealed.seal(RUN, run))
            after = {
                "run": run.id, "release": run.release, "set": run.set_version, "floors": run.floors,
                "policy": run.policy, "examples": run.examples,
            }  # fmt: skip
            self._audit(
                tx,
                Event(run.by, "evals.run", f"workflow/{run.workflow}", on_behalf_of=run.on_behalf_of, team=run.team,
                      after=after, evidence=run.id),
            )  # fmt: skip
        return run

    def keep(self, answer: Answer) -> None:
        """Each in a transaction of its own: whatever ends us, what was answered is not asked again."""
        with self._state.write() as tx:
            tx.put_eval_answer(answer, self._sealed.seal(ANSWER, answer))

    def run(self, ident: str) -> Run:
        """Raises ``Unknown``: there is none that we signed."""
        with self._state.read() as tx:
            token = tx.eval_run(ident)
            found = [] if token is None else self._sealed.opened(RUN, [token])
            found = self._left_of(tx, found)
        if not found or found[0].id != ident:
            raise Unknown(f"there is no eval run '{ident}'; roadworthy evals runs WORKFLOW lists them")
        return found[0]

    def runs(self, workflow: str, limit: int = 50) -> list[Run]:
        """Newest first."""
        with self._state.read() as tx:
            found = self._sealed.opened(RUN, tx.eval_runs(workflow, limit))
            mine = [each for each in found if each.workflow == workflow]
            return self._left_of(tx, sorted(mine, key=lambda each: each.began, reverse=True))

    def answers(self, run: str) -> dict[str, Answer]:
        """Slot → answer: those that we signed for this very run."""
        with self._state.read() as tx:
            tokens = tx.eval_answers(run)
        return {each.slot: each for each in self._sealed.opened(ANSWER, tokens) if each.run == run}

    def basis(self, run: Run) -> Basis:
        """What a run is judged by.

        Raises ``Refused``: the set was changed where it is kept, or the scorers of this version are others.
        """
        examples = self.examples(run.set_version)
        if examples is None:
            raise Refused(f"the examples of run {run.id} are not as they were; import them and run the gate again")
        try:
            scorers = of_records(run.scorer_records, examples)
        except UnknownScorer as error:
            raise Refused(f"run {run.id} cannot be scored again: {error}; run it again") from error
        if hash_of(scorers) != run.scorers:
            raise Refused(f"run {run.id} was scored by other scorers than there are now; run the gate again")
        return Basis(examples, scorers)

    def scored(self, run: Run, release: Release) -> list[Scored]:
        """Everything that the run asks, with its answers and scores.  Raises as ``basis``."""
        basis = self.basis(run)
        answers = self.answers(run.id)
        return [
            score(example, answers.get(where), basis.scorers, release, where=where)
            for where, example, _ in slots(run, basis.examples.items)
        ]

    # --- inside

    def _left_of(self, tx: EvalTransaction, runs: list[Run]) -> list[Run]:
        """A run on a set from which users were forgotten since is a run on what is left of it."""
        left: dict[tuple[str, str], Publication] = {}
        for workflow in {run.workflow for run in runs}:
            for each in self._sealed.opened(PUBLICATION, tx.eval_sets(workflow)):
                left |= {(workflow, version): each for version in each.forgotten_from}
        if not left:
            return runs
        found = []
        for run in runs:
            now = left.get((run.workflow, run.set_version))
            found.append(run if now is None else replace(run, set_version=now.version, examples=now.count))
        return found

    def _examples(self, tx: EvalTransaction, version: str) -> Examples | None:
        found = tx.eval_set(version)
        return found if found is not None and found.version == version and self._is_sound(found) else None

    def _is_sound(self, examples: Examples) -> bool:
        """Looked at once: of the very bytes that were sound before, nothing is computed again."""
        content = hashlib.sha256(msgspec.json.encode(examples)).digest()
        if content in self._sound:
            return True
        if not sound(examples):
            return False
        while len(self._sound) >= REMEMBERED_SETS:
            self._sound.pop(next(iter(self._sound), b""), None)
        self._sound[content] = None
        return True

    def _signatures(self, tx: EvalTransaction, workflow: str) -> list[Signature]:
        return [
            each for each in self._sealed.opened(SIGNATURE, tx.rubric_signatures(workflow)) if each.workflow == workflow
        ]

    def _audit(self, tx: EvalTransaction, event: Event) -> None:
        tx.append_audit(chain(tx.last_audit(), event, self._clock()))


def _declared(tx: EvalTransaction, flow: Workflow, examples: Examples) -> list[Scorer]:
    def frozen(workflow: str) -> str:
        releases = tx.releases(workflow)
        return releases[0].release.behaviour_digest if releases else ""

    try:
        return declared(flow, examples, frozen)
    except NotReady as error:
        raise Refused(str(error)) from error


def named(tx: EvalTransaction, workflow: str) -> Workflow:
    applied = tx.applied()
    flows: Mapping[str, Workflow] = {} if applied is None else applied.configuration.workflows
    if workflow not in flows:
        raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, flows)}")
    return flows[workflow]


def _may_not_sign(flow: Workflow, actor: Actor) -> str:
    if actor.id.startswith("os:") or actor.id != flow.owners.workflow:
        return (
            f"{actor.id} cannot sign the rubric of {flow.name}: its owner {flow.owners.workflow} does, "
            "after signing in with roadworthy login"
        )
    if not (flow.rubric or "").strip():
        return (
            f"{flow.name} has no rubric; write how people score its answers into workflows/{flow.name}/rubric.md, name "
            "it in workflow.yaml (rubric: rubric.md) and apply"
        )
    return ""
