"""A bill against the log: every difference is explained, and what is no bill is refused by name."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.cost.invoices import Bill, Billed, Logged, NotRead, model_of, read, reconcile
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Price

ANTHROPIC = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
    "2026-11-01,claude-sonnet-4-20250514,web,Default,standard,≤ 200k,1000,20,30,400,50,0,global,\n"
    "2026-11-01,claude-sonnet-4-20250514,app,Default,standard,≤ 200k,1000,0,0,0,50,0,global,\n"
)
OPENAI_COSTS = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,"
    "user_id,api_key_id,project_id,organization_id,project_name,organization_name,user_email,api_source\n"
    "1793491200,1793577600,2026-11-01T00:00:00+00:00,2026-11-02T00:00:00+00:00,,,,,,,,,,,,,\n"
    '1793577600,1793664000,2026-11-02T00:00:00+00:00,2026-11-03T00:00:00+00:00,1.25,usd,,,"gpt-4o-mini-2024-07-18, '
    'input",,,,org-x,,,,\n'
    '1793577600,1793664000,2026-11-02T00:00:00+00:00,2026-11-03T00:00:00+00:00,0.75,usd,,,"gpt-4o-mini-2024-07-18, '
    'output",,,,org-x,,,,\n'
)
OPENAI_USAGE = (
    "start_time,end_time,num_model_requests,model,input_tokens,output_tokens,input_cached_tokens\n"
    "1793577600,1793664000,7,gpt-4o-mini-2024-07-18,1000,100,600\n"
)
PRICE = Price(input=1e-3, output=1e-3)


def test_exports_are_read_by_their_columns_and_summed_by_day_and_model() -> None:
    bill = read(ANTHROPIC)
    assert (bill.maker, len(bill.rows)) == ("anthropic", 1)
    assert bill.rows[0].tokens == Tokens(2000, 400, 50, 100, cache_write_1h=30)
    costs = read(OPENAI_COSTS)
    assert (costs.maker, costs.passed_over) == ("openai", 1)
    assert costs.rows == [Billed("2026-11-02", "gpt-4o-mini-2024-07-18", 2.0, None)]
    usage = read(OPENAI_USAGE)
    assert usage.rows[0].tokens == Tokens(input=400, cache_read=600, output=100)  # theirs counts cached ones in
    assert usage.rows[0].calls == 7


def test_a_table_of_ones_own_is_read_with_semicolons_and_a_byte_order_mark_too() -> None:
    bill = read("\ufeffDate;Model;USD\n2026-11-01;m;1.5\n")
    assert bill == Bill("own", [Billed("2026-11-01", "m", 1.5, None)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "line 1: no column for the day: found a, b; expected 'usage_date_utc' or 'date'"),
        ("date,model\n2026-11-01,m\n", "neither amounts nor tokens"),
        ("date,model,usd\n2026-13-01,m,1\n", "line 2: '2026-13-01' is no day"),
        ("date,model,usd\n2026-11-01,m,much\n", "line 2: 'much' is no number for usd"),
        ("date,model,usd\n2026-11-01,m,nan\n", "line 2: 'nan' is no number for usd"),
        ("date,model,usd\n2026-11-01,m\n", "line 2: 2 cells; expected 3"),
        ("date,model,usd,currency\n2026-11-01,m,1,eur\n", "currency 'eur': amounts are compared in US dollars"),
        ("date,model,usd\n2026-11-01,m,\n", "no row has an amount or tokens"),
        ('date,model,usd\n2026-11-01,"m,1\n', "no CSV"),
    ],
)
def test_what_is_no_bill_is_refused_by_line_and_column(text: str, said: str) -> None:
    with pytest.raises(NotRead, match=r"bill\.csv") as refused:
        read(text, "bill.csv")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "usd"),
    [
        ("1,234.56", 1234.56), ("1.234,56", 1234.56), ("0,56", 0.56), ("1,234,567", 1234567.0), ("$1,000.5", 1000.5),
        ("-12.30", -12.3), ("(12.30)", -12.3), ("1e-05", 1e-5), ("1,234", None), ("12,34,56", None), ("1_000", None),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_it_was_written_or_not_at_all(text: str, usd: float | None) -> None:
    bill = f"date;model;usd;input_tokens\n2026-11-01;m;{text};1,234\n"
    if usd is None:
        with pytest.raises(NotRead, match="is no number for usd, or two"):
            read(bill)
    else:
        row = read(bill).rows[0]
        assert (row.usd, row.tokens) == (usd, Tokens(input=1234))


def test_rows_that_stand_twice_are_added_up_and_said() -> None:
    bill = read("date,model,usd\n2026-11-01,m,1.5\n2026-11-01,m,1.5\n")
    assert (bill.rows[0].usd, bill.repeated) == (3.0, 1)
    assert any("1 rows of the file are another one" in note for note in reconcile(bill, [], lambda _: None).notes)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(NotRead):
        read(f"date,model,usd\n{text}")


def logged(usd: float, calls: int = 10, *, unpriced: int = 0, tokens: int = 1000, day: str = "2026-11-01") -> Logged:
    return Logged(day, "m", calls, unpriced, usd, Tokens(input=tokens))


def billed(usd: float | None, tokens: int | None = 1000, *, calls: int | None = None, day: str = "2026-11-01") -> Bill:
    return Bill("own", [Billed(day, "m", usd, None if tokens is None else Tokens(input=tokens), calls)])


def test_each_difference_is_told_from_the_others() -> None:
    def parts(bill: Bill, *ours: Logged) -> dict[str, float]:
        (row,) = reconcile(bill, ours, lambda model: PRICE).rows
        return {why: round(usd, 9) for why, usd in row.parts.items()}

    assert parts(billed(1.0), logged(1.0)) == {}
    assert parts(billed(1.0)) == {"round": 1.0}  # nothing of it was logged
    assert parts(billed(2.0, 2000), logged(1.0)) == {"round": 1.0}  # half of its tokens were
    assert parts(billed(2.0, None, calls=20), logged(1.0)) == {"round": 1.0}  # or half of its calls
    assert parts(billed(1.0), logged(0.0, unpriced=10)) == {"unpriced": 1.0}
    assert parts(billed(0.8), logged(1.0)) == {"price": -0.2}  # a discount
    assert parts(billed(0.5, 500), logged(1.0)) == {"not_billed": -0.5}
    assert parts(billed(2.0, 2000), logged(0.5, unpriced=5)) == {"round": 1.0, "unpriced": 0.5}


def test_a_logged_day_that_was_not_billed_shows_too() -> None:
    found = reconcile(billed(1.0), [logged(1.0), logged(0.4, day="2026-11-02")], lambda model: None)
    assert [(row.day, row.parts) for row in found.rows] == [("2026-11-01", {}), ("2026-11-02", {"not_billed": -0.4})]


@given(
    st.floats(0, 1e4), st.integers(1, 10**7), st.floats(0, 1e4), st.integers(1, 1000), st.integers(0, 1000),
    st.integers(0, 10**7),
)  # fmt: skip
def test_causes_add_up_to_the_difference(
    usd: float, tokens: int, ours: float, calls: int, unpriced: int, own: int
) -> None:
    mine = logged(ours, calls, unpriced=min(unpriced, calls), tokens=own)
    (row,) = reconcile(billed(usd, tokens), [mine], lambda model: None).rows
    assert math.isclose(sum(row.parts.values()), row.difference, abs_tol=1e-6)


def test_a_bill_without_amounts_is_priced_by_us_and_says_so() -> None:
    found = reconcile(billed(None, 1000), [logged(1.0)], lambda model: PRICE)
    assert (found.billed, found.rows[0].estimated, found.agrees) == (1.0, True, True)
    unknown = reconcile(billed(None, 1000), [logged(1.0)], lambda model: None)
    assert "nobody knows what m costs" in unknown.notes[0]


def test_a_model_has_one_name_whatever_a_bill_calls_it() -> None:
    names = ("Claude Sonnet 4", "claude-sonnet-4-20250514", "claude-sonnet-4-latest", "anthropic/claude-sonnet-4")
    assert {model_of(name) for name in names} == {"claude-sonnet-4"}
    assert model_of("gpt-4o-mini-2024-07-18") == model_of("gpt-4o-mini") != model_of("gpt-4o")


def test_calls_around_midnight_are_no_difference_of_the_month() -> None:
    rows = [Billed(f"2026-11-0{day}", "m", usd, None) for day, usd in ((1, 1.0), (2, 3.0))]
    ours = [logged(2.0), logged(2.0, day="2026-11-02")]
    assert reconcile(Bill("own", rows), ours, lambda model: None).notes == [
        "m: single days differ and their sum does not: calls around midnight UTC"
    ]
