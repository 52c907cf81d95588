"""Who may do what.

Permissions come from roles (``people.roles``) and open a surface's doors; the rights on a kill switch come from a
workflow's named owners.  A service asks for both.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from roadworthy.kill_switch.model import Right
from roadworthy.people.accounts.ports import KnowingTransaction
from roadworthy.people.directory import standing_of
from roadworthy.people.roles import Permission, Standing
from roadworthy.workflow.model import Owners


class KnowingState(Protocol):
    def read(self) -> AbstractContextManager[KnowingTransaction]: ...


class Rights:
    """What everybody may do, as configuration and state say now.  Thread-safe; blocking."""

    def __init__(self, state: KnowingState) -> None:
        self._state = state

    def standing(self, person: str) -> Standing:
        """Of a person, to be asked more than once.  A stranger, and whoever left, may do nothing."""
        with self._state.read() as tx:
            return standing_of(tx, person)

    def of(self, person: str, *, team: str | None = None, workflow: str | None = None) -> frozenset[Permission]:
        """On a workflow, in a team, or (neither given) on the whole install.  Fails closed: on a workflow that is not
        configured a person may do what they may everywhere."""
        held = self.standing(person)
        if workflow is not None:
            return held.of(workflow)
        return held.everywhere() if team is None else held.within(team)

    def may(
        self, person: str, permission: Permission, *, team: str | None = None, workflow: str | None = None
    ) -> bool:  # fmt: skip
        return permission in self.of(person, team=team, workflow=workflow)


def rights_of(person: str, owners: Owners | None, *, on_shift: bool = False) -> frozenset[Right]:
    """Of a named person, or of an ``os:uid``, who may stop and nothing else.

    ``on_shift``: is the person on call now (``people.oncall``)?  The owners of prompt and cost may do what on-call may.
    Fails closed: nobody owns a workflow that is not configured (``None``).
    """
    if owners is None or person.startswith("os:"):
        return frozenset({"stop"})
    if person == owners.workflow:
        return frozenset({"stop", "on_call", "owner"})
    if on_shift or person in (owners.prompt, owners.cost):
        return frozenset({"stop", "on_call"})
    return frozenset({"stop"})


def may(person: str, owners: Owners | None, right: Right) -> bool:
    return right in rights_of(person, owners)
