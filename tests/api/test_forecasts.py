"""Forecasts of a whole control: from its log to the evidence, and back from what came to how they did."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from roadworthy.cost.model import Interval
from roadworthy.engine.renew import RenewalFailed
from roadworthy.evidence.kinds import Forecast
from roadworthy.inference_log.model import Batch
from roadworthy.workflow.inference import Attempt, Inference, Tokens, new_inference_id

from .conftest import FILES, Install

DAY = 86_400.0
FLOW = "workflows/triage/workflow.yaml"
PEAK = FILES[FLOW].replace("policy: {", "policy: {projected_peak: 0.01, budgets: {workflow: {month: 500}}, ")
LIMITED = FILES["roadworthy.yaml"].replace("price:", "limits: {tokens_per_minute: 4000}\n    price:")


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    made = Install(tmp_path)
    made.apply(**{FLOW: PEAK, "roadworthy.yaml": LIMITED})
    made.good("POST", "/v1/freeze", {"workflow": "triage"})
    yield made
    made.control.close()


@pytest.fixture
def login(install: Install) -> Callable[[str], str]:
    def sign_in(person: str) -> str:
        code = install.control.sign_in.code(person, actor="os:0")
        token: str = install.good("POST", "/v1/login", {"code": code})["token"]
        return token

    return sign_in


def traffic(install: Install, first: int, days: int, a_day: int = 40, **fields: Any) -> float:
    """Calls of ``days`` whole days from ``first`` days ago on (Berlin); returns what they cost."""
    zone = ZoneInfo("Europe/Berlin")
    today = datetime.fromtimestamp(install.clock.now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    rng, batch = random.Random(first), Batch()
    digest = install.control.proving.board.view("triage").frozen.release.digest  # type: ignore[union-attr]
    for day in range(first, first - days, -1):
        for number in range(a_day + rng.randint(-5, 5)):
            ts = today.timestamp() - day * DAY + (number + 0.5) * DAY / (a_day + 6)
            tokens = Tokens(input=900 + rng.randint(0, 200), output=100 + rng.randint(0, 50))
            usd = tokens.input * 1e-6 + tokens.output * 2e-6
            made: dict[str, Any] = {
                "id": new_inference_id(ts, rng.getrandbits(80)), "ts": ts, "team": "default", "workflow": "triage",
                "outcome": "answered", "digest": digest, "unit": f"u-{number % 9}", "unit_source": "header",
                "target": "main", "model_answered": "sim", "latency": 1.0, "tokens": tokens, "cost_usd": usd,
                "attempts": [Attempt("main", tokens=tokens, cost_usd=usd)],
            }  # fmt: skip
            batch.ends.append(Inference(**{**made, **fields}))
    install.control.store.ship(batch)
    return sum(each.cost_usd or 0.0 for each in batch.ends)


def forecast(install: Install, **asked: Any) -> Any:
    return install.good("POST", "/v1/cost/forecasts", {"workflow": "triage", **asked})


def scenario(made: Any, name: str) -> Any:
    return next(each for each in made["figures"]["scenarios"] if each["name"] == name)


def test_before_any_call_nothing_is_foretold_and_the_way_there_is_named(install: Install) -> None:
    refused = install.call("POST", "/v1/cost/forecasts", {"workflow": "triage", "calls_a_day": 100})
    assert refused.status_code >= 400
    assert "roadworthy evals gate triage" in refused.text
    assert "roadworthy cost calculate" in refused.text


def test_eval_calls_and_a_stated_volume_make_an_assumption_and_a_volume_must_be_stated(install: Install) -> None:
    traffic(install, 0, 1, 40, traffic="eval")
    refused = install.call("POST", "/v1/cost/forecasts", {"workflow": "triage"})
    assert "--volume" in refused.text
    made = forecast(install, calls_a_day=1000)
    assert (made["figures"]["basis"], made["kept"], made["why_none"]) == ("assumption", True, "")
    each, month = scenario(made, "unit")["usd"], scenario(made, "expected")["usd"]
    assert each["point"] == pytest.approx(0.00125, rel=0.05)
    assert month["low"] < 1000 * 30 * each["point"] < month["high"]
    judged = install.control.proving.board.readiness("triage").items[1]
    assert "assumption, not forecast" in str(judged)


def test_seven_days_of_traffic_make_a_forecast_whose_limits_and_budget_are_told(install: Install) -> None:
    traffic(install, 22, 22)
    made = forecast(install)
    figures = made["figures"]
    assert figures["basis"] == "forecast"
    assert figures["days"] == 21  # the first day of traffic is rarely whole
    month = scenario(made, "expected")["usd"]
    assert month["low"] < 40 * 30 * 0.00125 < month["high"]
    first = figures["limits"][0]
    assert first["name"] == "tokens a minute"
    assert first["binds_at"] == pytest.approx(4000 / (0.01 * 60 * 1125), rel=0.02)
    tenfold = scenario(made, "10x")
    assert not tenfold["feasible"]
    assert "tokens a minute of main bind at 5.9×" in tenfold["note"]
    assert scenario(made, "5x")["feasible"]


def test_the_cost_owner_accepts_and_what_stays_inside_stays_accepted(
    install: Install, login: Callable[[str], str]
) -> None:
    traffic(install, 15, 15)
    first = forecast(install)
    assert first["accepted_by"] == ""
    install.good(
        "POST", "/v1/evidence/accept", {"workflow": "triage", "evidence": first["evidence"]}, token=login("ada")
    )
    install.clock.now += DAY
    traffic(install, 1, 1)
    install.control.forecasting.renewed_by().run("triage")
    again = forecast(install)
    assert again["accepted_by"] == "ada"
    traffic(install, 7, 7, a_day=40, cost_usd=0.5, attempts=[])
    outgrown = forecast(install)
    assert outgrown["accepted_by"] == ""


def test_a_what_if_and_a_dry_run_are_kept_nowhere(install: Install) -> None:
    traffic(install, 12, 12)
    for asked in ({"calls_a_day": 5000.0}, {"peak": 2.0}, {"keep": False}):
        made = forecast(install, **asked)
        assert not made["kept"]
        assert made["evidence"] == ""
    assert install.good("GET", "/v1/cost/forecasts?workflow=triage")["items"] == []
    assert scenario(forecast(install, calls_a_day=5000.0), "expected")["calls"] == pytest.approx(150_000, rel=0.2)


def test_earlier_forecasts_are_held_against_what_came(install: Install) -> None:
    traffic(install, 20, 20)
    made = forecast(install)
    install.clock.now += 8 * DAY
    came = traffic(install, 7, 7)
    found = install.good("GET", "/v1/cost/forecasts?workflow=triage")
    [past] = found["items"]
    assert past["days"] == 7
    assert past["came"] == pytest.approx(came)
    assert past["told"] == made["figures"]["horizons"]["7"]
    assert found["track"]["scored"] == 1
    assert found["track"]["held"] == int(past["held"])
    assert found["track"]["width"] > 0


def test_a_forecast_that_somebody_wrote_into_the_database_is_none(install: Install) -> None:
    traffic(install, 20, 20)
    forecast(install)
    [kept] = install.control.forecasting.forecasts.kept("triage")
    with install.control.state.write() as tx:
        tx.add_forecast(
            kept.__class__(**{**{n: getattr(kept, n) for n in kept.__struct_fields__}, "id": "x"}), "rwf-e.e"
        )
    assert [each.id for each in install.control.forecasting.forecasts.kept("triage")] == [kept.id]


def test_calls_are_priced_as_prices_are_now(install: Install) -> None:
    traffic(install, 12, 12)
    before = scenario(forecast(install, keep=False), "unit")["usd"]["point"]
    install.apply(**{FLOW: PEAK, "roadworthy.yaml": LIMITED.replace("input: 1, output: 2", "input: 2, output: 4")})
    made = forecast(install, keep=False)
    assert scenario(made, "unit")["usd"]["point"] == pytest.approx(2 * before)
    assert any("priced as prices are now" in note for note in made["figures"]["notes"])


def test_a_renewal_without_anything_to_go_by_says_why(install: Install) -> None:
    with pytest.raises(RenewalFailed, match="nothing says"):
        install.control.forecasting.renewed_by().run("triage")


def test_bad_questions_are_refused_in_words(install: Install) -> None:
    traffic(install, 12, 12)
    for asked, word in (
        ({"calls_a_day": 0}, "volume"), ({"growth_a_month": -3}, "growth"), ({"peak": -1}, "peak"),
        ({"release": "99"}, "99"),
    ):  # fmt: skip
        answer = install.call("POST", "/v1/cost/forecasts", {"workflow": "triage", **asked})
        assert answer.status_code in (400, 404, 409, 422), answer.text
        assert word in answer.text
    assert install.call("GET", "/v1/cost/unit?workflow=triage&days=x").status_code in (400, 422)
    assert install.call("GET", "/v1/cost/unit").status_code in (400, 422)


def test_the_unit_is_split_into_parts_that_add_up(install: Install) -> None:
    tokens = Tokens(input=1000, output=100)
    retried = [
        Attempt("main", tokens=tokens, cost_usd=0.0012), Attempt("main", "retry", tokens=tokens, cost_usd=0.0012),
    ]  # fmt: skip
    total = traffic(install, 3, 3) + traffic(install, 2, 1, outcome="recovered", attempts=retried, cost_usd=0.0024)
    found = install.good("GET", "/v1/cost/unit?workflow=triage&days=30")
    assert found["usd"] == pytest.approx(total)
    assert sum(part["usd"] for part in found["parts"]) == pytest.approx(total)
    assert {part["name"] for part in found["parts"]} == {"input", "output", "retries"}
    assert found["customers"] == 9
    assert found["per_customer"] == pytest.approx(total / 9)
    recovered = next(each for each in found["outcomes"] if each["outcome"] == "recovered")
    assert recovered["usd"] / recovered["calls"] == pytest.approx(0.0024)


def test_what_is_accepted_is_the_interval_not_its_middle() -> None:
    figures = Forecast(
        unit=1.0, month_peak=10.0, month_five=50.0, month_spent=0.0, prices="p", unit_high=1.2, month_peak_high=12.0,
        month_five_high=60.0,
    )  # fmt: skip
    assert (figures.most.unit, figures.most.month_peak, figures.most.month_five) == (1.2, 12.0, 60.0)
    assert Interval(2.0, 1.0, 4.0).width == 1.5
