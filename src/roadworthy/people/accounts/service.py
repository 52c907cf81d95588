"""Letting people in, saying what they may do, and seeing them off.

An invitation is a link for one address: it works once, within a week, and whoever opens it in time and says who they
are is in, as long as whoever invited them may let people in.  It never lets anybody take over an account that has a
password or belongs to an identity provider: its person must be signed in.  Only the hash of its token is kept; a mail
that waits in the outbox names its id, of which ``fill`` makes the link when the mail leaves.  Whoever left
is out at once: no session, no role, no tester key; what they owned is named, until somebody else is.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Sequence

import msgspec
from msgspec.structs import replace

from roadworthy.people.accounts.model import Account, Granted, Invitation
from roadworthy.people.accounts.rules import Orphan, address_of, grant_problem, new_id, orphans, other_owner, owned
from roadworthy.people.directory import everybody, left, standing_of, with_email
from roadworthy.people.incident.service import MAIL
from roadworthy.people.outbox.model import Delivery, Mail
from roadworthy.people.ports import PeopleState, PeopleTransaction
from roadworthy.people.roles import Grant, first_admin, from_files
from roadworthy.people.service import From, NoSuchPerson, SignedIn, SignIn
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import DEFAULT_TEAM, Configuration, Person
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor

INVITATION_LIFE = 7 * 86_400.0
PLACE = "/invite/"
MARK = re.compile(r"\{invitation:([\w-]{43,})\}")
"""Stands for the link of an invitation in a mail that waits to be sent."""
LONGEST_NAME = 80


class PeopleRefused(Exception):
    """What was asked for cannot be, and why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class NotAdmin(Exception):
    """Known, and may not say who comes and goes."""


class InvitationRefused(Exception):
    """Used, expired, withdrawn or unknown: one message for all, so that nothing can be probed."""

    def __init__(self) -> None:
        super().__init__("This invitation was used, has expired, was withdrawn or never was. Ask for a new one.")


class WrongPerson(Exception):
    """Somebody else is signed in, or whom it is for must be signed in first."""


class ProviderRefused(Exception):
    """The identity provider vouches for nobody whom we know."""


class Invited(msgspec.Struct, frozen=True):
    invitation: Invitation
    link: str
    """Shown once."""
    mailed: bool
    known: bool
    """The address is of somebody who is here already."""
    note: str = ""
    """What the role does not give, and how to change that; empty: nothing."""


class Looked(msgspec.Struct, frozen=True):
    """What somebody who opens an invitation sees."""

    invitation: Invitation
    person: Person | None
    """Whom the address belongs to already."""
    has_account: bool
    """A password, or an account of the identity provider."""
    inviter: str


class Farewell(msgspec.Struct, frozen=True):
    """What became of whatever a leaver had."""

    person: str
    sessions_ended: int
    grants_dropped: int
    keys_revoked: int
    orphans: list[Orphan]
    """What has no living owner now, because of this person."""


class Role(msgspec.Struct, frozen=True):
    """A role as somebody holds it."""

    role: str
    where: str
    source: str
    """``people.yaml``, ``owners``, ``granted``, or why somebody is admin."""
    scope: str = ""
    """``team:NAME`` or ``workflow:NAME``."""


class Known(msgspec.Struct, frozen=True):
    """A person, with everything that a list of people shows."""

    person: Person
    roles: list[Role]
    owns: list[str]
    """``support (workflow)``."""
    seen_at: float | None
    left_at: float | None
    invited: bool
    """In no file: somebody invited them."""
    has_password: bool


