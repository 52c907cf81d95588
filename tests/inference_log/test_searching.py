"""The search box: what a line is read as, and that no word of it is dropped."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.searching import LONGEST, MOST_WORDS, Names, Search, quoted, understand
from roadworthy.inference_log.searching_words import FIELDS, MEANS, SAYS_NOTHING

BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_790_000_000.0
"""Monday 21 September 2026, 16:13:20 in Berlin."""
TUESDAY_2PM = 1_789_473_600.0

RELEASES = {1: {"support-triage": "rel_a1", "invoices": "rel_b1"}, 3: {"support-triage": "rel_a3"}}
NAMES = Names(
    workflows=("support-triage", "invoices"),
    targets=("main", "backup", "spare"),
    keys={"checkout app": "key_1", "shop": "key_2"},
    releases=lambda number: {
        1: {"support-triage": "rel_a1", "invoices": "rel_b1"},
        3: {"support-triage": "rel_a3"},
    }.get(number, {}),
    second=lambda: {"support-triage": "backup", "invoices": "spare"},
)


def read(text: str) -> Search:
    return understand(text, NAMES, now=NOW, zone=BERLIN)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("user u-42 unsafe", Filter(unit="u-42", failure="unsafe")),
        ("support-triage error", Filter(workflow="support-triage", outcome="error")),
        ("errors or canned", Filter(outcome="error,canned")),
        ("slow > 5s", Filter(slower_than=5.0)),
        ("slow>800ms", Filter(slower_than=0.8)),
        ("slower than 2 min", Filter(slower_than=120.0)),
        ("slow", Filter(failure="slow")),
        ("cost > 0.01", Filter(min_cost=0.01)),
        ("over $0.02", Filter(min_cost=0.02)),
        ("cost over 5 cents", Filter(min_cost=0.05)),
        ("tag topic=return", Filter(tag="topic=return")),
        ("topic=return", Filter(tag="topic=return")),
        ("tag topic", Filter(tag="topic")),
        ("release 3", Filter(release="rel_a3")),
        ("invoices release 1", Filter(workflow="invoices", release="rel_b1")),
        ("support-triage by second target", Filter(workflow="support-triage", target="backup")),
        ("recovered by the second target invoices", Filter(workflow="invoices", outcome="recovered", target="spare")),
        ("by spare", Filter(target="spare")),
        ("shop", Filter(key="key_2")),
        ('key "checkout app"', Filter(key="key_1")),
        ("stage 10 %", Filter(stage="10 %")),
        ("stage 10%", Filter(stage="10 %")),
        ("off", Filter(kill="off")),
        ("route off", Filter(route="off")),
        ("class tester", Filter(traffic="tester")),
        ("timed out", Filter(failure="slow")),
        ('text "money back"', Filter(text="money back")),
        ('"money back"', Filter(text="money back")),
        ('user "Ann Lee"', Filter(unit="Ann Lee")),
        ("user:u-1 session=s-1", Filter(unit="u-1", session="s-1")),
        ("would bypassed", Filter(would="bypassed")),
        ("u-42", Filter(unit="u-42")),
        ("", Filter()),
    ],
)  # fmt: skip
def test_a_line_means_what_a_person_means(text: str, where: Filter) -> None:
    found = read(text)
    assert (found.where, found.missed) == (where, [])


def test_words_about_time_are_one_time_wherever_they_stand() -> None:
    for text in (
        "user u-42 tuesday 2pm unsafe",
        "tuesday unsafe 2pm user u-42",
        "what did it do on tuesday at 2pm for user u-42",
    ):
        found = read(text)
        assert (found.where.since, found.where.until) == (TUESDAY_2PM, TUESDAY_2PM + 3600.0), text
        assert found.where.unit == "u-42"
        assert found.window is not None
        assert "Tue 15 Sep 2026 14:00" in found.window.reading


def test_an_id_is_taken_by_itself_and_by_its_beginning() -> None:
    assert read("inf_0199f3c2a1b0").ident == "inf_0199f3c2a1b0"
    assert read("id 0199f3c2a1b0").ident == "inf_0199f3c2a1b0"
    assert "at least 8" in read("inf_0199").missed[0].hint


def test_an_unknown_word_is_tried_as_a_user_and_says_so() -> None:
    found = read("refnd u-7 erorr")
    assert found.where.unit == "refnd"
    assert found.chips[0].guess
    assert [missed.typed for missed in found.missed] == ["u-7", "erorr"]
    assert "“error”" in found.missed[1].hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("release 9", "there is no release 9"),
        ("release 1", "invoices, support-triage"),
        ("by second target", "by backup or by spare"),
        ("cost", "cost > 0.01"),
        ("user", "user u-42"),
        ("outcome nonsense", "answered"),
        ("tomorrow", "future"),
        ("yesterday unsafe today", "second time"),
        ("user a user b", "one at a time"),
    ],
)
def test_what_is_not_understood_is_named_with_a_mend(text: str, said: str) -> None:
    missed = read(text).missed
    assert missed
    assert said in " ".join(each.hint for each in missed)


def test_a_chip_taken_away_leaves_the_rest_of_the_line() -> None:
    found = read("user u-42 tuesday 2pm unsafe")
    without = {chip.field: chip.without for chip in found.chips}
    assert without == {"unit": "tuesday 2pm unsafe", "when": "user u-42 unsafe", "failure": "user u-42 tuesday 2pm"}
    for chip in found.chips:
        assert [each.field for each in read(chip.without).chips] == [
            e.field for e in found.chips if e.field != chip.field
        ]


@given(st.text(max_size=40).filter(lambda text: text.strip() and not re.search(r"[\s\"'?]", text[:1] + text[-1:])))
@settings(max_examples=150, deadline=None)
def test_any_user_can_be_asked_for(user: str) -> None:
    line = "user " + quoted(" ".join(user.split()))
    assert read(line).where.unit == " ".join(user.split()).replace('"', "'") or len(line) > LONGEST


WORDS = st.sampled_from(
    [*FIELDS, *MEANS, *SAYS_NOTHING, *NAMES.workflows, *NAMES.targets, "tuesday", "2pm", "yesterday", "last", "hour",
     ">", "5s", "0.01", "$1", "%", "10", "3", "inf_0199f3c2a1b0", "rel_ab12cd", "a=b", "=", ":", '"two words"', "'",
     '"', "u-42", "..", "14:00-15:00", "utc", "europe/berlin", "second", "target", "by", "release", "ago", "<script>"]
)  # fmt: skip


@given(st.lists(st.one_of(WORDS, st.text(max_size=8)), max_size=9))
@settings(max_examples=250, deadline=None)
def test_every_word_is_understood_or_named(words: list[str]) -> None:
    found = read(" ".join(words))
    told = [chip.typed for chip in found.chips] + [each.typed for each in found.missed] + found.silent
    left = sorted(" ".join(told).replace(" ", ""))
    assert left == sorted(found.text.replace(" ", ""))
    assert all(each.hint for each in found.missed)


@given(st.text(max_size=LONGEST * 2))
@settings(max_examples=100, deadline=None)
def test_no_line_is_too_odd_to_read(text: str) -> None:
    found = read(text)
    assert len(found.text) <= LONGEST
    assert isinstance(found.where, Filter)


def test_a_line_of_very_many_words_is_read_to_its_limit_and_says_so() -> None:
    found = read(" ".join(["a"] * (MOST_WORDS + 5)))
    assert str(MOST_WORDS) in found.missed[-1].hint
