"""Accounts, invitations and grants in ``state.db``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.people.accounts.model import Account, Granted, Invitation
from roadworthy.people.model import LoginSession
from roadworthy.people.roles import Grant


class AccountRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def account(self, person: str) -> Account | None:
        text = self._connection.scalar(sa.select(t.account.c.record).where(t.account.c.person == person))
        return None if text is None else msgspec.json.decode(text, type=Account)

    def accounts(self) -> Sequence[Account]:
        query = sa.select(t.account.c.record).order_by(t.account.c.person)
        return [msgspec.json.decode(text, type=Account) for text in self._connection.scalars(query)]

    def put_account(self, account: Account) -> None:
        row = {"person": account.person, "team": account.team, "email": account.email, "record": _text(account)}
        self._change(insert(t.account).values(**row).on_conflict_do_update(index_elements=["person"], set_=row))

    def invitation(self, token_hash: str) -> Invitation | None:
        text = self._connection.scalar(sa.select(t.invitation.c.record).where(t.invitation.c.hash == token_hash))
        return None if text is None else msgspec.json.decode(text, type=Invitation)

    def invitations(self, limit: int = 200) -> Sequence[Invitation]:
        c = t.invitation.c
        query = sa.select(c.record).order_by(c.created_at.desc(), c.hash).limit(limit)
        return [msgspec.json.decode(text, type=Invitation) for text in self._connection.scalars(query)]

    def put_invitation(self, invitation: Invitation) -> None:
        row = {
            "hash": invitation.hash, "team": invitation.team, "email": invitation.email,
            "created_at": invitation.created_at, "record": _text(invitation),
        }  # fmt: skip
        self._change(insert(t.invitation).values(**row).on_conflict_do_update(index_elements=["hash"], set_=row))

    def granted(self) -> Sequence[Granted]:
        c = t.role_grant.c
        query = sa.select(c.record).order_by(c.at, c.person, c.role, c.scope, c.workflow)
        return [msgspec.json.decode(text, type=Granted) for text in self._connection.scalars(query)]

    def put_grant(self, granted: Granted) -> None:
        grant = granted.grant
        row = {**_key(grant), "team": grant.team or "", "at": granted.at, "record": _text(granted)}
        same = ["person", "role", "scope", "workflow"]
        self._change(insert(t.role_grant).values(**row).on_conflict_do_update(index_elements=same, set_=row))

    def drop_grant(self, grant: Grant) -> bool:
        same = [t.role_grant.c[name] == value for name, value in _key(grant).items()]
        return self._change(sa.delete(t.role_grant).where(*same)).rowcount > 0

    def login_sessions(self, person: str) -> Sequence[LoginSession]:
        c = t.login_session.c
        last_first = sa.select(c.record).where(c.person == person).order_by(sa.literal_column("rowid").desc())
        rows = [msgspec.json.decode(text, type=LoginSession) for text in self._connection.scalars(last_first)]
        return sorted(rows, key=lambda row: -row.created_at)


def _key(grant: Grant) -> dict[str, str]:
    return {
        "person": grant.person, "role": grant.role, "scope": grant.team or "", "workflow": grant.workflow or "",
    }  # fmt: skip


def _text(record: msgspec.Struct) -> str:
    return msgspec.json.encode(record).decode()
