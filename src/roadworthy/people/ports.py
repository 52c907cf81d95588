"""What people need of the state store; the same transaction object as ``workflow.ports.Transaction`` has it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from roadworthy.people.accounts.ports import AccountTransaction
from roadworthy.people.escalation.model import Escalation, State, Worked
from roadworthy.people.incident.model import Incident
from roadworthy.people.links.service import LinkTransaction
from roadworthy.people.model import LoginCode, LoginSession
from roadworthy.people.outbox.model import Delivery, DeliveryState, Kind
from roadworthy.people.paging.ports import PageTransaction
from roadworthy.workflow.ports import Transaction


class LoginTransaction(Protocol):
    """Codes and sessions, looked up by hash; ``put_…`` inserts or replaces by hash."""

    def login_code(self, code_hash: str) -> LoginCode | None: ...

    def put_login_code(self, code: LoginCode) -> None: ...

    def login_session(self, token_hash: str) -> LoginSession | None: ...

    def put_login_session(self, session: LoginSession) -> None: ...


class WhichEscalations(msgspec.Struct, frozen=True):
    """``None``: whatever it is."""

    workflow: str | None = None
    states: tuple[State, ...] | None = None
    unit: str | None = None
    team: str | None = None


class EscalationTransaction(Protocol):
    def escalation(self, ident: str) -> Escalation | None: ...

    def add_escalation(self, escalation: Escalation) -> bool:
        """Insert; ``False`` when its id is there already, and then nothing is changed."""
        ...

    def put_escalation(self, escalation: Escalation) -> None:
        """Replace the one with the same id."""
        ...

    def escalations(self, which: WhichEscalations, limit: int) -> Sequence[Escalation]:
        """Newest first."""
        ...

    def waiting_escalations(self, workflow: str | None, limit: int) -> Sequence[Escalation]:
        """Open ones, the most urgent first; drills are left out."""
        ...

    def open_escalations(self) -> dict[str, int]:
        """Workflow → how many wait for a human, drills left out; workflows without any are left out."""
        ...

    def overdue_escalations(self, now: float, limit: int) -> Sequence[Escalation]:
        """Open ones whose ``answer_by`` or lease is over."""
        ...

    def last_escalation_seq(self) -> int: ...

    def escalations_after(self, seq: int, limit: int) -> Sequence[Escalation]:
        """Changed after ``seq``, in that order."""
        ...

    def worked_escalations(self, workflow: str | None, since: float, limit: int) -> Sequence[Worked]:
        """Opened since then, newest first, without their texts; drills are left out."""
        ...

    def escalated_units(self) -> Sequence[tuple[str, float]]:
        """Each (user, when) that the escalations and messages know, once."""
        ...

    def forget_escalations(self, unit: str, until: float) -> tuple[Sequence[str], int]:
        """Delete a user's escalations opened until then and all messages about the user → (ids, messages)."""
        ...

    def mentions(self, unit: str) -> int:
        """How many escalations and messages are about a user."""
        ...

    def expire_escalations(self, before: float) -> int:
        """Delete those that were closed before then → how many."""
        ...


class DeliveryTransaction(Protocol):
    def delivery(self, ident: str) -> Delivery | None: ...

    def put_delivery(self, delivery: Delivery) -> None:
        """Insert, or replace the one with the same id."""
        ...

    def due_deliveries(self, now: float, limit: int, *, pages: bool | None = None) -> Sequence[Delivery]:
        """Those that wait and whose time has come, oldest first.  ``pages``: only those of pages, or only others."""
        ...

    def deliveries(
        self, *, state: DeliveryState | None = None, about: str | None = None, kind: Kind | None = None, limit: int
    ) -> Sequence[Delivery]:
        """Newest first."""
        ...

    def count_deliveries(self) -> dict[DeliveryState, int]: ...

    def expire_deliveries(self, before: float) -> int:
        """Delete those that ended before then → how many."""
        ...

    def receive_message(self, sender: str, ident: str, at: float) -> bool:
        """Note a message that came in; ``False`` when this one came before."""
        ...

    def expire_messages(self, before: float) -> int: ...


class IncidentTransaction(Protocol):
    def incident(self, ident: str) -> Incident | None: ...

    def newest_incident(self, key: str) -> Incident | None: ...

    def put_incident(self, incident: Incident) -> None:
        """Insert, or replace the one with the same id."""
        ...

    def count_open_incidents(self) -> int: ...

    def incidents(
        self, *, open_only: bool = False, workflow: str | None = None, inference: str | None = None,
        drills: bool = True, limit: int = 100,
    ) -> Sequence[Incident]:  # fmt: skip
        """Seen last first.  ``inference``: only those that remember one whose id begins so; ``drills``: those that
        drills caused, too."""
        ...


class PeopleTransaction(
    Transaction,
    LoginTransaction,
    AccountTransaction,
    EscalationTransaction,
    DeliveryTransaction,
    IncidentTransaction,
    PageTransaction,
    LinkTransaction,
    Protocol,
):
    """All of them: one transaction."""


class PeopleState(Protocol):
    def read(self) -> AbstractContextManager[PeopleTransaction]: ...

    def write(self) -> AbstractContextManager[PeopleTransaction]: ...
