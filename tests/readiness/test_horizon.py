"""Claims about what the evidence will allow later, should nothing be added to it."""

from __future__ import annotations

from msgspec.structs import replace

from roadworthy.evidence.kinds import DAY
from roadworthy.readiness.horizon import falls
from roadworthy.readiness.rules import ceiling, checklist
from support.evidence import NOW, waiver
from support.readiness import shown, subject


def test_the_ceiling_falls_when_grace_ends_and_never_rises_by_itself() -> None:
    evidence, about = list(shown().values()), subject(share=0.5)
    found = falls(evidence, [], about, NOW)
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    assert [top for _, top in found] == sorted((top for _, top in found), reverse=True)
    canary = next(each for each in evidence if each.kind == "canary")
    assert found == [(canary.lapses_at, 0.5), (canary.lapses_at + about.grace, 0.01)]


def test_every_fall_is_what_the_checklist_says_then() -> None:
    evidence, about = list(shown().values()), subject(share=0.25)
    for at, top in falls(evidence, [], about, NOW):
        assert ceiling(checklist(evidence, [], about, at)) == top
        assert ceiling(checklist(evidence, [], about, at - 1)) > top


def test_a_waiver_that_ends_lowers_the_ceiling_at_its_end() -> None:
    evidence = [each for kind, each in shown().items() if kind != "cost_alert_test"]
    rest = [waiver(9, ends=NOW + 2 * DAY)]
    found = falls(evidence, rest, subject(share=0.5), NOW)
    assert found[0] == (NOW + 2 * DAY, 0.01)


def test_where_nothing_is_allowed_nothing_falls() -> None:
    assert falls([], [], subject(receipts=[]), NOW) == []


def test_evidence_of_another_release_changes_nothing() -> None:
    evidence, about = list(shown().values()), subject()
    bound = [each for each in evidence if "behaviour" in each.bound]
    other = [replace(each, bound={**each.bound, "behaviour": "beh_other"}) for each in bound]
    assert falls([*evidence, *other], [], about, NOW) == falls(evidence, [], about, NOW)
