"""Claims about what is renewed at night, and of what people are warned."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from roadworthy.engine.renew import NIGHT_DOLLARS, Producer, RenewalFailed, Renewals
from roadworthy.evidence.kinds import DAY
from roadworthy.people.incident.model import Notice
from roadworthy.readiness.model import Readiness
from roadworthy.readiness.renewing import Due, due, quiet_hour, warned
from roadworthy.readiness.rules import readiness
from support.evidence import NOW, evidence, receipt, revocation
from support.readiness import shown, subject

ALL = frozenset({"canary", "fallback_drills", "failure_catalogue"})


def at(days: float, **more: object) -> Readiness:
    """Everything was shown at ``NOW``; what it is worth so many days later."""
    return readiness(list(shown(made_at=NOW).values()), [], subject(**more), NOW + days * DAY)


def test_nothing_is_renewed_while_everything_is_young() -> None:
    assert due([at(1)], ALL) == []


def test_a_week_ahead_and_in_the_second_half_of_a_short_life_machines_renew() -> None:
    assert [each.kind for each in due([at(4)], ALL)] == ["canary"]
    assert {each.kind for each in due([at(24)], ALL)} == ALL
    assert {each.kind for each in due([at(40)], ALL)} == ALL  # lapsed


def test_what_was_never_shown_is_not_begun_at_night() -> None:
    assert due([readiness([], [], subject(), NOW)], ALL) == []


def test_a_receipt_that_a_person_revoked_does_not_come_back_by_itself() -> None:
    gate = frozenset({"eval_gate"})
    young = [receipt(evidence="evd_eval_gate", issued=NOW, expires=NOW + 35 * DAY)]
    ours = [*(each for each in shown(made_at=NOW).values() if each.kind != "eval_gate")]
    ours.append(evidence("eval_gate", id="evd_eval_gate", made_at=NOW))
    late = NOW + 30 * DAY
    kept = readiness(ours, [], subject(receipts=young), late)
    assert [each.kind for each in due([kept], gate)] == ["eval_gate"]
    gone = readiness(ours, [], subject(receipts=young, revocations=[revocation(at=NOW + DAY)]), late)
    assert due([gone], gate) == []


def test_the_install_is_renewed_once_for_all_of_its_workflows() -> None:
    other = at(4)
    assert due([at(4), replace(other, workflow="other")], ALL) == [Due(3, "canary", "")]


def test_people_are_warned_a_week_ahead_of_what_only_they_can_do() -> None:
    assert [each.item.number for each in warned(at(24), ALL, NOW + 24 * DAY)] == [
        2,
        7,
    ]  # forecast, and a kill drill that nothing here can run
    assert warned(at(20), ALL, NOW + 20 * DAY) == []


def test_what_a_machine_did_not_renew_is_told_two_days_before_it_lapses() -> None:
    assert 3 not in [each.item.number for each in warned(at(4), ALL, NOW + 4 * DAY)]
    assert 3 in [each.item.number for each in warned(at(5.5), ALL, NOW + 5.5 * DAY)]


def test_the_quiet_hour_is_the_one_with_the_fewest_calls() -> None:
    busy = dict.fromkeys(range(24), 50.0)
    assert quiet_hour({}) == 3
    assert quiet_hour(busy) == 3
    assert quiet_hour(busy | {13: 2.0}) == 13
    assert quiet_hour({hour: 10.0 for hour in range(8, 18)}) == 3


class Night:
    """Renewals with a clock that is told, at three o'clock of each day."""

    def __init__(self) -> None:
        self.now = NOW + 24 * DAY - (NOW % DAY) + 3 * 3600
        self.ran: list[str] = []
        self.told: list[Notice] = []
        self.renewals = Renewals(
            lambda: [readiness(list(shown(made_at=NOW).values()), [], subject(), self.now)], dict, self._tell,
            team_of=lambda workflow: "default", told=lambda key: any(notice.key == key for notice in self.told),
            zone=lambda: ZoneInfo("UTC"), clock=lambda: self.now,
        )  # fmt: skip

    def _tell(self, notices: Sequence[Notice]) -> None:
        self.told += notices

    def producer(self, name: str, usd: float = 0.0, fails: bool = False) -> Producer:
        def run(workflow: str) -> None:
            self.ran.append(f"{name} {workflow}".strip())
            if fails:
                raise RenewalFailed("no gateway")

        return Producer(name, run, lambda workflow: usd)


def test_each_producer_runs_once_a_night_whatever_it_makes() -> None:
    night = Night()
    drills = night.producer("drills")
    night.renewals.register("fallback_drills", drills)
    night.renewals.register("failure_catalogue", drills)
    night.renewals.register("canary", night.producer("canary"))
    for _ in range(3):
        night.renewals.round()
        night.now += 300
    assert sorted(night.ran) == ["canary", "drills support"]
    night.now += DAY
    night.renewals.round()
    assert len(night.ran) == 4


def test_by_day_nothing_runs() -> None:
    night = Night()
    night.renewals.register("canary", night.producer("canary"))
    night.now += 9 * 3600
    night.renewals.round()
    assert night.ran == []


def test_what_runs_every_night_runs_for_each_workflow_once_though_nothing_lapses() -> None:
    night = Night()
    night.renewals.every_night("nightly_evals", night.producer("nightly"))
    night.renewals.round()
    night.renewals.round()
    assert night.ran == [f"nightly {subject().workflow}"]
    night.now += DAY
    night.renewals.round()
    assert len(night.ran) == 2


def test_what_costs_more_than_a_night_may_is_left_out() -> None:
    night = Night()
    night.renewals.register("canary", night.producer("canary", usd=NIGHT_DOLLARS + 0.01))
    night.renewals.register("fallback_drills", night.producer("drills", usd=NIGHT_DOLLARS))
    night.renewals.round()
    assert night.ran == ["drills support"]


def test_a_producer_that_fails_harms_no_other_and_the_owner_hears_of_it_in_time() -> None:
    night = Night()
    night.renewals.register("canary", night.producer("canary", fails=True))
    night.renewals.register("fallback_drills", night.producer("drills"))
    night.renewals.round()
    assert sorted(night.ran) == ["canary", "drills support"]


def test_the_same_lapse_is_told_once() -> None:
    night = Night()
    night.renewals.round()
    first = len(night.told)
    night.renewals.round()
    assert first == len(night.told) > 0
    assert {notice.role for notice in night.told} == {"workflow", "cost"}
    assert all("roadworthy" in notice.summary or "not built yet" in notice.summary for notice in night.told)
