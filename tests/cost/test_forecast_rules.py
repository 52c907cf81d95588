"""What a load does to limits and to the cost of a call, and what a calculator answers before any data."""

from __future__ import annotations

import math

import msgspec
import pytest

from roadworthy.cost import forecast as rules
from roadworthy.cost.analysis import HORIZONS, Plant, Seen, foresee, track
from roadworthy.cost.calculator import Call, Unreadable, calculate, volume
from roadworthy.cost.forecast import Money, Place, Size
from roadworthy.cost.model import Assumptions, Interval
from roadworthy.cost.service import PriceList
from roadworthy.cost.unit import parts, tallied
from roadworthy.operations.costing.gathering import _repriced
from roadworthy.statistics.forecasting import DayCalls
from roadworthy.workflow.inference import Attempt, Check, Inference, Tokens
from roadworthy.workflow.model import Price

PRICE = Price(input=1e-6, output=2e-6, cache_read=0.5e-6)
SIZE = Size(input=900, output=100, attempts=1.1, seconds=2.0)


def seen(**changes: object) -> Seen:
    days = [DayCalls(1000, 0.0011, [0.001, 0.0012] * 20) for _ in range(21)]
    given: dict[str, object] = {
        "counts": [1000] * 21, "first": 0, "next": 0, "days": days, "hours": ([10] * 12 + [70] * 12) * 21,
        "size": SIZE, "parts": [],
    }  # fmt: skip
    return Seen(**{**given, **changes})  # type: ignore[arg-type]


def test_limits_are_told_with_the_multiple_at_which_they_bind_the_first_one_first() -> None:
    place = Place("main", requests_a_minute=100, tokens_a_minute=10_000, at_once=50)
    found = rules.limits([place], SIZE, 0.1, Money(month=100.0), 50.0, "triage")
    assert [(each.name, round(each.binds_at, 2)) for each in found] == [
        ("tokens a minute", 1.67), ("budget of a month", 2.0), ("requests a minute", 15.15), ("calls at once", 250.0),
    ]  # fmt: skip
    assert rules.limits([Place("main")], SIZE, 0.1, Money(), 50.0, "triage") == []


def test_past_a_limit_calls_go_down_the_ladder_or_find_no_room() -> None:
    rates = [0.5, 1.0]
    assert rules.served(rates, 1.0, 1.0, 0.0).all == 1.0
    alone = rules.served(rates, 10.0, 5.0, 0.0)
    assert alone.first == pytest.approx(10 / 15)
    helped = rules.served(rates, 10.0, 5.0, 2.0)
    assert helped.other == pytest.approx(2 / 15)
    assert rules.served(rates, 10.0, math.inf, 0.0).all == 1.0
    assert rules.amplified(0.5, 2) == 1.75
    assert rules.amplified(0.0, 5) == 1.0


def test_a_shared_beginning_is_found_in_the_cache_more_often_at_a_higher_rate() -> None:
    cached = Size(input=500, cache_read=400, output=100)
    slow = rules.hit_factor(cached, PRICE, rate=0.05, now_rate=0.005, cached_for=300)
    assert 0.5 < slow < 1.0
    assert rules.hit_factor(cached, PRICE, rate=1.0, now_rate=0.5, cached_for=300) == pytest.approx(1.0)
    assert rules.hit_factor(SIZE, PRICE, rate=1.0, now_rate=0.001, cached_for=300) == 1.0
    assert rules.hit_factor(cached, None, rate=1.0, now_rate=0.001, cached_for=300) == 1.0


def test_ten_times_the_peak_is_not_ten_times_as_reachable() -> None:
    plant = Plant("triage", [Place("main", tokens_a_minute=378_000, price=PRICE)], peak=1.0, retries=2)
    found = foresee(seen(), plant, Assumptions())
    by = {each.name: each for each in found.scenarios}
    assert by["5x"].feasible
    assert by["10x"].note.startswith("10× is not reachable on today's limits: tokens a minute of main bind at 6.3×")
    assert "find no room" in by["10x"].note
    assert "retries would make" in by["10x"].note
    assert by["10x"].served < 1.0
    assert by["peak"].calls == pytest.approx(30 * 86_400 * 40 / 70)
    assert by["5x"].usd.point == pytest.approx(5 * by["peak"].usd.point)
    assert set(found.horizons) == set(HORIZONS)


def test_what_the_next_target_takes_costs_what_it_costs_there() -> None:
    dear = Price(input=10e-6, output=20e-6)
    places = [Place("main", tokens_a_minute=378_000, price=PRICE), Place("backup", price=dear)]
    alone = foresee(seen(), Plant("triage", places[:1], peak=1.0), Assumptions())
    helped = foresee(seen(), Plant("triage", places, peak=1.0), Assumptions())
    ten, with_backup = (each.scenarios[-1] for each in (alone, helped))
    assert with_backup.usd.point > 2 * ten.usd.point
    assert with_backup.served == pytest.approx(1.0)
    assert "to backup, at 10 × the cost" in with_backup.note


