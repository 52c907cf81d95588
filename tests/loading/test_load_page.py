"""The page of a load test: it stands alone, draws what was measured, and lets no text act."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import msgspec
import pytest
from load_cases import FROZEN, RELEASE, call, order, plan, sample

from roadworthy.cli.load_page import _round_up, page
from roadworthy.cli.load_view import preflight, progress, result
from roadworthy.latency.model import Arrivals
from roadworthy.operations.loading.concluding import concluded
from roadworthy.operations.loading.leading import Seen
from roadworthy.operations.loading.model import Distance, Fit, Headroom, Kill, LoadRun, Peak, Progress
from roadworthy.operations.loading.planning import Ready
from roadworthy.workflow.model import Objective, Policy

EVIL = '<script>alert(1)</script>\x1b[31m"'


@pytest.fixture(scope="module")
def run() -> dict:
    room = Headroom("main", "requests a minute", 900, 60, 1200, 0.3)
    planned = plan(
        kind="rehearsal",
        peak=Peak(10.0, "policy", EVIL),
        headroom=[room],
        does=[EVIL],
        stops=["it ends"],
        warnings=[EVIL],
    )
    asked = order(kind="rehearsal")
    policy = Policy(objective=Objective(latency_p95=2.0))
    ready = Ready(
        asked, None, policy, FROZEN, planned, [], Arrivals(shape="poisson", rate=20.0, seconds=60.0), [],
        planned.per_call, 1.0,
    )  # type: ignore[arg-type]  # fmt: skip
    samples = [sample(n / 20, 0.4 + n % 7 / 10, outcome="error" if n % 100 == 0 else "answered") for n in range(1200)]
    seen = Seen(
        samples=samples, records=[call(n) for n in range(20)],
        fit=Fit(400, 0.0, 1.0, "live", {}, [Distance("whole answer", 0.1, 0.3, 40, 40, 1.0, 1.1)], 40),
        kill=Kill("support", EVIL, 0.25, 0, 0.2),
    )  # fmt: skip
    made = LoadRun(
        id="lod_1", team="default", workflow=EVIL, digest=RELEASE.digest, behaviour="beh_1", began=1_795_000_000.0,
        by=EVIL, order=asked, plan=planned, state="done", came=concluded(ready, seen),
    )  # fmt: skip
    return msgspec.to_builtins(made)


def test_the_page_stands_alone_and_nothing_on_it_can_act(run: dict) -> None:
    made = page(run, run, 1_795_000_100.0)
    assert "<script" not in made
    assert not re.search(r"(src|href)=|url\(|@import", made)
    assert "default-src 'none'" in made
    assert "prefers-color-scheme:dark" in made


def test_its_plots_are_drawn_from_what_was_measured(run: dict) -> None:
    made = page(run, None, 1_795_000_100.0)
    drawn = [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", made)]
    assert len(drawn) == 5
    for svg in drawn:
        for line in svg.iter("polyline"):
            points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
            assert len(points) >= 2
            assert all(0 <= x <= 560 and 0 <= y <= 230 for x, y in points)
    assert "objective p95" in made
    assert "1,200" in made


def test_what_it_came_to_is_told_in_words(run: dict) -> None:
    text = "\n".join(result(run, run))
    assert "p99/p50 of the whole answer" in text
    assert "distance 0.10, at most 0.30" in text
    assert "last attempt 250 ms after the press" in text
    assert "no clear difference" in text
    assert "\x1b" not in text


def test_the_preflight_names_limits_and_warnings(run: dict) -> None:
    text = "\n".join(preflight(run["plan"]))
    assert "1,200 wanted, 60 live, 900 granted, 30 % refused" in text
    assert "WARNING" in text
    assert "\x1b" not in text


def test_progress_is_one_line() -> None:
    now = Progress(phase="load", seconds=5.0, of=60.0, rate=20.0, ended=100, errors=2, under_way=7, usd=0.5, p50=0.4)
    assert progress(msgspec.to_builtins(now)) == (
        "load 5 of 60 s, 100 calls at 20/s, 7 under way, p50 400 ms, p95 –, 2 errors, $0.5000"
    )


@pytest.mark.parametrize(("value", "up"), [(0.0031, 0.004), (0.9, 1.0), (1.0, 1.0), (2.1, 2.5), (99.0, 100.0), (0, 1)])
def test_axes_end_at_round_numbers(value: float, up: float) -> None:
    assert _round_up(value) == pytest.approx(up)
