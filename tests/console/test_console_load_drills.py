"""Load tests and drills in the console: nothing is sent before it was said what it does, and pages say what came."""

from __future__ import annotations

import re

import pytest

from roadworthy.console.pages.load import charts, order_of
from roadworthy.console.refusals import Wrong
from roadworthy.fallback.drills.registry import drills
from roadworthy.operations.loading.model import Came, Slot
from support.console import Console, text_of

EMPTY = dict.fromkeys(("kind", "peak", "factor", "duration", "kill", "usd", "release", "past_limits"), "")


def test_a_form_left_empty_is_an_honest_test() -> None:
    order = order_of("triage", EMPTY)
    assert (order.kind, order.factor, order.seconds, order.peak, order.kill) == ("live", 2.0, 3600.0, None, False)


def test_a_form_says_rates_and_times_as_people_do() -> None:
    order = order_of("triage", {**EMPTY, "peak": "90/min", "duration": "10m", "usd": "$2.50", "kill": "yes"})
    assert (order.peak, order.seconds, order.usd, order.kill) == (1.5, 600.0, 2.5, True)
    assert order_of("triage", {**EMPTY, "kind": "limit"}).seconds == 60.0


@pytest.mark.parametrize(
    ("field", "value"),
    [("peak", "fast"), ("peak", "-1/s"), ("duration", "soon"), ("factor", "nan"), ("usd", "0"), ("kind", "heavy")],
)
def test_what_is_no_rate_no_time_and_no_money_is_refused_by_its_field(field: str, value: str) -> None:
    with pytest.raises(Wrong, match=re.escape(value)):
        order_of("triage", {**EMPTY, field: value})


def test_a_plot_without_a_figure_is_left_out() -> None:
    slots = [Slot(at=0.0, seconds=2.0, started=4, good=4, p50=0.1), Slot(at=2.0, seconds=2.0, started=2, good=2)]
    drawn = charts(Came(verdict="PASS", why=["fine"], measured=None, slots=slots))
    assert [ident for ident, _, _ in drawn] == ["chart-latency", "chart-calls"]
    lines = {line["name"]: line["values"] for line in drawn[1][2]["lines"]}
    assert lines == {"begun": [2.0, 1.0], "good": [2.0, 1.0]}
    assert drawn[0][2]["lines"][0]["values"] == [0.1, None], "what was not measured is a gap, never 0"


def test_a_workflow_without_a_release_says_what_is_missing_before_anything_is_sent(console: Console) -> None:
    ada = console.browser("ada")
    page = text_of(ada.get("/load?workflow=triage"))
    assert "No test yet" in page
    assert "Nothing is sent yet" in page
    assert "freeze" in text_of(ada.get("/load/triage/plan?kind=live", 409))
    assert "freeze" in text_of(ada.done("/load/triage/start", {"kind": "live"}, on="/load?workflow=triage"))
    assert not console.services.loads.runs("triage")


def test_every_fault_of_the_catalogue_is_shown_with_what_it_does(console: Console) -> None:
    page = text_of(console.browser("vi").get("/drills/triage"))
    for drill in drills().values():
        assert drill.name in page
        assert drill.says in page
    assert "Run all" not in page, "a viewer starts nothing"
    assert "Run all" in text_of(console.browser("ada").get("/drills/triage"))


def test_drills_of_no_release_and_of_no_fault_are_refused_in_words(console: Console) -> None:
    ada = console.browser("ada")
    assert "no fault" in text_of(ada.done("/drills/triage/start", {"fault": "gremlins"}, on="/drills/triage"))
    assert "Nothing was drilled yet" in text_of(ada.get("/failures/triage"))
    assert "None was run since control started" in text_of(ada.get("/drills/kill"))
    ada.get("/drills/triage/drl_x", 404)
    ada.get("/load/triage/lod_x", 404)


@pytest.mark.parametrize("path", ["/drills/triage", "/failures/triage", "/load/triage/plan", "/evals/triage"])
def test_another_team_sees_nothing_of_it(console: Console, path: str) -> None:
    console.browser("sky").get(path, 403)


def test_a_page_of_all_drills_leads_to_those_of_a_workflow(console: Console) -> None:
    ada = console.browser("ada")
    assert "triage" in text_of(ada.get("/drills"))
    assert ada.request("GET", "/drills?workflow=triage").headers["location"] == "/drills/triage"
    assert "triage" not in text_of(console.browser("sky").get("/drills"))
