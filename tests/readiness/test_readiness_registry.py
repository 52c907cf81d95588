"""The ten items: one table, whole and in step with what it stands on."""

from __future__ import annotations

from roadworthy.evidence.kinds import DAY, KINDS, Figures
from roadworthy.readiness.items import ITEMS, NEVER_WAIVED, NUMBERS
from roadworthy.readiness.judging import JUDGES
from roadworthy.readiness.sequence import STEPS
from roadworthy.workflow.rules import EVIDENCE_ABOUT


def test_there_are_ten_numbered_one_to_ten() -> None:
    assert tuple(range(1, 11)) == NUMBERS
    assert len({item.name for item in ITEMS}) == 10


def test_every_kind_of_evidence_shows_exactly_one_item_and_is_judged() -> None:
    used = [kind for item in ITEMS for kind in item.kinds]
    assert sorted(used) == sorted(KINDS) == sorted(JUDGES)
    assert {row.figures for row in KINDS.values()} < set(Figures.__args__)


def test_a_release_change_lapses_what_the_table_of_kinds_says() -> None:
    bound = {row.title: row.about for row in KINDS.values() if {"behaviour", "handling"} & set(row.about)}
    assert bound == dict(EVIDENCE_ABOUT)


def test_lives_and_facets_are_those_of_the_design() -> None:
    assert [item.life / DAY for item in ITEMS] == [90, 30, 7, 30, 180, 35, 30, 30, 90, 30]
    both = ("behaviour", "handling")
    about = [("behaviour",)] * 2 + [("install",), both, ("workflow",), ("behaviour",), ("install",)]
    assert [item.about for item in ITEMS] == [*about, ("workflow",), ("workflow",), both]


def test_what_may_never_be_waived_may_never_be_attested() -> None:
    assert NEVER_WAIVED == (4, 6, 7)
    for item in ITEMS:
        if not item.waivable:
            assert not any(KINDS[kind].by_word for kind in item.kinds)


def test_only_the_gate_keeps_everybody_but_testers_out_when_it_never_ran() -> None:
    assert [item.number for item in ITEMS if item.missing == "testers"] == [6]


def test_a_workflow_costs_fifteen_minutes_of_people_a_month_at_most() -> None:
    assert sum(item.minutes for item in ITEMS) <= 15


def test_every_item_has_its_step_and_a_command_or_says_that_there_is_none() -> None:
    assert {item.step for item in ITEMS} <= {step.name for step in STEPS}
    for item in ITEMS:
        command = item.command("support")
        assert command == "not built yet" or (command.startswith("roadworthy ") and "WORKFLOW" not in command)
