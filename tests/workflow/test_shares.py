"""A share holds as many users as it says, and nobody leaves as it widens."""

from __future__ import annotations

import functools
from math import sqrt

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.workflow.shares import RESOLUTION, Pin, inside, position, side

USERS = 200_000
STAGES = (0.01, 0.1, 0.25, 0.5, 1.0)


@functools.cache
def positions() -> list[int]:
    return [position("salt", "support-reply", f"user-{i}") for i in range(USERS)]


def test_one_percent_is_one_percent_of_the_users() -> None:
    found = sum(inside(one, 0.01) for one in positions()) / USERS
    assert abs(found - 0.01) < 3 * sqrt(0.01 * 0.99 / USERS)


def test_users_are_spread_evenly_over_all_positions() -> None:
    tenths = [0] * 10
    for one in positions():
        tenths[one * 10 // RESOLUTION] += 1
    chi_squared = sum((count - USERS / 10) ** 2 / (USERS / 10) for count in tenths)
    assert chi_squared < 27.9  # p = 0.001 at 9 degrees of freedom


def test_two_workflows_do_not_let_the_same_users_in_first() -> None:
    others = [position("salt", "invoice-check", f"user-{i}") for i in range(USERS)]
    both = sum(inside(a, 0.1) and inside(b, 0.1) for a, b in zip(positions(), others, strict=True)) / USERS
    assert abs(both - 0.01) < 4 * sqrt(0.01 * 0.99 / USERS)


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_no_user_leaves_as_the_share_widens(unit: str, one: float, other: float) -> None:
    narrow, wide = sorted((one, other))
    where = position("salt", "support-reply", unit)
    assert 0 <= where < RESOLUTION
    assert not inside(where, narrow) or inside(where, wide)
    assert inside(where, 1.0)
    assert not inside(where, 0.0)


def test_the_position_of_a_user_never_changes() -> None:
    assert position("salt", "support-reply", "user-1") == positions()[1] == 376_889


@given(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4))
def test_parts_that_run_into_each_other_are_not_mistaken(a: str, b: str, c: str) -> None:
    if b:
        assert position("s", a + b, c) != position("s", a, b + c)


def test_a_session_keeps_its_side_while_the_share_widens() -> None:
    outside = Pin("rel_old", 3)
    assert side(50_000, 0.01, "rel_new", "rel_old", None, 3) == "rel_old"
    assert side(50_000, 0.10, "rel_new", "rel_old", outside, 3) == "rel_old"
    assert side(50_000, 0.10, "rel_new", "rel_old", None, 3) == "rel_new"


def test_a_rollback_or_a_kill_ends_the_sessions_on_a_release() -> None:
    within = Pin("rel_new", 3)
    assert side(50_000, 0.01, "rel_new", None, within, 3) == "rel_new"
    assert side(50_000, 0.01, "rel_new", None, within, 4) is None
    assert side(50_000, 0.0, "rel_new", None, within, 3) is None


def test_a_session_on_a_release_that_is_gone_is_served_like_any_other() -> None:
    assert side(5, 0.01, "rel_new", "rel_old", Pin("rel_older", 3), 3) == "rel_new"
