"""Looking at past calls: what names mean in a search, which calls a person may see, and what is known around one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from roadworthy.cost.model import Part
from roadworthy.evals.scorers.registry import needed
from roadworthy.evals.service import Refused
from roadworthy.evidence.receipt.model import Receipt
from roadworthy.inference_log.model import Entry, Filter
from roadworthy.inference_log.searching import Names, Search, understand
from roadworthy.operations.services import Services
from roadworthy.people.escalation.model import Escalation
from roadworthy.people.incident.model import Incident
from roadworthy.people.roles import Permission, Standing
from roadworthy.rollout.records import Change, allowing
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import DEFAULT_TEAM, Price, Workflow
from roadworthy.workflow.service import Actor, Unknown

MOST_CHANGES = 50
"""Changes of a ramp that are read to find the one that brought about a share."""


class Around(msgspec.Struct, frozen=True):
    """What is known of a call beside its record."""

    number: int | None
    """Of its release."""
    receipt: Receipt | None
    """Of its behaviour, the newest that was issued before the call."""
    allowed: Change | None
    """Who let the release have the share that it had then."""
    escalation: Escalation | None
    incidents: Sequence[Incident]
    """That name it."""
    parts: list[Part]
    prices: Mapping[str, Price]
    """Target of an attempt → its price today, where it is known."""


def understood(services: Services, text: str, now: float) -> Search:
    """Read a line of the search box by the names of this install."""
    return understand(text, names(services), now=now, zone=services.zone())


def names(services: Services) -> Names:
    applied = services.workflows.configuration()
    flows = {} if applied is None else applied.configuration.workflows
    return Names(
        workflows=list(flows),
        targets=[] if applied is None else list(applied.configuration.targets),
        keys={key.name: key.id for key in services.keys.all()},
        releases=lambda number: {
            each.frozen.release.workflow: each.frozen.release.digest
            for each in services.workflows.releases()
            if each.frozen.number == number
        },
        second=lambda: {name: target for name, flow in flows.items() if (target := second_target(flow))},
    )


def second_target(flow: Workflow) -> str | None:
    """The target to which its ladder goes first when the one that it calls fails."""
    steps = [step for ladder in flow.handling.ladder.values() for step in ladder if step.kind == "target"]
    return next((step.target for step in steps if step.target), None)


def readable(where: Filter, standing: Standing, permission: Permission = "read") -> Filter:
    """The filter, narrowed to what a person may see.  Fails closed: nothing to see is a workflow without a name."""
    if permission in standing.everywhere():
        return where
    flows = [name for name in standing.teams if permission in standing.of(name)]
    return msgspec.structs.replace(where, among=",".join(sorted(flows)) or "-")


def around(services: Services, call: Inference) -> Around:
    """Never raises for what has gone since the call was made: a workflow, a release."""
    costs = services.costing.costs
    targets = dict.fromkeys(attempt.target for attempt in call.attempts)
    prices = {target: price for target in targets if (price := costs.price(target)) is not None}
    with services.state.read() as tx:
        frozen = tx.release(call.digest) if call.digest else None
    receipt = None
    if frozen is not None:
        known = services.ledger.known(call.workflow).receipts
        mine = [each for each in known if each.behaviour == frozen.release.behaviour_digest and each.issued <= call.ts]
        receipt = max(mine, key=lambda each: each.order, default=None)
    return Around(
        number=None if frozen is None else frozen.number,
        receipt=receipt,
        allowed=_allowed(services, call),
        escalation=_escalation(services, call.id),
        incidents=services.incidents.list(inference=call.id, limit=5),
        parts=costs.made_of(call),
        prices=prices,
    )


def _allowed(services: Services, call: Inference) -> Change | None:
    if call.traffic != "live" or not call.workflow:
        return None
    try:
        return allowing(services.rollouts.history(call.workflow, call.ts, MOST_CHANGES))
    except Unknown:
        return None


def _escalation(services: Services, ident: str) -> Escalation | None:
    try:
        return services.escalations.find(ident)
    except Unknown:
        return None


def expectations(services: Services, workflow: str) -> list[str]:
    """What its scorers need an example to expect: names of fields, and an empty one for the whole answer."""
    try:
        scorers = services.judging.declared(services.workflows.named(workflow))
    except (Unknown, Refused):
        return []
    return list(dict.fromkeys(key for scorer in scorers for key in needed(scorer)))


def found(services: Services, ident: str) -> Entry:
    """One call whole.  Raises ``Unknown``."""
    entry = services.log.get(ident)
    if entry is None:
        raise Unknown(
            f"no inference {ident[:80]!r} in the log; one that ended in the last second may still be on its way, and "
            "facts older than the retention are gone"
        )
    return entry


def record_reading(
    services: Services, actor: Actor, action: str, target: str, after: object = None, team: str = DEFAULT_TEAM
) -> None:
    """Audit that somebody read what a caller or a model wrote."""
    event = Event(actor.id, action, target, on_behalf_of=actor.on_behalf_of, after=after, team=team)
    with services.state.write() as tx:
        tx.append_audit(chain(tx.last_audit(), event, services.clock()))


def asked(services: Services, where: Filter) -> dict[str, object]:
    """A filter as the audit trail may hold it: a user as a keyed hash, no text."""
    said: dict[str, object] = msgspec.to_builtins(where)
    if where.unit is not None:
        said["unit"] = services.keys.hash(where.unit)[:16]
    for name in ("text", "tag", "session"):
        if name in said:
            said[name] = True
    return said
