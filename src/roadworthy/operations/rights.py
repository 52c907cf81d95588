"""Who may do what to a workflow: by its named owners, until roles come with people."""

from __future__ import annotations

from roadworthy.kill_switch.model import Right
from roadworthy.workflow.model import Owners


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
