"""The limit of calls at once follows what the target bears; what does not fit waits its turn or is shed."""

from __future__ import annotations

import asyncio
import heapq
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.gateway_support import on_loop
from roadworthy.gateway.limits.slots import LONGEST_HINT, SHORTEST_HINT, Full, Slots
from roadworthy.workflow.inference import Attempt, Failure
from roadworthy.workflow.model import Breaker, TargetLimits

NO_BREAKER = Breaker(calls=1_000_000)


def slots(concurrency: int = 64, **limits: object) -> Slots:
    return Slots(TargetLimits(concurrency=concurrency, **limits), NO_BREAKER)  # type: ignore[arg-type]


class SimulatedTarget:
    """Answers in ``seconds`` while at most ``bears`` calls are under way, and says 429 at once to the others."""

    def __init__(self, of: Slots, bears: int, seconds: float = 1.0) -> None:
        self.slots, self.bears, self.seconds = of, bears, seconds
        self.now = 0.0
        self.good = self.refused = 0
        self._ends: list[tuple[float, int, Attempt, float]] = []
        self._count = 0

    def run(self, until: float) -> None:
        """As many calls as there are slots, all the time (a queue that is never empty)."""
        while self.now < until:
            while self.slots.take_now():
                self._count += 1
                attempt = Attempt("main", status=200)
                accepted = sum(entry[2].failure is None for entry in self._ends) < self.bears
                attempt.failure = None if accepted else "overlimit"
                lasts = self.seconds * (1.0 + 0.01 * (self._count % 7)) if accepted else 0.02
                heapq.heappush(self._ends, (self.now + lasts, self._count, attempt, self.now))
            self.now, _, attempt, began = heapq.heappop(self._ends)
            self.good += attempt.failure is None
            self.refused += attempt.failure is not None
            self.slots.ended(attempt, began, self.now)
            self.slots.give_back()


def test_the_limit_settles_where_the_target_bears_it() -> None:
    target = SimulatedTarget(slots(256), bears=20)
    target.run(30.0)
    assert 10 <= target.slots.limit <= 24
    target.good = target.refused = 0
    target.run(130.0)
    assert target.good >= 0.85 * 20 * 100
    assert target.refused <= 0.15 * target.good  # what the retry budget bears


def test_capacity_that_comes_back_is_found_again_and_capacity_that_goes_is_left() -> None:
    target = SimulatedTarget(slots(100), bears=10)
    target.run(20.0)
    assert target.slots.limit <= 14
    target.bears = 1000
    target.run(120.0)
    assert target.slots.limit == 100
    target.bears = 4
    target.run(140.0)
    assert target.slots.limit <= 8


def test_a_limit_that_does_not_adapt_stays() -> None:
    target = SimulatedTarget(slots(50, adaptive=False), bears=5)
    target.run(5.0)
    assert target.slots.limit == 50


def test_one_round_of_refusals_narrows_the_limit_once() -> None:
    crowd = slots(40)
    assert all(crowd.take_now() for _ in range(40))
    for _ in range(40):
        crowd.ended(Attempt("main", failure="overlimit", status=429), began=1.0, now=2.0)
    assert crowd.limit == 30


def test_a_call_that_was_alone_says_nothing_about_how_many_are_too_many() -> None:
    alone = slots(40)
    assert alone.take_now()
    alone.ended(Attempt("main", failure="overlimit", status=429), began=1.0, now=2.0)
    assert alone.limit == 40


@pytest.mark.parametrize("failure", ["invalid", "refused", "unavailable", "bad_request", "truncated"])
def test_a_failure_that_is_no_overload_leaves_the_limit(failure: Failure) -> None:
    crowd = slots(40)
    assert all(crowd.take_now() for _ in range(40))
    crowd.ended(Attempt("main", failure=failure, status=500), began=1.0, now=2.0)
    assert crowd.limit == 40


