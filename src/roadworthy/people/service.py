"""Signing in: a one-time code, a password or an identity provider's word becomes a session.  Only hashes are kept.

A code is read to or typed by a person, so it is short, lives a quarter of an hour and works once.  A session token is
long, lives twelve hours, and is new at every sign-in; it ends at once when its person leaves.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable

import msgspec

from roadworthy.people.accounts.attempts import Attempts
from roadworthy.people.accounts.model import Account
from roadworthy.people.accounts.passwords import Passwords
from roadworthy.people.accounts.rules import password_problem
from roadworthy.people.directory import called, everybody, living
from roadworthy.people.model import LoginCode, LoginSession
from roadworthy.people.ports import PeopleState, PeopleTransaction
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import Person
from roadworthy.workflow.problems import did_you_mean

CODE_LIFE = 15 * 60.0
SESSION_LIFE = 12 * 3600.0
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without the letters that are read as digits."""
CODE_LENGTH = 12
MOST_SESSIONS = 20
"""Of one person at a time; the oldest end first."""


class SignInRefused(Exception):
    """One message for all reasons, so that nothing can be probed."""


class NoSuchPerson(Exception):
    """Nobody of that id."""


class PasswordRefused(Exception):
    """Not a good one, or not the present one."""


class SignedIn(msgspec.Struct, frozen=True):
    token: str
    person: Person
    expires_at: float


class From(msgspec.Struct, frozen=True):
    """Where somebody signs in from."""

    address: str = ""
    agent: str = ""
    actor: str = ""
    """What vouches for them: ``os:uid``, or where the address of a browser counts, ``console:ADDRESS``."""


NOWHERE = From()


