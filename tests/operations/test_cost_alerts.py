"""Cost alerts say why, come once, never wait for ever, and a spike is one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from costing_support import DAY, HOUR, NOON, ZONE, Install

from roadworthy.cost import spikes
from roadworthy.operations.costing.subjects import Subject
from roadworthy.operations.notices import notices
from roadworthy.workflow.model import Budget, Budgets, Smtp


def test_an_alert_says_what_made_the_difference_to_the_same_hours_of_earlier_days() -> None:
    made = Install()
    for days in (1, 2):
        made.called(NOON - days * DAY - HOUR, calls=10, usd=0.1)
    made.called(NOON - HOUR, calls=20, usd=0.2)
    made.passed("budget:workflow:day:alert:50", usd=0.2)
    made.now += 1.0
    made.alerts.round()
    (said,) = made.told()
    assert said["data"]["title"] == "support: the workflow's budget of the day is used to 50 %"
    assert (
        "support spent $4.20 today by 12:00, $3.20 more than in the same hours of 2 earlier days ($1.00)"
        in (said["data"]["summary"])
    )
    assert "from more calls (10 → 21); " in said["data"]["summary"]
    assert "from longer calls (10,000 → 20,000 tokens an attempt)" in said["data"]["summary"]
    assert [each["person"] for each in said["data"]["to"]] == ["bo"]


def test_a_first_day_says_that_there_is_nothing_to_compare_with() -> None:
    made = Install()
    made.passed("budget:workflow:day:alert:80", usd=8.0)
    made.now += 1.0
    made.alerts.round()
    assert "with no earlier time to compare with: 100 % of it live calls of main." in made.told()[0]["data"]["summary"]


def test_a_users_alert_is_about_that_user_and_names_nobody() -> None:
    made = Install(Budgets(user=Budget(day=1.0)))
    made.called(NOON - DAY - 60.0, usd=0.1, unit="ann")
    made.called(NOON - 60.0, usd=5.0, unit="bob")
    made.passed("budget:user:day:alert:50", usd=0.6, unit="ann")
    made.now += 1.0
    made.alerts.round()
    (said,) = made.told()
    assert "This user of support spent $0.6000 today" in said["data"]["summary"]
    assert "ann" not in said["data"]["summary"].replace("than", "")


def test_the_call_that_gave_cause_is_awaited_but_not_for_ever() -> None:
    made = Install()
    record = made.called(NOON, notes=["budget:workflow:day:alert:50"])[0]
    lost = msgspec.structs.replace(record, id="inf_" + "f" * 32)
    made.incidents.take(list(notices(lost, ZONE)))
    made.alerts.round()
    assert made.told() == []
    made.now += 21.0
    made.alerts.round()
    assert len(made.told()) == 1


def test_a_log_that_fails_keeps_no_alert_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Install()
    made.passed("budget:workflow:day:alert:50")

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("disk")

    monkeypatch.setattr(made.alerts, "why", broken)
    with pytest.raises(RuntimeError):  # the engine notes the failed round
        made.alerts.round()
    assert made.told() == []
    made.alerts.round()
    assert "could not be looked up" in made.told()[0]["data"]["summary"]


def test_an_alert_is_closed_when_its_period_is_over_and_the_next_one_is_told_anew() -> None:
    made = Install()
    made.passed("budget:workflow:month:alert:50")
    for _ in range(2):
        made.passed("budget:workflow:day:alert:50")
        made.alerts.round()
        made.now += DAY
        made.alerts.round()
    still = made.incidents.list(open_only=True)
    assert [incident.key for incident in still] == ["budget/workflow/support//month/2026-11/50"]
    assert len(made.told()) == 3  # two days and one month


def test_a_share_of_a_budget_that_was_raised_is_told_though_nobody_looked_into_the_alert_before() -> None:
    made = Install()
    for day in (10.0, 10.0, 20.0):
        flow = made.configuration.workflows["support"]
        policy = msgspec.structs.replace(flow.policy, budgets=Budgets(workflow=Budget(day=day)))
        made.configuration.workflows["support"] = msgspec.structs.replace(flow, policy=policy)
        made.alerts.round()
        made.passed("budget:workflow:day:alert:80", usd=1.0)
        made.alerts.round()
    assert len(made.told()) == 2, "once for each budget, and not again for the same one"


def test_whoever_has_an_address_is_told_by_mail_as_well() -> None:
    made = Install(smtp=Smtp("mail.example", "rw@x.example"))
    record = made.passed("budget:workflow:day:alert:50")
    made.alerts.round()
    with made.state.read() as tx:
        (mail,) = [msgspec.json.decode(row.body) for row in tx.deliveries(limit=9) if row.kind == "mail"]
    assert mail["to"] == ["bo@x.example"]
    assert f"roadworthy show {record.id}" in mail["text"]


def week(made: Install, usd: float) -> None:
    """An hour like any other, for a week."""
    for hour in range(2, 24 * 7):
        made.called(NOON - hour * HOUR + 60.0, usd=usd)


def test_an_hour_that_costs_far_more_than_usual_is_told_once_with_its_cause_and_where_it_comes_from() -> None:
    made = Install(Budgets())
    week(made, 0.5)
    made.called(NOON - 60.0, usd=0.5, calls=8, key="key_1", unit="ann")
    for _ in range(3):
        made.alerts.look()
        made.alerts.round()
    (said,) = made.told()
    assert said["data"]["title"] == "support: $4.00 in the last hour, far more than usual"
    assert "100 % of it is one user's." in said["data"]["summary"]
    assert "from more calls (1 → 8)" in said["data"]["summary"]


def test_a_key_or_user_that_spikes_within_a_usual_hour_is_told_by_itself() -> None:
    made = Install(Budgets(spike_at=3.0))
    for hour in range(2, 24 * 3):
        made.called(NOON - hour * HOUR + 60.0, usd=3.0, key="key_1", unit="ann")
        made.called(NOON - hour * HOUR + 60.0, usd=0.1, key="key_2", unit="bob")
    made.called(NOON - 60.0, usd=3.0, key="key_2", unit="bob")
    made.alerts.look()
    made.alerts.round()
    keys = {incident.key for incident in made.incidents.list()}
    assert keys == {"spike/key/support/key_2/hour/2026-11-23/", "spike/user/support//hour/2026-11-23/"}


@pytest.mark.parametrize(("usd", "why"), [(0.9, "under a dollar"), (1.4, "under three times the usual")])
def test_what_is_small_or_usual_is_no_spike(usd: float, why: str) -> None:
    made = Install(Budgets())
    week(made, 0.1 if usd < 1.0 else 0.5)
    made.called(NOON - 60.0, usd=usd)
    made.alerts.look()
    assert made.incidents.list() == [], why


def test_usual_needs_a_day_of_history_and_takes_rare_calls_into_account() -> None:
    assert spikes.usual({100: 5.0}, 110) is None
    assert spikes.usual({0: 24.0}, 48) == 0.5  # the mean of all hours: the median of such hours is nothing
    assert spikes.usual({hour: 2.0 for hour in range(48)}, 48) == 2.0


def test_what_an_alert_is_about_is_read_back_from_its_key() -> None:
    about = Subject("budget", "key", "support", "key_1", "month", "2026-11", "80")
    assert Subject.of(about.key) == about
    assert Subject.of("price_unknown/default/main/m") is None
