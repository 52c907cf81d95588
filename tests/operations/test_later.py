"""Answers that take longer than a page may."""

from __future__ import annotations

import threading

import pytest

from roadworthy.operations.later import MOST, Later


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_who_asks_gets_an_answer_that_is_there_in_time() -> None:
    asked: list[int] = []
    later = Later(Clock(), patience=60.0)
    for _ in range(3):
        assert later.get("a", lambda: asked.append(1) or "told", 60.0).value == "told"
    assert asked == [1]


def test_what_takes_long_is_there_for_whoever_asks_again() -> None:
    free = threading.Event()
    later = Later(Clock(), patience=0.0)
    assert later.get("a", lambda: free.wait(60.0) and "told", 60.0).value is None
    free.set()
    later.patience = 60.0
    assert later.get("a", lambda: "another", 60.0).value == "told"


def test_an_old_answer_is_given_while_a_new_one_is_worked_out() -> None:
    clock, free = Clock(), threading.Event()
    later = Later(clock, patience=60.0)
    later.get("a", lambda: "old", 10.0)
    clock.now += 11.0
    assert later.get("a", lambda: free.wait(60.0) and "new", 10.0) == ("old", 1000.0)
    free.set()
    while later.get("a", lambda: "newer", 10.0).value == "old":
        pass
    assert later.get("a", lambda: "newer", 10.0) == ("new", 1011.0)


def test_a_refusal_is_raised_and_asked_again() -> None:
    later = Later(Clock(), patience=60.0)

    def refuses() -> str:
        raise ValueError("not yet")

    for _ in range(2):
        with pytest.raises(ValueError, match="not yet"):
            later.get("a", refuses, 60.0)
    assert later.get("a", lambda: "told", 60.0).value == "told"


def test_only_so_many_answers_are_kept_and_all_can_be_forgotten() -> None:
    later = Later(Clock(), patience=60.0)
    for number in range(MOST + 5):
        later.get(number, lambda number=number: number, 60.0)
    assert len(later._known) == MOST
    later.forget()
    assert later.get(1, lambda: "anew", 60.0).value == "anew"
