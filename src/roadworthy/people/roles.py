"""Roles and what each may do.  Default deny: what no role grants is refused.

A role is held in a team, or of one workflow; an admin is admin of the whole install.  It comes from ``people.yaml``
(``roles:``, in the person's team), from being named in a workflow's ``owners``, or from an invitation or a grant in
state.  While nobody is admin, the owner of the first workflow is.  Whoever left holds none.

A permission lets a person through the door; the service behind it may ask for more: to approve, accept and restore
one must be the owner who is named, whatever the role.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import msgspec

from roadworthy.workflow.model import DEFAULT_TEAM, Configuration, Person, Role

__all__ = ["EVERY_TEAM", "GRANTS", "PERMISSIONS", "ROLES", "Grant", "Permission", "Role", "Standing", "standing"]

Permission = Literal[
    "anyone",  # whoever reached the surface: health, login
    "read",  # figures, states, names: no prompt and no answer
    "read_text",  # a prompt or an answer; that it was read is audited
    "score",  # hand scores of examples
    "answer",  # claim, answer, return and cancel escalations, resolve incidents: persons only
    "stop",
    "configure",  # init, adopt, apply, freeze
    "tools",  # backup, forget, load tests, drills, ship the journal
    "approve",  # approve, accept, waive, restore: persons only
    "keys",  # API keys
    "people",  # invite, grant, say that somebody left: persons only
    "gateway",  # what this install's own gateways ask: the OS user they run as, and nobody else
]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)
EVERY_TEAM: Final = "*"

_VIEWER: Final[tuple[Permission, ...]] = ("anyone", "read", "read_text")
_OPERATOR: Final[tuple[Permission, ...]] = (*_VIEWER, "score", "answer", "stop", "configure", "tools", "approve")
GRANTS: Final[Mapping[Role, frozenset[Permission]]] = {
    "viewer": frozenset(_VIEWER),
    "scorer": frozenset((*_VIEWER, "score")),
    "agent": frozenset((*_VIEWER, "answer")),
    "operator": frozenset(_OPERATOR),
    "owner": frozenset((*_OPERATOR, "keys")),
    "admin": frozenset((*_OPERATOR, "keys", "people")),
}


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A role that a person holds, in a team (``*``: in all) or of one workflow; one of the two is given."""

    person: str
    role: Role
    team: str | None = None
    workflow: str | None = None

    def where(self) -> str:
        if self.role == "admin" or self.team == EVERY_TEAM:
            return "everywhere"
        if self.workflow:
            return f"of {self.workflow}"
        return "in the team" if self.team == DEFAULT_TEAM else f"in team {self.team}"


@dataclass(frozen=True)
class Standing:
    """What one person may do, where.  Fails closed: a workflow that nobody configured belongs to no team."""

    person: str
    grants: tuple[Grant, ...] = ()
    teams: Mapping[str, str] = field(default_factory=dict)
    """Workflow → its team, of every workflow that is configured."""

    def of(self, workflow: str) -> frozenset[Permission]:
        """On one workflow; on one that is not configured, what is held everywhere."""
        team = self.teams.get(workflow)
        if team is None:
            return self.everywhere()
        return _granted(
            grant for grant in self.grants if _wide(grant) or grant.workflow == workflow or grant.team == team
        )

    def within(self, team: str) -> frozenset[Permission]:
        """On what belongs to a team and to no workflow of it."""
        return _granted(grant for grant in self.grants if _wide(grant) or grant.team == team)

    def everywhere(self) -> frozenset[Permission]:
        """On what belongs to the whole install: what is held in every team that has a workflow."""
        teams = set(self.teams.values())
        if not teams:
            return _granted(grant for grant in self.grants if grant.team is not None or _wide(grant))
        return frozenset.intersection(*(self.within(team) for team in teams))

    def anywhere(self) -> frozenset[Permission]:
        """On one workflow or team at least: enough to be shown a list, which holds only what may be read."""
        return _granted(self.grants)

    def may(self, permission: Permission, workflow: str | None = None) -> bool:
        """On a workflow; without one, on the whole install."""
        return permission in (self.everywhere() if workflow is None else self.of(workflow))

    def roles(self, workflow: str | None = None) -> list[Role]:
        """Held on a workflow, or anywhere; the one that grants most comes last."""
        held = {
            grant.role
            for grant in self.grants
            if workflow is None
            or _wide(grant)
            or grant.workflow == workflow
            or (grant.team is not None and grant.team == self.teams.get(workflow))
        }
        return [role for role in ROLES if role in held]


def standing(
    person: str, configuration: Configuration | None, granted: Sequence[Grant], left: frozenset[str]
) -> Standing:
    """Of a person.

    ``granted``: every grant in state, of whomever; ``left``: ids of those who left.  Whoever is in neither
    ``people.yaml`` nor ``granted`` may do nothing.
    """
    people = {} if configuration is None else configuration.people
    teams = {} if configuration is None else {name: each.team for name, each in configuration.workflows.items()}
    if gone(person, people, left):
        return Standing(person, (), teams)
    held = [grant for grant in granted if grant.person == person]
    held += from_files(person, configuration)
    if person == first_admin(configuration, granted, left):
        held.append(Grant(person, "admin", team=EVERY_TEAM))
    return Standing(person, tuple(dict.fromkeys(held)), teams)


def from_files(person: str, configuration: Configuration | None) -> list[Grant]:
    """What ``people.yaml`` and the ``owners`` of workflows give."""
    if configuration is None or person not in configuration.people:
        return []
    entry = configuration.people[person]
    held = [Grant(person, role, team=entry.team) for role in entry.roles]
    for name, workflow in configuration.workflows.items():
        owners = workflow.owners
        if person in (owners.workflow, owners.prompt, owners.cost):
            held.append(Grant(person, "owner", workflow=name))
    return held


def first_admin(configuration: Configuration | None, granted: Iterable[Grant], left: frozenset[str]) -> str | None:
    """Who is admin although nobody was made one: the owner of the first workflow whose owner has not left."""
    if configuration is None:
        return None
    people = configuration.people
    named = [grant.person for grant in granted if grant.role == "admin"]
    named += [person for person, entry in people.items() if "admin" in entry.roles]
    if any(not gone(person, people, left) for person in named):
        return None
    for name in sorted(configuration.workflows):
        owner = configuration.workflows[name].owners.workflow
        if owner in people and not gone(owner, people, left):
            return owner
    return None


def gone(person: str, people: Mapping[str, Person], left: frozenset[str]) -> bool:
    """Did this person leave: by ``roadworthy people leave``, or as ``people.yaml`` says?"""
    return person in left or (person in people and people[person].left)


def _wide(grant: Grant) -> bool:
    return grant.role == "admin" or grant.team == EVERY_TEAM


def _granted(grants: Iterable[Grant]) -> frozenset[Permission]:
    return frozenset().union(*(GRANTS[grant.role] for grant in grants))
