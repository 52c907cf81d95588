"""Digests: equal content, equal digest, on any machine; and a golden one that must never move."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.workflow.digest import NotReleasable, canonical, release_of
from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.model import Release, Workflow

Files = dict[str, str]
FLOW, PROMPT, SCHEMA = (f"workflows/triage/{name}" for name in ("workflow.yaml", "prompt.md", "output.schema.json"))


def workflow(files: Files) -> Workflow:
    configuration = read_configuration(files).configuration
    assert configuration is not None
    return configuration.workflows["triage"]


def frozen(files: Files) -> Release:
    return release_of(workflow(files))


def test_the_golden_digest_has_not_moved(files: Files) -> None:
    release = frozen(files)
    assert release.behaviour_digest == "beh_3885679a7cec37a1acc9d4403b3650b93ecff748f62fc148c6bd0c55833f1222"
    assert release.handling_digest == "han_2696495c0bf5a343de0a69f9bcef4a62003bebf9a7e7e059178e9f5807c9ec22"
    assert release.digest == "rel_8a06b60da3b950f84b0bc46117390de253d4ee859ae114990ea3de778512258c"


def test_a_release_that_was_frozen_before_default_steps_were_part_of_it_keeps_its_digest(files: Files) -> None:
    draft = workflow(files)
    declared = {failure: draft.handling.ladder[failure] for failure in ("unavailable", "invalid")}
    before = msgspec.structs.replace(draft, handling=msgspec.structs.replace(draft.handling, ladder=declared))
    release = release_of(before)
    assert release.handling_digest == "han_7b1bbae3a2042b7e292237d0d2ccb6c4dfd977d8bfd635fcdd4e0498e7bad078"
    assert release.digest == "rel_4e8956d9ddfa751106b3afa3f8277a78a6160261adc310d086ae55e262e1f834"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (PROMPT, "\n", "\r\n"),
        (PROMPT, "}}.\n", "}}."),
        (FLOW, "temperature: 0.2, max_tokens: 200", "max_tokens: 200.0, temperature: 0.20"),
        (FLOW, "deadline: 20s", "deadline: 20000ms"),
        (FLOW, "retry: {times: 2}", "retry: {times: 2, backoff: 200ms}"),
        (FLOW, "description: Sorts messages.\n", ""),
        (FLOW, "Name of the shop.", "The shop's name."),
        (FLOW, "testers: [ada]", "testers: [bo]"),
        ("roadworthy.yaml", "input: 0.15", "input: 0.30"),
        ("roadworthy.yaml", "env:OPENAI_API_KEY", "env:OTHER"),
        (SCHEMA, ", ", ",\n "),
    ],
)
def test_what_does_not_change_the_content_does_not_change_the_digest(
    files: Files, file: str, old: str, new: str
) -> None:
    assert old in files[file]
    assert frozen(files | {file: files[file].replace(old, new)}).digest == frozen(files).digest


@pytest.mark.parametrize(
    ("file", "old", "new", "facet"),
    [
        (PROMPT, "You", "you", "behaviour"),
        (PROMPT, "serve", "serve\u0301", "behaviour"),
        (FLOW, "temperature: 0.2", "temperature: 0.3", "behaviour"),
        ("roadworthy.yaml", "claude-3-5-haiku", "claude-haiku-4-5", "behaviour"),
        (FLOW, "We will answer soon.", "We will answer.", "handling"),
        (FLOW, "deadline: 20s", "deadline: 21s", "handling"),
        (FLOW, "[retry, canned]", "[canned]", "handling"),
    ],
)
def test_a_change_moves_the_digest_of_its_facet_only(files: Files, file: str, old: str, new: str, facet: str) -> None:
    before, after = frozen(files), frozen(files | {file: files[file].replace(old, new)})
    assert before.digest != after.digest
    assert (before.behaviour_digest != after.behaviour_digest) == (facet == "behaviour")
    assert (before.handling_digest != after.handling_digest) == (facet == "handling")


def test_the_order_of_keys_in_a_schema_is_content_because_a_model_writes_in_that_order(files: Files) -> None:
    def with_keys(*names: str) -> Files:
        schema = {"type": "object", "properties": {name: {} for name in names}}
        return files | {SCHEMA: json.dumps(schema)}

    assert frozen(with_keys("a", "b")).digest != frozen(with_keys("b", "a")).digest


def test_two_workflows_with_the_same_content_share_behaviour_but_not_a_release(files: Files) -> None:
    one = workflow(files)
    other = release_of(msgspec.structs.replace(one, name="other"))
    assert other.behaviour_digest == release_of(one).behaviour_digest
    assert other.digest != release_of(one).digest


def test_a_release_keeps_its_digest_through_storage(files: Files) -> None:
    release = frozen(files)
    stored = msgspec.json.decode(msgspec.json.encode(release), type=Release)
    assert stored == release
    draft = workflow(files)
    again = msgspec.structs.replace(draft, behaviour=stored.behaviour, handling=stored.handling)
    assert release_of(again).digest == release.digest


def test_a_workflow_that_is_only_passed_through_cannot_be_released(files: Files) -> None:
    with pytest.raises(NotReleasable):
        release_of(msgspec.structs.replace(workflow(files), behaviour=None))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
def test_canonical_json_is_ascii_and_stable_through_a_round_trip(value: object) -> None:
    text = canonical(value)
    assert text.isascii()
    assert canonical(json.loads(text)) == text


def test_equal_numbers_are_one_and_nan_is_refused() -> None:
    assert canonical({"a": 1.0, "b": -0.0}) == '{"a":1,"b":0}'
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))
