"""What makes an example itself and a set its version; how sets are merged and parts of them held out.  Pure.

An example's id is the hash of what is asked and expected.  What people say about it (critical, tags, held out, whose
it is) is no part of its id, so that its hand scores stay with it; it is part of the version of every set that holds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from roadworthy.evals.model import Example, Examples
from roadworthy.workflow.digest import canonical

ID_LENGTH: Final = 20
"""Characters of an example's id; what follows them in an answer's slot says which of its askings it is."""


def identity(example: Example) -> str:
    """The id that its content gives it."""
    content = [example.messages, example.expected, example.text, example.inputs]
    return "exm_" + hashlib.sha256(canonical(content).encode("ascii")).hexdigest()[:16]


def identified(example: Example) -> Example:
    return msgspec.structs.replace(example, id=identity(example))


def question_of(example: Example) -> str:
    """What is asked, whatever is expected: two examples with one question contradict or repeat each other."""
    return canonical([example.messages, example.inputs])


def marks(example: Example) -> dict[str, Any]:
    """What people say about it, without defaults."""
    said: dict[str, Any] = {
        "critical": example.critical, "tags": example.tags, "held_out": example.held_out, "cluster": example.cluster,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}


def set_of(items: Iterable[Example]) -> Examples:
    """The set, with the version that its content has.  Labels are no part of it."""
    ordered = sorted(items, key=lambda each: each.id)
    text = "\n".join(_entry(each) for each in ordered)
    return Examples("set_" + hashlib.sha256(text.encode("ascii")).hexdigest(), ordered)


def sound(examples: Examples) -> bool:
    """Has the set the version that its content gives it?  False for one that was changed where it is kept."""
    return examples.version == set_of(examples.items).version and all(
        identity(each) == each.id for each in examples.items
    )


def is_held_out(example: Example, share: float) -> bool:
    """Is it of the part that nobody looks at?  By its question alone: another label, another machine or another year
    say the same, and a larger share keeps what a smaller one had."""
    drawn = int.from_bytes(hashlib.sha256(b"held out\n" + question_of(example).encode("ascii")).digest()[:8], "big")
    return drawn < share * 2**64


def with_held_out(items: Iterable[Example], share: float) -> list[Example]:
    return [msgspec.structs.replace(each, held_out=is_held_out(each, share)) for each in items]


def unread(example: Example) -> Example:
    """A held-out one without what it asks and expects: what may be told of it to whoever works on a prompt."""
    if not example.held_out:
        return example
    return msgspec.structs.replace(
        example, messages=[{"role": "user", "content": "(held out)"}], expected={}, text=None, inputs={}
    )


class Merge(msgspec.Struct, frozen=True):
    """A set in force and what waited, become one."""

    items: list[Example]
    added: int
    changed: int
    """Examples that were there and are marked otherwise now."""
    corrected: int
    """Examples whose question was there with another expectation; the newer one stays."""
    dropped: int


def merged(before: Sequence[Example], waiting: Sequence[Example], dropped: Iterable[str]) -> Merge:
    """``waiting``: oldest first.  ``dropped``: ids that the next set does not hold."""
    gone = set(dropped)
    found = {question_of(each): each for each in before if each.id not in gone}
    lost = len(before) - len(found)
    ids = {each.id: marks(each) for each in before}
    added = changed = corrected = 0
    for each in waiting:
        if each.id in gone:
            continue
        question = question_of(each)
        there = found.get(question)
        if there is None:
            added += 1
        elif there.id != each.id:
            corrected += 1
        elif each.id in ids and _spoken(ids[each.id]) != _spoken(marks(each)):
            changed += 1
        found[question] = each
    return Merge(list(found.values()), added, changed, corrected, lost)


def eased(before: Iterable[Example], after: Iterable[Example]) -> list[str]:
    """What can make the next set easier to pass than the one before, in words; empty: nothing."""
    now = {question_of(each): each for each in after}
    found = [(each, now.get(question_of(each))) for each in before]
    counts = [
        (sum(there is None for _, there in found), "left out"),
        (sum(each.critical and not (there and there.critical) for each, there in found), "critical no more"),
        (sum(there is not None and there.id != each.id for each, there in found), "with another expectation"),
    ]
    return [f"{count} {what}" for count, what in counts if count]


def _entry(example: Example) -> str:
    said = marks(example)
    return example.id + (f" {canonical(said)}" if said else "")


def _spoken(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name != "held_out"}
