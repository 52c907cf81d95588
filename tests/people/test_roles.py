"""What each role may do, and where: default deny."""

from __future__ import annotations

from typing import get_args

import pytest

from roadworthy.api.routes import ENDPOINTS
from roadworthy.api.scoping import ABOUT, LISTS, READS
from roadworthy.people.roles import (
    EVERY_TEAM,
    GRANTS,
    PERMISSIONS,
    ROLES,
    Grant,
    Permission,
    Standing,
    first_admin,
    standing,
)
from roadworthy.workflow.hours import next_start, parse, within
from roadworthy.workflow.model import Configuration, Owners, Person, Settings, Workflow

MAY: dict[str, set[str]] = {
    "viewer": {"anyone", "read", "read_text"},
    "scorer": {"anyone", "read", "read_text", "score"},
    "agent": {"anyone", "read", "read_text", "answer"},
    "operator": {"anyone", "read", "read_text", "score", "answer", "stop", "configure", "tools", "approve"},
}
MAY["owner"] = MAY["operator"] | {"keys"}
MAY["admin"] = MAY["owner"] | {"people"}


def configuration(**people: Person) -> Configuration:
    flows = {
        "support": Workflow("support", "default", Owners("ada", "ada", "bo"), "enforce"),
        "refunds": Workflow("refunds", "money", Owners("mo", "mo", "mo"), "enforce"),
    }
    known = {
        "ada": Person("ada", "Ada", "ada@x.org"), "bo": Person("bo", "Bo", "bo@x.org", roles=()),
        "mo": Person("mo", "Mo", "mo@x.org", team="money"), "vi": Person("vi", "Vi", "vi@x.org", roles=("viewer",)),
    }  # fmt: skip
    return Configuration(Settings(), {}, {**known, **people}, flows)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_role_grants_what_it_says_and_nothing_else(role: str, permission: Permission) -> None:
    held = Standing("zoe", (Grant("zoe", role, team="default"),), {"support": "default"})  # type: ignore[arg-type]
    assert held.may(permission, "support") is (permission in MAY[role])


def test_nobody_speaks_for_a_gateway_by_a_role() -> None:
    assert all("gateway" not in granted for granted in GRANTS.values())


def test_a_role_in_a_team_is_worth_nothing_in_another() -> None:
    held = standing("ada", configuration(), (), frozenset({"mo"}))
    others = Standing("ada", tuple(grant for grant in held.grants if grant.role != "admin"), held.teams)
    assert others.may("approve", "support")
    assert others.of("refunds") == frozenset()
    assert others.everywhere() == frozenset()


def test_a_role_of_one_workflow_is_worth_nothing_on_another_of_the_team() -> None:
    grants = (Grant("zoe", "operator", workflow="support"),)
    held = standing("zoe", configuration(), grants, frozenset())
    assert held.may("stop", "support")
    assert not held.may("read", "refunds")
    assert held.within("default") == frozenset()
    assert held.everywhere() == frozenset()


def test_whoever_is_named_as_an_owner_is_owner_of_that_workflow_alone() -> None:
    held = standing("bo", configuration(), (), frozenset())
    assert held.roles("support") == ["owner"]
    assert held.of("refunds") == frozenset()


def test_a_workflow_that_is_not_configured_belongs_to_no_team() -> None:
    assert standing("vi", configuration(), (), frozenset()).of("gone") == frozenset()


def test_a_stranger_and_whoever_left_may_do_nothing() -> None:
    grants = (Grant("ada", "admin", team=EVERY_TEAM),)
    assert standing("nobody", configuration(), (), frozenset()).anywhere() == frozenset()
    assert standing("ada", configuration(), grants, frozenset({"ada"})).anywhere() == frozenset()
    by_file = configuration(ada=Person("ada", "Ada", left=True))
    assert standing("ada", by_file, grants, frozenset()).anywhere() == frozenset()


def test_while_nobody_is_admin_the_owner_of_the_first_workflow_is() -> None:
    assert first_admin(configuration(), (), frozenset()) == "mo"  # of refunds
    assert first_admin(configuration(), (), frozenset({"mo"})) == "ada"
    assert first_admin(configuration(), (Grant("vi", "admin", team=EVERY_TEAM),), frozenset()) is None
    assert first_admin(configuration(), (Grant("vi", "admin", team=EVERY_TEAM),), frozenset({"vi"})) == "mo"


def test_an_admin_is_admin_everywhere() -> None:
    held = standing("mo", configuration(), (), frozenset())
    assert held.may("people")
    assert held.may("keys", "support")


def test_every_route_with_an_id_says_what_it_is_about_or_is_for_the_whole_install() -> None:
    by_id = {(each.method, each.path) for each in ENDPOINTS if "{" in each.path and "{workflow}" not in each.path}
    whole = {
        ("GET", "/v1/kill/drills/{id}"), ("POST", "/v1/kill/drills/{id}/stop"),
        ("POST", "/v1/oncall/override/{id}/take-back"),
    }  # fmt: skip
    gateways = {(each.method, each.path) for each in ENDPOINTS if each.permission == "gateway"}
    assert by_id - set(ABOUT) - gateways <= whole | {key for key in by_id if "/oncall" in key[1]}


def test_what_shows_a_text_needs_the_permission_for_it_and_is_audited() -> None:
    needs = {(each.method, each.path) for each in ENDPOINTS if each.permission == "read_text"}
    assert needs - set(READS) <= {("GET", "/v1/escalations/{id}")}  # whose queue records it
    assert set(READS) <= {(e.method, e.path) for e in ENDPOINTS if e.permission in ("read_text", "score")}


def test_lists_are_reads() -> None:
    assert all(method == "GET" for method, _ in LISTS)
    assert set(get_args(Permission)) == set(PERMISSIONS)


def test_working_hours_are_wall_clock_time_across_a_change_of_the_clocks() -> None:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    hours = parse("Mon-Fri 09:00-17:00, Sat 10:00-12:00")
    assert hours is not None
    friday = datetime(2026, 10, 23, 16, 59, tzinfo=berlin).timestamp()
    assert within(hours, friday, berlin)
    sunday = datetime(2026, 10, 25, 1, 0, tzinfo=berlin).timestamp()  # the clocks go back at three
    assert datetime.fromtimestamp(next_start(hours, sunday, berlin), berlin).isoformat() == "2026-10-26T09:00:00+01:00"


@pytest.mark.parametrize("text", ["", "always", "Mon 9-17", "Mon-Fri 17:00-09:00", "Mon-Fri 09:00-25:00"])
def test_what_are_no_working_hours_is_refused(text: str) -> None:
    assert parse(text) is None
