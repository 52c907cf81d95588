"""API keys: made, rotated, revoked.  A token is shown once and kept as its HMAC.

A key's id stays when its token changes, so an app is the same row in the log before and after a rotation.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from roadworthy.http1.origin import Origin
from roadworthy.people.outbox.service import callback_secret
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.kinds import address_problem
from roadworthy.workflow.model import DEFAULT_TEAM, ApiKey, Configuration, Workflow
from roadworthy.workflow.ports import State, Transaction
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

LONGEST_GRACE = 30 * 86400.0
MOST_CALLBACKS = 10


class KeyRefused(Exception):
    """The key cannot be made so.  ``field`` is the one to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class KeySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a new key is to be."""

    name: str
    workflows: list[str] = msgspec.field(default_factory=lambda: ["*"])
    kind: Literal["live", "tester"] = "live"
    person: str | None = None
    team: str | None = None
    """``None``: the team of its workflows, or the default one."""
    headers: Literal["full", "minimal"] = "full"
    body_object: bool = True
    requests_per_minute: int | None = None
    expires_at: float | None = None
    callbacks: list[str] = []
    """URLs to which answers of escalated calls may be sent."""
    callbacks_private: bool = False


class NewToken(msgspec.Struct, frozen=True):
    key: ApiKey
    token: str
    """The only time that it is seen."""
    callback_secret: str | None = None
    """What signs the answers sent to the key's callbacks; stays the same for as long as the key lives."""


