"""What loosens a workflow waits here for its owner.

The pending fields are no list of their own: they are what is configured and not agreed to (``workflow.strictness``), so
a field that leaves the files waits no longer, and the same files applied again open nothing anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.digest import canonical
from roadworthy.workflow.model import Owners, Workflow
from roadworthy.workflow.ports import Agreements, AppliedConfiguration, State, Transaction
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown
from roadworthy.workflow.strictness import Waits, inside, terms_of, waiting


class Pending(msgspec.Struct, frozen=True):
    """What of one workflow waits, and for whom."""

    workflow: str
    approver: str
    """Empty: nobody who could approve is among the people any more."""
    waits: list[Waits]

    @property
    def id(self) -> str:
        """Names exactly these fields with exactly these values: whoever approves says what they have seen."""
        return hashlib.sha256(canonical(msgspec.to_builtins(self)).encode("ascii")).hexdigest()[:12]


class ApprovalRefused(Exception):
    """It cannot be approved so; the message says what would make it acceptable."""


class NotTheOwner(ApprovalRefused):
    """Another person may."""


class Approvals:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: State,
        agreements: Agreements,
        *,
        clock: Callable[[], float],
        left: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        """``left``: ids of those who were said to have left."""
        self._state = state
        self._left = left
        self._agreements = agreements
        self._clock = clock

    def pending(self) -> list[Pending]:
        """By workflow; those without anything are left out."""
        with self._state.read() as tx:
            declared = _declared(tx)
        if declared is None:
            return []
        found = [self._pending(flow, declared) for _, flow in sorted(declared.configuration.workflows.items())]
        return [each for each in found if each.waits]

    def approve(
        self, workflow: str, actor: Actor, seen: str, fields: Sequence[str] = (), reason: str = ""
    ) -> list[Waits]:
        """Put into force what waits: the fields named (``policy.kill`` names all in it), or all of them.

        ``seen``: id of the ``Pending`` that the approver was shown; nothing else is approved.  Returns what was
        approved.  Raises ``Unknown`` and ``ApprovalRefused``; a refusal is audited.
        """
        with self._state.write() as tx:
            declared = _declared(tx)
            flows: Mapping[str, Workflow] = {} if declared is None else declared.configuration.workflows
            flow = flows.get(workflow)
            if flow is None or declared is None:
                raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, flows)}")
            pending = self._pending(flow, declared)
            event = Event(
                actor.id, "policy.approve", f"workflow/{workflow}",
                on_behalf_of=actor.on_behalf_of, reason=reason, team=flow.team,
            )  # fmt: skip
            chosen = [each for each in pending.waits if not fields or any(inside(each.field, name) for name in fields)]
            refused = _refusal(pending, actor, seen, fields, chosen)
            done = _denied(event, refused) if refused is not None else _approved(event, chosen)
            tx.append_audit(chain(tx.last_audit(), done, self._clock()))
        if refused is not None:
            raise refused
        self._agreements.agree(workflow, terms_of(flow), by=actor.id, approved=[each.field for each in chosen])
        return chosen

    def _pending(self, flow: Workflow, declared: AppliedConfiguration) -> Pending:
        agreed = self._agreements.terms(flow.name)
        if agreed is None:
            return Pending(flow.name, "", [])
        return Pending(flow.name, approver(agreed.owners, declared, self._left()), waiting(agreed, terms_of(flow)))


def approver(owners: Owners, declared: AppliedConfiguration, left: Collection[str] = ()) -> str:
    """The workflow's owner in force; where that person has left, the owner of its prompt, then of its costs."""
    here = {name for name, person in declared.configuration.people.items() if not person.left}.difference(left)
    return next((person for person in (owners.workflow, owners.prompt, owners.cost) if person in here), "")


def _refusal(
    pending: Pending, actor: Actor, seen: str, fields: Sequence[str], chosen: Sequence[Waits]
) -> ApprovalRefused | None:
    if actor.id.startswith("os:") or actor.id != pending.approver:
        who = pending.approver or "nobody who owns it is among the people: put its owner back into people.yaml"
        return NotTheOwner(f"{actor.id} may not approve what loosens {pending.workflow}: {who} may")
    if chosen and seen == pending.id:
        return None
    if chosen:
        return ApprovalRefused(
            f"what waits of {pending.workflow} is not what you were shown ({seen[:20]!r}, now {pending.id!r}): look "
            f"again with roadworthy approve {pending.workflow} --list"
        )
    names = ", ".join(each.field for each in pending.waits)
    wanted = ", ".join(fields)
    if not names:
        return ApprovalRefused(f"nothing of {pending.workflow} waits to be approved: what is applied is in force")
    return ApprovalRefused(f"{wanted} of {pending.workflow} does not wait; what does: {names}")


def _approved(event: Event, chosen: Sequence[Waits]) -> Event:
    before = {each.field: msgspec.to_builtins(each.now) for each in chosen}
    after = {each.field: msgspec.to_builtins(each.wanted) for each in chosen}
    return dataclasses.replace(event, before=before, after=after)


def _denied(event: Event, refused: ApprovalRefused) -> Event:
    return dataclasses.replace(event, outcome="denied", reason=str(refused))


def _declared(tx: Transaction) -> AppliedConfiguration | None:
    newest = tx.configurations(limit=1)
    return newest[0] if newest else None
