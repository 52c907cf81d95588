"""The finance sheet: what it says, what is closed stays, and who may do that."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from costing_support import DAY, NOON, PRICE, ZONE, Install

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.cost import sheet as pages
from roadworthy.cost.model import Interval, Priced
from roadworthy.cost.service import PriceList
from roadworthy.cost.sheet import BadMonth, Sheet
from roadworthy.operations.costing import sheet_page
from roadworthy.operations.costing.comparing import Comparer, NothingRecorded
from roadworthy.operations.costing.finance import Books, Refused
from roadworthy.operations.costing.mailing import Mailing, NotMailed
from roadworthy.operations.costing.reading import Costs
from roadworthy.operations.costing.reconciling import Reconciler
from roadworthy.workflow.model import Budget, Budgets, Finance, Smtp, Target
from roadworthy.workflow.service import Actor, Unknown

DOCS = Path(__file__).parents[2] / "docs"
ADA, BO = Actor("ada"), Actor("bo")  # bo is the cost owner
KNOWN = Priced(PRICE)
OCTOBER = datetime(2026, 10, 12, 12, tzinfo=UTC).timestamp()


def books(
    made: Install, key: bytes = b"1" * 32, forecast: Interval | None = None, priced: Priced = KNOWN,
    unpriced: tuple[str, ...] = (),
) -> Books:  # fmt: skip
    return Books(
        made.state, made.log, Costs(made.log, price_of=lambda target: PRICE, zone=lambda: ZONE),
        lambda: made.configuration,
        lambda target: Priced(None, "nobody knows it") if target.name in unpriced else priced,
        Ed25519Signer(key), Ed25519Verifier(),
        zone=lambda: ZONE, clock=lambda: made.now, forecast=lambda workflow: forecast,
    )  # fmt: skip


def month_of_calls(made: Install) -> None:
    for days in range(1, 15):
        made.called(NOON - days * DAY, usd=0.1, calls=10)
    made.called(NOON - 60.0, usd=0.5, calls=2, traffic="eval")
    made.called(NOON - 60.0, usd=0.2, outcome="escalated")


def test_the_sheet_adds_up_and_safety_is_a_line_of_its_own() -> None:
    made = Install(Budgets(workflow=Budget(day=2.0, month=50.0)))
    month_of_calls(made)
    page = books(made).sheet("workflow", "support")
    assert (page.most.usd, page.most.by) == (50.0, "budget of a month of support")
    assert page.approved == 50.0
    assert (round(page.spent, 6), page.calls, page.resolved) == (15.2, 141, 140)
    assert page.per_resolved == pytest.approx(15.2 / 140)
    assert [(line.name, line.usd) for line in page.safety] == [("eval", 1.0)]
    assert page.expected is not None
    assert not page.expected.assumption
    assert page.expected.low <= page.expected.point <= page.expected.high
    assert [(price.target, price.source) for price in page.prices] == [("main", "declared")]


def test_a_kept_forecast_takes_the_place_of_the_rate_of_the_last_days() -> None:
    made = Install()
    month_of_calls(made)
    page = books(made, forecast=Interval(60.0, 30.0, 90.0)).sheet("all")
    left = 7.5  # from noon of the 23rd
    assert page.expected is not None
    assert page.expected.point == pytest.approx(15.2 + 60.0 / 30.0 * left)
    assert "the newest forecast" in page.expected.basis


def test_unpriced_calls_are_a_headline_with_their_reason() -> None:
    made = Install()
    made.called(NOON - 60.0, calls=3)
    made.called(NOON - 60.0, cost_usd=None, cost_unknown="no price for target main")
    page = books(made).sheet("workflow", "support")
    text = sheet_page.markdown(page, ZONE)
    assert "1 of 4 calls (25.0 %) have no known cost" in text
    assert "support: no price for target main" in text


def test_the_most_is_the_least_that_bounds_all_calls_and_says_when_nothing_does() -> None:
    def most(*flows: tuple[str, Budget], team: Budget | None = None) -> tuple[float | None, str]:
        found = pages.most([(name, "t", budget) for name, budget in flows], {"t": team or Budget()}, 30)
        return found.usd, found.by

    assert most(("a", Budget(day=2.0, month=50.0))) == (50.0, "budget of a month of a")
    assert most(("a", Budget(day=1.0, month=50.0))) == (30.0, "budget of a day × 30 days of a")
    assert most(("a", Budget(month=5.0)), ("b", Budget(month=6.0)))[0] == 11.0
    assert most(("a", Budget(month=5.0)), ("b", Budget(month=6.0)), team=Budget(month=8.0))[0] == 8.0
    assert most(("a", Budget(month=5.0)), ("b", Budget()), team=Budget(month=8.0))[0] == 8.0
    usd, by = most(("a", Budget(month=5.0)), ("b", Budget()))
    assert usd is None
    assert by.startswith("nothing limits b: declare policy.budgets.workflow")


def test_what_permits_spend_and_what_has_no_price_is_said_with_the_most() -> None:
    made = Install(Budgets(workflow=Budget(month=5.0)))
    made.configuration.targets["other"] = Target("other", "simulated", "x")
    made.called(NOON - 60.0, usd=1.0, traffic="tester")
    made.called(NOON - 60.0, usd=7.0, traffic="eval")
    made.called(NOON - 60.0, usd=9.0, traffic="drill")
    page = books(made, unpriced=("other",)).sheet("workflow", "support")
    assert (page.most.usd, page.permitted) == (5.0, 7.0)
    assert page.spent == 8.0, "a drill reaches no provider, so nobody is billed for it"
    assert "calls of other, whose price nobody knows, count at the dearest known price" in page.most.by
    assert "each under a permit with a cap of its own: $7.00 in this month" in sheet_page.markdown(page, ZONE)


def test_a_day_too_few_is_an_assumption_and_no_day_is_no_figure() -> None:
    assert pages.expected(1.0, [], 3.0) is None
    short = pages.expected(1.0, [2.0] * 6, 3.0)
    long = pages.expected(1.0, [2.0] * 7, 3.0)
    assert short is not None
    assert long is not None
    assert (short.assumption, long.assumption, long.point) == (True, False, 7.0)


def test_a_closed_month_stays_and_what_the_log_says_later_shows_beside_it() -> None:
    made = Install(finance=Finance("EUR", 0.9, "2026-10-31"))
    made.called(OCTOBER, usd=1.0, calls=5)
    kept = books(made)
    (closed,) = kept.close("2026-10", BO)
    assert closed.figures.spent == 5.0
    made.called(OCTOBER, usd=1.0)  # a journal that came late
    assert kept.close("2026-10", BO) == []
    kept.correct("2026-10", "support", 1.0, "late journal of worker 2", BO)
    page = kept.sheet("workflow", "support", "2026-10")
    assert (page.figures[0].spent, page.differs, page.spent) == (5.0, {"support": 1.0}, 6.0)
    text = sheet_page.markdown(page, ZONE)
    assert "Closed by bo" in text
    assert "late journal of worker 2 (bo)" in text
    assert "5.40 EUR" in text  # at the rate of the closing
    with made.state.read() as tx:
        actions = {row.action: row.outcome for row in tx.audit()}
    assert (actions["month.close"], actions["month.correct"]) == ("done", "done")


def test_only_the_cost_owner_closes_and_corrects_only_what_is_over_and_closed_and_denials_are_audited() -> None:
    made = Install()
    made.called(OCTOBER)
    kept = books(made)
    for attempt, why in (
        (lambda: kept.close("2026-10", ADA), "the cost owner of no workflow"),
        (lambda: kept.close("2026-11", BO), "is not over"),
        (lambda: kept.correct("2026-10", "support", 1.0, "why", ADA), "only bo, the cost owner"),
        (lambda: kept.correct("2026-10", "support", 1.0, "why", BO), "is not closed"),
        (lambda: kept.correct("2026-10", "support", 1.0, " ", BO), "needs a reason"),
        (lambda: kept.correct("2026-10", "support", 0.0, "why", BO), "is no amount"),
    ):
        with pytest.raises(Refused, match=why):
            attempt()
    with made.state.read() as tx:
        assert len([row for row in tx.audit() if row.outcome == "denied"]) == 6


def test_a_month_that_somebody_wrote_into_the_database_counts_for_nothing() -> None:
    made = Install()
    made.called(OCTOBER, usd=1.0)
    books(made, b"2" * 32).close("2026-10", BO)
    page = books(made).sheet("workflow", "support", "2026-10")
    assert (page.closed, page.spent) == ([], 1.0)


@pytest.mark.parametrize("month", ["2026-13", "2026", "26-10", "2026-1", "", "2027-01", "x" * 5000])
def test_a_month_that_is_none_or_to_come_is_refused(month: str) -> None:
    made = Install()
    if month:
        with pytest.raises(BadMonth):
            books(made).sheet("all", month=month)
    else:
        assert books(made).sheet("all", month=month).month == "2026-11"
    with pytest.raises(Unknown, match="no workflow 'suport'"):
        books(made).sheet("workflow", "suport")


def test_the_page_escapes_what_others_wrote_and_loads_nothing() -> None:
    made = Install()
    made.called(NOON - 60.0, cost_usd=None, cost_unknown="no price for <script>alert(1)</script> | *x*")
    page = books(made).sheet("workflow", "support")
    html = sheet_page.html(page, ZONE)
    assert "<script" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert "default-src 'none'" in html
    text = sheet_page.markdown(page, ZONE)
    assert r"\<script\>" in text


def test_the_sheet_goes_to_the_cost_owner_by_mail_as_page_and_text() -> None:
    made = Install(smtp=Smtp("mail.example", "rw@x.example"))
    made.called(NOON - 60.0)
    page = books(made).sheet("workflow", "support")
    mailing = Mailing(made.state, zone=lambda: ZONE, clock=lambda: made.now)
    assert mailing.send(page, ADA) == ["bo@x.example"]
    with made.state.read() as tx:
        (row,) = tx.deliveries(limit=9)
        assert tx.last_audit() is not None
    mail: dict[str, Any] = msgspec.json.decode(row.body)
    assert (row.kind, mail["subject"]) == ("mail", "Finance sheet: support, November 2026")
    assert mail["html"].startswith("<!doctype html>")
    with pytest.raises(NotMailed, match="no mail server is declared"):
        Mailing(Install().state, zone=lambda: ZONE, clock=lambda: NOON).send(page, ADA)


def test_without_any_known_price_no_budget_binds() -> None:
    made = Install(Budgets(workflow=Budget(month=50.0)))
    page = books(made, priced=Priced(None, "unknown")).sheet("all")
    assert page.most.usd is None
    assert "nothing can be reserved" in page.most.by


def test_recorded_traffic_is_priced_on_configured_and_listed_models_and_unknown_ones_say_so() -> None:
    made = Install()
    made.called(NOON - DAY, usd=0.1, calls=10)
    made.called(NOON - 60.0, usd=0.1, calls=10, traffic="eval")  # is no traffic of customers
    comparer = Comparer(made.log, lambda: made.configuration, PriceList(), clock=lambda: made.now)
    found = comparer.compare("support", ["gpt-4o-mini", "no-such-model"])
    assert (found.recorded.calls, found.recorded.tokens.input, round(found.recorded.days, 3)) == (10, 100_000, 1.0)
    rows = {row.candidate.name: row for row in found.rows}
    assert rows["gpt-4o-mini"].month == pytest.approx(0.15 * 0.1 * 30)
    assert rows["no-such-model"].month is None
    with pytest.raises(NothingRecorded, match="roadworthy cost calculate"):
        comparer.compare("support", days=0.5)


def test_a_bill_is_held_against_the_calls_that_reach_a_provider() -> None:
    made = Install()
    made.called(NOON, usd=0.1, calls=10, model_answered="m-2026-01-01")
    made.called(NOON, usd=0.1, traffic="drill", model_answered="m")
    made.called(NOON, usd=0.1, model_answered=None, outcome="canned")
    reconciler = Reconciler(made.log, lambda: made.configuration, lambda target: PRICE, PriceList())
    found = reconciler.file("date,model,usd\n2026-11-23,m,1.00\n")
    assert (found.agrees, round(found.logged, 6), found.notes) == (True, 1.0, [])
    away = reconciler.file("date,model,usd\n2026-11-23,m,1.00\n2026-11-24,m,0.40\n")
    assert {why: round(usd, 6) for why, usd in away.parts.items() if usd} == {"round": 0.4}


def test_the_docs_begin_with_commands_that_work() -> None:
    first = {name: (DOCS / name).read_text().split("```")[1].strip() for name in ("finance.md", "budgets.md")}
    assert first == {"finance.md": "roadworthy cost sheet --all", "budgets.md": "roadworthy budgets"}


def test_a_sheet_comes_through_json_as_it_was() -> None:
    made = Install()
    month_of_calls(made)
    page = books(made).sheet("all")
    assert msgspec.convert(msgspec.to_builtins(page), Sheet) == page
