"""Claims about the seam of a continued answer: what was repeated goes, nothing else does, nothing is guessed."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from roadworthy.gateway.streaming.seam import ANCHOR, ANEW, DISTINCT, LEAST, MOST, Seam, Unjoinable, anchor_of

WORDS = st.lists(
    st.text(alphabet="abcdefghijklmnopqrstuvwxyzäéß漢字🙂", min_size=1, max_size=9), min_size=12, max_size=120
).map(" ".join)
TEXTS = st.one_of(WORDS, st.text(min_size=40, max_size=500))
WRAPPED = " \n\t\"'“”„«»‘’…*>"


@st.composite
def cuts(draw: st.DrawFn) -> tuple[str, int, int]:
    """(text, where it is cut, how much of it is repeated)."""
    text = draw(TEXTS)
    cut = draw(st.integers(LEAST, len(text) - 1))
    return text, cut, draw(st.integers(LEAST, min(cut, MOST)))


ANSWER = (
    "Dear Ann,\n\nthank you for your message. We looked into the charge of 14 May, found that it was made twice and "
    "returned the second one today; it takes up to five days to arrive.\n\n- Reference: 4711-A\n- Amount: 10000 dollars"
    "\n\nKind regards,\nthe help desk"
)


def joined(said: str, continuation: str, *, asked: bool, pieces: int = 7) -> str:
    seam = Seam(said, asked=asked)
    new = [seam.feed(continuation[at : at + pieces]) for at in range(0, len(continuation), pieces)]
    return said + "".join(new) + seam.end()


def longest_repetition(said: str, start: str) -> int:
    return next((n for n in range(min(len(said), len(start), MOST), 0, -1) if said.endswith(start[:n])), 0)


@given(cut_text=cuts(), pieces=st.integers(1, 90))
@example(cut_text=(ANSWER, 100, 40), pieces=4)
def test_whatever_was_repeated_at_the_cut_the_joined_text_is_the_original(
    cut_text: tuple[str, int, int], pieces: int
) -> None:
    text, cut, overlap = cut_text
    said, continuation = text[:cut], text[cut - overlap :]
    assume(len(set(continuation[:overlap])) >= DISTINCT)
    assume(longest_repetition(said, continuation) == overlap)  # else it can be joined in more than one way
    assume(not continuation.lstrip(WRAPPED).startswith(anchor_of(said)) or overlap <= ANCHOR)
    assert joined(said, continuation, asked=True, pieces=pieces) == text


@given(cut_text=cuts(), pieces=st.integers(1, 90))
@example(cut_text=("The sum is 10000 dollars.", 13, 0), pieces=3)
@example(cut_text=("| a | b |\n" + "-" * 60 + "\n| 1 | 2 |", 40, 0), pieces=8)
def test_where_nothing_was_repeated_nothing_is_taken_out(cut_text: tuple[str, int, int], pieces: int) -> None:
    text, cut, _ = cut_text
    said, continuation = text[:cut], text[cut:]
    assume(continuation.strip() != "" and not (said[-1].isspace() and continuation[0].isspace()))
    assume(longest_beginning(said, continuation) < LEAST or len(set(said[:LEAST])) < DISTINCT)
    assume(longest_beginning(said, continuation) < ANEW)
    assert joined(said, continuation, asked=False, pieces=pieces) == text


def longest_beginning(said: str, start: str) -> int:
    return next((n for n in range(min(len(said), len(start)), 0, -1) if said.startswith(start[:n])), 0)


@given(cut_text=cuts(), asked=st.booleans(), pieces=st.integers(1, 90))
def test_an_answer_begun_anew_is_dropped_up_to_what_was_said(
    cut_text: tuple[str, int, int], asked: bool, pieces: int
) -> None:
    text, cut, _ = cut_text
    assume(len(set(text[:LEAST])) >= DISTINCT)
    assume(not asked or not text.lstrip(WRAPPED).startswith(anchor_of(text[:cut])))
    assert joined(text[:cut], text, asked=asked, pieces=pieces) == text


@given(said=TEXTS, continuation=TEXTS, asked=st.booleans(), pieces=st.integers(1, 90))
def test_what_was_said_is_never_changed_and_only_a_beginning_is_taken_out(
    said: str, continuation: str, asked: bool, pieces: int
) -> None:
    try:
        whole = joined(said, continuation, asked=asked, pieces=pieces)
    except Unjoinable:
        return
    assert whole.startswith(said)
    assert continuation.endswith(whole[len(said) :])


@pytest.mark.parametrize("cut", range(20, len(ANSWER) - 1, 3))
def test_the_last_words_repeated_as_asked_are_recognised_at_any_cut(cut: int) -> None:
    said = ANSWER[:cut]
    exact = ANSWER[ANSWER.rindex(anchor_of(said), 0, cut) :]
    for opening in ("", "\n", '"', "…"):
        assert joined(said, opening + exact, asked=True) == ANSWER


def test_rows_that_repeat_are_kept_where_the_target_goes_on_by_itself() -> None:
    text = "| order | state |\n" + "| 4711 | sent back |\n" * 6
    for cut in range(30, len(text)):
        if text[:cut].strip() == text[:cut]:
            assert joined(text[:cut], text[cut:], asked=False) == text


def test_white_space_that_the_model_rewrote_does_not_hide_a_repetition() -> None:
    said = "We have sent it back.\n\nIt takes five days until"
    assert joined(said, "We have sent it back. It takes five days until it arrives.", asked=True) == (
        said + " it arrives."
    )


@pytest.mark.parametrize("pieces", [1, 3, 7, 400])
def test_marks_that_the_model_copied_are_not_said(pieces: int) -> None:
    said = ANSWER[:150]
    for before, after in [("", "\n</last_words>\n"), ("<last_words>\n", "\n</last_words>"), ("", " </last_words>")]:
        whole = joined(said, before + anchor_of(said) + after + ANSWER[150:], asked=True, pieces=pieces)
        assert whole == ANSWER
    assert joined(said, anchor_of(said) + "\n</last_words>", asked=True, pieces=pieces) == said


def test_white_space_at_the_cut_is_not_said_twice() -> None:
    assert joined("Dear Ann,\n\n", "\n\nthank you.", asked=False) == "Dear Ann,\n\nthank you."
    assert joined("Dear Ann,\n", "\n\nthank you.", asked=False) == "Dear Ann,\n\nthank you."
    assert joined("Dear Ann, ", "thank you.", asked=False) == "Dear Ann, thank you."


@pytest.mark.parametrize(
    "continuation",
    [
        "Sure! Here is the rest of the letter: it takes up to five days to arrive.",
        "I am sorry, but I cannot help with that.",
        "",
        ANSWER[:60] + "something else entirely, which cannot be joined to the first half" * 9,
    ],
)
def test_a_continuation_that_does_not_take_up_the_last_words_is_refused(continuation: str) -> None:
    with pytest.raises(Unjoinable):
        joined(ANSWER[:150], continuation, asked=True)


def test_an_answer_begun_anew_in_other_words_is_refused_even_of_a_model_that_goes_on_by_itself() -> None:
    with pytest.raises(Unjoinable):
        joined(ANSWER[:150], ANSWER[:60] + "but now it says something else, at length. " * 12, asked=False)
    with pytest.raises(Unjoinable):
        joined(ANSWER[:150], ANSWER[:90], asked=False)
