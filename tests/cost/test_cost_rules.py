"""What a call costs: exact, split by kind, and unknown rather than zero."""

from __future__ import annotations

import datetime
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.cost.rules import NO_USAGE, breakdown, cost_of, settle
from roadworthy.cost.service import PriceList
from roadworthy.gateway.limits.pricing import TOKENS_PER_FILE, ModelPrices, tokens_in
from roadworthy.workflow.inference import Attempt, Tokens
from roadworthy.workflow.model import Price, Target

counts = st.integers(0, 10_000_000)
dollars = st.floats(0, 1e-3)
tokens = st.builds(Tokens, counts, counts, counts, counts)
prices = st.builds(
    Price, dollars, dollars, cache_read=st.none() | dollars, cache_write=st.none() | dollars, per_request=dollars
)


def look_up(provider: str, model: str, endpoint: str | None = None, price: Price | None = None):
    listed = PriceList(lambda: datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC))
    return listed.look_up(Target("t", provider, model, endpoint, price=price))


@given(tokens, prices)
def test_the_total_is_the_sum_of_its_parts(spent, price):
    assert breakdown(spent, price).total == pytest.approx(cost_of(spent, price))


@given(tokens, tokens, prices)
def test_costs_add_up_over_attempts(one, other, price):
    together = breakdown(one, price) + breakdown(other, price)
    assert together.total == pytest.approx(cost_of(one, price) + cost_of(other, price))


def test_cached_input_is_charged_at_its_own_price():
    openai = Price(input=2e-6, output=8e-6, cache_read=5e-7)
    assert cost_of(Tokens(input=100, cache_read=900, output=50), openai) == pytest.approx(0.0002 + 0.00045 + 0.0004)


def test_anthropic_charges_more_for_writing_the_cache_and_less_for_reading_it():
    claude = Price(input=3e-6, output=15e-6, cache_read=3e-7, cache_write=3.75e-6)
    split = breakdown(Tokens(input=10, cache_read=1000, cache_write=2000, output=100), claude)
    assert (split.cache_read, split.cache_write) == (pytest.approx(0.0003), pytest.approx(0.0075))


def test_cached_tokens_without_a_price_are_charged_as_input():
    assert cost_of(Tokens(cache_read=10, cache_write=10), Price(input=1e-6, output=0)) == pytest.approx(2e-5)


def test_reasoning_is_not_charged_twice():
    price = Price(input=0, output=1e-6)
    assert cost_of(Tokens(output=100, reasoning=80), price) == cost_of(Tokens(output=100), price)


def test_missing_usage_is_unknown_and_never_zero():
    assert settle(None, Price(1e-6, 1e-6), "main") == (None, NO_USAGE)


def test_a_missing_price_is_unknown_and_names_the_target():
    assert settle(Tokens(input=1), None, "main") == (None, "no price for target main")


def test_the_users_table_is_before_the_public_list():
    own = Price(input=1e-9, output=1e-9)
    assert look_up("openai", "gpt-4o-mini", "https://api.openai.com/v1", own).price == own


@pytest.mark.parametrize(
    ("provider", "model", "endpoint"),
    [
        ("openai", "gpt-4o-mini", "https://api.openai.com/v1"),
        ("openai", "gpt-4o", "https://mine.openai.azure.com/openai/v1"),
        ("openai", "gemini-2.5-flash", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("openai", "llama-3.3-70b-versatile", "https://api.groq.com/openai/v1"),
        ("anthropic", "claude-sonnet-4-5", None),
        (
            "bedrock",
            "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
            "https://bedrock-runtime.eu-central-1.amazonaws.com",
        ),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
            "https://proxy.example/bedrock",
        ),
        ("gemini", "gemini-2.5-flash", "https://generativelanguage.googleapis.com/v1beta"),
        (
            "gemini",
            "gemini-2.5-pro",
            "https://eu-aiplatform.googleapis.com/v1/projects/p/locations/eu/publishers/google",
        ),
    ],
)
def test_the_public_list_prices_what_it_knows_and_says_so(provider, model, endpoint):
    priced = look_up(provider, model, endpoint)
    assert priced.price is not None
    assert priced.price.input > 0
    assert priced.price.source.startswith("genai-prices ")


