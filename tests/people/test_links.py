"""Mailed links: one person, one action, once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from paging_support import applied

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.people.links.service import PLACE, LinkRefused, Links

KEY = b"k" * 32


class Desk:
    def __init__(self, state: MemoryState | SqliteState | None = None) -> None:
        self.now = 1000.0
        self.state = state or MemoryState()
        applied(self.state)
        self.links = Links(self.state, KEY, clock=lambda: self.now)

    def made(self, person: str = "ada", life: float = 60.0) -> str:
        return self.links.make("acknowledge", "inc_1", person, life).removeprefix(PLACE)

    def refused(self, token: str) -> Sequence[str]:
        said = []
        for ask in (self.links.look, self.links.use):
            with pytest.raises(LinkRefused) as error:
                ask(token)
            said.append(str(error.value))
        return said


def test_a_scanner_that_fetches_a_link_twice_changes_nothing() -> None:
    desk = Desk()
    token = desk.made()
    with desk.state.read() as tx:
        before = list(tx.audit())
    assert [desk.links.look(token), desk.links.look(token)] == [desk.links.look(token)] * 2
    with desk.state.read() as tx:
        assert list(tx.audit()) == before
    assert desk.links.use(token).person == "ada"


def test_a_link_works_once() -> None:
    desk = Desk()
    token = desk.made()
    used = desk.links.use(token, "192.0.2.7")
    assert (used.action, used.subject, used.person) == ("acknowledge", "inc_1", "ada")
    desk.refused(token)
    with desk.state.read() as tx:
        trail = [(row.actor, row.action, row.target, row.outcome, row.on_behalf_of) for row in tx.audit()][-2:]
    assert trail == [("ada", "link.acknowledge", "inc_1", "done", "192.0.2.7"),
                     ("ada", "link.acknowledge", "inc_1", "denied", "")]  # fmt: skip


def test_of_twenty_that_use_a_link_at_once_one_gets_it(tmp_path: Path) -> None:
    desk = Desk(SqliteState(tmp_path / "state.db"))
    token = desk.made()

    def use(_: int) -> bool:
        try:
            desk.links.use(token)
        except LinkRefused:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(use, range(20))) == 1


def test_used_expired_unknown_and_a_leavers_are_refused_in_the_same_words() -> None:
    desk = Desk()
    used, expired, leaver = desk.made(), desk.made(life=10.0), desk.made(person="gone")
    desk.links.use(used)
    desk.now += 10.0
    said = {*desk.refused(used), *desk.refused(expired), *desk.refused(leaver), *desk.refused("x" * 5000)}
    assert len(said) == 1


def test_an_unknown_token_writes_nothing_to_the_audit_trail() -> None:
    desk = Desk()
    with desk.state.read() as tx:
        before = list(tx.audit())
    desk.refused("nobody-made-this")
    with desk.state.read() as tx:
        assert list(tx.audit()) == before


def test_the_token_is_256_bits_and_never_in_state(tmp_path: Path) -> None:
    desk = Desk(SqliteState(tmp_path / "state.db"))
    token = desk.made()
    assert len(token) == 43
    desk.state.scrub()
    assert token.encode() not in (tmp_path / "state.db").read_bytes()


def test_the_path_of_a_link_is_made_anew_from_its_id_and_the_key() -> None:
    desk = Desk()
    with desk.state.write() as tx:
        ident = desk.links.note(tx, "stop", "support", "ada", 60.0)
    path = desk.links.path(ident)
    assert path == Links(desk.state, KEY, clock=lambda: desk.now).path(ident)
    assert path != Links(desk.state, b"another key", clock=lambda: desk.now).path(ident)
    assert desk.links.look(path.removeprefix(PLACE)).action == "stop"


def test_what_could_not_be_done_may_be_tried_again() -> None:
    desk = Desk()
    token = desk.made()
    desk.links.give_back(desk.links.use(token))
    assert desk.links.use(token).person == "ada"