class Accounts:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: PeopleState,
        sign_in: SignIn,
        *,
        clock: Callable[[], float],
        console_url: Callable[[], str],
        token: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        """``console_url``: what links begin with, such as ``http://127.0.0.1:8402``."""
        self._state = state
        self._sign_in = sign_in
        self._clock = clock
        self._url = console_url
        self._token = token

    # --- inviting

    def invite(self, email: str, grants: Sequence[Grant], actor: Actor) -> Invited:
        """A link that lets somebody in with these roles.  ``grants``: their ``person`` is not looked at.

        Another invitation of the same address ends.  Raises ``PeopleRefused`` and ``NotAdmin``.
        """
        address = address_of(email)
        if address is None:
            raise PeopleRefused("email", f"found {email[:80]!r}, expected a mail address such as bob@example.com")
        if not grants:
            raise PeopleRefused("role", "found none, expected at least one: --role operator")
        now, ident = self._clock(), self._token(32)
        token = self._sign_in.token(ident)
        self._allow(actor, "person.invite", f"email/{address}")
        with self._state.write() as tx:
            configuration = _configuration(tx)
            people = everybody(tx, configuration)
            known = _only(people, address)
            if known is not None and known.left:
                raise PeopleRefused("email", f"{known.name} left; bring them back first: {_back(tx, known.id)}")
            person = known.id if known is not None else new_id(address, _taken(tx, people))
            held = [replace(_whole(grant), person=person) for grant in dict.fromkeys(grants)]
            for grant in held:
                if problem := grant_problem(grant, configuration):
                    raise PeopleRefused(*problem)
            _end_others(tx, address, now)
            team = next((grant.team for grant in held if grant.team not in (None, "*")), None) or _team_of(
                held[0], configuration
            )
            made = Invitation(
                self._sign_in.hash(token), address, person, held, actor.id, now, now + INVITATION_LIFE, team=team
            )
            tx.put_invitation(made)
            link = f"{self._url()}{PLACE}{token}"
            mailed = _mail(tx, made, f"{{invitation:{ident}}}", people, configuration, now)
            self._audit(
                tx, actor, "person.invite", f"person/{person}", team,
                after={"email": address, "roles": [f"{grant.role} {grant.where()}" for grant in held], "id": made.id},
            )  # fmt: skip
        return Invited(made, link, mailed, known is not None, _note(held, configuration))

    def fill(self, body: str) -> str:
        """A mail as it leaves, with the links of its invitations."""
        return MARK.sub(lambda found: f"{self._url()}{PLACE}{self._sign_in.token(found[1])}", body)

    def withdraw(self, ident: str, actor: Actor) -> Invitation:
        """Raises ``PeopleRefused`` and ``NotAdmin``."""
        self._allow(actor, "person.withdraw", f"invitation/{ident[:40]}", lessening=True)
        with self._state.write() as tx:
            found = next((each for each in tx.invitations() if each.id == ident), None)
            if found is None or not found.open(self._clock()):
                raise PeopleRefused("invitation", f"{ident[:40]!r} is none that is open")
            tx.put_invitation(ended := replace(found, ended_at=self._clock()))
            self._audit(tx, actor, "person.withdraw", f"person/{found.person}", found.team, after={"id": ident})
        return ended

    def invitations(self) -> list[Invitation]:
        """Open ones, newest first."""
        with self._state.read() as tx:
            return [each for each in tx.invitations() if _stands(tx, each, self._clock())]

    def everybody(self) -> list[Known]:
        """By id; whoever left comes last."""
        with self._state.read() as tx:
            configuration = _configuration(tx)
            people, granted = everybody(tx, configuration), tx.granted()
            accounts = {account.person: account for account in tx.accounts()}
            gone = left(tx)
        first = first_admin(configuration, [each.grant for each in granted], frozenset(gone))
        found = []
        for name, person in people.items():
            account = accounts.get(name)
            found.append(
                Known(
                    person, [] if person.left else _roles(name, configuration, granted, first),
                    owned(name, configuration), None if account is None else account.seen_at, gone.get(name),
                    account is not None and account.invited and name not in _files(configuration),
                    account is not None and account.password is not None,
                )
            )  # fmt: skip
        return sorted(found, key=lambda each: (each.person.left, each.person.id))

    # --- coming in

    def look(self, token: str) -> Looked:
        """Changes nothing, however often it is asked: mail scanners open links.  Raises ``InvitationRefused``."""
        with self._state.read() as tx:
            return self._looked(tx, *self._open(tx, token))

    def accept(self, token: str, place: From, *, name: str = "", password: str = "", signed_in: str | None) -> SignedIn:
        """Take an invitation, once, → a new session.  ``signed_in``: who is signed in where it was opened.

        Raises ``InvitationRefused``, ``WrongPerson``, ``PeopleRefused`` and ``PasswordRefused``.
        """
        looked = self.look(token)
        known = looked.person
        _right_person(looked, signed_in)
        vetted: str | None = None
        if known is None or known.id != signed_in:
            who = known or Person(looked.invitation.person, _name(name), looked.invitation.email)
            vetted = self._sign_in.vetted(password, who)
        with self._state.write() as tx:
            found, known = self._open(tx, token)  # of two that come together one gets it
            _right_person(self._looked(tx, found, known), signed_in)
            if known is not None and known.id != signed_in and vetted is None:
                raise InvitationRefused
            return self._welcome(tx, found, known, "invitation", place, name=name, password=vetted)

    def by_provider(self, email: str, subject: str, name: str, place: From) -> SignedIn:
        """Sign in whom an identity provider vouches for: somebody known by this verified address, or invited.

        It never gives a right by itself.  ``subject``: ``ISSUER SUBJECT``.  Raises ``ProviderRefused``.
        """
        address = email.strip().lower()
        refused = None
        with self._state.write() as tx:
            now = self._clock()
            same = with_email(everybody(tx), address)
            account = tx.account(same[0].id) if len(same) == 1 else None
            bound = "" if account is None else account.subject
            invitation = next(
                (each for each in tx.invitations() if each.email == address and _stands(tx, each, now)), None
            )
            if len(same) > 1 or any(person.left for person in same) or (not same and invitation is None):
                refused = "Nobody with this address may come in here. Ask an admin for an invitation."
            elif bound and bound != subject:
                refused = "This address belonged to another account of your identity provider. Ask an admin."
            elif invitation is not None:
                done = self._welcome(tx, invitation, same[0] if same else None, "oidc", place, name=name)
                self._bind(tx, done.person, subject)
                return done
            else:
                self._bind(tx, same[0], subject)
                return self._sign_in.open_session(tx, same[0], "oidc", place)
            event = Event(actor=place.actor, action="login", target="session", outcome="denied", after={"by": "oidc"})
            tx.append_audit(chain(tx.last_audit(), event, now))
        raise ProviderRefused(refused)

    # --- roles

    def grant(self, grant: Grant, actor: Actor) -> str:
        """→ what the role does not give, and how to change that.  Raises ``PeopleRefused``, ``NotAdmin`` and
        ``NoSuchPerson``."""
        self._allow(actor, "person.grant", f"person/{grant.person[:80]}")
        grant = _whole(grant)
        with self._state.write() as tx:
            configuration = _configuration(tx)
            person = _known(tx, grant.person)
            if person.left:
                raise PeopleRefused("person", f"{person.name} left; bring them back first: {_back(tx, person.id)}")
            if problem := grant_problem(grant, configuration):
                raise PeopleRefused(*problem)
            self._grant(tx, grant, actor.id)
            self._audit(
                tx, actor, "person.grant", f"person/{person.id}", _team_of(grant, configuration),
                after={"role": grant.role, "where": grant.where()},
            )  # fmt: skip
        return _note([grant], configuration)

    def revoke(self, grant: Grant, actor: Actor) -> None:
        """Raises ``PeopleRefused`` where this role comes from no grant, ``NotAdmin`` and ``NoSuchPerson``."""
        self._allow(actor, "person.revoke", f"person/{grant.person[:80]}", lessening=True)
        grant = _whole(grant)
        with self._state.write() as tx:
            configuration = _configuration(tx)
            person = _known(tx, grant.person)
            if not tx.drop_grant(grant):
                held = [each.grant for each in tx.granted() if each.grant.person == person.id]
                said = ", ".join(f"{each.role} {each.where()}" for each in held) or "none"
                raise PeopleRefused(
                    "role",
                    f"{person.id} was not granted {grant.role} {grant.where()} (granted: {said}); roles that "
                    "people.yaml or the owners of a workflow give are changed in those files",
                )
            self._audit(
                tx, actor, "person.revoke", f"person/{person.id}", _team_of(grant, configuration),
                before={"role": grant.role, "where": grant.where()},
            )  # fmt: skip

    # --- going

    def leave(self, person: str, actor: Actor) -> Farewell:
        """Somebody left: out at once, everywhere.  Raises ``PeopleRefused``, ``NotAdmin`` and ``NoSuchPerson``."""
        self._allow(actor, "person.leave", f"person/{person[:80]}", lessening=True)
        with self._state.write() as tx:
            now, configuration = self._clock(), _configuration(tx)
            who = _known(tx, person)
            if who.left:
                raise PeopleRefused("person", f"{who.name} left already")
            account = tx.account(person) or Account(person, now, email=who.email.lower(), name=who.name, team=who.team)
            tx.put_account(replace(account, left_at=now, password=None, subject=""))
            _end_others(tx, who.email.lower(), now)
            mine = [each.grant for each in tx.granted() if each.grant.person == person]
            done = Farewell(
                person, self._sign_in.end_all(tx, person), sum(tx.drop_grant(grant) for grant in mine),
                _revoke_tester_keys(tx, person, now),
                [each for each in orphans(configuration, everybody(tx, configuration)) if each.person == person],
            )  # fmt: skip
            self._audit(
                tx, actor, "person.leave", f"person/{person}", who.team, after=msgspec.to_builtins(done)
            )  # fmt: skip
        return done

    def bring_back(self, person: str, actor: Actor) -> Person:
        """Whoever left is back, without what was granted.  Raises ``PeopleRefused``, ``NotAdmin``, ``NoSuchPerson``."""
        self._allow(actor, "person.return", f"person/{person[:80]}")
        with self._state.write() as tx:
            who, account = _known(tx, person), tx.account(person)
            if account is None or account.left_at is None:
                where = ": people.yaml says so, and is where to change it" if who.left else " not"
                raise PeopleRefused("person", f"{who.name} left{where}")
            tx.put_account(replace(account, left_at=None))
            self._audit(tx, actor, "person.return", f"person/{person}", who.team)
            return everybody(tx)[person]

    def orphans(self) -> list[Orphan]:
        """What has no living owner."""
        with self._state.read() as tx:
            configuration = _configuration(tx)
            return orphans(configuration, everybody(tx, configuration))

    # --- inside

    def _allow(self, actor: Actor, action: str, target: str, *, lessening: bool = False) -> None:
        """Only an admin lets people in; what is ``lessening`` whoever runs the install may do, too.  For anybody else
        it is audited and raises ``NotAdmin``."""
        with self._state.read() as tx:
            if "people" in standing_of(tx, actor.id).everywhere() or (lessening and actor.id.startswith("os:")):
                return
        with self._state.write() as tx:
            event = Event(
                actor=actor.id, on_behalf_of=actor.on_behalf_of, action=action, target=target[:200], outcome="denied",
            )  # fmt: skip
            tx.append_audit(chain(tx.last_audit(), event, self._clock()))
        how = "; log in first: roadworthy login CODE" if actor.id.startswith("os:") else ""
        raise NotAdmin(f"{actor.id} may not do this: only an admin says who comes and what they may do{how}")

    def _open(self, tx: PeopleTransaction, token: str) -> tuple[Invitation, Person | None]:
        """An invitation that can be taken, and who has its address today.  Raises ``InvitationRefused``."""
        found = tx.invitation(self._sign_in.hash(token[:200]))
        if found is None or not _stands(tx, found, self._clock()):
            raise InvitationRefused
        same = with_email(everybody(tx), found.email)
        if len(same) > 1 or any(person.left for person in same):
            raise InvitationRefused
        return found, same[0] if same else None

    def _looked(self, tx: PeopleTransaction, found: Invitation, known: Person | None) -> Looked:
        account = None if known is None else tx.account(known.id)
        inviter = everybody(tx).get(found.by)
        return Looked(
            found, known, account is not None and bool(account.password or account.subject),
            found.by if inviter is None else inviter.name,
        )  # fmt: skip

    def _welcome(
        self, tx: PeopleTransaction, found: Invitation, known: Person | None, via: str, place: From, *,
        name: str, password: str | None = None,
    ) -> SignedIn:  # fmt: skip
        now, people = self._clock(), everybody(tx)
        ident = known.id if known is not None else found.person
        if known is None and ident in _taken(tx, people):  # somebody else got this id meanwhile
            ident = new_id(found.email, _taken(tx, people))
        fresh = Account(ident, now, email=found.email, name=_name(name), team=found.team, invited=True)
        if known is not None:
            fresh = Account(ident, now, email=found.email, name=known.name, team=known.team)
        account = replace(tx.account(ident) or fresh, accepted_at=now)
        tx.put_account(account if password is None else replace(account, password=password))
        for grant in found.grants:
            self._grant(tx, replace(grant, person=ident), found.by)
        tx.put_invitation(replace(found, used_at=now, person=ident))
        event = Event(
            actor=ident, on_behalf_of=place.actor, action="invitation.accept", target=f"person/{ident}",
            team=found.team, after={"id": found.id, "invited_by": found.by},
        )  # fmt: skip
        tx.append_audit(chain(tx.last_audit(), event, now))
        return self._sign_in.open_session(tx, everybody(tx)[ident], via, place)

    def _grant(self, tx: PeopleTransaction, grant: Grant, by: str) -> None:
        """Whoever is admin because nobody was made one stays admin when they make somebody else one."""
        now = self._clock()
        every = [each.grant for each in tx.granted()]
        if grant.role == "admin" and by == first_admin(_configuration(tx), every, frozenset(left(tx))):
            tx.put_grant(Granted(_whole(Grant(by, "admin")), by, now))
        tx.put_grant(Granted(grant, by, now))

    def _bind(self, tx: PeopleTransaction, person: Person, subject: str) -> None:
        account = tx.account(person.id) or Account(person.id, self._clock(), email=person.email, team=person.team)
        tx.put_account(replace(account, subject=subject))

    def _audit(
        self, tx: PeopleTransaction, actor: Actor, action: str, target: str, team: str, *,
        before: object = None, after: object = None,
    ) -> None:  # fmt: skip
        event = Event(
            actor=actor.id, on_behalf_of=actor.on_behalf_of, action=action, target=target, before=before, after=after,
            team=team,
        )  # fmt: skip
        tx.append_audit(chain(tx.last_audit(), event, self._clock()))


