"""Claims about the sliding window: whatever a check finds in the whole text never leaves, however it is cut."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.gateway.streaming.window import STRIDE, STRIDE_SHIFT, Window
from roadworthy.workflow.inference import Failure

HOLD = 40


class Hit(NamedTuple):
    span: tuple[int, int] | None
    detail: str = "found"
    score: float = 1.0


class Pattern:
    """A span check by a regular expression."""

    failure: Failure = "unsafe"

    def __init__(self, pattern: str) -> None:
        self.name = pattern
        self._pattern = re.compile(pattern)

    def find(self, text: str) -> Hit | None:
        found = self._pattern.search(text)
        return None if found is None else Hit(found.span())


SECRET = Pattern(r"SECRET-\d{4}")
CARD = Pattern(r"\bcard\b")
OPENING = Pattern(r"\A\s*Sorry")


def event(text: str | None, index: int = 0, **delta: Any) -> bytes:
    made = {**({} if text is None else {"content": text}), **delta}
    return msgspec.json.encode({"choices": [{"index": index, "delta": made}]})


def text_of(data: list[bytes], name: str = "content", index: int = 0) -> str:
    choices = [choice for one in data for choice in msgspec.json.decode(one)["choices"]]
    return "".join(choice["delta"].get(name) or "" for choice in choices if choice["index"] == index)


def run(text: str, sizes: list[int], *checks: Pattern, hold: int = HOLD) -> tuple[str, bool]:
    """(what left, was something found)."""
    window = Window(hold, checks, frozenset({OPENING.name}) if OPENING in checks else frozenset())
    left: list[bytes] = []
    at = number = 0
    while at < len(text):
        size = sizes[number % len(sizes)]
        found = window.push(event(text[at : at + size]))
        left += window.leaving()
        if found is not None:
            return text_of(left), True
        at, number = at + size, number + 1
    found = window.finish()
    left += window.leaving()
    assert left == window.left
    return text_of(left), found is not None


PIECES = st.sampled_from(
    [
        "SECRET-1234",
        "SECRET-",
        "12345",
        "card",
        "discard",
        "cardboard",
        " ",
        "a card.",
        "word ",
        "漢字 ",
        "x" * 50,
        "\n",
    ]
)
TEXT = st.lists(PIECES, max_size=60).map("".join)
SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=8)


@given(text=TEXT, sizes=SIZES)
def test_a_window_finds_what_a_search_of_the_whole_text_finds_and_lets_none_of_it_leave(
    text: str, sizes: list[int]
) -> None:
    left, found = run(text, sizes, SECRET, CARD)
    hits = [hit.span for check in (SECRET, CARD) if (hit := check.find(text)) is not None and hit.span is not None]
    assert found == bool(hits)
    assert text.startswith(left)
    assert left == text if not hits else len(left) <= min(hits)[0]


@given(text=TEXT, sizes=SIZES)
def test_a_clean_text_leaves_whole_and_lags_by_no_more_than_the_window(text: str, sizes: list[int]) -> None:
    window = Window(HOLD, [])
    at = number = 0
    while at < len(text):
        size = sizes[number % len(sizes)]
        window.push(event(text[at : at + size]))
        window.leaving()
        at, number = min(at + size, len(text)), number + 1
        assert at - len(text_of(window.left)) <= HOLD + max(STRIDE, at >> STRIDE_SHIFT) + 2 * max(sizes)
    window.finish()
    window.leaving()
    assert text_of(window.left) == text


def test_a_finding_that_the_next_word_takes_back_does_not_end_the_stream() -> None:
    assert run("x" * STRIDE + " your card" + "board box" + " goes on and on" * 5, [STRIDE + 10, 9], CARD)[1] is False
    assert run("x" * STRIDE + " your card", [STRIDE + 10], CARD)[1] is True


def test_the_clean_text_before_a_finding_leaves_and_nothing_after_it() -> None:
    text = "This is fine. " * 10 + "SECRET-1234" + " and more" * 10
    left, found = run(text, [7], SECRET)
    assert found
    assert 0 <= text.index("SECRET") - len(left) <= HOLD  # part of it might have become another finding


def test_every_choice_and_every_kind_of_text_is_searched_by_itself() -> None:
    window = Window(HOLD, [SECRET])
    for _ in range(20):
        assert window.push(event("SECRET-", 0)) is None
        assert window.push(event("1234 ", 1)) is None
    window = Window(HOLD, [SECRET])
    assert window.push(event(None, reasoning_content="I must not say SECRET-1234 to anyone, they told me")) is not None


def test_calls_of_tools_pass_in_order_behind_text_that_is_held() -> None:
    window = Window(HOLD, [SECRET])
    call = event(None, tool_calls=[{"index": 0, "function": {"name": "f", "arguments": "SECRET-1234"}}])
    assert window.push(event("Let me look.")) is None
    assert window.push(call) is None
    assert window.leaving() == []
    assert window.finish() is None
    assert window.leaving()[1] == call


def test_an_event_of_an_unknown_shape_carries_no_text_and_one_of_a_strange_shape_is_searched() -> None:
    window = Window(HOLD, [SECRET])
    assert window.push(b'{"choices":null}') is None
    assert window.push(b'{"choices":[7,{"index":"0","delta":null},{"delta":"x"}]}') is None
    strange = {"choices": [{"index": "0", "delta": {"content": [{"type": "text", "text": "it is SECRET-1234, " * 3}]}}]}
    assert window.push(msgspec.json.encode(strange)) is not None


def test_a_check_of_how_an_answer_opens_sees_only_its_opening() -> None:
    assert run("Sorry, that I cannot do. " + "word " * 99, [6], OPENING) == ("", True)
    text = "Well. " + "Sorry to hear that. " * 99
    assert run(text, [6], OPENING) == (text, False)


def test_long_texts_are_forgotten_behind_the_window() -> None:
    window = Window(HOLD, [SECRET])
    for _ in range(2000):
        assert window.push(event("plain words here ")) is None
        window.leaving()
    [text] = window._texts.values()
    assert text.length == 2000 * 17
    assert len(text._tail) < 20 * HOLD
