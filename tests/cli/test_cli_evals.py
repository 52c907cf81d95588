"""What ``evals`` prints and which exit code it gives: 0 PASS, 1 FAIL, 2 nobody can tell yet.

Set ROADWORTHY_UPDATE_SNAPSHOTS=1 to write the files anew, then read the diff.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from fake_admin import EVIL, NOW, Cli, refusal

from roadworthy.cli.evals_reports import junit
from roadworthy.evals.gate import Asked, Beside, Terms, judge
from roadworthy.evals.model import Answer, CriticalFailure, Example, Run, Scored, SliceResult
from roadworthy.evidence.kinds import EvalGate
from roadworthy.evidence.receipt.model import Receipt
from roadworthy.evidence.receipt.rules import gate_verdict
from roadworthy.operations.proving.eval_runs import Status
from roadworthy.operations.proving.evals import Concluded, Plan

SNAPSHOTS = Path(__file__).parent / "snapshots"
RUN = Run(
    id="evr_0123456789abcdef", team="default", workflow="support-triage", release="rel_" + "ab12cd34" * 8, number=2,
    behaviour="beh_" + "1" * 64, handling="han_" + "2" * 64, set_version="set_" + "3" * 64, scorers="scr_x",
    floors={"valid_json": 0.95, "topic": 0.35}, margin=0.1, policy="pol_x", signed_by="ada", examples=100,
    began=NOW - 60, by="ada",
)  # fmt: skip
PLAN = Plan(
    workflow="support-triage", number=2, release=RUN.release, examples=100, calls=100, resumes="",
    set_version=RUN.set_version, floors=RUN.floors, margin=0.1, against=None, rubric_signed_by="ada", usd=0.0123,
    sees="topic ≥ 35% is proven by 44 good answers of 100", warnings=["ada has not signed the rubric"],
)  # fmt: skip


def concluded(topic: int, before: int | None = None) -> Concluded:
    """As the rules have it, with so many right topics of a hundred."""
    names = [str(at) for at in range(100)]
    scores = {
        "valid_json": dict.fromkeys(names, 1.0),
        "topic": {name: float(at < topic) for at, name in enumerate(names)},
        "urgency": {name: float(at < 40) for at, name in enumerate(names)},
    }
    earlier = None
    if before is not None:
        earlier = {**scores, "topic": {name: float(at < before) for at, name in enumerate(names)}}
    beside = None if earlier is None else Beside(1, earlier)
    judged = judge(scores, Asked(tuple(names)), Terms(floors=RUN.floors), beside=beside)
    gate = EvalGate(
        verdict=judged.verdict, floors_met=judged.floors_met, examples=100, set_version="s", scorers="c",
        rubric_signed_by="ada",
    )  # fmt: skip
    verdict = gate_verdict(gate, "ada")
    receipt = Receipt(
        id="rcp_0123456789abcdef", team="default", workflow=RUN.workflow, behaviour=RUN.behaviour, verdict=verdict,
        floors_met=judged.floors_met, evidence="evd_0123456789abcdef", run=RUN.id, epoch=1, issued=NOW, expires=NOW + 9,
    )  # fmt: skip
    return Concluded(verdict=verdict, judgement=judged, why=judged.why, evidence=receipt.evidence, receipt=receipt)


def checked() -> Concluded:
    """With critical examples, slices and another target, of which nothing that counts comes."""
    found = concluded(60)
    judged = msgspec.structs.replace(
        found.judgement, critical=3, targets={"backup": False, "spare": True}, repeats=2,
        critical_failed=[CriticalFailure(example="exm_1", scores=["topic"], target="backup")],
        slices=[
            SliceResult(tag="language", value="de", name="topic", examples=40, share=0.2,
                        failed="at most 31.2 %, and the floor is 35.0 %"),
            SliceResult(tag="language", value="en", name="topic", examples=60, share=0.8),
        ],
    )  # fmt: skip
    return msgspec.structs.replace(found, judgement=judged, evidence="", receipt=None)


def scored(at: int, text: str, outcome: Any = "answered", **scores: float) -> dict[str, Any]:
    example = Example(f"exm_{at:016x}", [{"role": "user", "content": f"Where is it? {EVIL}"}], {"topic": "delivery"},
                      label=f"m{at}")  # fmt: skip
    answer = Answer(
        run=RUN.id, example=example.id, at=NOW, inference=f"inf_{at}", outcome=outcome, text=text, seconds=1
    )
    standing = "good" if scores else "unanswered"
    made: dict[str, Any] = msgspec.to_builtins(Scored(example, answer, standing, scores))  # type: ignore[arg-type]
    return made


ANSWERS = [
    scored(1, '{"topic": "delivery"}', valid_json=1, topic=1),
    scored(2, '{"topic": "return"} <script> & ' + EVIL, valid_json=1, topic=0),
    scored(3, "", "canned"),
]


def status(state: Any, found: Concluded | None, answered: int = 100, detail: str = "") -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(
        Status(run=RUN, state=state, answered=answered, spent=0.0042, detail=detail, concluded=found, asked=100)
    )
    return made


def answering(cli: Cli, ended: dict[str, Any]) -> Cli:
    plan = msgspec.to_builtins(PLAN)
    cli.admin.answers |= {
        ("POST", "/v1/evals/plan"): (200, plan),
        ("POST", "/v1/evals/runs"): (200, status("running", None, 12)),
        ("GET", f"/v1/evals/runs/{RUN.id}"): (200, ended),
        ("GET", f"/v1/evals/runs/{RUN.id}/answers"): (200, {"run": msgspec.to_builtins(RUN), "items": ANSWERS}),
        ("POST", "/v1/evals/sign"): (200, {"person": "ada", "rubric": "rub_" + "4" * 64, "at": NOW}),
        ("GET", "/v1/evals/runs"): (200, {"items": [
            {"id": RUN.id, "purpose": "gate", "number": 2, "began": NOW - 60, "by": "ada", "answered": 100,
             "examples": 100,
             "verdict": "PASS", "scores": {"topic": 0.6, "valid_json": 1.0}},
            {"id": "evr_open", "purpose": "check", "number": 1, "began": NOW - 86400, "by": "os:1000",
             "answered": 7, "examples": 100,
             "verdict": None, "scores": {}},
        ]}),
    }  # fmt: skip
    return cli


GATE = ["evals", "gate", "support-triage", "--yes"]
CASES: dict[str, tuple[int, list[str], dict[str, Any]]] = {
    "evals-gate-pass": (0, GATE, status("done", concluded(60))),
    "evals-gate-fail": (1, GATE, status("done", concluded(20))),
    "evals-gate-insufficient": (2, GATE, status("done", concluded(40))),
    "evals-gate-beside": (1, GATE, status("done", concluded(50, before=75))),
    "evals-gate-open": (2, GATE, status("done", None, 97)),
    "evals-gate-failed": (2, GATE, status("failed", None, 12, "the gateway at 127.0.0.1:1 does not answer")),
    "evals-gate-nobody": (2, GATE[:-1], status("done", concluded(60))),
    "evals-show": (0, ["evals", "show", RUN.id], status("done", concluded(60))),
    "evals-show-wrong": (0, ["evals", "show", RUN.id, "--wrong"], {}),
    "evals-run": (0, ["evals", "run", "support-triage", "--yes", "--sample", "30"], status("done", checked())),
    "evals-runs": (0, ["evals", "runs", "support-triage"], {}),
    "evals-sign": (0, ["evals", "sign", "support-triage"], {}),
}


@pytest.mark.parametrize("name", CASES)
def test_evals_print_what_was_agreed(cli: Cli, name: str) -> None:
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


def test_what_control_refuses_is_told_whole_before_any_call(cli: Cli) -> None:
    why = "nobody has said what is good enough for w; declare it:\n  policy:\n    gate: {floors: {topic: 0.8}}"
    answering(cli, {}).admin.answers["POST", "/v1/evals/plan"] = (409, refusal(why, "conflict"))
    result = cli("evals", "gate", "w", "--yes")
    assert (result.exit_code, "gate: {floors: {topic: 0.8}}" in result.output) == (2, True)
    assert [path for _, path, _, _ in cli.admin.asked] == ["/v1/evals/plan"]


def test_a_limit_of_dollars_answers_the_question_and_is_sent(cli: Cli) -> None:
    result = answering(cli, status("done", concluded(60)))("evals", "gate", "support-triage", "--max-usd", "0.5")
    assert result.exit_code == 0, result.output
    assert cli.admin.asked[1][3] == {
        "workflow": "support-triage", "release": "", "repeat": 1, "fresh": False, "concurrency": 4, "usd": 0.5,
    }  # fmt: skip


def test_reports_hold_every_example_and_nothing_of_theirs_acts(cli: Cli, tmp_path: Path) -> None:
    junit, page = tmp_path / "gate.xml", tmp_path / "gate.md"
    ended = status("done", concluded(40))
    result = answering(cli, ended)(*GATE, "--junit", str(junit), "--markdown", str(page), "--json")
    assert json.loads(result.stdout)["concluded"]["verdict"] == "INSUFFICIENT"
    suite = ElementTree.parse(junit).getroot()
    assert {name: suite.attrib[name] for name in ("tests", "failures", "skipped")} == {
        "tests": "4", "failures": "1", "skipped": "2",
    }  # fmt: skip
    assert [case.attrib["name"] for case in suite] == ["gate", "m1", "m2", "m3"]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# INSUFFICIENT: release 2 of support-triage\n")
    assert "<script>" not in text
    assert "\x1b" not in text + junit.read_text(encoding="utf-8")


def test_a_gate_that_passed_has_no_failures_in_its_report() -> None:
    passed = {"run": {"workflow": "w", "number": 1, "id": "r", "floors": {"topic": 0.5}}, "detail": "",
              "concluded": {"verdict": "PASS", "why": []}}  # fmt: skip
    wrong = {"example": {"id": "m1", "expected": {"topic": "return"}}, "standing": "answered", "scores": {"topic": 0.0},
             "answer": {"text": "other", "seconds": 0.1}, "repeat": 0}  # fmt: skip
    suite = ElementTree.fromstring(junit(passed, [wrong]).encode())
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("0", "1")
    assert suite[1][0].text == "other"


def test_a_report_that_cannot_be_written_is_refused_before_any_call(cli: Cli, tmp_path: Path) -> None:
    result = answering(cli, {})(*GATE, "--junit", str(tmp_path / "none" / "gate.xml"))
    assert result.exit_code == 2
    assert cli.admin.asked == []
