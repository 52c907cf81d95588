"""From records to notices: what a person is told, and what not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from people_support import NOON, Desk, ident, line

from roadworthy.inference_log.model import Batch
from roadworthy.operations.notices import Arrivals, notices
from roadworthy.workflow.inference import Attempt, Check, Inference, Rung


def record(number: int = 1, **more: Any) -> Inference:
    fields: dict[str, Any] = {
        "id": ident(number), "ts": NOON, "team": "default", "workflow": "support", "outcome": "canned",
        "digest": "rel_1", "unit": "u-1",
    }  # fmt: skip
    return Inference(**{**fields, **more})


UNSAFE = {"checks": [Check("personal_data", False, failure="unsafe")], "failure": "unsafe"}


def keys(found: Inference) -> list[tuple[str, str]]:
    return [(notice.kind, notice.key) for notice in notices(found)]


def test_an_answered_call_is_nobodys_business() -> None:
    assert keys(record(outcome="answered", attempts=[Attempt("main", cost_usd=0.1)])) == []


@pytest.mark.parametrize("outcome", ["blocked", "recovered", "escalated", "canned"])
def test_an_unsafe_answer_is_an_incident_whatever_the_ladder_made_of_it(outcome: str) -> None:
    assert keys(record(outcome=outcome, **UNSAFE)) == [("incident", "unsafe/support/rel_1/personal_data")]


def test_an_unsafe_attempt_that_was_recovered_is_one_all_the_same() -> None:
    attempts = [Attempt("main", failure="unsafe", cost_usd=0.0), Attempt("backup", cost_usd=0.0)]
    assert keys(record(attempts=attempts)) == [("incident", "unsafe/support/rel_1/its provider's filter")]


def test_a_finding_that_is_only_recorded_is_none() -> None:
    assert keys(record(checks=[Check("tone", False)])) == []


def test_overspending_and_refusing_targets_and_unknown_prices_are_alerts() -> None:
    assert keys(record(outcome="limited", failure="overspent")) == [("alert", "overspent/support/")]
    assert keys(record(ladder=[Rung("overspent", "cache")])) == [("alert", "overspent/support/")]
    refused = Attempt("main", failure="misconfigured", status=401, cost_usd=0.0)
    assert keys(record(attempts=[refused])) == [("alert", "misconfigured/default/main")]
    unpriced = Attempt("main", model_asked="m", model_answered="m-2", cost_unknown="no price for m-2 (target main)")
    assert keys(record(attempts=[unpriced])) == [("alert", "price_unknown/default/main/m-2")]


def test_models_that_callers_name_as_they_like_make_one_alert_of_their_target() -> None:
    made = [Attempt("main", model_asked=f"m-{n}", cost_unknown=f"no price for m-{n} (target main)") for n in range(9)]
    found = [record(route="passthrough", digest=None, attempts=[attempt]) for attempt in made]
    assert {key for inference in found for key in keys(inference)} == {("alert", "price_unknown/default/main")}


def test_a_budget_is_named_when_it_passes_a_share_and_when_it_is_used_up() -> None:
    near = record(outcome="answered", notes=["budget:workflow:month:alert:80"])
    over = record(outcome="limited", failure="overspent", notes=["budget:user:day"])
    assert [notice.title for found in (near, over) for notice in notices(found)] == [
        "support: the workflow's budget of the month is used to 80 %",
        "support: a user's budget of the day is used up",
    ]
    assert keys(near) == [("alert", "budget/workflow/support//month/2026-11/80")]


def test_every_day_and_share_of_a_budget_is_an_alert_of_its_own_and_names_no_user() -> None:
    def key(note: str, **more: Any) -> str:
        (found,) = keys(record(notes=[note], **more))
        return found[1]

    assert key("budget:user:day:alert:50") == "budget/user/support//day/2026-11-02/50"
    assert key("budget:user:day:alert:50", ts=NOON + 86_400.0) == "budget/user/support//day/2026-11-03/50"
    assert key("budget:key:day:alert:50", key="key_1") == "budget/key/support/key_1/day/2026-11-02/50"
    assert key("budget:team:month:alert:100") == "budget/team/default//month/2026-11/100"
    both = record(outcome="limited", failure="overspent", notes=["budget:user:day", "budget:user:day:alert:100"])
    assert len(keys(both)) == 1


def test_a_cost_alert_is_told_when_its_cause_is_known_and_then_once() -> None:
    shipment = Shipment()
    shipment.arrive(Batch(ends=[record(1, notes=["budget:workflow:day:alert:50"])]))
    assert shipment.desk.messages() == []
    (waits,) = shipment.desk.incidents.unexplained()
    for _ in range(2):
        shipment.desk.incidents.explain(waits.id, "Twice as many calls as usual.")
    (told,) = shipment.desk.messages()
    assert told["data"]["summary"].endswith("Twice as many calls as usual.")
    assert told["data"]["to"][0]["person"] == "bo"
    assert shipment.desk.incidents.unexplained() == []


def test_a_tester_who_used_up_the_day_is_no_alert_and_machines_are_never_noticed() -> None:
    assert keys(record(traffic="tester", outcome="limited", failure="overspent")) == []
    for traffic in ("load", "eval", "shadow"):
        assert keys(record(traffic=traffic, **UNSAFE)) == []


def test_every_drill_is_told_by_itself_and_marked() -> None:
    (notice,) = notices(record(traffic="drill", drill="html_page", **UNSAFE))
    assert notice.key.endswith(f"/drill/{ident(1)}")
    assert (notice.traffic, notice.drill) == ("drill", "html_page")


class Shipment:
    def __init__(self, forgotten: str | None = None, **more: Any) -> None:
        self.desk = Desk(**more)
        self.gone: list[str] = []
        self.arrive = Arrivals(
            self.desk.state,
            self.desk.queue,
            self.desk.incidents,
            lambda unit, ts: unit is not None and unit == forgotten,
            tell_gone=self.gone.extend,
        )


def test_a_shipment_told_twice_opens_and_counts_once() -> None:
    shipment = Shipment()
    batch = Batch(ends=[record(1, **UNSAFE), record(2, **UNSAFE)], escalations=[line(1)])
    for _ in range(2):
        shipment.arrive(batch)
    (incident,) = shipment.desk.incidents.list()
    assert (incident.count, len(shipment.desk.queue.waiting())) == (2, 1)
    told = [message for message in shipment.desk.messages() if message["type"] == "incident.open"]
    assert [message["data"]["to"][0]["person"] for message in told] == ["ada"]


def test_teams_that_share_a_target_are_told_of_it_each_by_itself_with_its_own_inferences_only() -> None:
    shipment = Shipment()
    refused = Attempt("main", failure="misconfigured", status=401)
    shipment.arrive(
        Batch(ends=[record(number, team=team, attempts=[refused]) for number, team in ((1, "default"), (2, "claims"))])
    )
    found = {incident.team: incident.inferences for incident in shipment.desk.incidents.list()}
    assert found == {"default": [ident(1)], "claims": [ident(2)]}


def test_gateways_are_told_of_an_escalation_whose_user_was_forgotten_before_it_arrived() -> None:
    shipment = Shipment(forgotten="u-1")
    shipment.arrive(Batch(escalations=[line(1), line(2, unit="u-2")]))
    assert shipment.gone == [ident(1)]
    assert [row.id for row in shipment.desk.queue.waiting()] == [ident(2)]


def test_a_step_that_was_passed_over_for_money_is_an_alert_though_the_call_failed_by_something_else() -> None:
    found = record(
        failure="invalid", notes=["budget:inference"], attempts=[Attempt("main", failure="invalid", cost_usd=1.0)]
    )
    assert keys(found) == [("alert", "overspent/support/budget:inference")]
    assert keys(msgspec.structs.replace(found, traffic="tester")) == []


def test_a_usage_that_cannot_be_is_told_to_the_cost_owner() -> None:
    (notice,) = notices(record(outcome="answered", target="main", notes=["usage_implausible"]))
    assert (notice.kind, notice.key, notice.role) == ("alert", "usage_implausible/default/main", "cost")


def test_costs_are_told_to_the_cost_owner_and_a_drill_says_so_in_its_title() -> None:
    shipment = Shipment()
    shipment.arrive(
        Batch(ends=[record(1, outcome="limited", failure="overspent"), record(2, traffic="drill", **UNSAFE)])
    )
    cost, drill = shipment.desk.messages()
    assert cost["data"]["to"][0] == {"person": "bo", "role": "cost owner", "name": "Bo"}
    assert drill["data"]["title"].startswith("DRILL: ")
    assert drill["data"]["class"] == "drill"
    (row,) = shipment.desk.outbox.list(about=ident(2))
    assert row.drill


def test_a_forgotten_users_escalation_is_not_opened_when_it_arrives_late() -> None:
    shipment = Shipment(forgotten="u-1")
    shipment.arrive(Batch(ends=[record(**UNSAFE)], escalations=[line(1), line(2, unit="u-2")]))
    assert [row.id for row in shipment.desk.queue.all()] == [ident(2)]
    assert shipment.desk.incidents.list() == []


def test_a_quiet_batch_opens_no_transaction() -> None:
    shipment = Shipment()
    shipment.desk.state.write = None  # type: ignore[assignment, method-assign]
    shipment.arrive(Batch(ends=[record(outcome="answered")]))
