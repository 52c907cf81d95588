"""Claims about what a run of drills shows: all of a failure's drills, or nothing."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from roadworthy.fallback.drills.model import DrillRun, Expected, Result, Seen
from roadworthy.fallback.drills.registry import drills
from roadworthy.operations.drills.drill import Subject, plan
from roadworthy.operations.drills.drill_evidence import UNHARMED, figures, stable, visible, whole
from roadworthy.workflow.model import Behaviour, Canned, Handling, Policy, Prompt, Release, TargetIdentity

RELEASE = Release(
    "support", "rel_1", "beh_1", "han_1",
    Behaviour("chat", Prompt("managed", "You answer."), "main", {"main": TargetIdentity("openai", "m", "h")}),
    Handling(canned=Canned("Later.")),
)  # fmt: skip
SUBJECT = Subject(RELEASE, Policy(), True, False, "ada")
KNOWN = drills()


def result(fault: str, stream: bool, verdict: Any = "PASS", text: str = "Later.") -> Result:
    seen = Seen(stream=stream, status=200, text=text, finished=True, seconds=0.2, outcome="canned", failure="slow")
    must = Expected(frozenset({"canned"}), "slow", 1.0, 2.0, 3, "none")
    drill = KNOWN[fault]
    return Result(
        fault=fault, row=drill.row, says=drill.says, guard="", stream=stream, verdict=verdict, seen=seen, expected=must
    )


def run(*results: Result) -> DrillRun:
    return DrillRun(
        id="drl_1", team="default", workflow="support", digest="rel_1", behaviour="beh_1", handling="han_1", began=1.0,
        ended=2.0, by="ada", state="done", results=list(results),
    )  # fmt: skip


STEPS, SKIPPED = plan(list(KNOWN.values()), SUBJECT)
ALL = [result(step.drill.name, step.stream) for step in STEPS]


def test_a_run_of_everything_that_passed_leaves_nothing_untested() -> None:
    found = figures(run(*ALL, *SKIPPED), SUBJECT, KNOWN)
    assert found is not None
    assert whole(found)
    assert found.drills == len(ALL)
    assert {"unavailable", "slow", "invalid", UNHARMED} <= set(found.failures)
    assert found.failures["unsafe"] == "SKIPPED"  # no check is declared that could find anything


def test_a_run_of_one_fault_shows_no_failure_and_names_what_was_left_out() -> None:
    found = figures(run(result("persistent-503", False)), SUBJECT, KNOWN)
    assert found is not None
    assert "unavailable" in found.untested
    assert "PASS" not in found.failures.values()
    assert not whole(found)


def test_one_drill_that_failed_fails_its_failure_however_many_passed() -> None:
    broken = [replace(each, verdict="FAIL") if each.fault == "persistent-503" else each for each in ALL]
    found = figures(run(*broken), SUBJECT, KNOWN)
    assert found is not None
    assert found.failures["unavailable"] == "FAIL"
    assert not whole(found)


def test_a_run_that_broke_off_counts_for_what_it_broke() -> None:
    found = figures(run(result("persistent-503", False, "FAIL")), SUBJECT, KNOWN)
    assert found is not None
    assert found.failures["unavailable"] == "FAIL"
    assert "unavailable" not in found.untested


def test_a_run_in_which_nothing_was_drilled_shows_nothing() -> None:
    assert figures(run(*SKIPPED), SUBJECT, KNOWN) is None


def test_the_catalogue_is_the_same_text_whatever_ids_and_times_a_call_had() -> None:
    first = run(result("persistent-503", False, text='{"id": "inf_0123abcd", "retry_after": 3}'))
    again = run(result("persistent-503", False, text='{"id": "inf_99ffee00", "retry_after": 2.5}'))
    other = run(result("persistent-503", False, text='{"id": "inf_99ffee00", "retry_never": 2.5}'))
    assert visible(first, "evd_1").content == visible(again, "evd_2").content
    assert visible(first, "evd_1").content != visible(other, "evd_1").content
    assert visible(first, "evd_1").failures == ["persistent-503"]


def test_what_a_customer_reads_is_compared_without_ids_and_numbers() -> None:
    assert stable("Call inf_01ab: wait 3.5 s") == "Call …: wait # s"
