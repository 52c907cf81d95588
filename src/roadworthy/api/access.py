"""Who is calling, and what they may do.  Default deny: what is not granted here is refused.

A caller is the person of a login session (``Authorization: Bearer rws-…``), else the operating-system user at the
other end of the Unix socket, vouched for by the kernel.  A person may do what their roles grant, where they hold them
(``people.roles``).  An OS user may read, stop, configure and run tools, and never answer a customer, score, approve,
accept, waive, restore or let people in: those need a named person.
"""

from __future__ import annotations

from collections.abc import Mapping

from roadworthy.api.errors import Denied, Unauthenticated
from roadworthy.operations.rights import Rights
from roadworthy.people.roles import GRANTS, Permission, Standing
from roadworthy.people.service import SignIn
from roadworthy.workflow.service import Actor

OS_USER: frozenset[Permission] = frozenset(
    {"anyone", "read", "read_text", "stop", "configure", "tools", "keys", "gateway"}
)
PERSON: frozenset[Permission] = frozenset().union(*GRANTS.values())
"""What a person may do at most."""


class Caller:
    """An actor and what it was granted."""

    def __init__(self, actor: Actor, granted: frozenset[Permission], standing: Standing | None = None) -> None:
        """``standing``: of a person; ``None``: an OS user, who is not asked where."""
        self.actor = actor
        self.granted = granted
        self.standing = standing

    def require(self, permission: Permission) -> None:
        """At the door, before it is known what the call is about.  Raises ``Denied``."""
        if permission not in self.granted:
            raise self.denied(permission)

    def denied(self, permission: Permission) -> Denied:
        if self.standing is None:
            how = ", which only a person has; log in first: roadworthy login CODE" if permission in PERSON else ""
        else:
            held = ", ".join(self.standing.roles()) or "none"
            how = f"; their roles: {held}. An admin grants more: roadworthy people grant {self.actor.id} --role ROLE"
        return Denied(f"{self.actor.id} may not do this: it needs the permission {permission!r}{how}")


def identify(
    headers: Mapping[str, str], peer: str | None, sign_in: SignIn, rights: Rights, uids: frozenset[int]
) -> Caller:
    """Who calls.

    ``peer`` is ``os:<uid>`` from the kernel, ``None`` when the transport knows none; ``uids`` are the operating
    system's users that count as the owner of this install.  Fails closed.  Raises ``Unauthenticated``.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme:
        person = sign_in.person(token.strip()) if scheme.lower() == "bearer" else None
        if person is None:
            raise Unauthenticated("the login session is unknown or over; log in again: roadworthy login CODE")
        standing = rights.standing(person.id)
        return Caller(Actor(person.id, on_behalf_of=peer or ""), standing.anywhere() | {"anyone"}, standing)
    if peer is None:
        raise Unauthenticated("nobody vouches for this caller; use the Unix socket, or log in")
    uid = peer.removeprefix("os:")
    known = uid.isdigit() and int(uid) in uids
    return Caller(Actor(peer), OS_USER if known else frozenset())
