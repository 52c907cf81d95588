"""pytest plugin: a test that passes when the eval gate does.

``@pytest.mark.roadworthy(workflow="support-triage")`` runs the gate once a session through the install that runs, as
``roadworthy evals gate`` does, before the test.  FAIL fails the test with the reasons; so does INSUFFICIENT, for not
significant is never a pass, unless ``insufficient="skip"``.  The fixture ``roadworthy`` is what the gate came to.

It is loaded by every pytest of the environment, so it imports nothing of ours, and asks another process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

PATIENCE = 2 * 3600.0
"""Seconds that a gate may take."""
CODES: Mapping[int, str] = {0: "PASS", 1: "FAIL", 2: "INSUFFICIENT"}
ARGUMENTS = ("workflow", "release", "repeat", "fresh", "max_usd", "insufficient")


@dataclass(frozen=True)
class Result:
    """What a gate came to."""

    workflow: str
    verdict: Literal["PASS", "FAIL", "INSUFFICIENT"]
    why: tuple[str, ...]
    sees: str
    """What a set of this size can see."""
    scores: Mapping[str, float]
    run: str
    """Its id: ``roadworthy evals show RUN --wrong``."""
    status: Mapping[str, Any]
    """Everything that ``--json`` prints."""


class GateError(Exception):
    """The gate could not be run; the message is what the command said."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("roadworthy")
    group.addoption("--roadworthy-data", metavar="DIR", help="Data folder of the install that runs.")
    group.addoption("--roadworthy-skip", action="store_true", help="Skip tests that run an eval gate.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "roadworthy(workflow, release='', repeat=1, fresh=False, max_usd=None, insufficient='fail'): passes when the "
        "eval gate of the workflow does",
    )


@pytest.fixture
def roadworthy(request: pytest.FixtureRequest) -> Result:
    """What the gate of the test's ``roadworthy`` mark came to."""
    asked = _asked(request.node)
    if asked is None:
        pytest.fail("mark the test with @pytest.mark.roadworthy(workflow=…): its fixture is about one", pytrace=False)
    return _result(request.config, asked)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    asked = _asked(item)
    if asked is None:
        return
    if item.config.getoption("--roadworthy-skip"):
        pytest.skip("--roadworthy-skip")
    try:
        found = _result(item.config, asked)
    except GateError as error:
        pytest.fail(f"the gate of {asked['workflow']} could not be run: {error}", pytrace=False)
    if found.verdict == "PASS":
        return
    told = "\n".join([
        f"{found.verdict}: the eval gate of {found.workflow}", *(f"  {why}" for why in found.why),
        f"  what it could see: {found.sees}", f"  roadworthy evals show {found.run} --wrong",
    ])  # fmt: skip
    if found.verdict == "INSUFFICIENT" and asked.get("insufficient") == "skip":
        pytest.skip(told)
    pytest.fail(told, pytrace=False)


def run_gate(arguments: list[str]) -> tuple[int, str, str]:
    """``roadworthy evals gate …`` → (exit code, what it printed, what it said)."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "roadworthy.cli.main", "evals", "gate", *arguments],
            capture_output=True, text=True, timeout=PATIENCE, check=False, env=os.environ,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 2, "", f"it took longer than {PATIENCE:g} s; the same command goes on with it"
    return done.returncode, done.stdout, done.stderr


def _asked(item: pytest.Item) -> dict[str, Any] | None:
    """Arguments of the mark that is nearest; ``None``: it has none."""
    mark = item.get_closest_marker("roadworthy")
    if mark is None:
        return None
    asked = {**dict(zip(ARGUMENTS, mark.args, strict=False)), **mark.kwargs}
    strange = sorted(asked.keys() - set(ARGUMENTS))
    if strange or not asked.get("workflow"):
        said = f"it knows no '{strange[0]}'" if strange else "it lacks the workflow"
        pytest.fail(f"@pytest.mark.roadworthy(workflow=…): {said}; expected {', '.join(ARGUMENTS)}", pytrace=False)
    if asked.get("insufficient", "fail") not in ("fail", "skip"):
        pytest.fail(f"insufficient={asked['insufficient']!r}: expected 'fail' or 'skip'", pytrace=False)
    return asked


_RESULTS = pytest.StashKey[dict[tuple[str, ...], Result]]()


def _result(config: pytest.Config, asked: Mapping[str, Any]) -> Result:
    """Each gate once a session.  Raises ``GateError``."""
    arguments = tuple(_arguments(config, asked))
    kept = config.stash.setdefault(_RESULTS, {})
    if arguments not in kept:
        code, printed, said = run_gate(list(arguments))
        kept[arguments] = _read(str(asked["workflow"]), code, printed, said)
    return kept[arguments]


def _arguments(config: pytest.Config, asked: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(asked["workflow"]), "--json")
    for name in ("release", "repeat", "max_usd"):
        if asked.get(name):
            yield from (f"--{name.replace('_', '-')}", str(asked[name]))
    if asked.get("fresh"):
        yield "--fresh"
    if not asked.get("max_usd"):
        yield "--yes"
    data = config.getoption("--roadworthy-data")
    if data:
        yield from ("--data", data)


def _read(workflow: str, code: int, printed: str, said: str) -> Result:
    try:
        status = json.loads(printed)
    except ValueError:
        status = None
    concluded = status.get("concluded") if isinstance(status, dict) else None
    if code not in CODES or not isinstance(concluded, dict) or concluded.get("verdict") != CODES[code]:
        raise GateError((said or printed).strip()[-2000:] or f"exit code {code}")
    judged = concluded["judgement"]
    return Result(
        workflow, concluded["verdict"], tuple(concluded["why"]), judged["sees"], judged["scores"],
        status["run"]["id"], status,
    )  # fmt: skip
