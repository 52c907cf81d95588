"""What a password must be, what id somebody gets, who no longer owns what: pure decisions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final, Literal

import msgspec

from roadworthy.people.roles import ROLES, Grant
from roadworthy.workflow.fields import NAME
from roadworthy.workflow.model import Configuration, Person
from roadworthy.workflow.problems import did_you_mean

SHORTEST: Final = 12
LONGEST: Final = 200
"""Characters of a password; hashing more would only cost."""
ADDRESS: Final = re.compile(r"[^@\s<>,;:\"']{1,64}@[A-Za-z0-9.-]{1,190}")
RESERVED: Final = frozenset({"engine"})
"""Ids that nobody may have, as Roadworthy calls itself so."""
COMMON: Final = frozenset(
    {
        "password", "passwort", "passw0rd", "p@ssword", "p@ssw0rd", "qwerty", "qwertz", "azerty", "letmein", "welcome",
        "willkommen", "admin", "administrator", "iloveyou", "monkey", "dragon", "football", "baseball", "sunshine",
        "princess", "superman", "batman", "trustno", "changeme", "secret", "geheim", "master", "login", "hello",
        "roadworthy", "company", "spring", "summer", "autumn", "winter", "qwertyuiop", "asdfghjkl", "qazwsx", "abc",
    }
)  # fmt: skip
"""Words that are no password however they are repeated, or ended with digits."""
SEQUENCES: Final = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm")

Duty = Literal["workflow", "prompt", "cost", "on_call", "rotation", "catch_all"]
"""What a person was named for: as an owner of a workflow, or in a rotation."""


class Orphan(msgspec.Struct, frozen=True):
    """Something that is in the name of somebody who has left."""

    name: str
    """Of the workflow, or of the rotation."""
    duty: Duty
    person: str

    def __str__(self) -> str:
        if self.duty in ("rotation", "catch_all"):
            part = "the catch-all of rotation" if self.duty == "catch_all" else "a member of rotation"
            return f"{part} {self.name}"
        return self.name if self.duty == "workflow" else f"{self.name} ({self.duty.replace('_', '-')})"


def password_problem(password: str, *, email: str = "", name: str = "") -> str | None:
    """Why this is no password; ``None``: it may be one.  Length does most; the rest keeps out what is tried first."""
    if len(password) < SHORTEST:
        return f"found {len(password)} characters, expected {SHORTEST} or more: several words are easiest to keep"
    if len(password) > LONGEST:
        return f"found {len(password)} characters, expected at most {LONGEST}"
    plain = password.lower()
    if len(set(plain)) < 5:
        return "it repeats a few characters; take several words"
    cores = {re.sub(r"[^a-z@]", "", each) for each in (plain, plain.replace("0", "o"))}
    words = [part.lower() for part in re.split(r"[^A-Za-z]+", f"{email.partition('@')[0]} {name}") if len(part) > 3]
    if any(_made_of(core, COMMON | set(words)) for core in cores):
        return "it is among the first that are tried: a common word, or your name, with something added"
    if any(plain in both for line in SEQUENCES for both in (line, line[::-1])):
        return "it is a row of keys or digits; take several words"
    return None


def _made_of(text: str, words: Collection[str]) -> bool:
    """Is this a repetition of one of these words?"""
    return text != "" and any(len(word) > 2 and text.replace(word, "") == "" for word in words)


def address_of(email: str) -> str | None:
    """An address as it is kept, in lower case; ``None``: this is none."""
    text = email.strip()
    return text.lower() if ADDRESS.fullmatch(text) else None


def new_id(email: str, taken: Collection[str]) -> str:
    """An id for whoever is invited, after their address: ``bob``, or ``bob-2`` where there is a bob."""
    base = re.sub(r"[^a-z0-9._-]+", "-", email.partition("@")[0].lower()).strip("._-")[:50] or "person"
    names = (base, *(f"{base}-{number}" for number in range(2, len(taken) + 4)))
    return next(name for name in names if name not in taken and name not in RESERVED)


def grant_problem(grant: Grant, configuration: Configuration | None) -> tuple[str, str] | None:
    """(field, why) a role cannot be granted so; ``None``: it can."""
    if grant.role not in ROLES:
        return "role", f"found {grant.role!r}, expected one of {', '.join(ROLES)}"
    if (grant.team is None) == (grant.workflow is None):
        return "team", "say where the role is held: --workflow NAME or --team NAME"
    if grant.workflow is not None:
        known = [] if configuration is None else list(configuration.workflows)
        if grant.role == "admin":
            return "workflow", "an admin is admin of the whole install; leave --workflow out, or give the role owner"
        if grant.workflow not in known:
            meant = did_you_mean(grant.workflow, known)
            return "workflow", f"found {grant.workflow[:80]!r}, expected one that is configured: {meant}"
    if grant.team is not None and grant.team != "*" and re.fullmatch(NAME, grant.team) is None:
        return "team", f"found {grant.team[:80]!r}, expected the name of a team, or * for every one"
    return None


def orphans(configuration: Configuration | None, people: Mapping[str, Person]) -> list[Orphan]:
    """What has no living owner, by workflow.  ``people``: everybody, with those who left."""
    if configuration is None:
        return []
    named: list[Orphan] = []
    for name, workflow in sorted(configuration.workflows.items()):
        owners = workflow.owners
        named += [Orphan(name, "workflow", owners.workflow), Orphan(name, "prompt", owners.prompt)]
        named.append(Orphan(name, "cost", owners.cost))
        if owners.on_call is not None and owners.on_call not in configuration.on_call:
            named.append(Orphan(name, "on_call", owners.on_call))
    for name, rotation in sorted(configuration.on_call.items()):
        named += [Orphan(name, "rotation", member) for member in rotation.members]
        named.append(Orphan(name, "catch_all", rotation.catch_all))
    return [each for each in named if each.person not in people or people[each.person].left]


def owned(person: str, configuration: Configuration | None) -> list[str]:
    """What somebody is named for: ``support (workflow)``."""
    found = []
    for name, workflow in sorted(({} if configuration is None else configuration.workflows).items()):
        owners = workflow.owners
        duties = [duty for duty in owners.__struct_fields__ if getattr(owners, duty) == person]
        found += [f"{name} ({duty.replace('_', '-')})" for duty in duties]
    return found


def other_owner(grant: Grant, configuration: Configuration | None) -> str | None:
    """The named owner of a workflow, where somebody else gets the role of one; ``None``: there is nothing to say."""
    workflow = None if configuration is None else configuration.workflows.get(grant.workflow or "")
    if grant.role != "owner" or workflow is None or workflow.owners.workflow == grant.person:
        return None
    return workflow.owners.workflow
