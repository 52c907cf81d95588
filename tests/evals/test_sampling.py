"""Claims about drawing examples from traffic: varied, without repeats, the same for the same seed, honestly told."""

from __future__ import annotations

from collections import Counter

import pytest

from roadworthy.evals.sampling import Call, allocate, draw
from roadworthy.statistics import texts

THINGS = ("parcel", "refund", "password", "invoice", "voucher")
ENDS = ("today", "again", "for my sister", "since Monday", "in Bern", "with a receipt", "by card", "at night")


def calls(n: int = 400) -> list[Call]:
    """Four of five ask for a parcel; one in fifty is escalated; one is like no other."""
    found = []
    for at in range(n):
        thing = THINGS[at % 5] if at % 5 == 1 + at // 5 % 4 else THINGS[0]
        text = f"please help with the {thing} {thing} {ENDS[at % 8]} {ENDS[at // 8 % 8]} {'really ' * (at % 7)}"
        found.append(Call(f"inf_{at:032x}", text, "escalated" if at % 50 == 0 else "answered"))
    return [*found, Call("inf_odd", "Quantum llamas juggle seven burning violins", "answered")]


def test_the_same_calls_and_seed_give_the_same_sample() -> None:
    one, two = draw(calls(), 60), draw(list(reversed(calls())), 60)
    assert [each.id for each in one.calls] == [each.id for each in two.calls]
    assert len(one.calls) == 60 == len({each.id for each in one.calls})
    assert [each.id for each in draw(calls(), 60, "another").calls] != [each.id for each in one.calls]


def test_what_is_rare_is_seen_more_often_than_it_comes_and_what_is_like_no_other_is_seen() -> None:
    found = draw(calls(), 60)
    assert "inf_odd" in {each.id for each in found.calls}
    shares = {(part.dimension, part.value): part for part in found.coverage.parts}
    escalated = shares["outcome", "escalated"]
    assert escalated.sample > 2 * escalated.traffic
    assert sum(part.traffic for part in found.coverage.parts if part.dimension == "theme") == pytest.approx(1)


def test_calls_that_say_nearly_the_same_count_as_one() -> None:
    same = [Call(f"inf_{at}", f"Where is my order {at * 7919}?", "answered") for at in range(80)]
    found = draw([*same, *calls(80)], 50)
    assert sum(each.text.startswith("Where is my order") for each in found.calls) == 1
    assert found.coverage.different <= 82


def test_what_is_an_example_already_covers_its_kind_and_is_not_drawn_again() -> None:
    known = [Call(each.id, each.text, each.outcome, known=True) for each in calls()]
    found = draw(known, 60)
    assert (found.calls, found.coverage.share, found.coverage.missing) == ([], 1.0, [])


def test_kinds_for_which_there_was_no_room_are_named_with_their_share() -> None:
    found = draw(calls(), 4)
    assert found.coverage.covered <= 4 < found.coverage.kinds
    assert found.coverage.share < 1
    shares = [share for _, share in found.coverage.missing]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0


def test_room_is_given_one_each_then_by_the_square_root_and_never_more_than_there_are() -> None:
    sizes = {("a", "", ""): 900, ("b", "", ""): 100, ("c", "", ""): 4}
    assert allocate(sizes, sizes, 2) == {("a", "", ""): 1, ("b", "", ""): 1}
    found = allocate(sizes, sizes, 42)
    assert found[("c", "", "")] in (2, 3)
    assert 2.5 < found[("a", "", "")] / found[("b", "", "")] < 3.5
    assert allocate(sizes, {("a", "", ""): 2, ("c", "", ""): 1}, 42) == {("a", "", ""): 2, ("c", "", ""): 1}
    assert allocate({}, {}, 5) == {}


def test_one_call_and_calls_without_words_are_no_trouble() -> None:
    assert len(draw([Call("inf_1", "hi", "answered")], 50).calls) == 1
    assert len(draw([Call(f"inf_{at}", "?!", "answered") for at in range(3)], 50).calls) >= 1


def test_texts_that_belong_together_are_found_together_and_named_by_what_tells_them_apart() -> None:
    found = [each.text for each in calls(200)]
    themes = texts.themes(found, texts.vectors(found), 5)
    assert sum(len(theme.members) for theme in themes) == len(found)
    for theme in themes:
        things = Counter(word for at in theme.members for word in texts.words(found[at]) if word in THINGS)
        assert len(things) <= 1 or things.most_common()[0][1] >= 0.6 * sum(things.values())
    assert len({theme.name for theme in themes}) == len(themes)


def test_numbers_make_no_difference_between_texts() -> None:
    assert texts.repeats(texts.vectors(["order 1 is late", "order 22 is late", "I love it"])) == [0, 0, 2]
