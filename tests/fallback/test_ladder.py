"""Claims about the ladder: it ends, it keeps deadline and allowance, it never does what cannot help."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.fallback.model import NextStep, Remaining, Rung, Tried
from roadworthy.fallback.rules import ENDS, LEAST_USEFUL_SECONDS, next_step, steps_of
from roadworthy.workflow.inference import FAILURES, FINAL_FAILURES, Failure, StepKind
from roadworthy.workflow.ladder import LADDER_FAILURES, NEVER_RETRIED, WITHOUT_CALL, merged
from roadworthy.workflow.model import Ladder, Step

TARGETS = ["main", "backup", "third"]

STEPS = st.one_of(
    st.builds(Step, kind=st.just("retry"), times=st.integers(1, 4), backoff=st.floats(0, 5)),
    st.builds(Step, kind=st.just("repair"), times=st.integers(1, 3)),
    st.builds(Step, kind=st.just("target"), target=st.sampled_from(TARGETS)),
    st.builds(Step, kind=st.just("cache"), max_age=st.none() | st.floats(1, 100)),
    st.builds(Step, kind=st.sampled_from(["canned", "escalate", "drop"])),
)
LADDERS = st.dictionaries(st.sampled_from(FAILURES), st.lists(STEPS, max_size=5))
FAILED = st.sampled_from(FAILURES)


class World(msgspec.Struct, frozen=True):
    """What the attempts of an inference will meet."""

    seen: list[Failure]
    """How each attempt fails, the last word for ever."""
    seconds: float
    takes: float
    """Seconds of one attempt."""
    canned: bool = True
    cached: float | None = None
    escalate: bool = False
    repairable: bool = True
    retries: bool = True
    repeatable: bool = True
    retry_after: float | None = None
    dollars: float | None = None
    costs: dict[str, float] = {}
    down: list[str] = []
    admitted: bool = True


WORLDS = st.builds(
    World,
    seen=st.lists(FAILED, min_size=1, max_size=12),
    seconds=st.floats(0, 100),
    takes=st.floats(0, 10),
    canned=st.booleans(),
    cached=st.none() | st.floats(0, 200),
    escalate=st.booleans(),
    repairable=st.booleans(),
    retries=st.booleans(),
    repeatable=st.booleans(),
    retry_after=st.none() | st.floats(0, 20),
    dollars=st.none() | st.floats(0, 1),
    costs=st.dictionaries(st.sampled_from(TARGETS), st.floats(0, 0.5)),
    down=st.lists(st.sampled_from(TARGETS), max_size=2),
    admitted=st.booleans(),
)


class Climb(msgspec.Struct):
    """An inference that followed its ladder to the end."""

    history: list[Tried]
    taken: list[NextStep]
    left: list[float]
    """Seconds that were left when each step was taken."""


def first(world: World) -> Tried:
    return Tried("main" if world.admitted else "", world.seen[0], None, world.retry_after, world.repeatable)


def climb(ladder: Ladder, world: World) -> Climb:
    """Follow a ladder in a world."""
    climbed = Climb([first(world)], [], [])
    seconds, dollars = world.seconds - world.takes, world.dollars
    targets = frozenset(TARGETS) - set(world.down)
    while len(climbed.history) < 400:
        failure = climbed.history[-1].failure
        remaining = Remaining(
            seconds, targets, world.canned, world.cached, world.escalate, world.repairable, world.retries, dollars,
            world.costs,
        )  # fmt: skip
        step = next_step(ladder, failure, climbed.history, remaining)
        if step is None:
            return climbed
        climbed.taken.append(step)
        climbed.left.append(seconds)
        if step.kind in ENDS:
            return climbed
        if step.kind == "drop":
            climbed.history.append(Tried("", failure, step.rung))
            continue
        seconds -= step.wait + world.takes
        dollars = None if dollars is None else dollars - world.costs[step.target]
        failed = world.seen[min(len(climbed.history), len(world.seen) - 1)]
        climbed.history.append(Tried(step.target, failed, step.rung, world.retry_after, world.repeatable))
    raise AssertionError("the ladder does not end")


@given(LADDERS, WORLDS)
def test_every_ladder_ends_within_the_number_of_its_rungs(ladder: Ladder, world: World) -> None:
    rungs = sum(step.times for failure in FAILURES for step in steps_of(ladder, failure))
    assert len(climb(ladder, world).taken) <= rungs


@given(LADDERS, WORLDS)
def test_no_call_is_begun_that_could_not_end_before_the_deadline(ladder: Ladder, world: World) -> None:
    climbed = climb(ladder, world)
    for step, left in zip(climbed.taken, climbed.left, strict=True):
        assert step.kind in WITHOUT_CALL or step.wait + LEAST_USEFUL_SECONDS <= left


@given(LADDERS, WORLDS)
def test_the_calls_asked_for_never_cost_more_than_the_allowance(ladder: Ladder, world: World) -> None:
    calls = [step.target for step in climb(ladder, world).taken if step.kind not in WITHOUT_CALL]
    if world.dollars is not None:
        assert sum(world.costs.get(target, float("inf")) for target in calls) <= world.dollars + 1e-9


@given(LADDERS, WORLDS)
def test_a_target_that_said_no_for_good_or_is_down_is_not_asked(ladder: Ladder, world: World) -> None:
    history = climb(ladder, world).history
    said_no: set[str] = set()
    for tried in history:
        assert not tried.target or tried.target not in said_no
        if tried.failure in FINAL_FAILURES:
            said_no.add(tried.target)
    assert not {tried.target for tried in history[1:]} & set(world.down)


@given(LADDERS, WORLDS)
def test_hopeless_steps_are_passed_over(ladder: Ladder, world: World) -> None:
    climbed = climb(ladder, world)
    called = {"main"} if world.admitted else set()
    for step in climbed.taken:
        if step.kind in ("retry", "repair"):
            assert world.retries
            assert world.repeatable
            assert step.rung.failure not in NEVER_RETRIED
        if step.kind == "repair":
            assert world.repairable
        if step.kind == "target":
            assert step.target not in called
        called.add(step.target)


@given(LADDERS, WORLDS)
def test_what_is_given_without_a_model_is_there_to_be_given(ladder: Ladder, world: World) -> None:
    for step in climb(ladder, world).taken:
        assert step.kind != "canned" or world.canned
        assert step.kind != "escalate" or world.escalate
        assert step.kind != "cache" or world.cached is not None


@given(LADDERS, WORLDS)
def test_the_same_inputs_give_the_same_step(ladder: Ladder, world: World) -> None:
    assert climb(ladder, world) == climb(ladder, world)


@given(LADDERS, WORLDS)
def test_a_call_that_was_not_admitted_calls_nobody(ladder: Ladder, world: World) -> None:
    world = msgspec.structs.replace(world, admitted=False)
    assert {step.kind for step in climb(ladder, world).taken} <= WITHOUT_CALL


@given(st.sampled_from(FAILURES), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_a_limited_caller_reads_so_unless_its_release_declares_otherwise(
    failure: Failure, canned: bool, cache: bool, holding: bool, embeddings: bool
) -> None:
    defaults = merged({}, canned=canned, cache=cache, holding=holding, embeddings=embeddings)
    rich = Remaining(60, canned=True, cached=1.0, escalate=True)
    for limited in ("throttled", "overspent"):
        assert next_step(defaults, limited, [Tried("", limited)], rich) is None
    declared = merged({"throttled": [Step("retry"), Step("canned")]}, canned=canned, cache=cache, holding=holding)
    step = next_step(declared, "throttled", [Tried("", "throttled")], rich)
    assert step is not None
    assert step.kind == "canned"


@given(LADDERS, FAILED, st.floats(0, 60), st.floats(0, 60))
def test_retry_after_is_honoured_or_the_retry_is_passed_over(
    ladder: Ladder, failure: Failure, asked: float, left: float
) -> None:
    step = next_step(ladder, failure, [Tried("main", failure, retry_after=asked)], Remaining(left))
    if step is not None and step.kind == "retry":
        assert asked <= step.wait <= left


def kinds(ladder: Ladder, *seen: Failure, **world: object) -> list[StepKind]:
    made = msgspec.structs.replace(World(list(seen), 60, 0.1), **world)
    return [step.kind for step in climb(ladder, made).taken]


def test_steps_are_taken_in_their_order() -> None:
    ladder: Ladder = {
        "unavailable": [Step("retry", times=2), Step("target", target="backup"), Step("cache"), Step("canned")],
    }
    assert kinds(ladder, "unavailable") == ["retry", "retry", "target", "canned"]
    assert kinds(ladder, "unavailable", cached=30.0) == ["retry", "retry", "target", "cache"]
    assert kinds(ladder, "unavailable", retries=False) == ["target", "canned"]


def test_each_failure_climbs_its_own_steps() -> None:
    ladder: Ladder = {
        "invalid": [Step("repair"), Step("canned")],
        "unavailable": [Step("retry"), Step("target", target="backup"), Step("canned")],
    }
    assert kinds(ladder, "unavailable", "invalid", "unavailable") == ["retry", "repair", "target", "canned"]


def test_a_retry_after_a_dropped_answer_asks_the_target_that_wrote_it() -> None:
    ladder: Ladder = {"unsafe": [Step("drop"), Step("retry"), Step("canned")]}
    history = [Tried("backup", "unsafe"), Tried("", "unsafe", Rung("unsafe", 0))]
    step = next_step(ladder, "unsafe", history, Remaining(60))
    assert step is not None
    assert (step.kind, step.target) == ("retry", "backup")


def test_an_old_cached_answer_is_passed_over() -> None:
    ladder: Ladder = {"slow": [Step("cache", max_age=10.0), Step("canned")]}
    assert kinds(ladder, "slow", cached=9.0) == ["cache"]
    assert kinds(ladder, "slow", cached=11.0) == ["canned"]


def test_a_queue_without_room_leads_to_the_next_step() -> None:
    ladder: Ladder = {"refused": [Step("escalate"), Step("canned")]}
    assert kinds(ladder, "refused", escalate=True) == ["escalate"]
    assert kinds(ladder, "refused", escalate=False) == ["canned"]


def test_an_overspent_call_may_go_on_at_a_cheaper_target() -> None:
    ladder: Ladder = {"overspent": [Step("target", target="backup"), Step("target", target="third"), Step("canned")]}
    history = [Tried("main", "overspent")]
    left = Remaining(60, canned=True, dollars=0.01, costs={"backup": 0.02, "third": 0.005})
    step = next_step(ladder, "overspent", history, left)
    assert step is not None
    assert step.target == "third"


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


def test_the_caller_reads_why_its_request_is_bad() -> None:
    for failure in ("bad_request", "context_length"):
        assert next_step({}, failure, [Tried("main", failure)], Remaining(60, canned=True)) is None


@pytest.mark.parametrize(
    ("failure", "steps"),
    [
        ("unavailable", ["retry", "retry", "cache"]),
        ("slow", ["retry", "cache"]),
        ("invalid", ["repair", "escalate"]),
        ("refused", ["escalate"]),
        ("unsafe", ["drop", "escalate"]),
        ("overspent", []),
        ("misconfigured", ["cache"]),
    ],
)
def test_the_defaults_are_the_mission_s(failure: Failure, steps: list[StepKind]) -> None:
    ladder = merged({}, canned=True, cache=True, holding=True)
    assert kinds(ladder, failure, cached=1.0, escalate=True) == steps


def test_default_steps_need_what_they_give() -> None:
    bare = merged({}, canned=False, cache=False, holding=False)
    assert {step.kind for steps in bare.values() for step in steps} == {"retry", "repair", "drop"}
    vectors = merged({}, canned=False, cache=True, holding=False, embeddings=True)
    assert {step.kind for steps in vectors.values() for step in steps} == {"retry", "cache"}
    assert [step.kind for step in vectors["invalid"]] == ["retry"]
    assert set(bare) == set(LADDER_FAILURES)
