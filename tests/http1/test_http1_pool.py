"""The pool decides: one slot a connection, none leaked, first come first served."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from roadworthy.http1.pool import Pool, PoolLimits

LIMITS = PoolLimits(per_origin=3, waiting=2, idle_expiry=10.0)


class Waiter:
    """Stands in for a future."""

    def __init__(self) -> None:
        self.cancelled = False

    def done(self) -> bool:
        return self.cancelled


def test_the_youngest_idle_connection_is_taken_so_that_old_ones_can_expire() -> None:
    pool: Pool[str, Waiter] = Pool(LIMITS)
    for _name in ("old", "young"):
        assert pool.claim() == "open"
        pool.opened()
    pool.release("old", 1.0)
    pool.release("young", 2.0)
    assert pool.take() == "young"
    assert pool.expired(10.9) == []
    assert pool.expired(11.0) == ["old"]
    assert pool.open == 1


def test_waiters_are_served_in_order_and_cancelled_ones_are_passed_over() -> None:
    pool: Pool[str, Waiter] = Pool(PoolLimits(per_origin=1, waiting=3))
    pool.claim()
    pool.opened()
    first, gone, third = Waiter(), Waiter(), Waiter()
    for waiter in (first, gone, third):
        assert pool.claim() == "wait"
        pool.enqueue(waiter)
    assert pool.claim() == "full"
    gone.cancelled = True
    assert pool.release("c", 0.0) is first
    assert pool.release("c", 0.0) is third
    assert pool.release("c", 0.0) is None


def test_the_slot_of_a_lost_connection_goes_to_the_next_waiter() -> None:
    pool: Pool[str, Waiter] = Pool(PoolLimits(per_origin=1, waiting=1))
    pool.claim()
    pool.opened()
    waiter = Waiter()
    pool.enqueue(waiter)
    assert pool.lost("c") is waiter
    assert (pool.opening, pool.busy, len(pool.idle)) == (1, 0, 0)


class PoolMachine(RuleBasedStateMachine):
    """Any order of events keeps the books."""

    busy = Bundle("busy")

    def __init__(self) -> None:
        super().__init__()
        self.pool: Pool[int, Waiter] = Pool(LIMITS)
        self.now = 0.0
        self.made = 0
        self.lent: set[int] = set()
        self.opening = 0
        self.queue: list[Waiter] = []
        self.served: list[Waiter] = []

    def _given(self, waiter: Waiter | None) -> None:
        if waiter is not None:
            live = [queued for queued in self.queue if not queued.cancelled]
            assert waiter is live[0], "not first come, first served"
            self.queue.remove(waiter)

    @rule()
    def call(self) -> None:
        connection = self.pool.take()
        if connection is not None:
            assert connection not in self.lent
            self.lent.add(connection)
            return
        admission = self.pool.claim()
        if admission == "open":
            self.opening += 1
        elif admission == "wait":
            waiter = Waiter()
            self.queue.append(waiter)
            self.pool.enqueue(waiter)

    @precondition(lambda self: self.opening)
    @rule(works=st.booleans())
    def finish_opening(self, works: bool) -> None:
        self.opening -= 1
        if works:
            self.pool.opened()
            self.made += 1
            self.lent.add(self.made)
        else:
            waiter = self.pool.give_up()
            self._given(waiter)
            self.opening += waiter is not None

    @precondition(lambda self: self.lent)
    @rule(data=st.data(), good=st.booleans())
    def finish_call(self, data: st.DataObject, good: bool) -> None:
        connection = data.draw(st.sampled_from(sorted(self.lent)))
        self.now += 1
        if good:
            waiter = self.pool.release(connection, self.now)
            if waiter is None:
                self.lent.remove(connection)
        else:
            self.lent.remove(connection)
            waiter = self.pool.lost(connection)
            self.opening += waiter is not None
        self._given(waiter)

    @precondition(lambda self: self.pool.idle)
    @rule(data=st.data())
    def lose_idle(self, data: st.DataObject) -> None:
        assert self.pool.lost(data.draw(st.sampled_from(sorted(self.pool.idle)))) is None

    @precondition(lambda self: self.pool.idle)
    @rule()
    def evict(self) -> None:
        assert self.pool.evict() is not None
        self.opening += 1

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), tidy=st.booleans())
    def cancel_waiter(self, data: st.DataObject, tidy: bool) -> None:
        waiter = data.draw(st.sampled_from(self.queue))
        waiter.cancelled = True
        self.queue.remove(waiter)
        if tidy:
            self.pool.leave(waiter)

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.pool.expired(self.now)

    @invariant()
    def books_agree(self) -> None:
        pool = self.pool
        assert (pool.opening, pool.busy) == (self.opening, len(self.lent))
        assert pool.open <= LIMITS.per_origin
        assert not self.lent & set(pool.idle)

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        if any(not waiter.done() for waiter in self.pool.waiters):
            assert not self.pool.idle
            assert self.pool.open == LIMITS.per_origin


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
