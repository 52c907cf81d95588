"""Reviews drafted from data: what moved by more than chance, what moved it, and what is to be decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from roadworthy.cost.sheet import Most, Sheet
from roadworthy.inference_log.model import Filter, Stats, StatsRow
from roadworthy.operations.reviewing import monthly, quarterly, weekly
from roadworthy.operations.reviewing.comparing import share_moved, why_failing
from roadworthy.operations.reviewing.drafting import Drafting
from roadworthy.operations.reviewing.sources import Applied, Sources
from roadworthy.people.review.model import Facts
from roadworthy.people.review.rules import Period
from roadworthy.rollout.records import Change as Move
from roadworthy.workflow.inference import Attempt, Inference, Tokens
from roadworthy.workflow.model import (
    Configuration,
    Finance,
    Objective,
    Owners,
    Person,
    Policy,
    Price,
    Settings,
    Target,
    Workflow,
)

UTC = ZoneInfo("UTC")
DAY = 86_400.0
START = 1_793_577_600.0  # Monday 2 November 2026
LAST, THIS = (Period("weekly", name, START + at * DAY, START + (at + 7) * DAY) for name, at in (("W45", 0), ("W46", 7)))
FLOW = Workflow(
    "support", "default", Owners("ada", "ada", "bo"), "enforce",
    policy=Policy(objective=Objective(latency_p95=2.0, error_share=0.01)),
)  # fmt: skip


class Logged:
    """A log of two weeks: (calls, failed of them, p95, dollars) each."""

    def __init__(self, last: tuple[int, int, float, float], this: tuple[int, int, float, float]) -> None:
        self.weeks = {LAST.since: last, THIS.since: this}

    def stats(self, by: str | Sequence[str], where: Filter, zone: ZoneInfo | None = None) -> Stats:
        calls, failed, p95, usd = self.weeks[where.since or 0.0]
        group = {"day": "2026-11-09", "target": "main", "model": "m", "traffic": "live"}
        tokens = Tokens(input=calls * 100, output=calls * 50)
        outcomes = {"answered": calls - failed, "error": failed}
        row = StatsRow(group, calls, outcomes, p95 / 2, p95, p95, None, tokens, usd, 0)  # type: ignore[arg-type]
        return Stats((), [row] if calls else [], "facts", 0.0)

    def sample(self, where: Filter, share: float) -> list[Inference]:
        failed = self.weeks[where.since or 0.0][1]
        bad = Attempt("main", 0.0, failure="unavailable")
        return [
            Inference(f"inf_{at}", where.since or 0.0, "default", "support", "error", "release", attempts=[bad])
            for at in range(round(failed * share))
        ]


def sources(log: Logged, **more: Any) -> Sources:
    targets = {"main": Target("main", "openai", "m", price=Price(1e-6, 2e-6))}
    applied = Applied(
        START, "ada", Configuration(Settings(), targets, {"ada": Person("ada", "Ada")}, {"support": FLOW})
    )
    ready = type("Ready", (), {"items": []})()
    fields: dict[str, Any] = {
        "log": log, "flow": lambda name: FLOW, "applied": lambda: [applied], "incidents": lambda name: [],
        "worked": lambda name, since: [], "stamping": lambda name: [], "capacity": lambda name: None,
        "moves": lambda name: [], "stops": list, "expected": lambda name: None,
        "listed": lambda target: Price(1e-6, 2e-6), "ready": lambda name: ready, "runs": lambda name: [],
        "concluded": lambda run: None, "waiting_examples": lambda name: 0, "agreement": lambda name: None,
        "calibrations": lambda name: [], "sheet": None, "zone": lambda: UTC, "clock": lambda: THIS.until + 60.0,
    }  # fmt: skip
    return Sources(**{**fields, **more})


def drafted(last: tuple[int, int, float, float], this: tuple[int, int, float, float], **more: Any) -> Facts:
    return weekly.draft(sources(Logged(last, this), **more), FLOW, THIS, LAST)


def test_what_is_worse_is_said_with_its_size_its_cause_and_a_question() -> None:
    moved = Move(1, THIS.since + DAY, "ada", "", "approve", "done", "", "", None, {"stage": "10 %", "release": "rel_2"})
    facts = drafted((1000, 5, 1.0, 3.0), (1000, 60, 3.0, 3.0), moves=lambda name: [moved])
    change = next(each for each in facts.changes if each.what.startswith("Failed calls"))
    assert change.what == "Failed calls rose from 0.5 % to 6 %"
    assert change.cause == ("about 55 more attempts at main failed: unavailable; in this week its ramp went to 10 %")
    assert "Ended in an error: 6 %, objective 1 %. Who mends it by when, or was it the wrong figure?" in facts.decide
    assert any(each.startswith("95 % are answered within: 3.00 s, objective 2.00 s.") for each in facts.decide)
    assert [row[1] for row in facts.tables[0].rows] == ["its ramp went to 10 %"]


def test_what_is_as_it_was_is_no_news() -> None:
    facts = drafted((1000, 5, 1.0, 3.0), (1020, 7, 1.05, 3.1))
    assert (facts.changes, facts.decide) == ([], [])
    assert facts.headline.endswith("nothing moved by more than chance")


def test_a_dearer_week_is_split_over_its_causes() -> None:
    facts = drafted((1000, 0, 1.0, 3.0), (2000, 0, 1.0, 6.0))
    cost = next(each for each in facts.changes if each.what.startswith("The cost"))
    assert cost.what == "The cost rose from $3.00 to $6.00"
    assert cost.cause == "+$3.00 from more calls (1,000 → 2,000)"


def test_without_calls_it_says_what_it_does_not_know() -> None:
    facts = drafted((0, 0, 0.0, 0.0), (0, 0, 0.0, 0.0))
    assert len(facts.gaps) == 2
    assert facts.figures[1].now is None


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [((5, 1000), (60, 1000), True), ((5, 1000), (9, 1000), False), ((0, 20), (10, 20), False)],
    ids=["far", "chance", "few"],
)
def test_chance_is_no_change(one: tuple[int, int], other: tuple[int, int], differ: bool) -> None:
    assert share_moved(one, other) is differ


def test_no_failure_is_no_cause() -> None:
    assert why_failing(Counter(), Counter()) == ""
    fewer = why_failing(Counter({("slow", "main"): 9}), Counter())
    assert fewer == "about 9 fewer attempts at main failed: slow"


def test_a_month_without_a_run_asks_for_one() -> None:
    facts = monthly.draft(sources(Logged((0, 0, 0.0, 0.0), (0, 0, 0.0, 0.0))), FLOW, THIS, LAST)
    assert facts.decide == ["Nothing was measured. Run the examples: roadworthy evals run support?"]
    assert "no run ended in this month" in facts.gaps[0]


def test_a_quarter_asks_for_budget_second_vendor_and_contracts() -> None:
    empty = Sheet(
        covers="workflow", name="support", month="2026-11", made_at=0.0, over=False, currency=Finance(),
        cost_centres=[], most=Most(None, ""), approved=None, expected=None, figures=[], closed=[], differs={},
        corrections=[], prices=[], notes=[],
    )  # fmt: skip
    told = sources(Logged((10, 0, 1.0, 1.0), (1000, 0, 1.0, 9.0)), sheet=lambda workflow, month: empty)
    facts = quarterly.draft(told, FLOW, THIS, LAST)
    said = " ".join(facts.decide)
    assert "Nobody approved a budget" in said
    assert "main takes 100 % of the cost" in said
    assert "Contract prices are declared for main" in said
    assert facts.tables[0].rows == [["main", "m", "1,000", "$9.00", "$0.009000"]]


def test_one_period_is_drafted_once_and_not_before_the_workflow_was_there() -> None:
    kept: dict[str, Any] = {}

    class Kept:
        def has(self, ident: str) -> bool:
            return ident in kept

        def keep(self, made: Any) -> Any:
            return kept.setdefault(made.id, made)

    log = Logged((10, 0, 1.0, 1.0), (10, 0, 1.0, 1.0))
    told = sources(log, clock=lambda: THIS.until + 601.0)
    drafting = Drafting(told, Kept(), lambda: {"support": THIS.since + DAY})  # type: ignore[arg-type]
    assert [(each.kind, each.period) for each in drafting.look()] == [("weekly", "2026-W46")]
    assert drafting.look() == []
    late = Drafting(told, Kept(), lambda: {"support": THIS.until + 1.0})  # type: ignore[arg-type]
    assert late.look() == []