def test_under_seven_days_it_is_an_assumption_and_says_what_of() -> None:
    found = foresee(seen(counts=[900, 1100], hours=[]), Plant("triage", []), Assumptions(cost_sd=0.15))
    assert found.basis == "assumption"
    assert found.assumptions.load_factor_from == "assumed"
    assert "projected_peak is not set" in found.assumptions.peak_from
    whole = foresee(seen(), Plant("triage", []), Assumptions())
    assert whole.basis == "forecast"
    assert found.scenarios[1].usd.width > 1.5 * whole.scenarios[1].usd.width


def test_the_track_counts_intervals_that_held_and_how_wide_they_were() -> None:
    assert track([]).width is None
    found = track([(Interval(10, 8, 12), 11.0), (Interval(10, 8, 12), 20.0), (Interval(10, 9, 11), 10.0)])
    assert (found.scored, found.held) == (3, 2)
    assert found.width == pytest.approx(0.2)
    assert found.ratio == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("text", "a_day"),
    [("2000/day", 2000), ("2000", 2000), ("50k/month", 50_000 / 30), ("3/s", 259_200), ("1.5M / week", 1.5e6 / 7),
     ("12,000 per h", 288_000)],
)  # fmt: skip
def test_volumes_are_read_as_people_write_them(text: str, a_day: float) -> None:
    assert volume(text) == pytest.approx(a_day)


@pytest.mark.parametrize("text", ["", "often", "0/day", "5/fortnight", "-3/s", "1e9/s", "nan"])
def test_a_volume_that_is_none_is_answered_with_an_example(text: str) -> None:
    with pytest.raises(Unreadable, match="2000/day"):
        volume(text)


def test_a_call_is_priced_with_its_cache_and_its_batch() -> None:
    found = calculate(PRICE, Call(1000, 100, reads=0.8, off=0.5), 1000.0)
    assert found.call.total == pytest.approx((200e-6 + 800 * 0.5e-6 + 200e-6) / 2)
    assert found.uncached == pytest.approx(1200e-6)
    assert (found.month, found.year) == (pytest.approx(found.day * 30), pytest.approx(found.day * 365))
    for call, word in ((Call(-1, 1), "--in"), (Call(1, math.inf), "--out"), (Call(1, 1, 0.7, 0.7), "more than all")):
        with pytest.raises(Unreadable, match=word):
            calculate(PRICE, call, 1.0)


def test_the_public_list_prices_a_model_by_its_name_and_says_what_is_near_one_that_it_lacks() -> None:
    prices = PriceList()
    at, found = prices.listed("gpt-4o-mini")
    assert at == "openai"
    assert found.price is not None
    assert found.price.source.startswith("genai-prices")
    assert "gpt-4o-mini" in prices.listed("gtp-4o-mini")[1].unknown
    assert "--provider" in prices.listed("gpt-4o-mini", "groq")[1].unknown
    assert "provider" in prices.listed("gpt-4o-mini", "opnai")[1].unknown


def test_a_call_is_taken_apart_at_what_it_was_charged_even_if_prices_moved() -> None:
    tokens = Tokens(input=800, cache_read=200, output=100, reasoning=40)
    call = Inference(
        id="inf_1", ts=0.0, team="default", workflow="triage", outcome="recovered", cost_usd=0.0051,
        attempts=[
            Attempt("main", tokens=tokens, cost_usd=0.0022), Attempt("main", "hedge", cost_usd=0.001),
            Attempt("main", "repair", cost_usd=0.0014),
        ],
        checks=[Check("guard", True, cost_usd=0.0005)],
    )  # fmt: skip
    unknown = Inference(id="inf_2", ts=0.0, team="default", workflow="triage", outcome="error")
    tally = tallied([call, unknown], lambda name: PRICE)
    assert tally.total == pytest.approx(0.0051)
    assert tally.usd["reasoning"] == pytest.approx(0.4 * 0.0022 * 200 / 1100)
    assert (tally.usd["hedges"], tally.usd["repairs"], tally.usd["checks"]) == (0.001, 0.0014, 0.0005)
    found = parts(tally, 0.0102, 2.0, {"people": (None, 12.0), "judges": (0.0, 0)})
    assert sum(part.usd or 0.0 for part in found) == pytest.approx(0.0102)
    assert found[0].name == "input"
    assert next(part for part in found if part.name == "people").count == 12.0


def test_calls_that_were_free_cost_what_they_would_now() -> None:
    tokens = Tokens(input=100, output=10)
    attempts = [
        Attempt("main", tokens=tokens, cost_usd=0.0), Attempt("main", cost_usd=0.0, failure="unavailable"),
        Attempt("gone", tokens=tokens, cost_usd=0.5),
    ]  # fmt: skip
    call = Inference(
        id="inf_1", ts=0.0, team="default", workflow="support", outcome="answered", attempts=attempts, cost_usd=0.5
    )
    assert _repriced(call, {"main": Price(1e-3, 2e-3)}) == pytest.approx(0.5 + 0.12)
    assert _repriced(msgspec.structs.replace(call, cost_usd=None), {}) is None