@pytest.mark.parametrize("status", [503, 529])
def test_a_provider_that_says_overloaded_narrows_the_limit(status: int) -> None:
    crowd = slots(40)
    assert all(crowd.take_now() for _ in range(40))
    for _ in range(14):
        crowd.ended(Attempt("main", failure="unavailable", status=status), began=1.0, now=2.0)
    assert crowd.limit == 30


def test_a_target_that_refuses_a_few_calls_at_random_bears_as_many_as_before() -> None:
    crowd, random = slots(256), Random(3)
    for number in range(20_000):
        while crowd.take_now():
            pass
        failure: Failure | None = "overlimit" if random.random() < 0.04 else None
        crowd.ended(Attempt("main", failure=failure), float(number), number + 0.5)
        crowd.give_back()
    assert crowd.limit >= 200


@settings(max_examples=80)
@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.sampled_from([None, "overlimit", "slow"]), st.integers(1, 40), st.floats(0, 2)), max_size=60),
)
def test_the_limit_stays_between_one_and_the_declared_one(
    concurrency: int, ends: list[tuple[Failure | None, int, float]]
) -> None:
    made, now = slots(concurrency), 0.0
    for failure, busy, passed in ends:
        while made.taken < busy and made.take_now():
            pass
        now += passed
        if made.taken:
            made.ended(Attempt("main", failure=failure, status=200), now - passed, now)
            made.give_back()
        assert 1 <= made.limit <= concurrency
        assert made.taken >= 0


@on_loop
async def test_those_who_wait_are_served_in_the_order_in_which_they_came() -> None:
    one, served = slots(1, queue=10), []
    assert one.take_now()

    async def wait(name: int) -> None:
        await one.take(5.0)
        served.append(name)
        one.give_back()

    waiting = [asyncio.ensure_future(wait(name)) for name in range(5)]
    await asyncio.sleep(0)
    assert one.waiting == 5
    assert not one.take_now(), "nobody overtakes those who wait"
    one.give_back()
    await asyncio.gather(*waiting)
    assert served == [0, 1, 2, 3, 4]
    assert (one.taken, one.waiting, one.shed) == (0, 0, 0)


@on_loop
async def test_what_the_queue_cannot_hold_is_shed_at_once() -> None:
    one = slots(1, queue=2)
    assert one.take_now()
    waiting = [asyncio.ensure_future(one.take(5.0)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Full):
        await one.take(5.0)
    assert one.shed == 1
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    one.give_back()
    assert one.take_now()


@on_loop
async def test_without_a_queue_nobody_waits() -> None:
    one = slots(1, queue=0)
    await one.take(5.0)
    with pytest.raises(Full):
        await one.take(5.0)


@on_loop
async def test_a_wait_is_bounded() -> None:
    one = slots(1)
    assert one.take_now()
    with pytest.raises(Full):
        await one.take(0.001)
    assert (one.shed, one.waiting, one.taken) == (1, 0, 1)


@on_loop
async def test_a_limit_that_widens_lets_in_who_waits() -> None:
    one = slots(8)
    while one.take_now():
        pass
    for _ in range(14):
        one.ended(Attempt("main", failure="slow"), 0.0, 1.0)
    assert one.limit == 6
    waiting = asyncio.ensure_future(one.take(5.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    one.follow(TargetLimits(concurrency=20, adaptive=False), NO_BREAKER)
    await waiting
    assert one.taken == 9


def test_a_shed_call_is_told_when_to_come_again() -> None:
    made = slots(1)
    assert made.hint(0.0) == SHORTEST_HINT
    for second in range(10):
        made.breaker.ended(object(), float(second), float(second), None)
    assert made.hint(9.0) == SHORTEST_HINT
    assert SHORTEST_HINT <= made.hint(18.0) <= LONGEST_HINT


def test_a_client_that_left_teaches_nothing() -> None:
    made = slots(4)
    assert all(made.take_now() for _ in range(4))
    made.ended(Attempt("main", detail="the client left"), 0.0, 1.0)
    assert made.retries.earned == 0
    assert made.breaker.per_second(1.0) == 0.0
