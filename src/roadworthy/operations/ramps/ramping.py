"""What joins a ramp to readiness and to people: what it stands on, and who is told."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import msgspec

from roadworthy.evidence.receipt.rules import newest
from roadworthy.operations.proving.readiness import Board
from roadworthy.operations.rights import may as may_kill
from roadworthy.people.escalation.payloads import iso
from roadworthy.people.incident import rules as incident_rules
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import NOTIFY, Incidents
from roadworthy.people.outbox.model import Delivery
from roadworthy.people.ports import PeopleTransaction
from roadworthy.rollout.events import Ask, Effect, Tell
from roadworthy.rollout.model import Grounds, Rollout
from roadworthy.rollout.ports import RolloutTransaction
from roadworthy.rollout.service import Right
from roadworthy.workflow.model import Owners
from roadworthy.workflow.service import Unknown

DRILLS = "fallback_drills"


def may(person: str, owners: Owners | None, right: Right) -> bool:
    """The rights of the kill switch are those of the ramp."""
    return may_kill(person, owners, right)


class BoardGrounds:
    """``rollout.ports.Evidenced`` over the readiness of a workflow.  Fails closed: no ceiling for what is unknown."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def grounds(self, workflow: str, digest: str, now: float) -> Grounds:
        try:
            view = self._board.view(workflow, digest)
        except Unknown:
            return Grounds()
        if view.frozen is None:
            return Grounds()
        found = view.at(now)
        receipt = newest(view.known.receipts, workflow, view.frozen.release.behaviour_digest)
        drills = [state for state in found.items if DRILLS in state.item.kinds]
        return Grounds(
            ceiling=found.ceiling,
            receipt="" if receipt is None else receipt.id,
            evidence=tuple(dict.fromkeys(ident for state in found.items for ident in state.evidence)),
            label=found.label,
            drilled=bool(drills) and all(state.verdict == "PASS" and state.age == "fresh" for state in drills),
        )


class RampTelling:
    """``rollout.ports.Telling``: what asks for somebody is an incident or an alert; what only happened is a message."""

    def __init__(
        self, incidents: Incidents, *, new_id: Callable[[str], str] = lambda prefix: prefix + secrets.token_hex(12)
    ) -> None:
        self._incidents = incidents
        self._new_id = new_id

    def __call__(self, tx: RolloutTransaction, rollout: Rollout, effects: Sequence[Effect], now: float) -> None:
        people = cast(PeopleTransaction, tx)  # one transaction is everybody's
        if rollout.asked == "":
            _resolve_asked(people, rollout, now)
        self._incidents.note(people, list(notices(rollout, effects, now)))
        applied = tx.applied()
        if applied is None or applied.configuration.settings.notify is None:
            return
        for effect in effects:
            if isinstance(effect, Tell) and effect.kind == "note":
                body = msgspec.json.encode(note(rollout, effect, now)).decode()
                people.put_delivery(
                    Delivery(
                        id=self._new_id("msg_"), team=rollout.team, kind="notice", destination=NOTIFY, body=body,
                        created_at=now, due_at=now, workflow=rollout.workflow,
                    )
                )  # fmt: skip


def notices(rollout: Rollout, effects: Sequence[Effect], now: float) -> Iterator[Notice]:
    """What somebody must look at."""
    for effect in effects:
        if isinstance(effect, Ask):
            proven = "; ".join(f"{one.guardrail}: {one.text}" for one in effect.analysis.findings)
            yield Notice(
                "alert", _asked(rollout), rollout.team, rollout.workflow,
                f"{rollout.workflow}: may it go on to {effect.stage}?",
                f"Everything else is there at {rollout.stage.name} ({proven}). "
                f"Look: roadworthy rollout status {rollout.workflow}; then: roadworthy rollout approve "
                f"{rollout.workflow}",
                "workflow", now, alert="rollout_ask",
            )  # fmt: skip
        elif isinstance(effect, Tell) and effect.kind != "note":
            key = f"rollout/{rollout.workflow}/{rollout.digest}/{rollout.epoch}/{rollout.stage.name}/{effect.kind}"
            yield Notice(
                effect.kind, key, rollout.team, rollout.workflow, f"{rollout.workflow}: {effect.text[:200]}",
                f"{effect.text}. Look: roadworthy rollout status {rollout.workflow}", "workflow", now,
                alert="rollout",
            )  # fmt: skip


def forged(workflow: str, team: str, why: str, now: float) -> Notice:
    return Notice(
        "incident", f"rollout/{workflow}/forged", team, workflow, f"{workflow}: its ramp counts for nothing",
        f"{why}. Its release gets no live traffic until a ramp is begun again: roadworthy audit verify, then "
        f"roadworthy rollout start {workflow}", "workflow", now, alert="rollout_forged",
    )  # fmt: skip


def note(rollout: Rollout, effect: Tell, now: float) -> dict[str, Any]:
    """``{"type": "rollout.changed", …}``: nobody need do anything."""
    data = {
        "title": effect.text, "workflow": rollout.workflow, "team": rollout.team, "release": rollout.digest,
        "stage": rollout.stage.name, "share": rollout.share, "state": rollout.standing,
    }  # fmt: skip
    return {"type": "rollout.changed", "timestamp": iso(now), "data": data}


def _asked(rollout: Rollout) -> str:
    return f"rollout/{rollout.workflow}/ask"


def _resolve_asked(tx: PeopleTransaction, rollout: Rollout, now: float) -> None:
    """Nobody is asked any more."""
    found = tx.newest_incident(_asked(rollout))
    if found is not None and not found.over:
        why = f"it is at {rollout.stage.name}, {rollout.standing.replace('_', ' ')}"
        tx.put_incident(incident_rules.resolve(found, rollout.by or "engine", why, now))
