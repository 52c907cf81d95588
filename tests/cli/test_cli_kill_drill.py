"""What ``drill kill`` prints and which exit code it gives: 0 PASS, 1 FAIL, 2 not enough was shown.

Set ROADWORTHY_UPDATE_SNAPSHOTS=1 to write the files anew, then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_admin import EVIL, NOW, Cli

from roadworthy.kill_switch.drill.model import At, Press
from roadworthy.kill_switch.drill.rules import figures
from roadworthy.operations.drills.kill_drill_runs import KillDrillRun, State
from roadworthy.readiness.judging import kill_drill_judged

SNAPSHOTS = Path(__file__).parent / "snapshots"
ON = At(0.012, last=0.004, attempts=210, drained=4)
CUT = At(0.034, last=0.021, attempts=190, cut=3)


def ended(
    state: State, *gateways: dict[str, At], missing: tuple[str, ...] = (), detail: str = "", **more: Any
) -> dict[str, Any]:
    names = ("roadworthy-drill", "roadworthy-drill-cut")
    presses = [
        Press(names[n % 2], "cut" if n % 2 else "drain", NOW, each, **more) for n, each in enumerate(gateways)
    ]  # fmt: skip
    run = KillDrillRun("kdr_0123456789abcdef", "os:1000", NOW, ["local", "b"], list(missing), 2, 7.0, state, detail)
    run.presses = presses
    if presses:
        run.figures = figures(presses, missing)
        judged = kill_drill_judged(run.figures, {})
        run.verdict, run.figure, run.evidence = judged.verdict, judged.figure, "evd_0123456789abcdef"
    made: dict[str, Any] = msgspec.to_builtins(run)
    return made


CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "pass": (0, ended("done", {"local": ON, "b": ON}, {"local": CUT, "b": CUT})),
    "late": (1, ended("done", {"local": ON, "b": msgspec.structs.replace(ON, late=1, last=0.9)})),
    "unconfirmed": (2, ended("done", {"local": ON, "b": At(None, attempts=12)}, missing=("c",))),
    "idle": (2, ended("done", {"local": ON, "b": At(0.01)}, detail=f"callers were told: b: 403 {EVIL}",
                      without_traffic=["b"])),
    "failed": (1, ended("failed", detail="the process of the kill drill's traffic has ended")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_kill_drill_prints_what_was_agreed(cli: Cli, name: str) -> None:
    code, run = CASES[name]
    cli.admin.answers |= {
        ("POST", "/v1/kill/drills"): (200, ended("running", missing=tuple(run["missing"]))),
        ("GET", f"/v1/kill/drills/{run['id']}"): (200, run),
    }
    result = cli("drill", "kill")
    path = SNAPSHOTS / f"drill-kill-{name}.txt"
    printed = f"$ roadworthy drill kill\n{result.output}(exit {result.exit_code})\n"
    if os.environ.get("ROADWORTHY_UPDATE_SNAPSHOTS"):
        path.write_text(printed, encoding="utf-8")
    assert result.exit_code == code, result.output
    assert printed == path.read_text(encoding="utf-8")
    assert not set(result.output) & {chr(c) for c in [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E]}


def test_what_is_drilled_is_sent(cli: Cli) -> None:
    done = ended("done", {"local": ON, "b": ON})
    cli.admin.answers |= {
        ("POST", "/v1/kill/drills"): (200, ended("running")),
        ("GET", f"/v1/kill/drills/{done['id']}"): (200, done),
    }
    assert cli("drill", "kill", "--gateway", "b", "--gateway", "local", "--presses", "5", "--json").exit_code == 0
    [sent] = [body for method, path, _, body in cli.admin.asked if (method, path) == ("POST", "/v1/kill/drills")]
    assert sent == {"gateways": ["b", "local"], "presses": 5}


def test_a_workflow_called_kill_is_refused_in_words_that_help(cli: Cli) -> None:
    result = cli("drill", "--all", "kill")
    assert result.exit_code == 2
    assert "write the two words together: roadworthy drill kill" in result.output
