"""The in-memory twin of the accounts, invitations and grants of the state store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from roadworthy.people.accounts.model import Account, Granted, Invitation
from roadworthy.people.model import LoginSession
from roadworthy.people.roles import Grant


@dataclass
class Accounts:
    accounts: dict[str, Account] = field(default_factory=dict)
    invitations: dict[str, Invitation] = field(default_factory=dict)
    grants: dict[Grant, Granted] = field(default_factory=dict)

    def copy(self) -> Accounts:
        return Accounts(dict(self.accounts), dict(self.invitations), dict(self.grants))


class AccountTables:
    """Needs ``_known``, ``_known_change`` and ``_sessions`` of ``MemoryTransaction``."""

    @property
    def _known(self) -> Accounts:
        raise NotImplementedError

    @property
    def _known_change(self) -> Accounts:
        raise NotImplementedError

    @property
    def _sessions(self) -> dict[str, LoginSession]:
        raise NotImplementedError

    def account(self, person: str) -> Account | None:
        return self._known.accounts.get(person)

    def accounts(self) -> Sequence[Account]:
        return sorted(self._known.accounts.values(), key=lambda row: row.person)

    def put_account(self, account: Account) -> None:
        self._known_change.accounts[account.person] = account

    def invitation(self, token_hash: str) -> Invitation | None:
        return self._known.invitations.get(token_hash)

    def invitations(self, limit: int = 200) -> Sequence[Invitation]:
        return sorted(self._known.invitations.values(), key=lambda row: (-row.created_at, row.hash))[:limit]

    def put_invitation(self, invitation: Invitation) -> None:
        self._known_change.invitations[invitation.hash] = invitation

    def granted(self) -> Sequence[Granted]:
        def order(row: Granted) -> tuple[float, str, str, str, str]:
            return row.at, row.grant.person, row.grant.role, row.grant.team or "", row.grant.workflow or ""

        return sorted(self._known.grants.values(), key=order)

    def put_grant(self, granted: Granted) -> None:
        self._known_change.grants[granted.grant] = granted

    def drop_grant(self, grant: Grant) -> bool:
        return self._known_change.grants.pop(grant, None) is not None

    def login_sessions(self, person: str) -> Sequence[LoginSession]:
        last_first = [row for row in reversed(self._sessions.values()) if row.person == person]
        return sorted(last_first, key=lambda row: -row.created_at)
