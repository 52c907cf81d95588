"""Who may do what.

Permissions come from roles (``people.roles``) and open a surface's doors; the rights on a kill switch come from a
workflow's named owners.  A service asks for both.
"""

from __future__ import annotations

from collections.abc import Sequence

from roadworthy.kill_switch.model import Right
from roadworthy.people.roles import Grant, Permission, Standing, standing
from roadworthy.workflow.model import Configuration, Owners


def permissions_of(
    person: str,
    configuration: Configuration | None,
    granted: Sequence[Grant] = (),
    left: frozenset[str] = frozenset(),
    *,
    team: str | None = None,
    workflow: str | None = None,
) -> frozenset[Permission]:
    """What a person may do on a workflow, in a team, or (neither given) to the whole install.

    Fails closed: nobody knows the person, or the workflow is not configured, gives what is held everywhere, which for
    a stranger is nothing.
    """
    held: Standing = standing(person, configuration, granted, left)
    if workflow is not None:
        return held.of(workflow)
    return held.everywhere() if team is None else held.within(team)


def rights_of(person: str, owners: Owners | None) -> frozenset[Right]:
    """Of a named person, or of an ``os:uid``, who may stop and nothing else.

    The owners of prompt and cost stand in for on-call until there is a rotation.  Fails closed: nobody owns a workflow
    that is not configured (``None``).
    """
    if owners is None or person.startswith("os:"):
        return frozenset({"stop"})
    if person == owners.workflow:
        return frozenset({"stop", "on_call", "owner"})
    if person in (owners.prompt, owners.cost):
        return frozenset({"stop", "on_call"})
    return frozenset({"stop"})


def may(person: str, owners: Owners | None, right: Right) -> bool:
    return right in rights_of(person, owners)
