"""Who there is, what they may do, and letting people in.

GET  /v1/people                      → {items, orphans}: id, name, email, team, roles, owns, last seen, whoever left
                                       last; and what is in the name of somebody who has left
GET  /v1/people/invitations          → {items}: open ones
POST /v1/people/invite               {email, role, workflow?, team?} → {email, person, link, mailed, expires, note};
                                       the link is shown this once
POST /v1/people/invitations/withdraw {id} → {email}
POST /v1/people/grant                {person, role, workflow?, team?} → {note}
POST /v1/people/revoke               {person, role, workflow?, team?} → {}
POST /v1/people/leave                {person} → {sessions_ended, grants_dropped, keys_revoked, orphans}
POST /v1/people/return               {person} → {person}
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.operations.services import Services
from roadworthy.people.accounts.model import Invitation
from roadworthy.people.accounts.rules import Orphan
from roadworthy.people.accounts.service import Known
from roadworthy.people.roles import Grant
from roadworthy.workflow.model import Role


class Invite(msgspec.Struct, forbid_unknown_fields=True):
    email: str
    role: Role
    workflow: str | None = None
    team: str | None = None


class Granting(msgspec.Struct, forbid_unknown_fields=True):
    person: str
    role: Role
    workflow: str | None = None
    team: str | None = None


class Somebody(msgspec.Struct, forbid_unknown_fields=True):
    person: str


class Which(msgspec.Struct, forbid_unknown_fields=True):
    id: str


def listed(services: Services, call: Call) -> Any:
    orphans = services.accounts.orphans() if call.standing is None or call.standing.may("read") else []
    return {
        "items": [shown(each) for each in services.accounts.everybody()],
        "orphans": [orphan(each) for each in orphans],
    }


def shown(known: Known) -> dict[str, Any]:
    facts = msgspec.structs.asdict(known.person)
    return {
        **{name: facts[name] for name in ("id", "name", "email", "phone", "team", "hours", "zone", "left")},
        "roles": msgspec.to_builtins(known.roles), "owns": known.owns, "seen_at": known.seen_at,
        "left_at": known.left_at, "invited": known.invited, "has_password": known.has_password,
    }  # fmt: skip


def orphan(each: Orphan) -> dict[str, str]:
    return {"name": each.name, "duty": each.duty, "person": each.person, "what": str(each)}


def invitations(services: Services, call: Call) -> Any:
    return {"items": [_invitation(each) for each in services.accounts.invitations()]}


def _invitation(each: Invitation) -> dict[str, Any]:
    return {
        "id": each.id, "email": each.email, "person": each.person, "by": each.by, "created_at": each.created_at,
        "expires_at": each.expires_at, "team": each.team,
        "roles": [f"{grant.role} {grant.where()}" for grant in each.grants],
    }  # fmt: skip


def invite(services: Services, call: Call) -> Any:
    done = services.accounts.invite(call.body.email, [granted(services, call.body, "")], call.actor)
    made = done.invitation
    return {
        "email": made.email, "person": made.person, "link": done.link, "mailed": done.mailed,
        "expires": made.expires_at, "known": done.known, "note": done.note,
    }  # fmt: skip


def withdraw(services: Services, call: Call) -> Any:
    return {"email": services.accounts.withdraw(call.body.id, call.actor).email}


def grant(services: Services, call: Call) -> Any:
    return {"note": services.accounts.grant(granted(services, call.body, call.body.person), call.actor)}


def revoke(services: Services, call: Call) -> Any:
    services.accounts.revoke(granted(services, call.body, call.body.person), call.actor)
    return {}


def leave(services: Services, call: Call) -> Any:
    done = services.accounts.leave(call.body.person, call.actor)
    services.on_duty.check.round()
    return {**msgspec.structs.asdict(done), "orphans": [orphan(each) for each in done.orphans]}


def come_back(services: Services, call: Call) -> Any:
    back = services.accounts.bring_back(call.body.person, call.actor)
    services.on_duty.check.round()
    return {"person": back.id}


def granted(services: Services, asked: Invite | Granting, person: str) -> Grant:
    """Where nothing is said and there is one team, in that."""
    team = asked.team
    if team is None and asked.workflow is None and asked.role != "admin":
        applied = services.workflows.configuration()
        teams = set() if applied is None else {flow.team for flow in applied.configuration.workflows.values()}
        team = teams.pop() if len(teams) == 1 else None
    return Grant(person, asked.role, team=team, workflow=asked.workflow)


ENDPOINTS = [
    Endpoint("GET", "/v1/people", "read", listed),
    Endpoint("GET", "/v1/people/invitations", "people", invitations),
    Endpoint("POST", "/v1/people/invite", "people", invite, Invite),
    Endpoint("POST", "/v1/people/invitations/withdraw", "configure", withdraw, Which),
    Endpoint("POST", "/v1/people/grant", "people", grant, Granting),
    Endpoint("POST", "/v1/people/revoke", "configure", revoke, Granting),
    Endpoint("POST", "/v1/people/leave", "configure", leave, Somebody, publishes=True),
    Endpoint("POST", "/v1/people/return", "people", come_back, Somebody),
]
