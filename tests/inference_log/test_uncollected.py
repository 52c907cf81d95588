"""Records are left out of garbage collection, which is right only while nothing in them can lead back to one."""

from __future__ import annotations

import typing

import msgspec
import pytest

from roadworthy.inference_log.segments import Line
from roadworthy.workflow import inference

UNCOLLECTED = [
    made
    for made in [*vars(inference).values(), Line]
    if isinstance(made, type) and issubclass(made, msgspec.Struct) and not made.__struct_config__.gc
]


def reached(hint: object, seen: set[object]) -> set[object]:
    """Every type that a value annotated with ``hint`` may hold, at any depth."""
    for part in typing.get_args(hint) or (hint,):
        if typing.get_origin(part) is typing.Literal:
            continue
        if typing.get_args(part):
            reached(part, seen)
        elif part not in seen:
            seen.add(part)
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                for held in typing.get_type_hints(part).values():
                    reached(held, seen)
    return seen


@pytest.mark.parametrize("struct", UNCOLLECTED, ids=lambda struct: struct.__name__)
def test_what_the_collector_does_not_follow_cannot_hold_itself(struct: type[msgspec.Struct]) -> None:
    held: set[object] = set()
    for hint in typing.get_type_hints(struct).values():
        reached(hint, held)
    assert struct not in held
    assert not {object, typing.Any} & held


def test_a_record_and_its_attempts_are_among_them() -> None:
    assert {inference.Inference, inference.Attempt, inference.InferenceStart} <= set(UNCOLLECTED)
