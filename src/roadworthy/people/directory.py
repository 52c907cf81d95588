"""Everybody: the people of ``people.yaml``, and those who were invited.

Whatever looks a person up looks here.  Whoever left is in it, with ``left``, so that names stay known; only people of
``people.yaml`` may be named owners, testers and the like in files.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from roadworthy.people.accounts.ports import AccountTransaction, KnowingTransaction
from roadworthy.people.roles import Standing, standing
from roadworthy.workflow.model import Configuration, Person


def everybody(tx: KnowingTransaction, configuration: Configuration | None = None) -> dict[str, Person]:
    """By id.  ``configuration``: the one in force, by whom it was read already."""
    configuration = configuration or _configuration(tx)
    found = {} if configuration is None else dict(configuration.people)
    for account in tx.accounts():
        if account.person in found:
            if account.left_at is not None:
                found[account.person] = replace(found[account.person], left=True)
        elif account.invited:
            found[account.person] = account.as_person()
    return found


def living(tx: KnowingTransaction, configuration: Configuration | None = None) -> dict[str, Person]:
    """Everybody who has not left."""
    return {name: person for name, person in everybody(tx, configuration).items() if not person.left}


def marked(tx: AccountTransaction, configuration: Configuration, at: float | None = None) -> Configuration:
    """The configuration, with everybody in it marked who had been said to have left by then; ``None``: by now."""
    gone = {name for name, when in left(tx).items() if name in configuration.people and (at is None or when <= at)}
    if not gone:
        return configuration
    people = {name: replace(person, left=person.left or name in gone) for name, person in configuration.people.items()}
    return replace(configuration, people=people)


def with_email(people: Mapping[str, Person], email: str) -> list[Person]:
    """Those with this address, whatever its case.  Where there are two, an address says nothing about who it is."""
    wanted = email.strip().lower()
    return [person for person in people.values() if wanted and person.email.lower() == wanted]


def called(people: Mapping[str, Person], name: str) -> Person | None:
    """The one with this id, or the only one with this address."""
    if name in people:
        return people[name]
    found = with_email(people, name)
    return found[0] if len(found) == 1 else None


def standing_of(tx: KnowingTransaction, person: str, configuration: Configuration | None = None) -> Standing:
    """What somebody may do.  Fails closed: a stranger, and whoever left, may do nothing."""
    configuration = configuration or _configuration(tx)
    return standing(person, configuration, [each.grant for each in tx.granted()], frozenset(left(tx)))


def left(tx: AccountTransaction) -> dict[str, float]:
    """Who left, and when, as ``roadworthy people leave`` was told; whoever left by ``people.yaml`` is not in it."""
    return {account.person: account.left_at for account in tx.accounts() if account.left_at is not None}


def _configuration(tx: KnowingTransaction) -> Configuration | None:
    applied = tx.applied()
    return None if applied is None else applied.configuration
