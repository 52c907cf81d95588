"""One suite for what both adapters of the state port keep of accounts, invitations, grants and sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.people.accounts.model import Account, Granted, Invitation
from roadworthy.people.model import LoginSession
from roadworthy.people.roles import Grant

Store = MemoryState | SqliteState
replace = msgspec.structs.replace
VIEWER = Grant("zoe", "viewer", team="default")


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def test_an_account_comes_back_whole_is_replaced_and_listed_by_id(state: Store) -> None:
    zoe = Account("zoe", 1.0, "zoe@x.org", "Zoë", "money", "$argon2id$", True, 2.0, 3.0, None, "https://id 1", "UTC")
    with state.write() as tx:
        for each in (zoe, Account("ada", 1.0), replace(zoe, name="Zoe")):
            tx.put_account(each)
    with state.read() as tx:
        assert tx.account("zoe") == replace(zoe, name="Zoe")
        assert tx.account("nobody") is None
        assert [each.person for each in tx.accounts()] == ["ada", "zoe"]


def test_invitations_are_found_by_hash_and_listed_newest_first(state: Store) -> None:
    made = [Invitation(f"h{n}", "zoe@x.org", "zoe", [VIEWER], "ada", float(n), 9.0) for n in (1, 3, 2)]
    with state.write() as tx:
        for each in [*made, replace(made[0], used_at=5.0)]:
            tx.put_invitation(each)
    with state.read() as tx:
        assert tx.invitation("h1") == replace(made[0], used_at=5.0)
        assert tx.invitation("h9") is None
        assert [each.hash for each in tx.invitations()] == ["h3", "h2", "h1"]
        assert len(tx.invitations(limit=2)) == 2


def test_a_grant_is_there_once_and_dropped_once(state: Store) -> None:
    other = Grant("zoe", "viewer", workflow="support")
    with state.write() as tx:
        for at, grant in enumerate((VIEWER, other, VIEWER)):
            tx.put_grant(Granted(grant, "ada", float(at)))
    with state.write() as tx:
        assert [(each.grant, each.at) for each in tx.granted()] == [(other, 1.0), (VIEWER, 2.0)]
        assert tx.drop_grant(VIEWER)
        assert not tx.drop_grant(VIEWER)
        assert [each.grant for each in tx.granted()] == [other]


def test_sessions_of_a_person_are_listed_newest_first(state: Store) -> None:
    rows = [LoginSession(f"h{n}", who, float(n), 99.0) for n, who in ((1, "zoe"), (2, "ada"), (3, "zoe"))]
    with state.write() as tx:
        for row in rows:
            tx.put_login_session(row)
    with state.read() as tx:
        assert [each.hash for each in tx.login_sessions("zoe")] == ["h3", "h1"]


def test_of_sessions_of_one_instant_the_last_is_the_newest(state: Store) -> None:
    with state.write() as tx:
        for name in ("h2", "h9", "h1"):
            tx.put_login_session(LoginSession(name, "zoe", 5.0, 99.0))
        tx.put_login_session(LoginSession("h9", "zoe", 5.0, 99.0, ended_at=6.0))
    with state.read() as tx:
        assert [each.hash for each in tx.login_sessions("zoe")] == ["h1", "h9", "h2"]