def _files(configuration: Configuration | None) -> Collection[str]:
    return () if configuration is None else configuration.people


def _roles(
    person: str, configuration: Configuration | None, granted: Sequence[Granted], first: str | None
) -> list[Role]:  # fmt: skip
    held = [
        Role(grant.role, grant.where(), "owners" if grant.workflow else "people.yaml", _scope(grant))
        for grant in from_files(person, configuration)
    ]
    mine = [one.grant for one in granted if one.grant.person == person]
    held += [Role(grant.role, grant.where(), "granted", _scope(grant)) for grant in mine]
    if person == first:
        held.append(Role("admin", "everywhere", "nobody else is admin"))
    return held


def _scope(grant: Grant) -> str:
    return f"workflow:{grant.workflow}" if grant.workflow else f"team:{grant.team}"


def _stands(tx: PeopleTransaction, invitation: Invitation, now: float) -> bool:
    """Is it open, and may whoever made it let people in still?"""
    return invitation.open(now) and "people" in standing_of(tx, invitation.by).everywhere()


def _right_person(looked: Looked, signed_in: str | None) -> None:
    known = looked.person
    if signed_in is not None and (known is None or signed_in != known.id):
        raise WrongPerson(f"This invitation is for {looked.invitation.email}. Sign out first, then open it again.")
    if signed_in is None and looked.has_account:
        raise WrongPerson(f"{looked.invitation.email} has an account here. Sign in, then open this invitation again.")


