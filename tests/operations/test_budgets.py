"""What the operator reads about budgets is what the workers go by."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from roadworthy.adapters.telemetry.prometheus import render
from roadworthy.cost.budgets import Calendar, period_at
from roadworthy.gateway.counters import BudgetCount, CountersReport
from roadworthy.gateway.journal import JournalCounts
from roadworthy.gateway.limits.ledger import Booked, Ident, ident_of
from roadworthy.operations.budgets import BudgetBoard
from roadworthy.workflow.model import ApiKey, Budget, Budgets, Configuration, Owners, Policy, Settings, Workflow

ZONE = ZoneInfo("Europe/Berlin")
NOW = 1_795_418_504.0
KEYS = [
    ApiKey("key_1", "h1", "web", "default", ["*"]),
    ApiKey("key_2", "h2", "other", "default", ["billing"]),
    ApiKey("key_3", "h3", "ann", "default", ["support"], kind="tester", person="ann"),
]


def booked(kind: str, owner: str, name: str, period: str, spent: int, reserved: int = 0) -> tuple[Ident, Booked]:
    stamp = period_at(period, NOW, ZONE).stamp  # type: ignore[arg-type]
    return ident_of((kind, owner, name, period), stamp), Booked(spent, reserved, 0)


def board(budgets: Budgets, *totals: tuple[Ident, Booked], team: Budget | None = None) -> BudgetBoard:
    flow = Workflow("support", "default", Owners("a", "a", "a"), "enforce", policy=Policy(budgets=budgets))
    settings = Settings(team_budgets={"default": team} if team else {})
    configuration = Configuration(settings, {}, {}, {"support": flow})
    return BudgetBoard(
        lambda: configuration, lambda: KEYS, lambda: dict(totals), lambda workflow, since: ["bob", "ann", ""],
        lambda: Calendar(ZONE), lambda: NOW,
    )  # fmt: skip


def test_every_budget_says_its_limit_what_is_spent_reserved_and_left_and_when_it_begins_anew():
    lines = board(
        Budgets(workflow=Budget(day=10.0)), booked("workflow", "support", "", "day", 3_000_000_000, 500_000_000)
    ).lines()
    line = lines[0]
    assert (line.limit, line.spent, line.reserved, line.left, line.state) == (10.0, 3.0, 0.5, 6.5, "ok")
    assert line.resets_at == period_at("day", NOW, ZONE).end


def test_users_are_listed_by_what_they_spent_and_keys_that_may_call_with_their_names():
    lines = board(
        Budgets(user=Budget(month=1.0), key=Budget(day=5.0)),
        booked("user", "support", "ann", "month", 900_000_000),
        booked("user", "support", "bob", "month", 1_000_000_000),
    ).lines("support")
    assert [(line.name, line.state) for line in lines if line.scope == "user"] == [
        ("bob", "used_up"),
        ("ann", "near"),
        ("", "ok"),
    ]
    assert [(line.name, line.label) for line in lines if line.scope == "key"] == [("key_1", "web"), ("key_3", "ann")]
    assert [line.label for line in lines if line.scope == "tester"] == ["ann"]


def test_status_reads_no_people():
    lines = board(Budgets(user=Budget(day=1.0), workflow=Budget(day=1.0)), team=Budget(month=9.0)).lines(people=False)
    assert [line.scope for line in lines] == ["team", "workflow"]


def report(worker: str, spent: float) -> dict[str, object]:
    counts = JournalCounts()
    made = CountersReport(worker, 0.0, 0, [], [], [], [], {}, 0, counts, 1, 1, 0.0, 0, [])
    made.budgets = [BudgetCount("workflow", "support", "day", 10.0, spent, 0.5)]
    found: dict[str, object] = msgspec.to_builtins(made)
    return found


def test_metrics_add_up_what_workers_spent_and_not_the_limit():
    page = render([report("w0", 2.0), report("w1", 3.0)])
    labels = '{scope="workflow",name="support",period="day"}'
    assert f"roadworthy_budget_limit_usd{labels} 10.0\n" in page
    assert f"roadworthy_budget_spent_usd{labels} 5.0\n" in page
    assert f"roadworthy_budget_remaining_usd{labels} 4.0\n" in page
