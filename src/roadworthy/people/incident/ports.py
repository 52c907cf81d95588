"""What incidents need of whoever wakes people."""

from __future__ import annotations

from typing import Protocol

from roadworthy.people.incident.model import Incident
from roadworthy.people.ports import PeopleTransaction


class Pager(Protocol):
    """Pages people about incidents of class ``page``, in the transaction that changes the incident."""

    def page(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        """Begin to page whoever is on call; also when it was opened again, or grew from one that only notifies."""
        ...

    def acknowledged(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        """``incident.acknowledged_by`` is on it: nobody else is paged."""
        ...

    def resolved(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        """It is over, or of class ``notify`` again: nobody need be awake for what is left of it."""
        ...


class Silent:
    """Where nobody can be paged: incidents are told as notices only."""

    def page(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        pass

    def acknowledged(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        pass

    def resolved(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        pass
