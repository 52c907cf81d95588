"""The sample workflow that ships with the package is valid, in both of its variants, and its labels are sound."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

import roadworthy
from roadworthy.workflow.files import Checked, read_configuration

SAMPLE = Path(roadworthy.__file__).parent / "templates" / "support-triage"


def variant(name: str) -> Checked:
    files: dict[str, str] = {}
    for part in ("base", name):
        root = SAMPLE / part
        files |= {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in root.rglob("*") if p.is_file()}
    return read_configuration(files)


@pytest.mark.parametrize("name", ["first", "second"])
def test_the_sample_has_no_problem(name: str) -> None:
    assert variant(name).problems == []


def test_the_second_variant_adds_a_schema_and_is_another_behaviour() -> None:
    first, second = variant("first").configuration, variant("second").configuration
    assert first is not None
    assert second is not None
    one, two = first.workflows["support-triage"].behaviour, second.workflows["support-triage"].behaviour
    assert one is not None
    assert two is not None
    assert (one.schema is None, two.schema is None) == (True, False)


def test_the_hand_labels_use_the_words_of_the_schema_and_both_halves_have_every_topic() -> None:
    rows = [json.loads(line) for line in (SAMPLE / "messages.jsonl").read_text(encoding="utf-8").splitlines()]
    schema = json.loads((SAMPLE / "second/workflows/support-triage/output.schema.json").read_text(encoding="utf-8"))
    topics = schema["properties"]["topic"]["enum"]
    assert len(rows) == len({row["id"] for row in rows}) == len({row["message"] for row in rows}) == 175
    assert {row["urgency"] for row in rows} == set(schema["properties"]["urgency"]["enum"])
    for half, size in (("calibrate", 51), ("test", 124)):  # the latter as large as proving its floors takes
        counts = Counter(row["topic"] for row in rows if row["half"] == half)
        assert set(counts) == set(topics)
        assert sum(counts.values()) == size
