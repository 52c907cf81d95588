"""What shows beside a workflow that is not enforced."""

from __future__ import annotations

from roadworthy.operations.publication.enforcement import notice_of, watch_of
from roadworthy.workflow.model import Owners, Workflow
from support.evidence import NOW, waiver

OBSERVED = Workflow("support", "default", Owners("ada", "bo", "ada"), "observe")
DAY = 86_400.0


def test_a_waiver_of_one_item_says_nothing_of_when_enforcement_begins() -> None:
    waivers = [waiver(None, ends=NOW + 10 * DAY), waiver(9, ends=NOW + 20 * DAY, person="bo")]
    watch = watch_of(OBSERVED, waivers, NOW)
    assert notice_of(OBSERVED, watch, waivers, NOW) == notice_of(OBSERVED, watch, waivers[:1], NOW)
    assert notice_of(OBSERVED, watch, waivers, NOW).endswith(", ada")


def test_a_lapsed_pilot_is_not_extended_by_the_waiver_of_an_item() -> None:
    waivers = [waiver(None, starts=NOW - 9 * DAY, ends=NOW - DAY), waiver(9, ends=NOW + 20 * DAY)]
    watch = watch_of(OBSERVED, waivers, NOW)
    assert watch == "lapsed"
    assert notice_of(OBSERVED, watch, waivers, NOW).startswith("Lapsed pilot")
