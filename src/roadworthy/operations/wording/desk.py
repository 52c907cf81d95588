"""Words edited in the console: a draft that nobody is served, tried on a few failures, published as a release.

The way of a text: *save* keeps a draft in state; *try* drills the release that the draft would make, under a permit,
while it exists nowhere but in the snapshot; *publish* freezes it (it differs from what is served in ``handling`` alone)
and drills everything that it does; *serve* accepts what the drills saw a customer read, and begins its ramp, which
starts at the share of its predecessor.  The files are never written: ``apply`` and ``freeze`` warn until they say the
same (``workflow.wording.behind``).

Drafts and trials are for the workflow's and the prompt's owner, publishing and serving for the workflow's owner.
Denials are audited.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from roadworthy.fallback.drills.model import DrillRun
from roadworthy.fallback.drills.registry import drills
from roadworthy.operations.drills.drill_runs import DrillRuns, Order
from roadworthy.operations.proving.vouching import Vouching
from roadworthy.operations.rights import may
from roadworthy.operations.wording.shown import Fixed, Spoken, Tried, fixed, spoken, trial, tried
from roadworthy.rollout.model import Rollout
from roadworthy.rollout.service import Order as RolloutOrder
from roadworthy.rollout.service import Rollouts
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import Canned, FrozenRelease, Release, Workflow
from roadworthy.workflow.ports import State, Transaction
from roadworthy.workflow.service import Actor, Unknown, Workflows
from roadworthy.workflow.wording import (
    Slot,
    WordChange,
    Wording,
    Words,
    as_yaml,
    changes,
    editable,
    followed,
    problems,
    with_words,
    words_of,
)

Step = Literal["served", "drilling", "failed", "interrupted", "read", "waits"]
"""Of what was published: everybody has it; its drills run; one failed; they broke off; its owner must read what
customers would and serve it; it waits for a ramp that is under way, or for the gate."""


class WordsRefused(Exception):
    """It cannot be done so; the message says what would do."""


class NotTheirs(WordsRefused):
    """Another person may."""


class Published(msgspec.Struct, frozen=True):
    """Where a release that was made of words stands."""

    release: FrozenRelease
    step: Step
    detail: str
    by: str
    at: float
    run: DrillRun | None
    reads: list[Tried]
    """What customers read, as its drills saw it."""
    share: float | None
    """At which it would begin; ``None``: nobody knows before it is tried."""


class Editor(msgspec.Struct, frozen=True):
    """Everything about the words of one workflow."""

    workflow: Workflow
    base: FrozenRelease | None
    """What most customers are served, and what a draft changes; ``None``: no release was frozen yet."""
    spoken: list[Spoken]
    fixed: list[Fixed]
    draft: Words
    """Of the slots that it changes; empty: there is none."""
    by: str
    at: float
    outdated: bool
    """The draft was made of another release than the one that is served now."""
    wrong: list[str]
    """Why the draft could not be published."""
    run: DrillRun | None
    """Of the newest trial."""
    tried: list[Tried]
    tried_this: bool
    """Was this very draft tried?"""
    published: Published | None
    behind: list[WordChange]
    """What the files do not say yet, and what to write there."""
    yaml: str


class WordDesk:
    """Thread-safe; blocking.  Methods raise ``Unknown``; those that act raise ``WordsRefused`` too."""

    def __init__(
        self,
        state: State,
        workflows: Workflows,
        runs: DrillRuns,
        rollouts: Rollouts,
        vouching: Vouching,
        *,
        publish: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """``publish``: have gateways hold the drafts that are tried."""
        self._state = state
        self._workflows = workflows
        self._runs = runs
        self._rollouts = rollouts
        self._vouching = vouching
        self._publish = publish
        self._clock = clock
        self._trying: dict[str, FrozenRelease] = {}
        """Workflow → the release that its draft makes, for as long as it is tried."""
        self._beginning: set[str] = set()

    # --- reading

    def editor(self, workflow: str) -> Editor:
        flow = self._workflows.named(workflow)
        base = self._base(workflow)
        with self._state.read() as tx:
            kept = tx.wording(workflow) or Wording(workflow, flow.team)
        draft = _fitting(kept.words, base)
        run = self._run(kept.test)
        made = None if base is None or not draft else with_words(base.release, draft)
        behind = self._workflows.behind(workflow)
        return Editor(
            workflow=flow,
            base=base,
            spoken=[] if base is None else spoken(base.release),
            fixed=[] if base is None else fixed(base.release),
            draft=draft,
            by=kept.by,
            at=kept.at,
            outdated=bool(kept.words) and base is not None and kept.base != base.release.digest,
            wrong=[] if base is None else [str(each) for each in problems(base.release, draft)],
            run=run,
            tried=[] if run is None else tried(run),
            tried_this=run is not None and made is not None and run.digest == made.digest,
            published=self._published(kept),
            behind=behind,
            yaml=as_yaml({each.slot: each.after for each in behind if each.after is not None}),
        )

    def wait_for(self, person: str) -> list[tuple[str, Step]]:
        """(workflow, step) of what was published and goes on only when this owner acts."""
        with self._state.read() as tx:
            kept, applied = tx.wordings(), tx.applied()
        flows = {} if applied is None else applied.configuration.workflows
        found: list[tuple[str, Step]] = []
        for each in kept:
            flow = flows.get(each.workflow)
            if each.published and flow is not None and flow.owners.workflow == person:
                done = self._published(each)
                if done is not None and done.step in ("read", "failed", "interrupted"):
                    found.append((each.workflow, done.step))
        return found

    def drafts(self) -> list[FrozenRelease]:
        """Releases that are tried now: a permit reaches them, and nobody else."""
        for workflow in list(self._trying):
            if workflow not in self._beginning and not self._runs.going(workflow):
                self._trying.pop(workflow, None)
        return list(self._trying.values())

    def draft_of(self, workflow: str, named: str) -> Release | None:
        found = self._trying.get(workflow)
        return found.release if found is not None and found.release.digest == named else None

    # --- acting

    def save(self, workflow: str, actor: Actor, texts: Mapping[str, tuple[str, str]]) -> Words:
        """Keep a draft.  ``texts``: slot → (text, JSON as text; empty: as the text says).  What equals the release is
        no draft.  Returns what is drafted."""
        flow, base = self._theirs(workflow, actor, "words.save")
        words = _drafted(base.release, texts)
        wrong = problems(base.release, words)
        if wrong:
            raise WordsRefused("; ".join(str(each) for each in wrong))
        with self._state.write() as tx:
            kept = tx.wording(workflow) or Wording(workflow, flow.team)
            now = self._clock()
            new = msgspec.structs.replace(kept, base=base.release.digest, words=words, by=actor.id, at=now)
            tx.put_wording(new)
            before, after = _said(kept.words), _said(words)
            self._audit(
                tx, flow, actor, "words.save", before=before, after=after, reason="a draft: nobody is served it"
            )
        return words

    def discard(self, workflow: str, actor: Actor) -> None:
        flow, _ = self._theirs(workflow, actor, "words.discard")
        with self._state.write() as tx:
            kept = tx.wording(workflow)
            if kept is None or not kept.words:
                raise WordsRefused(f"there is no draft of the words of {workflow}")
            tx.put_wording(msgspec.structs.replace(kept, words={}, base="", test=""))
            self._audit(tx, flow, actor, "words.discard", before=_said(kept.words))

    def try_out(self, workflow: str, actor: Actor) -> DrillRun:
        """Drill the draft on a few failures.  Raises ``DrillRefused`` too."""
        flow, base = self._theirs(workflow, actor, "words.try")
        draft = self._drafted(workflow, base)
        release = with_words(base.release, draft)
        faults = trial(release, flow.policy, list(drills().values()), list(draft))
        if not faults:
            raise WordsRefused(f"no failure that can be drilled shows the words of {workflow}")
        self._trying[workflow] = FrozenRelease(release, flow.team, 0, self._clock(), actor.id, "a draft of words")
        self._beginning.add(workflow)
        try:
            self._publish()  # so that gateways hold it
            run = self._runs.start(Order(workflow, faults=faults, release=release.digest), actor, leased=False)
        finally:  # from here on it is held for as long as its run goes on
            self._beginning.discard(workflow)
        with self._state.write() as tx:
            kept = tx.wording(workflow)
            if kept is not None:
                tx.put_wording(msgspec.structs.replace(kept, test=run.id))
        return run

    def publish(self, workflow: str, actor: Actor, note: str = "") -> FrozenRelease:
        """Freeze the draft, put it forward, and drill all that it does.  Raises ``workflow.service.Refused`` and
        ``DrillRefused`` too; after the latter it is published, and not drilled."""
        flow, base = self._theirs(workflow, actor, "words.publish", owner_only=True)
        draft = self._drafted(workflow, base)
        done = self._workflows.reword(workflow, base.release.digest, draft, actor, note or "words, from the console")
        self._publish()
        if flow.enforcement == "enforce":
            self.drill(workflow, actor)
        return done.release

    def drill(self, workflow: str, actor: Actor) -> DrillRun:
        """Drill the published release.  Raises ``DrillRefused`` too."""
        self._theirs(workflow, actor, "words.drill")
        with self._state.read() as tx:
            kept = tx.wording(workflow)
        if kept is None or not kept.published:
            raise WordsRefused(f"no words of {workflow} were published from the console")
        run = self._runs.start(Order(workflow, release=kept.published), actor, leased=False)
        with self._state.write() as tx:
            now = tx.wording(workflow)
            if now is not None and now.published == kept.published:
                tx.put_wording(msgspec.structs.replace(now, proof=run.id))
        return run

    def serve(self, workflow: str, actor: Actor, reason: str = "") -> Rollout:
        """Accept what customers read, as the drills of the published release saw it, and begin its ramp.  Raises the
        refusals of ``vouching`` and ``rollout`` too."""
        self._theirs(workflow, actor, "words.serve", owner_only=True)
        with self._state.read() as tx:
            kept = tx.wording(workflow)
        if kept is None or not kept.published:
            raise WordsRefused(f"no words of {workflow} were published from the console")
        for owed in self._vouching.owed(workflow, kept.published):
            if owed.kind == "failure_catalogue" and owed.person == actor.id:
                self._vouching.accept(workflow, actor, evidence=owed.evidence)
        said = reason or "words that customers read, from the console"
        return self._rollouts.start(RolloutOrder(workflow, release=kept.published, reason=said), actor)

    # --- inside

    def _base(self, workflow: str) -> FrozenRelease | None:
        """What most customers are served; before any ramp, what was put forward last."""
        rollout = self._rollouts.current(workflow)
        digest = None if rollout is None else _mostly(rollout)
        with self._state.read() as tx:
            chosen = digest or tx.candidates().get(workflow)
            return None if chosen is None else tx.release(chosen)

    def _drafted(self, workflow: str, base: FrozenRelease) -> Words:
        with self._state.read() as tx:
            kept = tx.wording(workflow)
        draft = {} if kept is None else _fitting(kept.words, base)
        if not draft:
            raise WordsRefused(f"there is no draft of the words of {workflow}: change a text and save it first")
        return draft

    def _run(self, ident: str) -> DrillRun | None:
        if not ident:
            return None
        try:
            return self._runs.look(ident)
        except Unknown:  # control ended in the middle of it, or it is older than what is kept
            return None

    def _published(self, kept: Wording) -> Published | None:
        if not kept.published:
            return None
        with self._state.read() as tx:
            release, applied = tx.release(kept.published), tx.applied()
        flow = None if applied is None else applied.configuration.workflows.get(kept.workflow)
        if release is None or flow is None:
            return None
        run, rollout = self._run(kept.proof), self._rollouts.current(kept.workflow)
        step, detail = _step(flow, kept, run, rollout)
        same = rollout is not None and rollout.state == "done"
        return Published(
            release, step, detail, kept.published_by, kept.published_at, run, [] if run is None else tried(run),
            rollout.share if same and rollout is not None else None,
        )  # fmt: skip

    def _theirs(
        self, workflow: str, actor: Actor, action: str, *, owner_only: bool = False
    ) -> tuple[Workflow, FrozenRelease]:
        """Raises ``Unknown`` and ``WordsRefused``; a denial is audited."""
        flow = self._workflows.named(workflow)
        allowed = may(actor.id, flow.owners, "owner") or (not owner_only and actor.id == flow.owners.prompt)
        if not allowed:
            who = flow.owners.workflow if owner_only else f"{flow.owners.workflow} or {flow.owners.prompt}"
            why = f"{actor.id} may not change the words of {workflow}: {who}, who answers for them, may"
            with self._state.write() as tx:
                self._audit(tx, flow, actor, action, reason=why, denied=True)
            raise NotTheirs(why)
        base = self._base(workflow)
        if base is None:
            raise WordsRefused(f"{workflow} has no release yet, so it has no words of its own")
        return flow, base

    def _audit(
        self, tx: Transaction, flow: Workflow, actor: Actor, action: str, *,
        before: Mapping[str, object] | None = None, after: Mapping[str, object] | None = None, reason: str = "",
        denied: bool = False,
    ) -> None:  # fmt: skip
        event = Event(
            actor.id, action, f"workflow/{flow.name}", on_behalf_of=actor.on_behalf_of, team=flow.team, reason=reason,
            before=None if before is None else dict(before), after=None if after is None else dict(after),
            outcome="denied" if denied else "done",
        )  # fmt: skip
        tx.append_audit(chain(tx.last_audit(), event, self._clock()))


def _mostly(rollout: Rollout) -> str:
    """The release that most customers get."""
    if rollout.predecessor is None or rollout.state == "done" or rollout.share > 0.5:
        return rollout.digest
    return rollout.predecessor


def _step(flow: Workflow, kept: Wording, run: DrillRun | None, rollout: Rollout | None) -> tuple[Step, str]:
    if flow.enforcement == "observe":
        return "served", "everybody reads them: the workflow is observed, not enforced"
    if rollout is not None and rollout.digest == kept.published:
        if rollout.state == "done" or rollout.under_way:
            return "served", f"at {rollout.stage.name} of its ramp"
        return "waits", f"its ramp is {rollout.standing.replace('_', ' ')}"
    if run is None:
        return "interrupted", "its drills did not end: start them again"
    if run.state == "running":
        done = sum(result.verdict != "SKIPPED" for result in run.results)
        return "drilling", f"{done} of {run.wanted} drills done"
    if run.state != "done":
        return "interrupted", run.detail or "its drills did not end: start them again"
    if run.failed:
        return "failed", f"{run.failed} of {run.wanted} drills failed"
    if rollout is None:
        return "waits", "nothing is served to everybody yet: it goes the way of every first release"
    if rollout.under_way:
        return "waits", f"another release is at {rollout.stage.name} of its ramp: let it finish, or roll it back"
    return "read", "every drill passed: read what customers will, then serve it"


def _fitting(words: Words, base: FrozenRelease | None) -> Words:
    """What of a draft still says something else than the release, and is still declared there."""
    if base is None:
        return {}
    declared, may_change = words_of(base.release.handling), editable(base.release.behaviour, base.release.handling)
    return {slot: said for slot, said in words.items() if slot in may_change and declared.get(slot) != said}


def _drafted(release: Release, texts: Mapping[str, tuple[str, str]]) -> Words:
    """Raises ``WordsRefused``."""
    current = {each.slot: each for each in spoken(release)}
    found: Words = {}
    for name, (text, raw) in texts.items():
        if name not in current:
            raise WordsRefused(f"{name[:40]}: is no text of {release.workflow}; its texts are {', '.join(current)}")
        slot: Slot = current[name].slot
        before = current[slot].said
        said = followed(before, text.replace("\r\n", "\n").strip())
        if raw.strip():
            try:
                given = json.loads(raw)
            except ValueError as error:
                raise WordsRefused(
                    f"{slot}: what the app reads is no JSON: {error}; mend it, or leave it as it was"
                ) from error
            if given != before.json:
                said = Canned(said.text, given)
        if said != before:
            found[slot] = said
    return found


def _said(words: Words) -> dict[str, object]:
    """For the audit trail: these are ours, no customer's."""
    return {slot: said.text[:200] for slot, said in words.items()}


def changed(editor: Editor) -> list[WordChange]:
    """What the draft changes."""
    if editor.base is None:
        return []
    before = {each.slot: each.said for each in editor.spoken}
    return changes(before, {**before, **editor.draft})