def _only(people: dict[str, Person], address: str) -> Person | None:
    same = with_email(people, address)
    if len(same) > 1:
        names = ", ".join(person.id for person in same)
        raise PeopleRefused("email", f"{address} is the address of {names}; give each their own in people.yaml")
    return same[0] if same else None


def _known(tx: PeopleTransaction, person: str) -> Person:
    people = everybody(tx)
    if person not in people:
        raise NoSuchPerson(f"nobody is called {person[:80]!r}: {did_you_mean(person, people)}")
    return people[person]


def _taken(tx: PeopleTransaction, people: dict[str, Person]) -> set[str]:
    """Ids that mean somebody, and those that once did: the audit trail must not confuse two people."""
    return {*people, *(account.person for account in tx.accounts())}


def _whole(grant: Grant) -> Grant:
    """An admin is admin of the whole install."""
    return replace(grant, team="*") if grant.role == "admin" and grant.workflow is None else grant


def _back(tx: PeopleTransaction, person: str) -> str:
    account = tx.account(person)
    return (
        f"roadworthy people return {person}"
        if account is not None and account.left_at is not None
        else "remove 'left: true' from people.yaml and run roadworthy apply"
    )


def _name(name: str) -> str:
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    return plain[:LONGEST_NAME]


def _end_others(tx: PeopleTransaction, address: str, now: float) -> None:
    for other in tx.invitations():
        if other.email == address and other.open(now):
            tx.put_invitation(replace(other, ended_at=now))


