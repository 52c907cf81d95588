"""Claims about the ladder: it ends, it keeps the deadline, it asks nobody twice who said no for good."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.fallback.model import NextStep, Remaining, Tried
from roadworthy.fallback.rules import DEFAULT_LADDER, LEAST_USEFUL_SECONDS, next_step
from roadworthy.workflow.inference import FAILURES, FINAL_FAILURES, Failure
from roadworthy.workflow.model import Ladder, Step

TARGETS = ["main", "backup", "third"]

steps = st.one_of(
    st.builds(Step, kind=st.just("retry"), times=st.integers(1, 4), backoff=st.floats(0, 5)),
    st.builds(Step, kind=st.just("target"), target=st.sampled_from(TARGETS)),
    st.just(Step(kind="canned")),
)
ladders = st.dictionaries(st.sampled_from(FAILURES), st.lists(steps, max_size=5))
failures = st.sampled_from(FAILURES)


def climb(
    ladder: Ladder, seen: list[Failure], seconds: float, cost: float, canned: bool, retry_after: float | None = None
) -> tuple[list[Tried], list[NextStep]]:
    """Follow a ladder whose attempts fail as ``seen`` says (its last word for ever) and take ``cost`` seconds."""
    history = [Tried("main", seen[0], retry_after=retry_after)]
    left = seconds - cost
    taken: list[NextStep] = []
    while True:
        failure = history[-1].failure
        step = next_step(ladder, failure, history, Remaining(left, canned=canned))
        if step is None:
            return history, taken
        taken.append(step)
        if step.kind == "canned":
            return history, taken
        assert step.wait + LEAST_USEFUL_SECONDS <= left
        left -= step.wait + cost
        history.append(Tried(step.target, seen[min(len(history), len(seen) - 1)], step.rung, retry_after))
        assert len(history) < 400, "the ladder does not end"


@given(ladders, st.lists(failures, min_size=1, max_size=12), st.floats(0, 100), st.floats(0, 10), st.booleans())
def test_every_ladder_ends(ladder: Ladder, seen: list[Failure], seconds: float, cost: float, canned: bool) -> None:
    _, taken = climb(ladder, seen, seconds, cost, canned)
    rungs = sum(step.times for failure in FAILURES for step in ladder.get(failure, DEFAULT_LADDER.get(failure, [])))
    assert len(taken) <= rungs


@given(ladders, st.lists(failures, min_size=1, max_size=12), st.floats(0, 100), st.floats(0, 10))
def test_a_target_that_said_no_for_good_is_never_asked_again(
    ladder: Ladder, seen: list[Failure], seconds: float, cost: float
) -> None:
    history, _ = climb(ladder, seen, seconds, cost, canned=False)
    dead: set[str] = set()
    for tried in history:
        assert tried.target not in dead
        if tried.failure in FINAL_FAILURES:
            dead.add(tried.target)


@given(ladders, failures, st.floats(max_value=LEAST_USEFUL_SECONDS, exclude_max=True, allow_nan=False))
def test_nothing_is_called_past_the_deadline(ladder: Ladder, failure: Failure, left: float) -> None:
    step = next_step(ladder, failure, [Tried("main", failure)], Remaining(left, canned=True))
    assert step is None or step.kind == "canned"


@given(ladders, failures, st.floats(0, 60), st.floats(0, 60))
def test_retry_after_is_honoured_or_the_retry_is_skipped(
    ladder: Ladder, failure: Failure, asked: float, left: float
) -> None:
    step = next_step(ladder, failure, [Tried("main", failure, retry_after=asked)], Remaining(left))
    if step is not None and step.kind == "retry":
        assert asked <= step.wait <= left


def test_steps_are_taken_in_their_order() -> None:
    ladder: Ladder = {
        "unavailable": [Step("retry", times=2), Step("target", target="backup"), Step("canned")],
    }
    history, taken = climb(ladder, ["unavailable"], 60, 0.1, canned=True)
    assert [step.kind for step in taken] == ["retry", "retry", "target", "canned"]
    assert [tried.target for tried in history] == ["main", "main", "main", "backup"]


def test_backoff_doubles_and_jitter_scales_it() -> None:
    ladder: Ladder = {"slow": [Step("retry", times=3, backoff=1.0)]}
    history = [Tried("main", "slow")]
    waits = []
    while (step := next_step(ladder, "slow", history, Remaining(60), jitter=0.5)) is not None:
        waits.append(step.wait)
        history.append(Tried("main", "slow", step.rung))
    assert waits == [0.5, 1.0, 2.0]


def test_an_answer_cut_at_its_token_limit_is_not_asked_for_again_at_the_same_target() -> None:
    ladder: Ladder = {"truncated": [Step("retry", times=2), Step("target", target="backup")]}
    step = next_step(ladder, "truncated", [Tried("main", "truncated", repeatable=False)], Remaining(60))
    assert step is not None
    assert (step.kind, step.target) == ("target", "backup")


def test_an_empty_list_switches_a_default_off() -> None:
    assert next_step({}, "unavailable", [Tried("main", "unavailable")], Remaining(60)) is not None
    assert next_step({"unavailable": []}, "unavailable", [Tried("main", "unavailable")], Remaining(60)) is None


def test_canned_is_offered_only_where_it_is_declared() -> None:
    history = [Tried("main", "refused")]
    assert next_step({}, "refused", history, Remaining(60, canned=False)) is None
    step = next_step({}, "refused", history, Remaining(-1, canned=True))
    assert step is not None
    assert step.kind == "canned"


def test_the_caller_reads_why_its_request_is_bad() -> None:
    for failure in ("bad_request", "context_length"):
        assert next_step({}, failure, [Tried("main", failure)], Remaining(60, canned=True)) is None
