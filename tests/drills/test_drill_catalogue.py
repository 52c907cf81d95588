"""Every fault of the catalogue has one drill, and every drill is in the catalogue."""

from __future__ import annotations

import pytest

from roadworthy.fallback.drills.catalogue import CATALOGUE, row_of
from roadworthy.fallback.drills.registry import drills

NAMES = [name for names in CATALOGUE.values() for name in names]


def test_no_fault_has_two_names() -> None:
    assert len(NAMES) == len(set(NAMES))


def test_every_fault_of_the_catalogue_has_a_drill() -> None:
    assert set(NAMES) == set(drills())


@pytest.mark.parametrize("name", drills())
def test_a_drill_lies_in_the_folder_of_its_row_and_says_what_happens(name: str) -> None:
    drill = drills()[name]
    assert row_of(name) == drill.row
    assert drill.says.endswith(".")
    assert drill.right
    assert drill.attempts >= 1
