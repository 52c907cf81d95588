"""Cost in the console: this month, what a call is made of, forecast, budgets, sheet, comparison."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from test_console_inferences import call

from roadworthy.inference_log.model import Batch
from roadworthy.workflow.inference import Attempt, Tokens
from roadworthy.workflow.service import Actor
from support.console import FILES, Browser, Console, text_of

DAY = 86_400.0


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Ten days of calls, a budget, a frozen release."""
    flow = FILES["workflows/triage/workflow.yaml"].replace(
        "policy: {testers: [ada]}",
        "policy: {testers: [ada], projected_peak: 2, budgets: {workflow: {day: 20, month: 200}}}",
    )
    made = Console(tmp_path_factory.mktemp("console"), {**FILES, "workflows/triage/workflow.yaml": flow})
    made.control.workflows.freeze("triage", Actor("ada"))
    rows = []
    for number in range(400):
        tokens = Tokens(input=500, output=100)
        attempt = Attempt("main", ended=0.5, status=200, tokens=tokens, cost_usd=0.0007)
        rows.append(call(number, made.clock.now - 10 * DAY + number * 2100.0, cost_usd=0.0007, tokens=tokens,
                         attempts=[attempt]))  # fmt: skip
    made.control.store.ship(Batch(ends=rows))
    yield made
    made.close()


@pytest.fixture
def ada(console: Console) -> Browser:
    return console.browser("ada")


def test_the_month_says_what_it_may_cost_at_most_and_has_cost(ada: Browser) -> None:
    page = text_of(ada.get("/cost"))
    for said in (
        "The most this can cost in a month",
        "$200.00",
        "Spent so far",
        "triage",
        "no forecast",
        "of $200.00 a month",
    ):
        assert said in page, said


def test_one_workflow_says_what_a_call_is_made_of(ada: Browser) -> None:
    page = ada.get("/cost/triage")
    told = text_of(page)
    for said in ("A call $0.000700", "400 live calls", "input", "output", "is told at", "None is made yet"):
        assert said in told, said
    assert "data-chart=" in page


def test_a_forecast_is_made_shown_and_accepted_by_the_cost_owner(ada: Browser, console: Console) -> None:
    told = text_of(ada.done("/cost/triage/forecast", {"growth": "5 %"}, on="/cost/triage"))
    assert "The expected month is $" in told
    for said in ("5× the peak", "10× the peak", "80 % interval", "have not accepted this forecast yet"):
        assert said in told, said
    waits = console.services.vouching.owed("triage")
    evidence = next(each.evidence for each in waits if each.kind == "cost_forecast")
    told = text_of(ada.done("/workflows/triage/accept", {"role": "cost", "evidence": evidence}, on="/cost/triage"))
    assert "accepted" in told
    assert "have not accepted this forecast yet" not in text_of(ada.get("/cost/triage"))


def test_what_cannot_be_read_of_a_forecast_is_told(ada: Browser) -> None:
    assert "for example 2000/day" in text_of(ada.done("/cost/triage/forecast", {"volume": "plenty"}, on="/cost/triage"))
    assert "expected a number" in text_of(ada.done("/cost/triage/forecast", {"growth": "much"}, on="/cost/triage"))


def test_the_traffic_is_priced_on_other_models(ada: Browser) -> None:
    told = text_of(ada.get("/cost/triage/compare?to=gpt-4o-mini,no-such-model"))
    for said in ("400 calls", "serves now", "gpt-4o-mini", "no-such-model", "Taken for granted"):
        assert said in told, said
    assert "expected a number" in text_of(ada.get("/cost/triage/compare?days=never", 422))


def test_the_sheet_is_shown_and_can_be_taken_away(ada: Browser) -> None:
    assert "Prices now, a million tokens" in text_of(ada.get("/cost/sheet"))
    assert ada.get("/cost/sheet?workflow=triage&format=html").startswith("<!doctype html>")
    assert ada.get("/cost/sheet?workflow=triage&format=markdown").startswith("# Finance sheet: triage")
    assert "month" in text_of(ada.get("/cost/sheet?month=never", 422))
    assert "expected html or markdown" in text_of(ada.get("/cost/sheet?format=pdf", 422))


def test_a_month_is_closed_by_the_cost_owner_when_it_is_over(ada: Browser, console: Console) -> None:
    assert "is not over" in text_of(ada.done("/cost/close", {"month": "2026-11"}, on="/cost"))
    assert "Closed 2026-10: triage" in text_of(ada.done("/cost/close", {"month": "2026-10"}, on="/cost"))
    assert "closed for 2026-10 already" in text_of(ada.done("/cost/close", {"month": "2026-10"}, on="/cost"))


def test_what_takes_long_is_fetched_by_the_page_when_it_is_there(ada: Browser, console: Console) -> None:
    free, later = threading.Event(), console.services.later
    later.forget()
    later.patience = 0.0
    later.get("something long", lambda: free.wait(60.0), 60.0)
    page = ada.get("/cost/triage")
    assert 'hx-trigger="load delay' in page
    assert "being worked out" in text_of(page)
    free.set()
    later.patience = 60.0
    page = ada.get("/cost/triage")
    assert 'hx-trigger="load delay' not in page
    assert "A call $0.000700" in text_of(page)


def test_nobody_sees_the_cost_of_another_team(console: Console) -> None:
    sky = console.browser("sky")
    assert "triage" not in text_of(sky.get("/cost"))
    assert "not allowed" in text_of(sky.get("/cost/triage", 403))
    assert "not allowed" in text_of(sky.get("/cost/sheet", 404))
    vi = console.browser("vi")
    assert "A call $0.000700" in text_of(vi.get("/cost/triage"))
    assert "Make a forecast" not in text_of(vi.get("/cost/triage"))
