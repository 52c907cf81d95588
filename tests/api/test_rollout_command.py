"""``roadworthy rollout`` and ``roadworthy audit`` before a whole control: what an operator types and reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from click.testing import CliRunner, Result

from api.conftest import FILES, Install
from roadworthy.cli.context import Work
from roadworthy.cli.main import root
from roadworthy.rollout.model import Grounds
from roadworthy.wiring.cli import InProcessTransport
from roadworthy.wiring.control import AsThisUser

STAGES = """\
  rollout:
    stages:
      - {share: 0%, name: testers, dwell: 1h, calls: 3, approval: false}
      - {share: 25%, name: quarter, dwell: 1h, calls: 50}
      - {share: 100%, dwell: 1h, calls: 50}
"""
NOON = datetime(2026, 11, 23, 13, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


class Typed:
    """A terminal of a person, or of the OS user."""

    def __init__(self, install: Install, home: Path, token: str = "") -> None:
        self.install = install
        self.home = home
        self.token = token

    def __call__(self, *arguments: str) -> Result:
        work = Work(
            connect=self._connect, clock=self.install.clock, sleep=lambda seconds: None, width=150,
            environ={"HOME": str(self.home), "ROADWORTHY_DATA": str(self.install.control.folder.root), "NO_COLOR": "1"},
        )  # fmt: skip
        return CliRunner().invoke(root, list(arguments), obj=work)

    @contextmanager
    def _connect(self, data: Path, create: bool) -> Iterator[httpx2.BaseTransport]:
        with InProcessTransport(AsThisUser(self.install.control.app)) as inner:
            yield _As(inner, self.token)


class _As(httpx2.BaseTransport):
    def __init__(self, inner: httpx2.BaseTransport, token: str) -> None:
        self._inner = inner
        self._token = token

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._token:
            request.headers["authorization"] = f"Bearer {self._token}"
        return self._inner.handle_request(request)


@pytest.fixture
def install_with_ramp(install: Install, monkeypatch: pytest.MonkeyPatch) -> Install:
    install.clock.now = NOON
    flow = FILES["workflows/triage/workflow.yaml"].replace("policy: {testers: [ada]}\n", "policy:\n  testers: [ada]\n")
    flow = flow.replace("  testers: [ada]\n", f"  testers: [ada]\n{STAGES}")
    install.apply(**{"workflows/triage/workflow.yaml": flow})
    install.good("POST", "/v1/freeze", {"workflow": "triage"})
    proven = Grounds(1.0, "rcp_" + "a" * 16, ("evd_" + "b" * 16,), "production", True)
    evidenced = type("Proven", (), {"grounds": lambda self, *about: proven})()
    monkeypatch.setattr(install.control.ramping.rollouts, "_evidenced", evidenced)
    monkeypatch.setattr(install.control.ramping.board, "_evidenced", evidenced)
    return install


@pytest.fixture
def ada(install_with_ramp: Install, tmp_path: Path) -> Typed:
    code = install_with_ramp.control.sign_in.code("ada", actor="os:0")
    token = install_with_ramp.good("POST", "/v1/login", {"code": code})["token"]
    return Typed(install_with_ramp, tmp_path, token)


def good(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def calls_of_testers(install: Install, n: int = 5) -> None:
    from api.test_rollouts_api import calls

    digest = install.good("GET", "/v1/rollouts/triage")["release"]
    calls(install, n, traffic="tester", digest=digest, ts=install.clock.now - 60, stage="testers")


def test_start_prints_a_dated_calendar_before_it_asks(ada: Typed) -> None:
    refused = ada("rollout", "start", "triage")
    assert refused.exit_code == 2
    assert "Mon 23 Nov" in refused.output or "13:02:30" in refused.output
    assert "quarter" in refused.output
    assert "give --yes" in refused.output
    assert ada.install.good("GET", "/v1/rollouts/triage")["state"] == "none"
    begun = good(ada("rollout", "start", "triage", "--yes", "--reason", "week 47"))
    assert "is ramping at testers (0 %)" in begun
    assert "next: quarter, once dwell is met" in begun


def test_status_shows_gates_in_order_guardrails_with_figures_and_what_comes_next(ada: Typed) -> None:
    assert "triage has no ramp: `roadworthy rollout start triage` begins a ramp" in good(
        ada("rollout", "status", "triage")
    )
    good(ada("rollout", "start", "triage", "--yes"))
    ada.install.clock.now += 600
    calls_of_testers(ada.install)
    ada.install.control.ramping.watch.look()
    shown = good(ada("rollout", "status", "triage"))
    assert "everybody else: the bypass" in shown
    assert "0 of 5 calls (0.00 %): at this rate, decision in" in shown
    order = ["dwell", "analysis", "traffic", "guardrails", "sample ratio", "ceiling", "people", "approval"]
    table = shown[shown.index("before quarter, in this order") :]
    assert sorted(order, key=table.index) == order
    assert "next: quarter, once dwell is met" in shown
    everything = json.loads(good(ada("rollout", "status", "--json")))
    assert everything["items"][0]["workflow"] == "triage"
    assert "ramping" in good(ada("rollout", "status"))


def test_one_question_answers_who_allowed_a_share_and_on_what_evidence(ada: Typed) -> None:
    good(ada("rollout", "start", "triage", "--yes"))
    ada.install.clock.now += 3590
    calls_of_testers(ada.install, 20)
    ada.install.clock.now += 10
    ada.install.control.ramping.watch.look()
    good(ada("rollout", "approve", "triage", "--stage", "quarter", "--reason", "the testers are content"))
    good(ada("rollout", "hold", "triage", "--reason", "lunch"))  # changes no share, so it allowed none
    ada.install.clock.now += 7200
    good(ada("rollout", "rollback", "triage", "--reason", "complaints"))
    ada.install.clock.now += 3600
    for question in (
        ("audit", "list", "--workflow", "triage", "--at", "2026-11-23 14:02"),
        ("rollout", "history", "triage", "--at", "2026-11-23 14:02"),
    ):
        said = good(ada(*question))
        assert "had 25 %" in said
        assert "by ada (on behalf of os:" in said
        assert "reason    the testers are content" in said
        assert f"receipt   rcp_{'a' * 16}" in said
        assert f"evidence  evd_{'b' * 16}" in said
        assert "on the analysis of testers: 20 calls" in said
        assert "0 of 20 calls" in said
        assert "approval" in said
    told = json.loads(good(ada("rollout", "history", "triage", "--at", "2026-11-23 14:02", "--json")))
    assert (told["in_force"]["actor"], told["in_force"]["after"]["share"]) == ("ada", 0.25)
    later = json.loads(good(ada("rollout", "history", "triage", "--json")))
    assert [item["action"] for item in later["items"]] == ["roll_back", "hold", "approve", "ask", "start"]
    assert "approve" in good(ada("rollout", "history", "triage"))
    assert ada("rollout", "history", "triage", "--at", "2026-11-20 14:02").exit_code == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["rollout", "approve", "triage"], 2, "triage has no ramp"),
        (["rollout", "start", "triage", "--stage", "50%", "--yes"], 2, "no stage '50%'"),
        (["rollout", "status", "triaje"], 2, "did you mean 'triage'"),
        (["rollout", "rollback", "triage", "--to", "x"], 2, "'x' is not one of"),
        (["rollout", "history", "triage", "--at", "whenever"], 2, "whenever"),
        (["audit", "list", "--at", "14:02"], 2, "name its workflow"),
        (["log", "--kill", "dead"], 2, "not one of guarded"),
    ],
)
def test_bad_input_is_named(ada: Typed, words: list[str], code: int, says: str) -> None:
    result = ada(*words)
    assert (result.exit_code, says in result.output) == (code, True), result.output


def test_the_os_user_stops_and_is_told_who_may_go_on(ada: Typed, tmp_path: Path) -> None:
    good(ada("rollout", "start", "triage", "--yes"))
    somebody = Typed(ada.install, tmp_path)
    good(somebody("rollout", "hold", "triage", "--reason", "wait"))
    good(somebody("rollout", "lock", "triage"))
    refused = somebody("rollout", "resume", "triage")
    assert refused.exit_code == 1
    assert "log in first" in refused.output
    assert "locked" in good(ada("rollout", "status", "triage"))
    good(ada("rollout", "unlock", "triage"))
    assert "ramping" in good(ada("rollout", "resume", "triage"))
    good(somebody("rollout", "rollback", "triage", "--to", "share"))


def test_the_log_is_asked_by_stage_and_by_what_enforcement_would_have_done(ada: Typed) -> None:
    from api.test_rollouts_api import calls

    calls(ada.install, 3, would="bypassed: no receipt", stage="10 %")
    listed = json.loads(good(ada("log", "--would", "bypassed", "--stage", "10 %", "--json")))
    assert len(listed["items"]) == 3
    shown = good(ada("show", listed["items"][0]["id"]))
    assert "would have: bypassed: no receipt" in shown
    assert "10 %" in shown
    by: dict[str, Any] = json.loads(good(ada("stats", "--by", "would", "--json")))
    assert by["rows"][0]["group"]["would"] == "bypassed: no receipt"
