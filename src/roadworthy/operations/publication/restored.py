"""A database that is older than what its gateways have seen: nothing is published from it until an owner accepts it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.ports import State
from roadworthy.workflow.service import Actor


class AcceptRefused(Exception):
    """It cannot be accepted so; the message says what would make it acceptable."""


class NoOwner(AcceptRefused):
    """Another person may."""


class Restored:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: State,
        *,
        held: Callable[[], str],
        highest: Callable[[], int],
        accepted: Callable[[int], None],
        clock: Callable[[], float],
    ) -> None:
        """``held``: why nothing is published, empty where it is; ``highest``: epoch that any gateway has seen;
        ``accepted``: publish under this epoch."""
        self._state = state
        self._held = held
        self._highest = highest
        self._accepted = accepted
        self._clock = clock

    def accept(self, actor: Actor, reason: str) -> int:
        """Go on from the database as it is; returns the new epoch.  Raises ``AcceptRefused``; a refusal is audited."""
        held = self._held()
        event = Event(
            actor.id, "backup.accept", "state", on_behalf_of=actor.on_behalf_of, reason=reason, before={"held": held}
        )
        with self._state.write() as tx:
            applied = tx.applied()
            flows = [] if applied is None else list(applied.configuration.workflows.values())
            refused = _refusal(held, actor, reason, flows)
            if refused is None:
                epoch = tx.next_epoch(self._highest())
                done = dataclasses.replace(event, after={"epoch": epoch})
            else:
                done = dataclasses.replace(event, outcome="denied", reason=str(refused))
            tx.append_audit(chain(tx.last_audit(), done, self._clock()))
        if refused is not None:
            raise refused
        self._accepted(epoch)
        return epoch


def _refusal(held: str, actor: Actor, reason: str, flows: list[Workflow]) -> AcceptRefused | None:
    owners = sorted({flow.owners.workflow for flow in flows})
    if actor.id.startswith("os:") or actor.id not in owners:
        who = " or ".join(owners) or "an owner of a workflow, and none is configured"
        return NoOwner(f"{actor.id} may not accept a restored database: {who} may; roadworthy login CODE")
    if not held:
        return AcceptRefused("nothing waits to be accepted: the database goes on where it was")
    if not reason.strip():
        return AcceptRefused("say why the older database is to be used: --reason, which others can read")
    return None
