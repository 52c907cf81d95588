"""Signing in: a one-time code becomes a session.  Only hashes are kept.

A code is read to or typed by a person, so it is short, lives a quarter of an hour and works once.  A session token
is long and lives twelve hours; it ends at once when its person leaves ``people.yaml``.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from roadworthy.people.model import LoginCode, LoginSession
from roadworthy.people.ports import LoginTransaction
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import Person
from roadworthy.workflow.ports import Transaction
from roadworthy.workflow.problems import did_you_mean

CODE_LIFE = 15 * 60.0
SESSION_LIFE = 12 * 3600.0
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without the letters that are read as digits."""
CODE_LENGTH = 12


class SignInRefused(Exception):
    """The code is unknown, used or expired: one message for all, so that nothing can be probed."""


class NoSuchPerson(Exception):
    """Nobody of that id in ``people.yaml``."""


class SignInTransaction(Transaction, LoginTransaction, Protocol):
    pass


class SignInState(Protocol):
    def read(self) -> AbstractContextManager[SignInTransaction]: ...

    def write(self) -> AbstractContextManager[SignInTransaction]: ...


class SignedIn(msgspec.Struct, frozen=True):
    token: str
    person: Person
    expires_at: float


class SignIn:
    def __init__(
        self,
        state: SignInState,
        hmac_key: bytes,
        *,
        clock: Callable[[], float],
        choose: Callable[[str], str] = secrets.choice,
    ) -> None:
        self._state = state
        self._key = hmac_key
        self._clock = clock
        self._choose = choose

    def code(self, person: str, actor: str) -> str:
        """A new one-time code, such as ``7KQ2-M4TZ-XW9B``, for a person of ``people.yaml``.

        Raises ``NoSuchPerson``.
        """
        code = "".join(self._choose(ALPHABET) for _ in range(CODE_LENGTH))
        now = self._clock()
        with self._state.write() as tx:
            people = _people(tx)
            if person not in people:
                raise NoSuchPerson(f"nobody is called {person!r} in people.yaml: {did_you_mean(person, people)}")
            tx.put_login_code(LoginCode(self._hash(code), person, now, now + CODE_LIFE, team=people[person].team))
            event = Event(actor=actor, action="login.code", target=f"person/{person}", team=people[person].team)
            tx.append_audit(chain(tx.last_audit(), event, now))
        return "-".join(code[place : place + 4] for place in range(0, CODE_LENGTH, 4))

    def exchange(self, code: str, actor: str) -> SignedIn:
        """Trade a code for a session.  Raises ``SignInRefused``; the refusal is audited."""
        text = "".join(letter for letter in code.upper() if letter.isalnum())
        now = self._clock()
        with self._state.write() as tx:
            found = tx.login_code(self._hash(text))
            person = _people(tx).get(found.person) if found is not None else None
            if found is None or person is None or found.used_at is not None or found.expires_at <= now:
                event = Event(actor=actor, action="login", target="session", outcome="denied")
                tx.append_audit(chain(tx.last_audit(), event, now))
            else:
                token = f"rws-{secrets.token_urlsafe(32)}"
                session = LoginSession(self._hash(token), person.id, now, now + SESSION_LIFE, team=person.team)
                tx.put_login_code(msgspec.structs.replace(found, used_at=now))
                tx.put_login_session(session)
                event = Event(
                    actor=person.id, on_behalf_of=actor, action="login", target=f"person/{person.id}", team=person.team
                )
                tx.append_audit(chain(tx.last_audit(), event, now))
                return SignedIn(token, person, session.expires_at)
        raise SignInRefused(
            f"the code is unknown, used or older than {CODE_LIFE / 60:.0f} minutes; "
            "`roadworthy up --login PERSON` prints a new one"
        )

    def person(self, token: str) -> Person | None:
        """Who a session token speaks for; ``None`` when it is unknown, ended or expired."""
        with self._state.read() as tx:
            session = tx.login_session(self._hash(token))
            if session is None or session.ended_at is not None or session.expires_at <= self._clock():
                return None
            return _people(tx).get(session.person)

    def end(self, token: str, actor: str) -> None:
        """End a session; an unknown one is ended already."""
        now = self._clock()
        with self._state.write() as tx:
            session = tx.login_session(self._hash(token))
            if session is None or session.ended_at is not None:
                return
            tx.put_login_session(msgspec.structs.replace(session, ended_at=now))
            event = Event(actor=actor, action="logout", target=f"person/{session.person}", team=session.team)
            tx.append_audit(chain(tx.last_audit(), event, now))

    def _hash(self, secret: str) -> str:
        return hmac.new(self._key, secret.encode(), hashlib.sha256).hexdigest()


def _people(tx: Transaction) -> dict[str, Person]:
    applied = tx.applied()
    return {} if applied is None else applied.configuration.people