def test_a_public_price_is_per_token():
    assert look_up("openai", "gpt-4o-mini", "https://api.openai.com/v1").price.input == 1.5e-7


def test_a_tiered_price_says_where_it_stops_being_exact():
    assert (
        "200,000 input tokens"
        in look_up("openai", "gemini-2.5-pro", "https://generativelanguage.googleapis.com/v1beta").note
    )


@pytest.mark.parametrize(
    ("provider", "model", "endpoint", "reason"),
    [
        ("openai", "gpt-4o-mini", "http://10.0.0.1:8000/v1", "10.0.0.1"),
        ("openai", "no-such-model", "https://api.openai.com/v1", "no-such-model"),
        ("simulated", "gpt-4o", None, "declares no price"),
        ("openai", "*", None, "whatever model"),
    ],
)
def test_an_unknown_price_is_none_with_the_reason(provider, model, endpoint, reason):
    priced = look_up(provider, model, endpoint)
    assert priced.price is None
    assert reason in priced.unknown


def test_the_bundled_model_costs_nothing_and_says_why():
    price = look_up("local", "SmolLM2-135M-Instruct").price
    assert (price.input, price.output, price.source) == (0, 0, "the bundled model runs on this machine")


def test_the_rules_of_cost_load_no_price_list():
    code = "import sys, roadworthy.cost.rules, roadworthy.cost.service; print('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_a_contracts_discount_is_off_the_declared_and_off_the_listed_price():
    listed = PriceList(lambda: datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC))
    public = Target("t", "openai", "gpt-4o-mini", "https://api.openai.com/v1")
    whole, less = listed.price_of(public), listed.price_of(msgspec.structs.replace(public, discount=0.15))
    assert less.input == pytest.approx(whole.input * 0.85)
    assert less.cache_read == pytest.approx(whole.cache_read * 0.85)
    assert less.source.endswith("less 15 %")
    own = msgspec.structs.replace(public, price=Price(input=1e-6, output=2e-6, per_request=0.01), discount=0.5)
    assert listed.price_of(own).output == pytest.approx(1e-6)
    assert listed.price_of(own).per_request == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("answered", "asked", "listed"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-2024-05-13", "gpt-4o", "gpt-4o-2024-05-13"),
        ("computer-use-preview-2025-03-11", "anything", "computer-use-preview"),
        ("gpt-4.1-2099-01-01", "gpt-4.1", "gpt-4.1"),
        (None, "gpt-4.1", "gpt-4.1"),
        ("nobody-knows", "neither", None),
    ],
)
def test_an_app_that_is_passed_through_is_charged_by_the_model_that_answered(answered, asked, listed):
    prices = PriceList(lambda: datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC))
    anything = Target("t", "openai", "*", "https://api.openai.com/v1")
    found = ModelPrices(prices.models_of(anything)).of(Attempt("t", model_asked=asked, model_answered=answered))
    exact = None if listed is None else prices.price_of(msgspec.structs.replace(anything, model=listed))
    assert found == exact


def test_an_endpoint_that_the_list_does_not_know_has_no_model_prices():
    assert PriceList().models_of(Target("t", "openai", "*", "http://127.0.0.1:1/v1")) == {}


@given(st.text(max_size=300))
def test_tokens_are_guessed_from_bytes_and_more_from_those_that_are_no_ascii(text):
    guessed = tokens_in(text.encode())
    assert 1 <= guessed <= len(text.encode()) // 2 + 1
    assert tokens_in(("ä" * 100).encode()) > tokens_in(b"a" * 100)


@pytest.mark.parametrize("files", [1, 3])
def test_an_image_inside_a_request_is_not_counted_as_text(files):
    image = b'{"url":"data:image/png;base64,' + b"A" * 1_000_000 + b'"}'
    body = b'{"messages":[' + b",".join([image] * files) + b"]}"
    assert TOKENS_PER_FILE * files <= tokens_in(body) <= TOKENS_PER_FILE * files + 50
    assert tokens_in(b'"data:x;base64,AAAA') < TOKENS_PER_FILE + 10
