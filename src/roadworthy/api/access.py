"""Who is calling, and what they may do.  Default deny: what is not granted here is refused.

A caller is the person of a login session (``Authorization: Bearer rws-…``), else the operating-system user at the
other end of the Unix socket, vouched for by the kernel.  An OS user may read, stop, configure and run tools, and
never answer a customer, approve, accept, waive or restore: those need a named person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from roadworthy.api.errors import Denied, Unauthenticated
from roadworthy.people.service import SignIn
from roadworthy.workflow.service import Actor

Permission = Literal[
    "anyone",  # whoever reached the socket: health, login
    "read",
    "stop",
    "configure",  # init, adopt, apply, freeze, keys
    "tools",  # backup, forget, ship the journal
    "gateway",  # what this install's own gateways ask: the OS user they run as, and nobody else
    "answer",  # claim, answer, return and cancel escalations, resolve incidents: persons only
    "approve",  # approve, accept, waive, restore: persons only
]

OS_USER: frozenset[Permission] = frozenset({"anyone", "read", "stop", "configure", "tools", "gateway"})
PERSON: frozenset[Permission] = (OS_USER - {"gateway"}) | {"answer", "approve"}


class Caller:
    """An actor and what it was granted."""

    def __init__(self, actor: Actor, granted: frozenset[Permission]) -> None:
        self.actor = actor
        self.granted = granted

    def require(self, permission: Permission) -> None:
        """Raises ``Denied``."""
        if permission not in self.granted:
            raise Denied(
                f"{self.actor.id} may not do this: it needs the permission {permission!r}"
                + (", which only a person has; log in first: roadworthy login CODE" if permission in PERSON else "")
            )


def identify(headers: Mapping[str, str], peer: str | None, sign_in: SignIn, uids: frozenset[int]) -> Caller:
    """Who calls.

    ``peer`` is ``os:<uid>`` from the kernel, ``None`` when the transport knows none; ``uids`` are the operating
    system's users that count as the owner of this install.  Fails closed.  Raises ``Unauthenticated``.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme:
        person = sign_in.person(token.strip()) if scheme.lower() == "bearer" else None
        if person is None:
            raise Unauthenticated("the login session is unknown or over; log in again: roadworthy login CODE")
        return Caller(Actor(person.id, on_behalf_of=peer or ""), PERSON)
    if peer is None:
        raise Unauthenticated("nobody vouches for this caller; use the Unix socket, or log in")
    uid = peer.removeprefix("os:")
    known = uid.isdigit() and int(uid) in uids
    return Caller(Actor(peer), OS_USER if known else frozenset())
