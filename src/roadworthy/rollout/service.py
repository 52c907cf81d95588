"""Keeps ramps: each change and its audit record in one transaction, sealed; acts on what the rules decide.

A row that somebody else wrote is no ramp, and neither is one that is older than the audit trail says (a replay).  Fails
closed: without a ramp a release gets no live traffic.  Rights are checked here, so that every denial is audited alike.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from roadworthy.evidence.ports import Signer, Verifier
from roadworthy.evidence.sealing import Forged
from roadworthy.rollout import analysis as analysing
from roadworthy.rollout import events as e
from roadworthy.rollout import records
from roadworthy.rollout.model import ENGINE, BackTo, Grounds, Kept, Rollout, Room
from roadworthy.rollout.planning import plan_of
from roadworthy.rollout.ports import Evidenced, Feed, Manned, RolloutState, RolloutTransaction, Telling
from roadworthy.rollout.prospect import Prospect, prospect
from roadworthy.rollout.records import Change, target_of
from roadworthy.rollout.rules import Refused, begin, decide, first_stage, predecessor_of
from roadworthy.rollout.tokens import ROLLOUT
from roadworthy.workflow.audit import AuditRecord, Event, chain
from roadworthy.workflow.model import Owners, Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

log = logging.getLogger("roadworthy.rollout")

Right = Literal["owner", "stop"]
May = Callable[[str, Owners | None, Right], bool]
"""(person or ``os:uid``, owners, right)."""
Decide = Callable[[Rollout], e.Event]


class NotAllowed(Refused):
    """Another person may."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to ramp."""

    workflow: str
    release: str | None = None
    """Number, digest or its beginning; ``None``: the newest frozen one."""
    stage: str | None = None
    accept_unknown: bool = False
    shadow: bool = False
    reason: str = ""


class Found(msgspec.Struct, frozen=True):
    """The ramp of a workflow as it is stored."""

    kept: Kept | None
    forged: str = ""
    """Why a row that is there counts for nothing."""

    @property
    def rollout(self) -> Rollout | None:
        return None if self.kept is None else self.kept.rollout


