"""Accounts and invitations.  Of every secret only a hash is kept; instants are Unix seconds."""

from __future__ import annotations

import msgspec

from roadworthy.people.roles import Grant
from roadworthy.workflow.model import DEFAULT_TEAM, Person


class Account(msgspec.Struct, frozen=True, omit_defaults=True):
    """What state knows of a person: of one who was invited, everything; of one of ``people.yaml``, what that lacks."""

    person: str
    created_at: float
    email: str = ""
    """Lower case.  Of a person of ``people.yaml`` the file's address counts."""
    name: str = ""
    team: str = DEFAULT_TEAM
    password: str | None = None
    """An Argon2id hash with its parameters."""
    invited: bool = False
    """This person exists because somebody invited them, and in no file."""
    accepted_at: float | None = None
    seen_at: float | None = None
    """When they last signed in."""
    left_at: float | None = None
    """When they left, by ``roadworthy people leave``."""
    subject: str = ""
    """``ISSUER SUBJECT`` of the identity provider that vouched for them first; another subject with the same address is
    somebody else."""
    zone: str = ""
    """Their own time zone; empty: as ``people.yaml`` or the install says."""

    def as_person(self) -> Person:
        return Person(
            self.person, self.name or self.email, self.email, team=self.team, roles=(), zone=self.zone,
            left=self.left_at is not None,
        )  # fmt: skip


class Invitation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A link that lets somebody in, once."""

    hash: str
    """Hex HMAC-SHA256 of the token under the install's ``hmac.key``."""
    email: str
    """Lower case."""
    person: str
    """The id that whoever accepts will have: of somebody known already, theirs."""
    grants: list[Grant]
    by: str
    created_at: float
    expires_at: float
    used_at: float | None = None
    ended_at: float | None = None
    """Withdrawn, or another was sent to the same address."""
    team: str = DEFAULT_TEAM

    @property
    def id(self) -> str:
        return f"inv_{self.hash[:12]}"

    def open(self, now: float) -> bool:
        return self.used_at is None and self.ended_at is None and now < self.expires_at


class Granted(msgspec.Struct, frozen=True):
    """A grant, with who made it and when."""

    grant: Grant
    by: str
    at: float
