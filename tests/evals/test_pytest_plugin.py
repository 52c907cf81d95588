"""Claims about the pytest plugin: a test passes when the gate does, and says why where it does not."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from roadworthy.cli import pytest_plugin

pytest_plugins = ("pytester",)

TEST = """
import pytest

@pytest.mark.roadworthy(workflow="support-triage"{more})
def test_triage(roadworthy):
    assert roadworthy.scores["topic"] > 0.4

@pytest.mark.roadworthy("support-triage"{more})
def test_the_same_again():
    pass
"""


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was asked of a gate that passes."""
    asked: list[list[str]] = []

    def run_gate(arguments: list[str]) -> tuple[int, str, str]:
        asked.append(arguments)
        return answer("PASS")

    monkeypatch.setattr(pytest_plugin, "run_gate", run_gate)
    return asked


def answer(verdict: str) -> tuple[int, str, str]:
    code = {"PASS": 0, "FAIL": 1, "INSUFFICIENT": 2}[verdict]
    judged = {"sees": "100 examples see a drop of 12 %", "scores": {"topic": 0.5}}
    concluded = {"verdict": verdict, "why": ["topic: 20 % is under the floor of 35 %"], "judgement": judged}
    return code, json.dumps({"run": {"id": "evr_1"}, "concluded": concluded}), "error: said beside it"


def run(pytester: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(text)
    loaded = () if registered() else ("-p", "roadworthy.cli.pytest_plugin")
    return pytester.runpytest_inprocess(*loaded, "--strict-markers", "-rs", "-p", "no:cacheprovider", *arguments)


def registered() -> bool:
    from importlib.metadata import entry_points

    return any(each.name == "roadworthy" for each in entry_points(group="pytest11"))


def test_a_gate_that_passes_lets_the_tests_run_and_is_run_once(
    pytester: pytest.Pytester, gate: list[list[str]]
) -> None:
    run(pytester, TEST.format(more=", max_usd=0.5"), "--roadworthy-data", "here").assert_outcomes(passed=2)
    assert gate == [["support-triage", "--json", "--max-usd", "0.5", "--data", "here"]]


@pytest.mark.parametrize("verdict", ["FAIL", "INSUFFICIENT"])
def test_one_that_does_not_pass_fails_the_test_with_the_reasons(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:
    monkeypatch.setattr(pytest_plugin, "run_gate", lambda arguments: answer(verdict))
    result = run(pytester, TEST.format(more=""))
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [f"{verdict}: the eval gate of support-triage", "*under the floor*", "*evals show evr_1*"]
    )


def test_what_cannot_be_decided_is_skipped_where_the_test_says_so(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest_plugin, "run_gate", lambda arguments: answer("INSUFFICIENT"))
    run(pytester, TEST.format(more=', insufficient="skip"')).assert_outcomes(skipped=2)


def test_a_gate_that_could_not_be_run_says_what_the_command_said(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest_plugin, "run_gate", lambda arguments: (2, "", "error: no install runs here"))
    run(pytester, TEST.format(more="")).stdout.fnmatch_lines(["*could not be run: error: no install runs here"])


@pytest.mark.parametrize("more", [', workflw="x"', ', insufficient="pass"'])
def test_a_mark_that_is_wrong_is_refused(pytester: pytest.Pytester, gate: list[list[str]], more: str) -> None:
    result = run(pytester, TEST.format(more=more))
    assert result.ret != 0
    assert gate == []


def test_gates_can_be_left_out(pytester: pytest.Pytester, gate: list[list[str]]) -> None:
    run(pytester, TEST.format(more=""), "--roadworthy-skip").assert_outcomes(skipped=2)
    assert gate == []


def test_pytest_finds_the_plugin_by_its_entry_point() -> None:
    found: dict[str, Any] = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    assert found["project"]["entry-points"]["pytest11"] == {"roadworthy": pytest_plugin.__name__}
