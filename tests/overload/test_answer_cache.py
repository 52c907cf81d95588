"""The cache's bounds: entries, bytes, age; and what is purged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roadworthy.gateway.answers.cache import MOST_BODY, AnswerCache
from roadworthy.gateway.surfaces.chat import CHAT
from roadworthy.workflow.inference import Attempt
from roadworthy.workflow.model import CacheSpec, Handling


def call(
    question: str = "Hi",
    unit: str | None = "u-1",
    *,
    release: str = "rel_1",
    shared: bool = False,
    max_age: float = 60.0,
    ident: str = "inf_1",
    began: float = 1e9,
) -> Any:
    serving = SimpleNamespace(
        team="default", name="support", digest=release, handling=Handling(cache=CacheSpec("step", max_age, shared))
    )
    return SimpleNamespace(
        id=ident, serving=serving, traffic="live", unit=unit, unit_source="header" if unit else "random",
        operation="chat", fields={"messages": msgspec.Raw(msgspec.json.encode(question))}, cache_key=None,
        good=Attempt("main", finish="stop"), checks=[], began=began, surface=CHAT, lost=None,
    )  # fmt: skip


def test_an_answer_is_given_again_with_its_age_and_origin() -> None:
    cache = AnswerCache()
    cache.put(call(ident="inf_a"), "answered", b"{}", 100.0)
    found = cache.peek(call(ident="inf_b"), 130.0)
    assert found is not None
    assert (found.body, found.age, found.inference, found.unit) == (b"{}", 30.0, "inf_a", "u-1")


def test_a_release_that_shortens_the_age_is_obeyed_by_what_is_kept() -> None:
    cache = AnswerCache()
    cache.put(call(max_age=600.0), "answered", b"{}", 0.0)
    assert cache.peek(call(max_age=10.0), 10.0) is None
    assert len(cache) == 0


def test_an_answer_that_is_too_long_is_not_kept() -> None:
    cache = AnswerCache()
    cache.put(call(), "answered", b"x" * (MOST_BODY + 1), 0.0)
    assert len(cache) == 0


def test_what_was_read_last_stays() -> None:
    cache = AnswerCache(most_entries=2)
    cache.put(call("a"), "answered", b"a", 0.0)
    cache.put(call("b"), "answered", b"b", 1.0)
    assert cache.peek(call("a"), 2.0)
    cache.put(call("c"), "answered", b"c", 3.0)
    assert cache.peek(call("b"), 4.0) is None
    assert cache.peek(call("a"), 4.0)


def test_forgetting_a_user_purges_the_answers_that_others_share_too() -> None:
    cache = AnswerCache()
    cache.put(call("a", "u-1", shared=True), "answered", b"a", 0.0)
    cache.put(call("b", "u-1"), "answered", b"b", 0.0)
    cache.put(call("c", "u-2"), "answered", b"c", 0.0)
    assert cache.count("u-1") == 2
    assert cache.purge("u-1", 0.0) == 2
    assert cache.count("u-1") == 0
    assert cache.peek(call("a", "u-2", shared=True), 1.0) is None
    assert cache.peek(call("c", "u-2"), 1.0)


def test_a_call_that_was_under_way_when_its_user_was_forgotten_leaves_nothing_behind() -> None:
    cache = AnswerCache()
    cache.purge("u-1", 100.0)
    cache.put(call(began=99.0), "answered", b"{}", 101.0)
    assert len(cache) == 0
    cache.put(call(began=101.0), "answered", b"{}", 102.0)
    assert len(cache) == 1


class AnyUse(RuleBasedStateMachine):
    """Answers are kept, read and purged in any order, in every release and for every user."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = AnswerCache(most_entries=6, most_bytes=8000)
        self.now = 0.0
        self.last: dict[tuple[Any, ...], tuple[bytes, float]] = {}

    @rule(seconds=st.floats(0.0, 40.0))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        question=st.sampled_from("abc"), unit=st.sampled_from(["u-1", "u-2", None]), shared=st.booleans(),
        release=st.sampled_from(["rel_1", "rel_2"]), body=st.binary(min_size=1, max_size=3000),
    )  # fmt: skip
    def put(self, question: str, unit: str | None, shared: bool, release: str, body: bytes) -> None:
        self.cache.put(call(question, unit, shared=shared, release=release), "answered", body, self.now)
        self.last[(question, release, "all" if shared else unit, shared)] = (body, self.now)

    @rule(
        question=st.sampled_from("abc"), unit=st.sampled_from(["u-1", "u-2", None]), shared=st.booleans(),
        release=st.sampled_from(["rel_1", "rel_2"]),
    )  # fmt: skip
    def peek(self, question: str, unit: str | None, shared: bool, release: str) -> None:
        found = self.cache.peek(call(question, unit, shared=shared, release=release), self.now)
        if found is None:
            return
        assert unit is not None or shared, "nobody known is given nothing"
        body, made = self.last[(question, release, "all" if shared else unit, shared)]
        assert found.body == body
        assert found.age == self.now - made < 60.0
        assert shared or found.unit == unit

    @rule(unit=st.sampled_from(["u-1", "u-2"]))
    def purge(self, unit: str) -> None:
        self.cache.purge(unit, self.now)
        assert self.cache.count(unit) == 0

    @invariant()
    def bounds_hold(self) -> None:
        assert len(self.cache) <= 6
        assert 0 <= self.cache.bytes <= 8000
        assert bool(self.cache.bytes) == bool(len(self.cache))


AnyUse.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_any_use = AnyUse.TestCase
