"""What ``evals calibrate``, ``judges``, ``online`` and ``add`` print, and their exit codes; their pages say what is so.

Set ROADWORTHY_UPDATE_SNAPSHOTS=1 to write the files anew, then read the diff.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_admin import EVIL, NOW, Cli

from roadworthy.cli.main import root
from roadworthy.evals import calibration as rules
from roadworthy.evals.calibration import Calibration, Rated, conclude
from roadworthy.inference_log import drift
from roadworthy.inference_log.drift import Drift
from roadworthy.operations.proving import words as proving_words
from roadworthy.operations.proving.calibrating import Plan, Status
from roadworthy.operations.proving.online import Watching
from roadworthy.statistics.estimate import Estimate

SNAPSHOTS = Path(__file__).parent / "snapshots"
VALUES = {"good": 1.0, "fair": 0.5, "bad": 0.0}
PLAN = Plan(
    workflow="support-triage", scorer="quality", judge="judge", identity="jdg_1", rubric="rub_1", answers=80,
    held_out=16, twice=27, calls=48, resumes="cal_0123456789abcdef", spent=0.0112, usd=0.28, warnings=["none"],
)  # fmt: skip


def calibrated(n: int, agrees: float, swapped: Estimate | None = None) -> Calibration:
    rng, rated = random.Random(1), []
    for at in range(n):
        people = rng.choice(["good", "good", "fair", "bad"])
        judge = people if rng.random() < agrees else rng.choice(list(VALUES))
        rated.append(Rated(str(at), [people, *([people] if at % 3 == 0 else [])], judge, at % 5 == 0))
    return Calibration(
        id="cal_0123456789abcdef", team="default", workflow="support-triage", scorer="quality", identity="jdg_1",
        judge="judge", rubric="rub_1", values=VALUES, items=[str(at) for at in range(n)], usd=1.0, began=NOW - 60,
        by="ada", concluded=conclude(rated, VALUES, NOW, unscored=2, swapped=swapped),
    )  # fmt: skip


def status(state: Any, made: Calibration, asked: int, detail: str = "") -> dict[str, Any]:
    found = Status(calibration=made, state=state, asked=asked, spent=0.028, detail=detail)
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain


def told(made: Calibration) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(made)
    return {**plain, "answers": len(plain.pop("items"))}


GOOD, POOR, FEW = calibrated(80, 0.95), calibrated(120, 0.0), calibrated(30, 0.95, Estimate(0.7, 0.6, 0.85))
OPEN = msgspec.structs.replace(GOOD, concluded=None)
JUDGES = {
    "items": [
        {"workflow": "support-triage", "scorer": "quality", "judge": "judge", "identity": "jdg_1",
         "calibration": told(GOOD), "why": ""},
        {"workflow": "support-triage", "scorer": "tone", "judge": "judge", "identity": "jdg_2", "calibration": None,
         "why": "it was never calibrated against hand scores"},
        {"workflow": "other", "scorer": "", "judge": "", "calibration": None, "why": f"evals.scorers.x: {EVIL}"},
    ],
    "calibrations": [],
}  # fmt: skip
ONLINE = {
    "items": [
        {**msgspec.to_builtins(Watching(
            workflow="support-triage", share=0.05, usd_per_day=2.0, scorers=["quality", "valid_json"],
            left_out={"topic": "it needs an expected answer, which a live call has not"}, scored_today=42,
            passed_over_today=3, usd_today=0.0147)), "problem": ""},
        {"workflow": "other", "share": 0.1, "problem": "evals.scorers.x: has no frozen release"},
    ],
    "drift": [msgspec.to_builtins(Drift("support-triage", "model", "k", "another model answers", f"37 of 52 {EVIL}"))],
}  # fmt: skip
ADDED = {"example": {"id": "exm_0123456789abcdef"}, "workflow": "support-triage", "inference": "inf_1"}


def answering(cli: Cli, ended: dict[str, Any]) -> Cli:
    cli.admin.answers |= {
        ("POST", "/v1/evals/calibrations/plan"): (200, msgspec.to_builtins(PLAN)),
        ("POST", "/v1/evals/calibrations"): (200, status("running", OPEN, 32)),
        ("GET", f"/v1/evals/calibrations/{OPEN.id}"): (200, ended),
        ("GET", "/v1/evals/calibrations"): (200, JUDGES),
        ("GET", "/v1/evals/online"): (200, ONLINE),
        ("POST", "/v1/evals/add"): (200, ADDED),
    }
    return cli


CALIBRATE = ["evals", "calibrate", "support-triage", "quality", "--yes"]
CASES: dict[str, tuple[int, list[str], dict[str, Any]]] = {
    "evals-calibrate-pass": (0, CALIBRATE, status("done", GOOD, 80)),
    "evals-calibrate-fail": (1, CALIBRATE, status("done", POOR, 120)),
    "evals-calibrate-few": (2, CALIBRATE, status("done", FEW, 30)),
    "evals-calibrate-failed": (2, CALIBRATE, status("failed", OPEN, 40, "the gateway at 127.0.0.1:1 did not answer")),
    "evals-calibrate-nobody": (2, CALIBRATE[:-1], {}),
    "evals-judges": (0, ["evals", "judges"], {}),
    "evals-online": (0, ["evals", "online"], {}),
    "evals-add": (0, ["evals", "add", "inf_1", "--expect", "topic=return", "--expect", "n=3", "--critical"], {}),
}


@pytest.mark.parametrize("name", CASES)
def test_judges_print_what_was_agreed(cli: Cli, name: str) -> None:
    code, arguments, ended = CASES[name]
    result = answering(cli, ended)(*arguments)
    path = SNAPSHOTS / f"{name}.txt"
    printed = f"$ roadworthy {' '.join(arguments)}\n{result.output}(exit {result.exit_code})\n"
    if os.environ.get("ROADWORTHY_UPDATE_SNAPSHOTS"):
        path.write_text(printed, encoding="utf-8")
    assert result.exit_code == code, result.output
    assert printed == path.read_text(encoding="utf-8")
    assert not set(result.output) & {chr(c) for c in [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E]}
    assert "owned" not in result.output


def test_what_would_have_been_right_is_sent_as_json_where_it_is_json(cli: Cli) -> None:
    answering(cli, {})("evals", "add", "inf_1", "--expect", "topic=return", "--expect", "n=3", "--expect-text", "Yes")
    assert cli.admin.asked[0][3] == {
        "inference": "inf_1", "expected": {"topic": "return", "n": 3}, "text": "Yes", "critical": False,
    }  # fmt: skip
    assert answering(cli, {})("evals", "add", "inf_1", "--expect", "topic").exit_code == 2
    assert answering(cli, {})("evals", "add", "inf_1", "--expect-text", " ").exit_code == 2
    assert len(cli.admin.asked) == 1


@pytest.mark.parametrize("page", ["judges", "online-evals"])
def test_every_command_on_the_pages_exists_and_they_begin_with_one(page: str) -> None:
    text = Path(f"docs/{page}.md").read_text(encoding="utf-8")
    known = root.commands["evals"].commands  # type: ignore[attr-defined]
    assert set(re.findall(r"roadworthy evals ([\w-]+)", text)) <= set(known)
    assert text.split("\n")[2:4] == ["```", text.split("\n")[3]]
    assert text.split("\n")[3].startswith("roadworthy evals ")


def test_the_numbers_on_the_pages_are_those_of_the_rules() -> None:
    judges = Path("docs/judges.md").read_text(encoding="utf-8")
    assert f"at least {rules.LEAST} hand-scored answers, at least {rules.LEAST_OF_EACH} that people" in judges
    assert f"kappa proven to be at least {rules.LEAST_KAPPA}" in judges
    assert f"good for {rules.LIFE / 86_400:.0f} days" in judges
    assert f"From {rules.LEAST} held-out answers on" in judges
    assert proving_words.LEAST == rules.LEAST
    online = Path("docs/online-evals.md").read_text(encoding="utf-8")
    assert f"its first {drift.FIRST_WEEKS / drift.DAY:.0f} days" in online
    assert f"looked at for {drift.RECENT / drift.DAY:.0f} days, each with a false alarm in 1 of 1,000" in online
    assert drift.LEVEL == 0.001
    assert f"lower by more than {100 * drift.TOLERANCE:.0f} points" in online
    assert f"At least {drift.LEAST_REFERENCE} scores before, {drift.LEAST_SCORES} since" in online
    assert f"at most 1 of {1 / drift.MIX_LEVEL:,.0f} cases" in online
    assert f"at least {drift.LEAST_BITS} bits" in online
    assert f"at least {drift.LEAST_NEW} calls after at least {drift.LEAST_KNOWN} by others" in online
