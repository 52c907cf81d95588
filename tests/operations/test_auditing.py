"""The audit trail as people look at it."""

from __future__ import annotations

import dataclasses

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.operations.auditing import TrailCheck, differences, seen
from roadworthy.people.roles import Grant, Standing
from roadworthy.workflow.audit import Event, Which, chain

TEAMS = {"triage": "default", "vault": "other"}


def trail(count: int = 10) -> MemoryState:
    state = MemoryState()
    with state.write() as tx:
        for number in range(count):
            target = ("workflow/triage", "workflow/vault", "key/key_1")[number % 3]
            event = Event("ada", "kill.off", target, team="other" if number % 2 else "default")
            tx.append_audit(chain(tx.last_audit(), event, 100.0 + number))
    return state


def test_the_chain_is_verified_piece_by_piece_and_whole() -> None:
    check = TrailCheck(trail(10), lambda: 500.0)
    first = check.look(4)
    assert (first.seq, first.newest, first.at, first.broken) == (4, 10, 500.0, None)
    assert check.look(4).seq == 8
    assert check.whole().seq == 10


@pytest.mark.parametrize("field", ["actor", "reason", "previous", "hash"])
def test_a_record_that_was_changed_is_found(field: str) -> None:
    state = trail(10)
    check = TrailCheck(state, lambda: 500.0)
    state._rows.audit[6] = dataclasses.replace(state._rows.audit[6], **{field: "f" * 64})
    found = check.whole()
    assert found.broken is not None
    assert found.broken.seq == 6
    assert check.look().broken == found.broken


def test_an_end_that_was_cut_off_is_found_while_control_runs() -> None:
    state = trail(10)
    check = TrailCheck(state, lambda: 500.0)
    check.whole()
    del state._rows.audit[10]
    broken = check.look().broken
    assert broken is not None
    assert "cut off" in broken.why


def test_everybody_sees_records_of_their_own_teams() -> None:
    state = trail(30)
    mine = Standing("vi", (Grant("vi", "viewer", team="default"),), TEAMS)
    everything = Standing("ada", (Grant("ada", "admin", team="*"),), TEAMS)
    assert len(seen(state, Which(), everything, None, 100).records) == 30
    told = seen(state, Which(), mine, None, 100).records
    assert {record.target for record in told} == {"workflow/triage", "key/key_1"}
    assert {record.team for record in told if record.target == "key/key_1"} == {"default"}
    assert seen(state, Which(), Standing("stranger"), None, 100).records == []


def test_pages_of_the_trail_follow_each_other() -> None:
    state = trail(30)
    mine = Standing("vi", (Grant("vi", "viewer", team="default"),), TEAMS)
    whole = [record.seq for record in seen(state, Which(), mine, None, 100).records]
    found: list[int] = []
    before: int | None = None
    while True:
        page = seen(state, Which(), mine, before, 4)
        found += [record.seq for record in page.records]
        if page.next is None:
            break
        before = page.next
    assert found == whole


def test_a_difference_is_told_place_by_place() -> None:
    before = {"share": 0.1, "lock": None, "policy": {"day": 5, "testers": ["ada"]}, "gone": "x"}
    after = {"share": 0.25, "lock": {"by": "bo"}, "policy": {"day": 5, "testers": ["ada", "bo"]}}
    assert [tuple(each) for each in differences(before, after)] == [
        ("share", "0.1", "0.25"),
        ("policy.testers", '["ada"]', '["ada","bo"]'),
        ("gone", "x", ""),
        ("lock.by", "", "bo"),
    ]
    assert differences(None, "text")[0].after == "text"
    assert differences({"a": 1}, {"a": 1}) == []
