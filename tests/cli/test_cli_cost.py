"""``cost`` and ``forecast``: what they print, and that the calculator needs nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_admin import EVIL, NOW, Cli

from roadworthy.cost.analysis import Plant, Seen, foresee
from roadworthy.cost.forecast import Money, Place, Size
from roadworthy.cost.model import Assumptions, ForecastFigures, Interval, OutcomeCost, Part, Track, Unit
from roadworthy.operations.costing.forecasts import Made, Past
from roadworthy.statistics.forecasting import DayCalls
from roadworthy.workflow.model import Price

SNAPSHOTS = Path(__file__).parent / "snapshots"
PAGE = Path(__file__).parents[2] / "docs" / "cost-forecast.md"
DAY = 86_400.0


def figures(**changes: Any) -> ForecastFigures:
    days = [DayCalls(1000, 0.0011, [0.001, 0.0012] * 5)] * 21
    size = Size(input=900, output=100, seconds=2.0)
    place = Place(f"main {EVIL}", tokens_a_minute=378_000, price=Price(input=1e-6, output=2e-6))
    parts = [Part("input", 15.0, 1.9e7, 0.6), Part("output", 10.0, 2.1e6, 0.4)]
    hours = ([10] * 12 + [70] * 12) * 21
    seen = Seen([1000] * 21, 0, 0, days, hours, size, parts)
    plant = Plant("support", [place], Money(month=2000.0), peak=1.0, retries=1)
    found = foresee(seen, plant, Assumptions(cost_from="live calls of 28 days (10,000 read)"))
    made = ForecastFigures(
        id="fct_0123456789abcdef", team="default", workflow="support", made_at=NOW - 9 * DAY, by="ada",
        starts=NOW - 8.5 * DAY, prices="abc", month_spent=30.0, notes=[f"a note {EVIL}"],
        **{name: getattr(found, name) for name in found.__struct_fields__},
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def unit() -> Unit:
    return Unit(
        workflow="support", since=NOW - 30 * DAY, until=NOW, calls=20_000, usd=20.0, unknown=100,
        outcomes=[OutcomeCost("answered", 19_000, 18.0, 100), OutcomeCost("recovered", 1000, 2.0)], customers=400,
        unnamed=120, per_call=20.0 / 19_900, per_customer=0.049, read=10_000, minutes=75.0, minute_usd=None,
        parts=[
            Part("input", 12.0, 1.2e7, 0.6), Part("output", 7.0, 3e6, 0.35), Part("retries", 1.0, 900, 0.05),
            Part("people", None, 75.0, 0.0),
        ],
        other_classes={"eval": 0.4},
    )  # fmt: skip


def past() -> dict[str, Any]:
    rows = [Past(figures(), 7, 7.9), Past(figures(id="fct_1", made_at=NOW, starts=NOW), 0)]
    items = [{**msgspec.to_builtins(each), "told": msgspec.to_builtins(each.told), "held": each.held} for each in rows]
    return {"track": msgspec.to_builtins(Track(3, 2, 0.25, 1.04)), "items": items}


@pytest.fixture
def cli(cli: Cli) -> Cli:
    made = Made(figures(), Track(3, 2, 0.25, 1.04), True, "evd_1", cost_owner="ada")
    cli.admin.answers |= {
        ("POST", "/v1/cost/forecasts"): (200, msgspec.to_builtins(made)),
        ("GET", "/v1/cost/forecasts"): (200, past()),
        ("GET", "/v1/cost/unit"): (200, msgspec.to_builtins(unit())),
    }
    return cli


CASES: dict[str, tuple[int, list[str]]] = {
    "forecast": (0, ["forecast", "support"]),
    "forecast-past": (0, ["forecast", "support", "--past"]),
    "cost-unit": (0, ["cost", "unit", "support"]),
}


@pytest.mark.parametrize("name", CASES)
def test_output_is_as_it_was_agreed(cli: Cli, name: str) -> None:
    code, arguments = CASES[name]
    result = cli(*arguments)
    path = SNAPSHOTS / f"{name}.txt"
    printed = f"$ roadworthy {' '.join(arguments)}\n{result.output}(exit {result.exit_code})\n"
    if os.environ.get("ROADWORTHY_UPDATE_SNAPSHOTS"):
        path.write_text(printed, encoding="utf-8")
    assert result.exit_code == code, result.output
    assert printed == path.read_text(encoding="utf-8")
    assert "owned\x07" not in result.output
    assert not set(result.output) & {chr(c) for c in [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E]}


def test_what_is_typed_is_what_is_asked(cli: Cli) -> None:
    assert cli("forecast", "support", "--volume", "50k/month", "--growth", "20%", "--dry-run").exit_code == 0
    asked = cli.admin.asked[-1][3]
    assert asked["calls_a_day"] == pytest.approx(50_000 / 30)
    assert (asked["growth_a_month"], asked["keep"]) == (0.2, False)
    before = len(cli.admin.asked)
    assert cli("forecast", "support", "--volume", "often").exit_code == 2
    assert len(cli.admin.asked) == before


def test_the_first_command_of_the_page_works_without_an_install(cli: Cli) -> None:
    first = re.search(r"^\$ roadworthy (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    result = cli(*first[1].split())
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0].startswith("gpt-4o-mini at openai (genai-prices ")
    assert "2,000 calls" in result.output
    plain = msgspec.json.decode(cli(*first[1].split(), "--json").output)
    assert plain["month_usd"] == pytest.approx(30 * 2000 * plain["call_usd"])
    assert cli("cost", "calculate", "--model", "gtp-4o", "--in", "1", "--out", "1").exit_code == 2


def test_an_assumption_is_called_one(cli: Cli) -> None:
    short = figures(basis="assumption", days=2, assumptions=Assumptions(calls_a_day=100.0, cost_from="eval calls (60)"))
    made = Made(short, Track(), True, "", "no_release", cost_owner="ada")
    cli.admin.answers["POST", "/v1/cost/forecasts"] = (200, msgspec.to_builtins(made))
    output = cli("forecast", "support").output
    assert "assumption, not forecast: 2 whole days of traffic; 100 calls a day are stated" in output
    assert "no frozen release" in output
    assert Interval(1.0, 0.5, 2.0).width == 1.5
