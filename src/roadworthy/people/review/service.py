"""Keeps reviews.  What is drafted, decided and signed is audited in the same transaction; only the owner of the
workflow decides and signs, and whoever else tries is denied and audited."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from roadworthy.people.review import rules
from roadworthy.people.review.model import Review, ReviewKind, State
from roadworthy.people.review.ports import ReviewState, ReviewTransaction
from roadworthy.people.review.rules import Event
from roadworthy.workflow import audit
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

ENGINE = "engine"


class NotTheOwner(Exception):
    """Somebody else signs; the message says who."""


class Reviews:
    """Thread-safe as its store is; blocking."""

    def __init__(self, state: ReviewState, *, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock

    # --- reading

    def find(self, workflow: str, kind: ReviewKind | None = None, period: str = "") -> Review:
        """Of this kind and period; left out: the newest one that waits for its owner, else the newest.

        Raises ``Unknown``.
        """
        found = self.all(workflow, kind)
        if period:
            found = [each for each in found if each.period == period or each.id == period]
        if not found:
            what = f"{kind or ''} review {period}".replace("  ", " ").strip()
            raise Unknown(
                f"{workflow} has no {what}: one is drafted when its week, month or quarter is over; "
                f"roadworthy review {workflow} --draft shows the running one"
            )
        waiting = [each for each in found if each.state == "drafted"]
        return (waiting or found)[0]

    def get(self, ident: str) -> Review:
        """Raises ``Unknown``."""
        with self._state.read() as tx:
            return _found(tx, ident)

    def all(
        self, workflow: str | None = None, kind: ReviewKind | None = None, state: State | None = None, limit: int = 200
    ) -> list[Review]:
        """The newest period first.  Raises ``Unknown`` for a workflow that there is not."""
        with self._state.read() as tx:
            found = list(tx.reviews(workflow=workflow, kind=kind, state=state, limit=limit))
            if not found and workflow is not None:
                _vet_workflow(tx, workflow)
        return found

    def overdue(self, workflow: str | None = None) -> list[Review]:
        """The most overdue first."""
        with self._state.read() as tx:
            found = tx.reviews(workflow=workflow, state="drafted", limit=200)
        return rules.overdue(found, self._clock())

    def has(self, ident: str) -> bool:
        with self._state.read() as tx:
            return tx.review(ident) is not None

    # --- writing

    def keep(self, made: Review) -> Review:
        """A draft; one that is there already stays as it is."""
        with self._state.write() as tx:
            known = tx.review(made.id)
            if known is not None:
                return known
            tx.put_review(made)
            self._record(tx, Actor(ENGINE), "review.draft", made, {"facts": facts_digest(made)})
        return made

    def decide(self, ident: str, actor: Actor, decisions: Sequence[str]) -> Review:
        """Keep what was decided so far.  Raises ``Unknown``, ``NotTheOwner`` and ``rules.Refused``."""
        return self._changed(ident, actor, "decide", decisions)

    def sign(self, ident: str, actor: Actor, decisions: Sequence[str] | None = None) -> Review:
        """``None``: what was decided so far.  Raises as ``decide``."""
        return self._changed(ident, actor, "sign", decisions)

    # --- inside

    def _changed(self, ident: str, actor: Actor, event: Event, decisions: Sequence[str] | None) -> Review:
        why = ""
        with self._state.write() as tx:
            found = _found(tx, ident)
            owner = _owner(tx, found.workflow)
            if actor.id == owner:
                said = found.decisions if decisions is None else decisions
                after = rules.step(found, event, actor.id, said, self._clock())
                tx.put_review(after)
                facts = {"state": after.state, "facts": facts_digest(after), "decisions": len(after.decisions)}
                self._record(tx, actor, f"review.{event}", after, facts)
                return after
            who = f"{owner}, its workflow owner, does" if owner else "its workflow is not configured any more"
            why = f"{actor.id} does not sign the reviews of {found.workflow}: {who} (roadworthy login CODE)"
            self._record(tx, actor, f"review.{event}", found, {}, denied=why)
        raise NotTheOwner(why)

    def _record(
        self, tx: ReviewTransaction, actor: Actor, action: str, review: Review, after: dict[str, object],
        denied: str = "",
    ) -> None:  # fmt: skip
        event = audit.Event(
            actor=actor.id, on_behalf_of=actor.on_behalf_of, action=action,
            target=f"review/{review.workflow}/{review.kind}/{review.period}", after=after or None, reason=denied,
            outcome="denied" if denied else "done", team=review.team,
        )  # fmt: skip
        tx.append_audit(audit.chain(tx.last_audit(), event, self._clock()))


def facts_digest(review: Review) -> str:
    """Names what was drafted, so that the audit trail shows whether anybody changed it later."""
    return hashlib.sha256(msgspec.json.encode(review.facts)).hexdigest()


def _found(tx: ReviewTransaction, ident: str) -> Review:
    found = tx.review(ident)
    if found is None:
        raise Unknown(f"no review {ident[:80]!r}: roadworthy review lists them")
    return found


def _owner(tx: ReviewTransaction, workflow: str) -> str:
    applied = tx.applied()
    flow = None if applied is None else applied.configuration.workflows.get(workflow)
    return "" if flow is None else flow.owners.workflow


def _vet_workflow(tx: ReviewTransaction, workflow: str) -> None:
    applied = tx.applied()
    known = {} if applied is None else applied.configuration.workflows
    if workflow not in known:
        raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, known)}")
