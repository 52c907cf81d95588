"""Events come out the same however the network cut them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.adapters.providers import sse

EVENTS = [b'{"a":1}', "naïve 漢字 🙂".encode(), b"[DONE]"]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    splitter, events, start = sse.EventSplitter(), [], 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        events += splitter.feed(data[start:cut])
        start = cut
    return events


@given(st.lists(st.integers(0, 10_000)), st.sampled_from([b"\n", b"\r\n"]), st.sampled_from([b"data: ", b"data:"]))
def test_events_survive_any_cut_and_line_end(cuts, end, prefix):
    data = b"".join(prefix + event + end + end for event in EVENTS)
    assert split(data, cuts) == EVENTS


@given(
    st.lists(st.integers(0, 10_000)),
    st.lists(st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\n\n", b"\n\r\n"]), min_size=3),
)
def test_line_ends_may_be_mixed(cuts, ends):
    data = b"".join(b"data: " + event + end for event, end in zip(EVENTS, ends, strict=False))
    assert split(data + b"data: x\n\n", cuts) == [*EVENTS, b"x"]


def test_comments_other_fields_and_empty_events_are_skipped():
    data = b"\xef\xbb\xbf: ping\n\nevent: message\nid: 7\nretry: 3\ndata: one\n\n\n\nevent: only\n\n"
    assert split(data, []) == [b"one"]


def test_several_data_lines_are_one_event():
    assert split(b"data: {\ndata: }\n\n", []) == [b"{\n}"]


def test_a_line_that_never_ends_costs_bounded_memory():
    splitter = sse.EventSplitter()
    for _ in range(64):
        assert splitter.feed(b"x" * 65536) == []
    with pytest.raises(sse.EventTooLarge):
        splitter.feed(b"x")


def test_a_long_event_in_one_piece_is_refused_too():
    with pytest.raises(sse.EventTooLarge):
        sse.EventSplitter().feed(b"data: " + b"x" * (sse.MAX_EVENT + 1) + b"\n\n")


def test_an_unfinished_event_is_kept_until_it_ends():
    splitter = sse.EventSplitter()
    assert splitter.feed(b"data: half") == []
    assert splitter.rest == b"data: half"
    assert splitter.feed(b" more\n\n") == [b"half more"]
    assert splitter.rest == b""


def test_an_event_of_many_lines_in_small_pieces_is_joined_once():
    splitter = sse.EventSplitter()
    for _ in range(20_000):
        assert splitter.feed(b"data: a\n") == []
    assert len(splitter._pieces) == 20_000, "joined before it ended: a long event costs the square of its length"
    [event] = splitter.feed(b"\n")
    assert event == b"\n".join([b"a"] * 20_000)
    assert splitter.feed(b"data: b\n\n") == [b"b"]
