"""What a call is about, so that a person's role there decides: default deny.

A call that names a workflow (in its path, its body, or the query of a GET) is about that one.  One that names a thing
by its id is about whatever that belongs to (``ABOUT``).  A list that names none holds what the caller may read
(``LISTS``).  Whatever is left is about the whole install, and needs the permission in every team.

The operating system's user who owns the install is not asked: whoever reads its files is not held off by its API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from roadworthy.operations import looking
from roadworthy.operations.services import Services
from roadworthy.people.roles import Permission, Standing
from roadworthy.workflow.model import DEFAULT_TEAM

if TYPE_CHECKING:
    from roadworthy.api.app import Call


@dataclass(frozen=True)
class About:
    """Workflows, else a team, else the whole install."""

    workflows: tuple[str, ...] = ()
    team: str | None = None

    def allowed(self, standing: Standing, permission: Permission) -> bool:
        if self.workflows:
            return all(standing.may(permission, workflow) for workflow in self.workflows)
        return permission in (standing.everywhere() if self.team is None else standing.within(self.team))


INSTALL: Final = About()
Finder = Callable[[Services, "Call"], About]


def about(services: Services, call: Call, method: str, path: str) -> About | None:
    """What a call is about; ``None``: it asks for a list of whatever the caller may read.  Raises what looking up an
    id raises."""
    if finder := ABOUT.get((method, path)):
        return finder(services, call)
    if named := call.path.get("workflow"):
        return About((named,))
    named = getattr(call.body, "workflow", None)
    if call.body is None and method == "GET":
        named = call.query.get("workflow")
    if isinstance(named, str) and named:
        return About((named,))
    return None if (method, path) in LISTS else INSTALL


def kept(result: Any, standing: Standing, permission: Permission) -> Any:
    """A list without the items that the caller may not read; what does not say whose it is, is left out."""
    if not isinstance(result, dict):
        return result
    if "workflows" in result:  # the one screen about the install
        mine = {name for name in standing.teams if standing.may(permission, name)}
        flows = [flow for flow in msgspec.to_builtins(result["workflows"]) if flow["name"] in mine]
        waiting = [line for line in msgspec.to_builtins(result["waiting"]) if line["who"] == standing.person]
        return {**result, "workflows": flows, "waiting": waiting}
    if "items" not in result:
        return result
    items = [item if isinstance(item, dict) else msgspec.to_builtins(item) for item in result["items"]]
    return {**result, "items": [item for item in items if _readable(item, standing, permission)]}


def _readable(item: Mapping[str, Any], standing: Standing, permission: Permission) -> bool:
    inner = item.get("frozen") or item.get("release")
    workflow = item.get("workflow") or (inner.get("workflow") if isinstance(inner, dict) else None)
    if isinstance(workflow, str) and workflow in standing.teams:
        return standing.may(permission, workflow)
    return _of(item.get("workflows"), item.get("team")).allowed(standing, permission)


def _of(workflows: Sequence[str] | None, team: str | None) -> About:
    named = tuple(name for name in workflows or () if name != "*")
    return About(named, team or None)


def record_reading(services: Services, call: Call, reading: tuple[str, str], about: About) -> None:
    """Audit that somebody read what a caller or a model wrote."""
    action, kind = reading
    name = call.path.get("id") or (about.workflows[0] if about.workflows else "all")
    applied = services.workflows.configuration() if about.workflows else None
    flow = None if applied is None else applied.configuration.workflows.get(about.workflows[0])
    looking.record_reading(
        services, call.actor, action, f"{kind}/{name[:100]}", team=DEFAULT_TEAM if flow is None else flow.team
    )


# --- what an id belongs to


def _escalation(services: Services, call: Call) -> About:
    return About((services.escalations.find(call.path["id"]).workflow,))


def _incident(services: Services, call: Call) -> About:
    found = services.incidents.find(call.path["id"])
    return _of([found.workflow] if found.workflow else (), found.team)


def _delivery(services: Services, call: Call) -> About:
    found = services.outbox.find(call.path["id"])
    return _of([found.workflow] if found.workflow else (), found.team)


def _inference(services: Services, call: Call) -> About:
    entry = services.log.get(call.path["id"])
    if entry is None or not entry.inference.workflow:
        return INSTALL
    return About((entry.inference.workflow,))


def _drill(services: Services, call: Call) -> About:
    return About((services.drills.look(call.path["id"]).workflow,))


def _load(services: Services, call: Call) -> About:
    return About((services.loads.look(call.path["id"]).workflow,))


def _run(services: Services, call: Call) -> About:
    return About((services.evals.evals.run(call.path["id"]).workflow,))


def _calibration(services: Services, call: Call) -> About:
    return About((services.judging.calibrating.look(call.path["id"]).calibration.workflow,))


def _key(services: Services, call: Call) -> About:
    found = next((key for key in services.keys.all() if key.id == call.path["id"]), None)
    return INSTALL if found is None else _of(found.workflows, found.team)


def _new_key(services: Services, call: Call) -> About:
    return _of(call.body.workflows, call.body.team)


def _rotation(services: Services, call: Call) -> About:
    named = getattr(call.body, "rotation", None) or call.query.get("rotation") or ""
    known = sorted(services.on_duty.on_call.rotations())
    if not named and len(known) == 1:
        named = known[0]
    return About(team=services.on_duty.on_call.team(named)) if named in known else INSTALL


def _override(services: Services, call: Call) -> About:
    found = services.on_duty.on_call.found(call.path["id"])
    return INSTALL if found is None else About(team=found.team)


def _adopted(services: Services, call: Call) -> About:
    return About((call.path["name"],))


def _added(services: Services, call: Call) -> About:
    entry = services.log.get(call.body.inference)
    return INSTALL if entry is None else About((entry.inference.workflow,))


ABOUT: Final[Mapping[tuple[str, str], Finder]] = {
    ("GET", "/v1/escalations/{id}"): _escalation,
    ("POST", "/v1/escalations/{id}/claim"): _escalation,
    ("POST", "/v1/escalations/{id}/commit"): _escalation,
    ("POST", "/v1/escalations/{id}/answer"): _escalation,
    ("POST", "/v1/escalations/{id}/return"): _escalation,
    ("POST", "/v1/escalations/{id}/cancel"): _escalation,
    ("POST", "/v1/deliveries/{id}/retry"): _delivery,
    ("GET", "/v1/incidents/{id}"): _incident,
    ("POST", "/v1/incidents/{id}/acknowledge"): _incident,
    ("POST", "/v1/incidents/{id}/resolve"): _incident,
    ("POST", "/v1/inferences/{id}/report"): _inference,
    ("GET", "/v1/inferences/{id}"): _inference,
    ("GET", "/v1/drills/{id}"): _drill,
    ("POST", "/v1/drills/{id}/stop"): _drill,
    ("GET", "/v1/loads/{id}"): _load,
    ("POST", "/v1/loads/{id}/stop"): _load,
    ("GET", "/v1/evals/runs/{id}"): _run,
    ("POST", "/v1/evals/runs/{id}/stop"): _run,
    ("GET", "/v1/evals/runs/{id}/answers"): _run,
    ("GET", "/v1/evals/calibrations/{id}"): _calibration,
    ("POST", "/v1/evals/calibrations/{id}/stop"): _calibration,
    ("POST", "/v1/evals/add"): _added,
    ("POST", "/v1/keys"): _new_key,
    ("POST", "/v1/keys/{id}/rotate"): _key,
    ("POST", "/v1/keys/{id}/revoke"): _key,
    ("POST", "/v1/adopt/{name}/draft"): _adopted,
    ("GET", "/v1/oncall/calendar"): _rotation,
    ("GET", "/v1/oncall/test/{id}"): _incident,
    ("POST", "/v1/oncall/override"): _rotation,
    ("POST", "/v1/oncall/override/{id}/take-back"): _override,
}
"""(method, path) → what a call of it is about, where no workflow is named."""

LISTS: Final = frozenset(
    {
        ("GET", "/v1/escalations"), ("GET", "/v1/deliveries"), ("GET", "/v1/incidents"), ("GET", "/v1/keys"),
        ("GET", "/v1/log"), ("GET", "/v1/stats"), ("GET", "/v1/export"), ("GET", "/v1/status"), ("GET", "/v1/releases"),
        ("GET", "/v1/pending"), ("GET", "/v1/loads"), ("GET", "/v1/kill"), ("GET", "/v1/kill/log"),
        ("GET", "/v1/rollouts"), ("GET", "/v1/readiness/all"), ("GET", "/v1/audit"),
        ("GET", "/v1/anomalies"), ("GET", "/v1/evals/calibrations"), ("GET", "/v1/evals/online"), ("GET", "/v1/people"),
        ("GET", "/v1/oncall"), ("GET", "/v1/oncall/rotations"), ("GET", "/v1/oncall/gaps"), ("GET", "/v1/objectives"),
        ("GET", "/v1/reviews"), ("GET", "/v1/evals/schedule"),
    }
)  # fmt: skip
"""Lists over several workflows: what the caller may not read is left out."""

READS: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("GET", "/v1/inferences/{id}"): ("inference.read", "inference"),
    ("GET", "/v1/evals/runs/{id}/answers"): ("eval_answers.read", "eval_run"),
    ("GET", "/v1/evals/sets"): ("examples.read", "workflow"),
    ("GET", "/v1/evals/pool"): ("examples.read", "workflow"),
    ("GET", "/v1/evals/hand"): ("examples.read", "workflow"),
    ("GET", "/v1/evals/compare"): ("eval_answers.read", "workflow"),
    ("GET", "/v1/evals/agreement"): ("examples.read", "workflow"),
}
"""Calls that show what a caller or a model wrote → how the audit trail calls it, and what kind of thing was read.  That
an escalation was read its queue records itself."""