def _team_of(grant: Grant, configuration: Configuration | None) -> str:
    workflow = None if configuration is None else configuration.workflows.get(grant.workflow or "")
    if workflow is not None:
        return workflow.team
    return grant.team if grant.team not in (None, "*") else DEFAULT_TEAM


def _revoke_tester_keys(tx: PeopleTransaction, person: str, now: float) -> int:
    every = tx.keys()
    mine = [key for key in every if key.person == person and key.revoked_at is None]
    for key in mine:
        tx.put_key(replace(key, revoked_at=now))
    return len(mine)


def _mail(
    tx: PeopleTransaction, made: Invitation, link: str, people: dict[str, Person], configuration: Configuration | None,
    now: float,
) -> bool:  # fmt: skip
    if configuration is None or configuration.settings.smtp is None:
        return False
    by = people[made.by].name if made.by in people else made.by
    roles = "\n".join(f"- {grant.role} {grant.where()}" for grant in made.grants)
    text = (
        f"{by} invites you to Roadworthy:\n\n{roles}\n\nOpen this link within seven days; it works once and is for "
        f"{made.email} alone:\n\n{link}\n\nIf you did not expect this, do nothing.\n"
    )
    body = msgspec.json.encode(Mail([made.email], f"{by} invites you to Roadworthy", text)).decode()
    tx.put_delivery(Delivery("msg_" + secrets.token_hex(12), made.team, "mail", MAIL, body, now, now))
    return True


def _note(grants: Sequence[Grant], configuration: Configuration | None) -> str:
    for grant in grants:
        if owner := other_owner(grant, configuration):
            return (
                f"The named owner of {grant.workflow} is {owner}, who alone approves, accepts and restores. To change "
                f"that: add {grant.person} to people.yaml, say owners: {{workflow: {grant.person}}} in "
                f"workflows/{grant.workflow}/workflow.yaml, and run `roadworthy apply`."
            )
    return ""


def _configuration(tx: PeopleTransaction) -> Configuration | None:
    applied = tx.applied()
    return None if applied is None else applied.configuration