class Rollouts:
    """Thread-safe as its stores are; blocking."""

    def __init__(
        self,
        state: RolloutState,
        signer: Signer,
        verifier: Verifier,
        *,
        clock: Callable[[], float],
        evidenced: Evidenced,
        feed: Feed,
        may: May,
        tell: Telling,
        publish: Callable[[], None],
        manned: Manned = lambda workflow, digest, share, now: Room(),
        keys: Sequence[str] = (),
    ) -> None:
        """``publish``: bring what gateways are told up to date; called after the commit of a change that serves.
        ``keys``: public keys of earlier signers of this install."""
        self._state = state
        self._signer = signer
        self._verifier = verifier
        self._keys = (signer.public_key, *keys)
        self._clock = clock
        self._evidenced = evidenced
        self._feed = feed
        self._may = may
        self._tell = tell
        self._publish = publish
        self._manned = manned

    # --- reading

    def current(self, workflow: str) -> Rollout | None:
        """What is served by: the ramp of a workflow, ``None`` where there is none that we signed."""
        return self.found(workflow).rollout

    def all(self) -> dict[str, Found]:
        """Workflow → its ramp; those without a row are left out."""
        with self._state.read() as tx:
            return {workflow: self._open(tx, workflow, token) for workflow, token in tx.rollouts().items()}

    def found(self, workflow: str) -> Found:
        with self._state.read() as tx:
            return self._open(tx, workflow, tx.rollout(workflow))

    def history(self, workflow: str, at: float | None = None, limit: int = 1000) -> list[Change]:
        """What was changed, newest first; ``at``: up to this instant.  Raises ``Unknown``."""
        with self._state.read() as tx:
            found = tx.audit_of(target_of(workflow), until=at, limit=limit)
            if not found:
                self._named(tx, workflow)
        return [change for change in map(records.read, found) if change is not None]

    def prospect(self, order: Order, actor: Actor) -> Prospect:
        """What a start would do, with its calendar.  Changes nothing.  Raises ``Unknown`` and ``Refused``; the latter
        is audited as the refused start that it is."""
        now = self._clock()
        _, event = self._starting(order, actor)
        try:
            with self._state.read() as tx:
                flow, rollout = self._begun(tx, order)
            grounds = self._grounds(rollout, now)
            return prospect(rollout, flow.policy, self._feed.traffic(order.workflow, now), grounds, order.stage, now)
        except Refused as error:
            self._denied(event, str(error))
            raise

    def room(self, rollout: Rollout, now: float) -> Room:
        """Can people answer what the next stage hands to them?"""
        following = rollout.next
        return Room() if following is None else self._manned(rollout.workflow, rollout.digest, following.share, now)

    # --- what people do

    def start(self, order: Order, actor: Actor) -> Rollout:
        """Raises ``Unknown`` and ``Refused``; the latter is audited."""
        now = self._clock()
        flow, event = self._starting(order, actor)
        try:
            self._require(actor, flow.owners, "owner", order.workflow, "start")
            with self._state.read() as tx:
                _, begun = self._begun(tx, order)
            grounds = self._grounds(begun, now)
            traffic = self._feed.traffic(order.workflow, now)
            with self._state.write() as tx:
                _, begun = self._begun(tx, order)
                before = self._open(tx, order.workflow, tx.rollout(order.workflow))
                after, effects = decide(
                    begun,
                    e.Start(
                        actor.id, grounds.ceiling, traffic.unknown_share, order.stage,
                        unknown_accepted=order.accept_unknown, inherits=self._inherits(tx, begun, before.rollout),
                        drilled=grounds.drilled,
                    ),
                    now,
                )  # fmt: skip
                shadow = order.shadow or flow.policy.rollout.shadow is not None
                kept = Kept(after, self._next(tx, order.workflow), now, shadow=shadow)
                self._keep(tx, kept, before.kept, event, grounds, effects)
        except Refused as error:
            self._denied(event, str(error))
            raise
        self._act(effects)
        return after

    def approve(self, workflow: str, actor: Actor, stage: str | None = None, reason: str = "") -> Rollout:
        """Let it into the next stage, on the analysis that is stored.  Raises ``Unknown`` and ``Refused``."""

        def event(kept: Kept, grounds: Grounds) -> e.Event:
            return e.Approve(actor.id, grounds.ceiling, kept.analysis, stage, reason, grounds.room)

        return self._changed(workflow, actor, "owner", "approve", event, reason)

    def hold(self, workflow: str, actor: Actor, reason: str = "") -> Rollout:
        return self._changed(workflow, actor, "stop", "hold", lambda kept, _: e.Hold(actor.id, reason), reason)

    def resume(self, workflow: str, actor: Actor, reason: str = "") -> Rollout:
        return self._changed(
            workflow,
            actor,
            "owner",
            "resume",
            lambda kept, grounds: e.Resume(actor.id, grounds.ceiling, reason),
            reason,
        )

    def roll_back(self, workflow: str, actor: Actor, to: BackTo = "release", reason: str = "") -> Rollout:
        """``share``: to the last stage that was passed; ``release``: to the release before, or the bypass."""
        return self._changed(
            workflow, actor, "stop", "roll_back", lambda kept, _: e.RollBack(actor.id, to, reason), reason
        )

    def lock(self, workflow: str, actor: Actor, reason: str = "") -> Rollout:
        return self._changed(workflow, actor, "stop", "lock", lambda kept, _: e.SetLock(actor.id, reason), reason)

    def unlock(self, workflow: str, actor: Actor, reason: str = "") -> Rollout:
        return self._changed(workflow, actor, "owner", "unlock", lambda kept, _: e.Unlock(actor.id, reason), reason)

    def _starting(self, order: Order, actor: Actor) -> tuple[Workflow, Event]:
        with self._state.read() as tx:
            flow = self._named(tx, order.workflow)
        event = Event(
            actor.id, "rollout.start", target_of(order.workflow),
            on_behalf_of=actor.on_behalf_of, reason=order.reason, team=flow.team,
        )  # fmt: skip
        return flow, event

    # --- what happens by itself

    def look(self, workflow: str) -> Found:
        """Analyse the stage and decide on it: promotion without approval, rollback, a lowered or raised share."""
        before = self.found(workflow)
        if before.kept is None or before.kept.rollout.state == "frozen":
            return before
        now = self._clock()
        rollout = before.kept.rollout
        observed = self._feed.observe(rollout, now)
        analysis = analysing.analyse(rollout.plan, rollout.stage, observed)
        grounds = self._grounds(rollout, now)
        with self._state.write() as tx:
            found = self._open(tx, workflow, tx.rollout(workflow))
            if found.kept is None or found.kept.rollout.digest != rollout.digest:
                return found
            flow = self._configured(tx, workflow)
            here = found.kept.rollout if flow is None else replace(found.kept.rollout, team=flow.team)
            kept = replace(found.kept, rollout=here, analysis=analysis, at=now)
            after, effects = decide(kept.rollout, e.Look(grounds.ceiling, analysis, grounds.room), now)
            changed = replace(kept, rollout=after)
            if records.same(found.kept.rollout, after):
                tx.put_rollout(after.team, workflow, ROLLOUT.sealed(changed, self._signer))
            else:
                action = records.action_of(found.kept.rollout, after)
                event = Event(ENGINE, action, target_of(workflow), reason=_why(after, effects), team=after.team)
                changed = replace(changed, seq=self._next(tx, workflow))
                self._keep(tx, changed, found.kept, event, grounds, effects)
        self._act(effects)
        return Found(changed)

    def killed(self, workflow: str, by: str, reason: str = "") -> Rollout | None:
        """The kill switch left ``on``: a ramp that is under way is held, and no session keeps its release."""
        before = self.found(workflow)
        if before.kept is None:
            return None
        now = self._clock()
        with self._state.write() as tx:
            found = self._open(tx, workflow, tx.rollout(workflow))
            if found.kept is None:
                return None
            after, effects = decide(found.kept.rollout, e.Killed(by, reason), now)
            event = Event(by, "rollout.kill", target_of(workflow), reason=reason, team=after.team)
            kept = replace(found.kept, rollout=after, seq=self._next(tx, workflow), at=now)
            self._keep(tx, kept, found.kept, event, Grounds(after.ceiling), effects)
        self._act(effects)
        return after

    # --- inside

    def _changed(
        self, workflow: str, actor: Actor, right: Right, word: str,
        event_of: Callable[[Kept, Grounds], e.Event], reason: str,
    ) -> Rollout:  # fmt: skip
        now = self._clock()
        with self._state.read() as tx:
            flow = self._configured(tx, workflow)
            known = self._open(tx, workflow, tx.rollout(workflow))
        owners = None if flow is None else flow.owners
        event = Event(
            actor.id, f"rollout.{word}", target_of(workflow), on_behalf_of=actor.on_behalf_of, reason=reason,
            team=flow.team if flow is not None else "default",
        )  # fmt: skip
        try:
            self._require(actor, owners, right, workflow, word.replace("_", " "))
            rollout = _there(known, workflow)
            grounds = self._grounds(rollout, now)
            with self._state.write() as tx:
                found = self._open(tx, workflow, tx.rollout(workflow))
                before = found.kept
                _there(found, workflow)
                assert before is not None
                after, effects = decide(before.rollout, event_of(before, grounds), now)
                if after == before.rollout:
                    return after
                kept = replace(before, rollout=after, seq=self._next(tx, workflow), at=now)
                self._keep(tx, kept, before, event, grounds, effects)
        except Refused as error:
            if flow is None and known.kept is None and not known.forged:
                with self._state.read() as tx:
                    self._named(tx, workflow)
            self._denied(event, str(error))
            raise
        self._act(effects)
        return after

    def _keep(
        self,
        tx: RolloutTransaction,
        kept: Kept,
        before: Kept | None,
        event: Event,
        grounds: Grounds,
        effects: Sequence[e.Effect],
    ) -> None:
        rollout = kept.rollout
        tx.put_rollout(rollout.team, rollout.workflow, ROLLOUT.sealed(kept, self._signer))
        said = dataclasses.replace(
            event,
            before=None if before is None else records.summary(before, None, kept.at),
            after=records.summary(kept, grounds, kept.at, before),
            evidence=", ".join((*((grounds.receipt,) if grounds.receipt else ()), *grounds.evidence)),
        )
        tx.append_audit(chain(tx.last_audit(), said, kept.at))
        self._tell(tx, rollout, effects, kept.at)

    def _act(self, effects: Sequence[e.Effect]) -> None:
        if any(isinstance(effect, e.Serve) for effect in effects):
            self._publish()

    def _grounds(self, rollout: Rollout, now: float) -> Grounds:
        found = self._evidenced.grounds(rollout.workflow, rollout.digest, now)
        return replace(found, room=self.room(rollout, now))

    def _begun(self, tx: RolloutTransaction, order: Order) -> tuple[Workflow, Rollout]:
        """The ramp as it would begin.  Raises ``Unknown`` and ``Refused``."""
        flow = self._named(tx, order.workflow)
        digest = _release(tx, order)
        before = self._open(tx, order.workflow, tx.rollout(order.workflow)).rollout
        begun = begin(
            flow.team, order.workflow, digest, plan_of(flow.policy), predecessor=predecessor_of(before), before=before
        )
        if before is None:
            begun = replace(begun, epoch=records.newest_epoch(_trail(tx, order.workflow)))
        first_stage(begun.plan, order.stage)
        return flow, begun

    def _inherits(self, tx: RolloutTransaction, begun: Rollout, before: Rollout | None) -> float | None:
        """The share of the release before, if this one differs from it in its handling only."""
        if before is None or before.state != "done" or before.digest != begun.predecessor:
            return None
        old, new = tx.release(before.digest), tx.release(begun.digest)
        if old is None or new is None or old.release.behaviour_digest != new.release.behaviour_digest:
            return None
        return before.share

    def _next(self, tx: RolloutTransaction, workflow: str) -> int:
        return records.newest_seq(_trail(tx, workflow)) + 1

    def _open(self, tx: RolloutTransaction, workflow: str, token: str | None) -> Found:
        if token is None:
            return Found(None)
        try:
            kept = ROLLOUT.opened(token.encode("utf-8", "replace"), self._keys, self._verifier)
        except Forged:
            return Found(None, "its row was not signed by this install: somebody wrote into the database")
        if kept.rollout.workflow != workflow:
            return Found(None, f"its row is that of {kept.rollout.workflow}: somebody wrote into the database")
        newest = records.newest_seq(_trail(tx, workflow))
        if kept.seq < newest:
            return Found(None, f"its row is older (change {kept.seq}) than the audit trail (change {newest}): a replay")
        return Found(kept)

    def _configured(self, tx: RolloutTransaction, workflow: str) -> Workflow | None:
        applied = tx.applied()
        return None if applied is None else applied.configuration.workflows.get(workflow)

    def _named(self, tx: RolloutTransaction, workflow: str) -> Workflow:
        found = self._configured(tx, workflow)
        if found is None:
            applied = tx.applied()
            known = [] if applied is None else list(applied.configuration.workflows)
            raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, known)}")
        return found

    def _require(self, actor: Actor, owners: Owners | None, right: Right, workflow: str, what: str) -> None:
        if self._may(actor.id, owners, right):
            return
        owner = "nobody owns it any more" if owners is None else f"{owners.workflow}, its workflow owner, may"
        raise NotAllowed(f"{actor.id} may not {what} the ramp of {workflow}: {owner} (roadworthy login CODE)")

    def _denied(self, event: Event, why: str) -> None:
        """Audited in a transaction of its own, for what was tried is rolled back."""
        said = f"{why} (said: {event.reason})" if event.reason else why
        with self._state.write() as tx:
            refused = dataclasses.replace(event, outcome="denied", reason=said)
            tx.append_audit(chain(tx.last_audit(), refused, self._clock()))