class Keys:
    def __init__(
        self,
        state: State,
        hmac_key: bytes,
        *,
        clock: Callable[[], float],
        token: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self._state = state
        self._hmac_key = hmac_key
        self._clock = clock
        self._token = token

    def all(self) -> Sequence[ApiKey]:
        """Oldest first, revoked ones included."""
        with self._state.read() as tx:
            return tx.keys()

    def create(self, spec: KeySpec, actor: Actor) -> NewToken:
        """Raises ``KeyRefused``."""
        now = self._clock()
        with self._state.write() as tx:
            applied = tx.applied()
            team = vet(spec, None if applied is None else applied.configuration, now)
            token = self._new_token(spec.kind)
            key = ApiKey(
                id=_key_id(),
                hash=self.hash(token),
                name=spec.name.strip(),
                team=team,
                workflows=spec.workflows,
                kind=spec.kind,
                person=spec.person,
                headers=spec.headers,
                body_object=spec.body_object,
                requests_per_minute=spec.requests_per_minute,
                created_at=now,
                created_by=actor.id,
                callbacks=spec.callbacks,
                callbacks_private=spec.callbacks_private,
                expires_at=spec.expires_at,
            )
            tx.put_key(key)
            self._record(tx, actor, "key.create", key, after=_facts(key))
        return self._made(key, token)

    def rotate(self, key_id: str, actor: Actor, *, grace: float = 0.0) -> NewToken:
        """Give the key a new token; the old one is good for ``grace`` seconds more.

        During the grace the old token is a key of its own, with the id in its name.  Raises ``Unknown`` and
        ``KeyRefused``.
        """
        if not 0.0 <= grace <= LONGEST_GRACE:
            raise KeyRefused("grace", f"found {grace:g} s, expected 0 to {LONGEST_GRACE:g} s (30 days)")
        now = self._clock()
        with self._state.write() as tx:
            old = _usable(tx, key_id, now)
            token = self._new_token(old.kind)
            new = msgspec.structs.replace(old, hash=self.hash(token))
            tx.put_key(new)
            until = now + grace if old.expires_at is None else min(now + grace, old.expires_at)
            if grace > 0.0:
                tx.put_key(
                    msgspec.structs.replace(
                        old, id=_key_id(), name=f"{old.name} (old token of {old.id})", expires_at=until
                    )
                )
            self._record(tx, actor, "key.rotate", new, after={"old_token_until": until if grace > 0.0 else now})
        return self._made(new, token)

    def revoke(self, key_id: str, actor: Actor) -> ApiKey:
        """End the key for good.  Raises ``Unknown``; a revoked key is returned as it is."""
        now = self._clock()
        with self._state.write() as tx:
            key = tx.key(key_id)
            if key is None:
                raise _unknown(tx, key_id)
            if key.revoked_at is not None:
                return key
            revoked = msgspec.structs.replace(key, revoked_at=now)
            tx.put_key(revoked)
            self._record(tx, actor, "key.revoke", revoked, before=_facts(key))
        return revoked

    def hash(self, token: str) -> str:
        return hmac.new(self._hmac_key, token.encode(), hashlib.sha256).hexdigest()

    def _made(self, key: ApiKey, token: str) -> NewToken:
        return NewToken(key, token, callback_secret(self._hmac_key, key) if key.callbacks else None)

    def _new_token(self, kind: Literal["live", "tester"]) -> str:
        return ("rw-" if kind == "live" else "rwt-") + self._token(30)

    def _record(
        self, tx: Transaction, actor: Actor, action: str, key: ApiKey, *, before: object = None, after: object = None
    ) -> None:
        event = Event(
            actor=actor.id,
            on_behalf_of=actor.on_behalf_of,
            action=action,
            target=f"key/{key.id}",
            before=before,
            after=after,
            team=key.team,
        )
        tx.append_audit(chain(tx.last_audit(), event, self._clock()))


def vet(spec: KeySpec, configuration: Configuration | None, now: float) -> str:
    """The team of the key, or ``KeyRefused``: a pure rule."""
    if not 1 <= len(spec.name.strip()) <= 80:
        raise KeyRefused("name", f"found {len(spec.name.strip())} characters, expected a name of 1 to 80")
    if spec.requests_per_minute is not None and spec.requests_per_minute < 1:
        raise KeyRefused("requests_per_minute", f"found {spec.requests_per_minute}, expected 1 or more")
    if spec.expires_at is not None and spec.expires_at <= now:
        raise KeyRefused("expires_at", "found an instant in the past, expected one to come")
    for url in spec.callbacks:
        try:
            Origin.from_url(url)
        except ValueError as error:
            raise KeyRefused("callbacks", str(error)) from error
        if wrong := address_problem(url, spec.callbacks_private):
            found, expected, _ = wrong
            raise KeyRefused("callbacks", f"found {found}, expected {expected} (or say --callback-private)")
    if len(spec.callbacks) > MOST_CALLBACKS:
        raise KeyRefused("callbacks", f"found {len(spec.callbacks)}, expected at most {MOST_CALLBACKS}")
    workflows = {} if configuration is None else configuration.workflows
    named = _named(spec, workflows)
    teams = {workflow.team for workflow in named if spec.workflows != ["*"]}
    team = spec.team or (teams.pop() if len(teams) == 1 else DEFAULT_TEAM)
    strangers = sorted(workflow.name for workflow in named if workflow.team != team and spec.workflows != ["*"])
    if strangers:
        raise KeyRefused("workflows", f"a key of team {team!r} cannot call {strangers[0]!r}, which is another team's")
    _vet_person(spec, configuration, [workflow for workflow in named if workflow.team == team])
    return team


def _named(spec: KeySpec, workflows: dict[str, Workflow]) -> list[Workflow]:
    if spec.workflows == ["*"]:
        return list(workflows.values())
    if not spec.workflows or "*" in spec.workflows:
        raise KeyRefused("workflows", f"found {spec.workflows}, expected names of workflows, or '*' alone for all")
    for name in spec.workflows:
        if name not in workflows:
            raise KeyRefused("workflows", f"found {name!r}, expected a workflow: {did_you_mean(name, workflows)}")
    return [workflows[name] for name in spec.workflows]


def _vet_person(spec: KeySpec, configuration: Configuration | None, named: list[Workflow]) -> None:
    if spec.kind == "live":
        if spec.person is not None:
            raise KeyRefused("person", "found a person on a live key; only tester keys belong to one")
        return
    if spec.person is None:
        raise KeyRefused("person", "found nothing, expected the person that the tester key belongs to")
    people = {} if configuration is None else configuration.people
    if spec.person not in people:
        raise KeyRefused(
            "person", f"found {spec.person!r}, expected a person of people.yaml: {did_you_mean(spec.person, people)}"
        )
    if people[spec.person].left:
        raise KeyRefused("person", f"{spec.person!r} has left, as people.yaml says")
    if not any(spec.person in workflow.policy.testers for workflow in named):
        raise KeyRefused(
            "person",
            f"{spec.person!r} is a tester of none of the key's workflows; add them to policy.testers "
            "in its workflow.yaml and run `roadworthy apply`",
        )


def _usable(tx: Transaction, key_id: str, now: float) -> ApiKey:
    key = tx.key(key_id)
    if key is None:
        raise _unknown(tx, key_id)
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise KeyRefused("id", f"key {key_id} is revoked or expired; create a new one")
    return key


def _unknown(tx: Transaction, key_id: str) -> Unknown:
    known = tx.keys()
    return Unknown(f"no key {key_id!r}: {did_you_mean(key_id, [key.id for key in known])}")


def _key_id() -> str:
    return f"key_{secrets.token_hex(6)}"


def _facts(key: ApiKey) -> dict[str, object]:
    """What the audit trail keeps of a key: not its hash."""
    return {name: value for name, value in msgspec.to_builtins(key).items() if name != "hash"}
