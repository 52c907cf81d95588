"""Making, looking at and using links.

``look`` never changes anything, however often it is asked: mail scanners fetch links.  ``use`` takes a link once.  A
link is made in two steps, because what is mailed waits in the outbox, which is state too: the row is noted with a
random id, and its path, with the token, is made from that id and the install's key when the mail leaves.  Who reads the
database has no token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec.structs import replace

from roadworthy.people.accounts.ports import KnowingTransaction
from roadworthy.people.directory import living
from roadworthy.people.links.model import Action, Link
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import DEFAULT_TEAM

PLACE = "/link/"
CONSOLE = "{console}"
"""Stands for the address of the console in a body that waits to be sent."""
MARK = re.compile(r"\{link:([0-9a-f]{64})\}")
LONGEST = 100
"""Characters of a token that are looked at."""


class LinkRefused(Exception):
    """Used, expired or unknown: one message for all, so that nothing can be probed."""

    def __init__(self) -> None:
        super().__init__("This link was used, has expired or never was. The console can do the same.")


class LinkTransaction(Protocol):
    def link(self, token_hash: str) -> Link | None: ...

    def put_link(self, link: Link) -> None:
        """Insert, or replace the one with the same hash."""
        ...

    def expire_links(self, before: float) -> int:
        """Delete those that expired before then → how many."""
        ...


class LinksTransaction(KnowingTransaction, LinkTransaction, Protocol):
    pass


class LinksState(Protocol):
    def read(self) -> AbstractContextManager[LinksTransaction]: ...

    def write(self) -> AbstractContextManager[LinksTransaction]: ...


def mark(ident: str) -> str:
    """What stands for the address of a link in a body that waits to be sent."""
    return f"{{link:{ident}}}"


class Links:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: LinksState,
        hmac_key: bytes,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: secrets.token_hex(32),
    ) -> None:
        self._state = state
        self._key = hmac_key
        self._clock = clock
        self._new_id = new_id

    def make(self, action: Action, subject: str, person: str, life: float, *, team: str = DEFAULT_TEAM) -> str:
        """A new link → its path, ``/link/TOKEN``.  ``life``: seconds."""
        with self._state.write() as tx:
            return self.path(self.note(tx, action, subject, person, life, team=team))

    def note(
        self, tx: LinkTransaction, action: Action, subject: str, person: str, life: float, *, team: str = DEFAULT_TEAM
    ) -> str:
        """A new link, in the caller's transaction → its id, of which ``path`` makes what is mailed."""
        ident, now = self._new_id(), self._clock()
        tx.put_link(Link(ident, self._hash(self._token(ident)), action, subject, person, now, now + life, team=team))
        return ident

    def path(self, ident: str) -> str:
        """The path of a link: the same one every time."""
        return PLACE + self._token(ident)

    def fill(self, body: str, base: str) -> str:
        """A body as it leaves: with the addresses of its links (``mark``) and of the console.  ``base``: what the
        console's addresses begin with; empty: nobody serves it, and paths are all there is."""
        return MARK.sub(lambda found: base + self.path(found[1]), body.replace(CONSOLE, base))

    def look(self, token: str) -> Link:
        """What a link would do.  Changes nothing.  Raises ``LinkRefused``."""
        with self._state.read() as tx:
            found = self._found(tx, token)
        if found is None or not self._usable(found):
            raise LinkRefused
        return found

    def use(self, token: str, on_behalf_of: str = "") -> Link:
        """Take a link, once: of two that come together one gets it.  Raises ``LinkRefused``.

        Both are audited where the link is known; an unknown token is nobody's doing.  ``on_behalf_of``: what vouches
        for whoever opened it, such as an address.
        """
        now = self._clock()
        with self._state.write() as tx:
            found = self._found(tx, token)
            usable = found is not None and self._usable(found)
            if found is not None:
                event = Event(
                    actor=found.person, on_behalf_of=on_behalf_of, action=f"link.{found.action}",
                    target=found.subject[:200], outcome="done" if usable else "denied", team=found.team,
                )  # fmt: skip
                tx.append_audit(chain(tx.last_audit(), event, now))
                if usable:
                    tx.put_link(replace(found, used_at=now))
        if found is None or not usable:
            raise LinkRefused
        return found

    def give_back(self, link: Link) -> None:
        """What it was taken for could not be done: it may be used again while it lasts."""
        with self._state.write() as tx:
            tx.put_link(replace(link, used_at=None))

    def _found(self, tx: LinksTransaction, token: str) -> Link | None:
        """As it is kept; ``None`` also for one of somebody who is not with us any more."""
        found = tx.link(self._hash(token[:LONGEST]))
        return found if found is not None and found.person in living(tx) else None

    def _usable(self, link: Link) -> bool:
        return link.used_at is None and link.expires_at > self._clock()

    def _token(self, ident: str) -> str:
        """256 bits that only the holder of the key can make."""
        return urlsafe_b64encode(hmac.digest(self._key, f"link/{ident}".encode(), "sha256")).rstrip(b"=").decode()

    def _hash(self, token: str) -> str:
        return hmac.new(self._key, f"link-token/{token}".encode(), hashlib.sha256).hexdigest()
