"""Claims about what a drill expects: it is what the ladder foretells, and the score misses nothing."""

from __future__ import annotations

import msgspec
import pytest
from drill_support import CASES
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.fallback.drills import rules
from roadworthy.fallback.drills.kit import Drill, Wait, check, step
from roadworthy.fallback.drills.model import Expected, Seen, Sent
from roadworthy.fallback.foretell import foretell
from roadworthy.workflow.inference import Failure
from roadworthy.workflow.ladder import LADDER_FAILURES
from roadworthy.workflow.model import CacheSpec, Canned, Handling, Step
from roadworthy.workflow.model import Policy as WorkflowPolicy

RELEASE = CASES["checked"].release
ONLY_CALLS = [failure for failure in LADDER_FAILURES if failure not in ("throttled", "overspent", "gateway_lost")]
STEPS = st.lists(
    st.sampled_from(
        [
            Step("retry", times=1, backoff=0.0), Step("retry", times=3, backoff=0.0), Step("repair", times=1),
            Step("target", target="backup"), Step("escalate"), Step("canned"), Step("drop"),
        ]
    ),
    max_size=5,
)  # fmt: skip


@given(failure=st.sampled_from(ONLY_CALLS), steps=STEPS, canned=st.booleans(), holding=st.booleans())
def test_a_fault_that_lasts_ends_as_the_ladder_foretells(
    failure: Failure, steps: list[Step], canned: bool, holding: bool
) -> None:
    text = Canned("We will write to you.")
    handling = Handling(
        ladder={failure: steps}, canned=text if canned else None, holding=text if holding else None, deadline=1000.0
    )
    release = msgspec.structs.replace(RELEASE, handling=handling)
    drill = Drill(says="x.", fault="closed", failure=failure, guard=step(failure), everywhere=True)
    outcome, attempts = rules.climbed(drill, release, stream=False)
    foretold = foretell(failure, release.behaviour, handling)
    assert outcome == foretold.outcome
    assert attempts <= foretold.attempts


def test_a_drill_of_a_check_means_nothing_where_the_check_is_not_declared() -> None:
    drill = Drill(says="x.", fault="closed", failure="unsafe", guard=check("markup"))
    bare = msgspec.structs.replace(RELEASE, handling=msgspec.structs.replace(RELEASE.handling, checks={}))
    assert rules.not_applicable(drill, RELEASE, WorkflowPolicy(), stream=False) == ""
    assert "markup" in rules.not_applicable(drill, bare, WorkflowPolicy(), stream=False)


MUST = Expected(frozenset({"recovered"}), "unavailable", 1.0, 2.0, 2, "none")
GOOD = Seen(
    stream=False, status=200, text="Good (abc-main-2)", finished=True, seconds=0.5, outcome="recovered",
    failure="unavailable", inference="inf_1", recorded="recovered", first_failure="unavailable", attempts=2,
    traffic="drill", mark="abc-main-2", told="none",
    sent=[Sent("main", 1, "abc-main-1", True), Sent("main", 2, "abc-main-2", False, True, "Good (abc-main-2)")],
)  # fmt: skip
DRILL = Drill(says="x.", fault="closed", failure="unavailable", guard=step("unavailable"), wait=Wait(1), attempts=2)


def test_a_good_call_has_no_misses() -> None:
    assert rules.score(DRILL, MUST, GOOD) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"status": 0}, "answer"),
        ({"outcome": "canned"}, "outcome"),
        ({"outcome": None}, "outcome"),
        ({"recorded": None}, "outcome in the record"),
        ({"first_failure": "slow"}, "failure of the attempt"),
        ({"traffic": "live"}, "class in the record"),
        ({"seconds": 1.3}, "wait"),
        ({"seconds": 2.3}, "deadline"),
        ({"attempts": 3}, "attempts"),
        ({"finished": False}, "end of the answer"),
        ({"status": 503, "retry_header": False}, "x-should-retry"),
        ({"mark": "abc-main-9"}, "mark of the answer"),
        ({"mark": ""}, "mark of the answer"),
        ({"text": "Good (abc-main-2"}, "text of the answer"),
        ({"told": "alert"}, "who is told"),
        ({"tokens": 0, "cost_usd": 0.0}, "tokens"),
        ({"tokens": 30, "cost_usd": None}, "cost"),
        ({"tokens": 30, "cost_usd": 0.1, "model": "other", "model_recorded": "main"}, "model in the record"),
    ],
)
def test_whatever_is_wrong_is_a_miss(change: dict[str, object], what: str) -> None:
    seen = msgspec.structs.replace(GOOD, **{"retry_header": True, **change})
    assert what in [miss.what for miss in rules.score(DRILL, MUST, seen)]


def _asked(*at: float) -> Seen:
    sent = [Sent("main", number, f"abc-main-{number}", number == 1, at=when) for number, when in enumerate(at, 1)]
    sent[-1].good, sent[-1].text = True, GOOD.text
    return msgspec.structs.replace(GOOD, sent=sent, mark=sent[-1].nonce)


def test_a_provider_that_says_when_to_come_again_is_not_asked_earlier() -> None:
    drill = msgspec.structs.replace(DRILL, retry_after=1.0)
    assert rules.score(drill, MUST, _asked(5.0, 6.0)) == []
    assert [miss.what for miss in rules.score(drill, MUST, _asked(5.0, 5.1))] == ["patience"]
    assert rules.score(DRILL, MUST, _asked(5.0, 5.1)) == []


def test_a_second_call_means_nothing_where_the_cache_would_answer_it() -> None:
    drill = msgspec.structs.replace(DRILL, before=1)
    handling = msgspec.structs.replace(RELEASE.handling, cache=CacheSpec("always"))
    cached = msgspec.structs.replace(RELEASE, handling=handling)
    assert rules.not_applicable(drill, RELEASE, WorkflowPolicy(), stream=False) == ""
    assert "cache" in rules.not_applicable(drill, cached, WorkflowPolicy(), stream=False)