class SignIn:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: PeopleState,
        hmac_key: bytes,
        *,
        clock: Callable[[], float],
        choose: Callable[[str], str] = secrets.choice,
        passwords: Passwords | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        self._state = state
        self._key = hmac_key
        self._clock = clock
        self._choose = choose
        self._passwords = passwords or Passwords()
        self._attempts = attempts or Attempts(clock)

    # --- codes

    def code(self, person: str, actor: str) -> str:
        """A new one-time code, such as ``7KQ2-M4TZ-XW9B``.  Raises ``NoSuchPerson``."""
        code = "".join(self._choose(ALPHABET) for _ in range(CODE_LENGTH))
        now = self._clock()
        with self._state.write() as tx:
            people = living(tx)
            if person not in people:
                raise NoSuchPerson(f"nobody is called {person!r}: {did_you_mean(person, people)}")
            tx.put_login_code(LoginCode(self.hash(code), person, now, now + CODE_LIFE, team=people[person].team))
            event = Event(actor=actor, action="login.code", target=f"person/{person}", team=people[person].team)
            tx.append_audit(chain(tx.last_audit(), event, now))
        return "-".join(code[place : place + 4] for place in range(0, CODE_LENGTH, 4))

    def exchange(self, code: str, actor: str, place: From = NOWHERE) -> SignedIn:
        """Trade a code for a session.  Raises ``SignInRefused``, which is audited, and ``TooManyAttempts``.

        Only wrong codes are slowed down: nobody guesses one of 2⁵⁹, and whoever is locked out by the guesses of others
        gets in with theirs.
        """
        hashed = self.hash("".join(letter for letter in code[:LONGEST_TRIED].upper() if letter.isalnum()))
        now, address = self._clock(), place.address or actor
        with self._state.read() as tx:
            known = _usable(tx.login_code(hashed), now)
        if known is not None:
            with self._state.write() as tx:
                found = _usable(tx.login_code(hashed), now)  # of two that come together one gets it
                person = None if found is None else living(tx).get(found.person)
                if found is not None and person is not None:
                    tx.put_login_code(msgspec.structs.replace(found, used_at=now))
                    return self.open_session(tx, person, "code", msgspec.structs.replace(place, actor=actor))
        self._attempts.begin(f"code {address}", address)
        with self._state.write() as tx:
            event = Event(actor=actor, action="login", target="session", outcome="denied")
            tx.append_audit(chain(tx.last_audit(), event, now))
        raise SignInRefused(
            f"the code is unknown, used or older than {CODE_LIFE / 60:.0f} minutes; "
            "`roadworthy up --login PERSON` prints a new one"
        )

    # --- passwords

    def by_password(self, email: str, password: str, place: From) -> SignedIn:
        """Sign in with a person's address (or id) and password.

        Raises ``SignInRefused``, the same for a stranger, a leaver and a wrong password, after the same work, and
        ``TooManyAttempts``, which says nothing about the password.
        """
        address = email.strip().lower()[:200]
        self._attempts.begin(address, place.address)
        with self._state.read() as tx:
            person = called(living(tx), email.strip()) or called(living(tx), address)
            account = None if person is None else tx.account(person.id)
        kept = None if account is None else account.password
        good = self._passwords.matches(kept, password[:LONGEST_TRIED])
        with self._state.write() as tx:
            now = self._clock()
            same = None if person is None else tx.account(person.id)
            still = person is not None and person.id in living(tx) and same is not None and same.password == kept
            if good and still and person is not None and same is not None:
                self._attempts.succeeded(address, place.address)
                if kept is not None and self._passwords.outdated(kept):
                    tx.put_account(msgspec.structs.replace(same, password=self._passwords.hash(password)))
                return self.open_session(tx, person, "password", place)
            target = "session" if person is None else f"person/{person.id}"
            event = Event(actor=place.actor, action="login", target=target, outcome="denied")
            tx.append_audit(chain(tx.last_audit(), event, now))
        raise SignInRefused("The address and the password do not belong together.")

    def set_password(self, person: str, password: str, *, current: str | None, token: str) -> None:
        """A person's own new password; every other session of theirs ends.

        ``current`` is needed where there is one, unless this session was opened with a one-time code, which is how
        somebody who forgot theirs gets in.  Raises ``PasswordRefused``, ``NoSuchPerson`` and ``TooManyAttempts``.
        """
        with self._state.read() as tx:
            who = living(tx).get(person)
            account, session = tx.account(person), tx.login_session(self.hash(token))
        if who is None or session is None or session.person != person or not session.open(self._clock()):
            raise NoSuchPerson(f"nobody is signed in as {person!r} here")
        kept = None if account is None else account.password
        if kept is not None and session.via != "code":
            self._attempts.begin(f"change {person}", f"change {person}")
            if not self._passwords.matches(kept, (current or "")[:LONGEST_TRIED]):
                raise PasswordRefused("The present password is another one.")
            self._attempts.succeeded(f"change {person}", f"change {person}")
        made = self.vetted(password, who)
        with self._state.write() as tx:
            now = self._clock()
            account = tx.account(person) or Account(person, now, email=who.email.lower(), team=who.team)
            tx.put_account(msgspec.structs.replace(account, password=made))
            ended = self.end_all(tx, person, but=self.hash(token))
            event = Event(
                actor=person, action="password.set", target=f"person/{person}", team=who.team,
                after={"other_sessions_ended": ended},
            )  # fmt: skip
            tx.append_audit(chain(tx.last_audit(), event, now))

    def vetted(self, password: str, who: Person) -> str:
        """The hash of a new password.  Raises ``PasswordRefused``."""
        if problem := password_problem(password, email=who.email, name=who.name):
            raise PasswordRefused(f"password: {problem}")
        return self._passwords.hash(password)

    def has_password(self, person: str) -> bool:
        with self._state.read() as tx:
            account = tx.account(person)
        return account is not None and account.password is not None

    # --- sessions

    def open_session(self, tx: PeopleTransaction, person: Person, via: str, place: From) -> SignedIn:
        """A new session, in the caller's transaction; never one that was there before."""
        now = self._clock()
        token = f"rws-{secrets.token_urlsafe(32)}"
        session = LoginSession(
            self.hash(token), person.id, now, now + SESSION_LIFE, team=person.team, via=via,
            address=place.address[:60], agent=_plain(place.agent),
        )  # fmt: skip
        tx.put_login_session(session)
        others = [each for each in tx.login_sessions(person.id) if each.open(now) and each.hash != session.hash]
        for old in others[MOST_SESSIONS - 1 :]:  # never the new one, which a clock set back makes the oldest
            tx.put_login_session(msgspec.structs.replace(old, ended_at=now))
        account = tx.account(person.id) or Account(person.id, now, email=person.email.lower(), team=person.team)
        tx.put_account(msgspec.structs.replace(account, seen_at=now))
        event = Event(
            actor=person.id, on_behalf_of=place.actor, action="login", target=f"person/{person.id}", team=person.team,
            after={"by": via, "session": session.id},
        )  # fmt: skip
        tx.append_audit(chain(tx.last_audit(), event, now))
        return SignedIn(token, person, session.expires_at)

    def person(self, token: str) -> Person | None:
        """Who a session token speaks for; ``None`` when it is unknown, ended or expired, or its person left."""
        with self._state.read() as tx:
            session = tx.login_session(self.hash(token))
            if session is None or not session.open(self._clock()):
                return None
            return living(tx).get(session.person)

    def session(self, token: str) -> LoginSession | None:
        """The open session of a token."""
        with self._state.read() as tx:
            session = tx.login_session(self.hash(token))
        return session if session is not None and session.open(self._clock()) else None

    def sessions(self, person: str) -> list[LoginSession]:
        """Open ones, newest first."""
        now = self._clock()
        with self._state.read() as tx:
            return [session for session in tx.login_sessions(person) if session.open(now)]

    def end(self, token: str, actor: str) -> None:
        """End a session; an unknown one is ended already."""
        now = self._clock()
        with self._state.write() as tx:
            session = tx.login_session(self.hash(token))
            if session is None or session.ended_at is not None:
                return
            tx.put_login_session(msgspec.structs.replace(session, ended_at=now))
            event = Event(actor=actor, action="logout", target=f"person/{session.person}", team=session.team)
            tx.append_audit(chain(tx.last_audit(), event, now))

    def sign_out(self, person: str, *, only: str | None = None, but: str | None = None) -> int:
        """End a person's own sessions → how many: one by its id (``ses_…``), or all ``but`` that of a token."""
        now, spared = self._clock(), None if but is None else self.hash(but)
        with self._state.write() as tx:
            ended = self.end_all(tx, person, but=spared, only=only)
            event = Event(
                actor=person, action="logout", target=f"person/{person}", after={"sessions_ended": ended},
            )  # fmt: skip
            tx.append_audit(chain(tx.last_audit(), event, now))
        return ended

    def end_all(
        self, tx: PeopleTransaction, person: str, *, but: str | None = None, only: str | None = None
    ) -> int:  # fmt: skip
        """End a person's sessions, in the caller's transaction → how many.  ``but``: the hash of one to keep."""
        now, ended = self._clock(), 0
        for session in tx.login_sessions(person):
            if session.open(now) and session.hash != but and only in (None, session.id):
                tx.put_login_session(msgspec.structs.replace(session, ended_at=now))
                ended += 1
        return ended

    def people(self) -> dict[str, Person]:
        """Everybody, with those who left."""
        with self._state.read() as tx:
            return everybody(tx)

    def token(self, ident: str) -> str:
        """256 bits that only the holder of the key can make of a random id: what is kept of a link that waits."""
        return urlsafe_b64encode(hmac.digest(self._key, f"token/{ident}".encode(), "sha256")).rstrip(b"=").decode()

    def hash(self, secret: str) -> str:
        return hmac.new(self._key, secret.encode(), hashlib.sha256).hexdigest()


LONGEST_TRIED = 1000
"""Characters of a password that are looked at."""


def _usable(code: LoginCode | None, now: float) -> LoginCode | None:
    return code if code is not None and code.used_at is None and code.expires_at > now else None


def _plain(agent: str) -> str:
    return "".join(letter for letter in agent if letter.isprintable())[:120]
