"""Which calls may share an answer, and which answers may be kept."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.fallback.cache import NOT_ASKED, cache_key, may_keep
from roadworthy.workflow.inference import OUTCOMES, TRAFFIC_CLASSES, Check

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
ASKED = st.dictionaries(st.sampled_from(["messages", "temperature", "tools", "seed", "n"]), JSON, max_size=5)
SCOPE: dict[str, Any] = {
    "team": "default", "workflow": "support", "release": "rel_1", "traffic": "live", "unit": "u-1",
    "unit_source": "header", "shared": False, "operation": "chat",
}  # fmt: skip


def key(fields: dict[str, Any], **scope: Any) -> bytes | None:
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}
    return cache_key(**{**SCOPE, **scope}, fields=raw)


def raw_key(messages: bytes, **scope: Any) -> bytes | None:
    return cache_key(**{**SCOPE, **scope}, fields={"messages": msgspec.Raw(messages)})


@settings(max_examples=200, deadline=None)
@given(ASKED, st.randoms())
def test_key_order_and_whitespace_do_not_count(asked: dict[str, Any], dice: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            members = list(value.items())
            dice.shuffle(members)
            return {name: shuffled(inner) for name, inner in members}
        return [shuffled(inner) for inner in value] if isinstance(value, list) else value

    spaced = {
        name: msgspec.Raw(json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        for name, value in shuffled(asked).items()
    }
    assert cache_key(**SCOPE, fields=spaced) == key(asked)


@settings(max_examples=200, deadline=None)
@given(ASKED, ASKED)
def test_other_questions_have_other_keys(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (key(one) == key(other)) == same


@settings(max_examples=100, deadline=None)
@given(ASKED, st.dictionaries(st.sampled_from(sorted(NOT_ASKED)), JSON))
def test_who_asks_and_how_it_is_told_are_no_part_of_the_question(asked: dict[str, Any], beside: dict[str, Any]) -> None:
    assert key({**asked, **beside}) == key(asked)


UNITS = st.tuples(st.text(max_size=6), st.sampled_from(["header", "safety_identifier", "user", "session"]))


@settings(max_examples=200, deadline=None)
@given(ASKED, UNITS, UNITS)
def test_no_two_users_share_an_answer(asked: dict[str, Any], one: Any, other: Any) -> None:
    first = key(asked, unit=one[0], unit_source=one[1])
    second = key(asked, unit=other[0], unit_source=other[1])
    assert first is not None
    assert (first == second) == (one == other)


@given(ASKED, UNITS, UNITS)
@settings(max_examples=50, deadline=None)
def test_users_share_answers_that_are_declared_safe_for_all(asked: dict[str, Any], one: Any, other: Any) -> None:
    first = key(asked, unit=one[0], unit_source=one[1], shared=True)
    assert first == key(asked, unit=other[0], unit_source=other[1], shared=True) is not None
    assert first == key(asked, unit=None, unit_source="random", shared=True)
    assert first != key(asked, unit="shared", unit_source="header")


@pytest.mark.parametrize(
    "other",
    [{"release": "rel_2"}, {"workflow": "sales"}, {"team": "b"}, {"operation": "embeddings"}]
    + [{"traffic": word} for word in TRAFFIC_CLASSES if word != "live"],
    ids=str,
)
def test_no_two_releases_workflows_teams_or_classes_share_an_answer(other: dict[str, str]) -> None:
    asked = {"messages": [{"role": "user", "content": "Hi"}]}
    assert key(asked) != key(asked, **other)
    assert key(asked, shared=True) != key(asked, shared=True, **other)


def test_nobody_known_means_no_cache() -> None:
    assert key({"messages": []}, unit=None, unit_source="random") is None
    assert key({"messages": []}, unit="inf_x", unit_source="random") is None


@pytest.mark.parametrize(
    "messages",
    [
        b'[{"role":"user","content":"EVIL","content":"How do I reset it?"}]',
        b'[{"role":"user","content":[{"type":"text","text":"a","text":"b"}]}]',
        b'[{"role":"user","content":NaN}]',
        b"[" * 100_000,
        b'[{"role":"user"',
    ],
    ids=["twice", "deep inside", "not a number", "too deep", "cut"],
)
def test_a_request_that_can_be_read_in_two_ways_poisons_no_cache(messages: bytes) -> None:
    assert raw_key(messages, shared=True) is None


CHAT = b'{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
TOOLS = b'{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c"}]},"finish_reason":"stop"}]}'
NO_TOOLS = b'{"choices":[{"message":{"content":"Hi","tool_calls":null},"finish_reason":"stop"}]}'


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_only_what_a_model_answered_well_is_kept(outcome: Any) -> None:
    assert may_keep(outcome, "stop", [], CHAT) == (outcome in ("answered", "recovered"))


def test_nothing_is_kept_that_a_check_held_against_it_or_could_not_look_at() -> None:
    assert may_keep("answered", "stop", [Check("language", True)], CHAT)
    assert not may_keep("answered", "stop", [Check("language", True), Check("tone", False)], CHAT)
    assert not may_keep("answered", "stop", [Check("moderation", True, broke="time-out")], CHAT)


@pytest.mark.parametrize("finish", ["length", "tool_calls", "content_filter", "function_call"])
def test_an_answer_that_did_not_end_by_itself_is_not_kept(finish: str) -> None:
    assert not may_keep("answered", finish, [], CHAT)


def test_a_tool_call_is_never_kept_however_it_is_marked() -> None:
    assert not may_keep("answered", "stop", [], TOOLS)
    assert may_keep("answered", "stop", [], NO_TOOLS)