def _trail(tx: RolloutTransaction, workflow: str) -> Sequence[AuditRecord]:
    """The newest changes of a ramp, the newest first."""
    return tx.audit_of(target_of(workflow), limit=10, done=True)


def _there(found: Found, workflow: str) -> Rollout:
    if found.kept is None:
        why = f": {found.forged}" if found.forged else ""
        raise Refused(f"{workflow} has no ramp{why}; begin one with: roadworthy rollout start {workflow}")
    return found.kept.rollout


def _release(tx: RolloutTransaction, order: Order) -> str:
    """Raises ``Unknown``."""
    known = tx.releases(order.workflow)
    if not known:
        raise Unknown(f"{order.workflow} has no release yet; run: roadworthy freeze {order.workflow}")
    if order.release is None:
        return known[0].release.digest
    wanted = order.release
    prefix = wanted if wanted.startswith("rel_") else f"rel_{wanted}"
    short = wanted.isdecimal() and len(wanted) < 7
    matching = [one for one in known if (str(one.number) == wanted if short else one.release.digest.startswith(prefix))]
    if len(matching) != 1:
        names = ", ".join(f"{one.number} ({one.release.digest[:12]})" for one in known)
        what = "several releases match" if matching else "no release"
        raise Unknown(f"{what} '{wanted}' of {order.workflow}; releases: {names}")
    return matching[0].release.digest


def _why(rollout: Rollout, effects: Sequence[e.Effect]) -> str:
    told = [effect.text for effect in effects if isinstance(effect, e.Tell)]
    return "; ".join(told) or rollout.reason
