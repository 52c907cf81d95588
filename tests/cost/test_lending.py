"""Slices of a budget: whatever is delayed, lost or restarted, what the workers hold never adds up to more than all of
it; and what one lacks and another has gets there."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from roadworthy.cost.lending import (
    WHOLE,
    Lender,
    Order,
    Orders,
    Slice,
    Word,
    first_share,
    floor_of,
    obeyed,
    slice_of,
    split,
)

LIMIT = 1_000_000_000
SCOPE = "a.b.1"


class Worker:
    """What a gateway worker does with orders, and with calls."""

    def __init__(self, number: int, workers: int) -> None:
        self.number, self.workers = number, workers
        self.share = first_share(number, workers)
        self.held = 0
        self.want = 0
        self.seen = (0, 0)

    def spend(self, amount: int) -> bool:
        if self.held + amount > slice_of(LIMIT, self.share):
            self.want = max(self.want, amount)
            return False
        self.held += amount
        self.want = 0
        return True

    def obey(self, orders: Orders) -> Word:
        if orders.number < self.seen:
            return Word(self.number, self.seen, [])
        self.seen = orders.number
        speak = self.want > 0
        for order in orders.orders:
            speak = True
            if order.share is not None:
                self.share = obeyed(self.share, self.held, LIMIT, order.share)
        said = [Slice(SCOPE, LIMIT, self.held, self.share, self.want)] if speak else []
        return Word(self.number, orders.number, said)


def exchange(lender: Lender, workers: list[Worker], rounds: int = 6) -> None:
    for _ in range(rounds):
        sent = [(worker, lender.orders(worker.number)) for worker in workers]
        for worker, orders in sent:
            lender.heard(worker.obey(orders))
        if not lender.decide(range(max((worker.workers for worker in workers), default=0))):
            break
    lender.forget()


class Lending(RuleBasedStateMachine):
    """Control and workers over a network that delays, repeats and loses."""

    @initialize(workers=st.sampled_from([1, 2, 2, 3, 5]))
    def start(self, workers: int) -> None:
        self.workers = [Worker(number, workers) for number in range(workers)]
        self.epoch = 1
        self.lender = Lender(self.epoch)
        self.under_way: list[tuple[int, Orders]] = []
        self.answers: list[Word] = []
        self.dead: set[int] = set()

    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.workers) - 1))
        self.under_way.append((number, self.lender.orders(number)))

    @rule(data=st.data(), keep=st.booleans())
    def arrive(self, data: st.DataObject, keep: bool) -> None:
        """Any message, in any order, perhaps once more later."""
        if self.under_way:
            at = data.draw(st.integers(0, len(self.under_way) - 1))
            number, orders = self.under_way[at] if keep else self.under_way.pop(at)
            if number not in self.dead:
                self.answers.append(self.workers[number].obey(orders))

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        if self.answers:
            self.lender.heard(self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1))))

    @rule(number=st.integers(0, 4))
    def time_out(self, number: int) -> None:
        self.lender.lost(number)

    @rule()
    def decide(self) -> None:
        self.lender.decide(range(len(self.workers)))

    @rule(
        hungry=st.integers(0, 2),
        bad=st.integers(0, 2),
        fate=st.sampled_from(["late", "lost", "answer late"]),
        since=st.integers(0, 4),
        until=st.integers(1, 6),
        forget=st.booleans(),
    )
    def round_on_a_bad_network(self, hungry: int, bad: int, fate: str, since: int, until: int, forget: bool) -> None:
        """One worker is short, and from some turn to another the messages of one fare badly."""
        self.spend(hungry, 0.9)
        for turn in range(6):
            for worker in self.workers:
                orders = self.lender.orders(worker.number)
                suffers = worker.number == bad and since <= turn < until
                if worker.number in self.dead or (suffers and fate == "lost"):
                    self.lender.lost(worker.number)
                elif suffers and fate == "late":
                    self.under_way.append((worker.number, orders))
                elif suffers:
                    self.answers.append(worker.obey(orders))
                else:
                    self.lender.heard(worker.obey(orders))
            self.lender.decide(range(len(self.workers)))
            self.shares_add_up_to_at_most_the_whole()
        if forget:
            self.lender.forget()

    @rule()
    def whole_round(self) -> None:
        exchange(self.lender, [worker for worker in self.workers if worker.number not in self.dead])

    @rule()
    def restart_control(self) -> None:
        self.epoch += 1
        self.lender = Lender(self.epoch)

    @rule(number=st.integers(0, 4))
    def kill(self, number: int) -> None:
        if number < len(self.workers):
            self.dead.add(number)

    @rule(number=st.integers(0, 4))
    def restart_worker(self, number: int) -> None:
        """Its table outlives it; what it had heard does not, nor do messages to its old socket."""
        if number in self.dead:
            self.dead.remove(number)
            self.workers[number].seen = (0, 0)
            self.workers[number].want = 0
            self.under_way = [(to, orders) for to, orders in self.under_way if to != number]

    @rule(number=st.integers(0, 4), part=st.sampled_from([0.001, 0.1, 0.3, 0.6, 0.9]))
    def spend(self, number: int, part: float) -> None:
        if number < len(self.workers) and number not in self.dead:
            self.workers[number].spend(int(part * LIMIT))

    @rule(number=st.integers(0, 4), part=st.floats(0, 1))
    def give_back(self, number: int, part: float) -> None:
        """A reserve that was larger than the cost."""
        if number < len(self.workers):
            worker = self.workers[number]
            worker.held -= int(worker.held * part)

    @invariant()
    def shares_add_up_to_at_most_the_whole(self) -> None:
        if hasattr(self, "workers"):
            assert sum(worker.share for worker in self.workers) <= WHOLE
            assert sum(worker.held for worker in self.workers) <= LIMIT


Lending.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestLending = Lending.TestCase


def test_one_busy_worker_gets_to_spend_nearly_all_of_it():
    lender, workers = Lender(1), [Worker(number, 4) for number in range(4)]
    for _ in range(2000):
        workers[2].spend(LIMIT // 1000)
        exchange(lender, workers)
    assert workers[2].held >= 0.999 * LIMIT


def test_a_call_that_fits_only_the_whole_budget_is_granted_after_a_round():
    lender, workers = Lender(1), [Worker(number, 4) for number in range(4)]
    assert not workers[0].spend(LIMIT * 9 // 10)
    exchange(lender, workers)
    assert workers[0].spend(LIMIT * 9 // 10)


def test_two_busy_workers_share_what_two_idle_ones_do_not_use():
    lender, workers = Lender(1), [Worker(number, 4) for number in range(4)]
    for _ in range(3000):
        for busy in (0, 1):
            workers[busy].spend(LIMIT // 1000)
        exchange(lender, workers)
    assert sum(worker.held for worker in workers) >= 0.998 * LIMIT
    assert workers[0].held == pytest.approx(workers[1].held, rel=0.1)


def test_nobody_grows_while_a_worker_is_silent():
    lender, workers = Lender(1), [Worker(number, 3) for number in range(3)]
    assert not workers[0].spend(LIMIT // 2)
    exchange(lender, workers[:2])
    assert [worker.share for worker in workers] == [first_share(number, 3) for number in range(3)]


def test_a_scope_of_which_nobody_is_short_costs_no_message():
    lender, workers = Lender(1), [Worker(number, 2) for number in range(2)]
    exchange(lender, workers)
    assert lender.scopes == 0
    assert lender.orders(0).orders == []


def test_a_word_about_a_shared_record_moves_nothing():
    lender = Lender(1)
    for number in range(2):
        orders = lender.orders(number)
        lender.heard(Word(number, orders.number, [Slice(SCOPE, LIMIT, 0, WHOLE // 2, LIMIT, fixed=number == 1)]))
    assert not lender.decide(range(2))


def test_orders_survive_the_wire():
    orders = Orders((3, 9), [Order(SCOPE, LIMIT, 5, 7)])
    assert msgspec.json.decode(msgspec.json.encode(orders), type=Orders) == orders


slices = st.lists(
    st.builds(
        Slice,
        st.just(SCOPE),
        st.just(LIMIT),
        st.integers(0, LIMIT),
        st.integers(0, WHOLE),
        st.sampled_from([0, 1, LIMIT // 2]),
    ),
    min_size=1,
    max_size=6,
)


@given(slices)
def test_shares_cover_what_is_held_and_add_up(found):
    shares = split(found)
    if sum(floor_of(one.held, LIMIT) for one in found) < WHOLE:
        assert sum(shares) <= WHOLE
        assert all(slice_of(LIMIT, share) >= one.held for share, one in zip(shares, found, strict=True))


@given(st.integers(0, WHOLE), st.integers(0, 2 * LIMIT), st.integers(0, WHOLE))
def test_an_order_never_takes_what_is_held_and_a_shrink_never_grows(share, held, ordered):
    got = obeyed(share, held, LIMIT, ordered)
    if ordered < share:
        assert got <= share
        assert slice_of(LIMIT, got) >= min(held, slice_of(LIMIT, share))


@given(st.integers(1, 9))
def test_first_shares_are_the_whole(workers):
    assert sum(first_share(number, workers) for number in range(workers)) == WHOLE


def test_an_answer_that_comes_late_says_nothing():
    lender, workers = Lender(1), [Worker(number, 2) for number in range(2)]
    assert not workers[0].spend(LIMIT * 9 // 10)
    for _ in range(2):
        for worker in workers:
            lender.heard(worker.obey(lender.orders(worker.number)))
        lender.decide(range(2))
    old = workers[1].obey(lender.orders(1))  # the shrink is obeyed, its answer is late
    workers[1].share = first_share(1, 2)  # as if the answer were older than that
    lender.lost(1)
    late = msgspec.structs.replace(old, slices=[Slice(SCOPE, LIMIT, 0, 0)])
    lender.orders(1)
    lender.heard(late)
    lender.decide(range(2))
    workers[0].obey(lender.orders(0))
    assert sum(worker.share for worker in workers) <= WHOLE
