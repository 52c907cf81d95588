"""What accounts need of the state store; the same transaction object as ``workflow.ports.Transaction`` has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from roadworthy.people.accounts.model import Account, Granted, Invitation
from roadworthy.people.model import LoginSession
from roadworthy.people.roles import Grant
from roadworthy.workflow.ports import Transaction


class AccountTransaction(Protocol):
    """``put_…`` inserts or replaces."""

    def account(self, person: str) -> Account | None: ...

    def accounts(self) -> Sequence[Account]:
        """By person's id."""
        ...

    def put_account(self, account: Account) -> None: ...

    def invitation(self, token_hash: str) -> Invitation | None: ...

    def invitations(self, limit: int = 200) -> Sequence[Invitation]:
        """Newest first."""
        ...

    def put_invitation(self, invitation: Invitation) -> None: ...

    def granted(self) -> Sequence[Granted]:
        """Oldest first."""
        ...

    def put_grant(self, granted: Granted) -> None: ...

    def drop_grant(self, grant: Grant) -> bool:
        """``False``: nobody had it."""
        ...

    def login_sessions(self, person: str) -> Sequence[LoginSession]:
        """Newest first, of one instant the one put last; ended ones included."""
        ...


class KnowingTransaction(Transaction, AccountTransaction, Protocol):
    """Enough to know who somebody is."""
