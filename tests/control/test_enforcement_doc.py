"""docs/enforcement.md names tests that exist and fields that wait."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "enforcement.md").read_text(encoding="utf-8")


def test_every_evasion_names_a_test_that_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 10
    texts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert {name for name in named if f"def {name}(" not in texts} == set()


def test_every_page_that_it_sends_its_reader_to_exists() -> None:
    pages = set(re.findall(r"docs/([a-z-]+\.md)", PAGE))
    assert {page for page in pages if not (ROOT / "docs" / page).exists()} == set()


def test_every_command_that_it_shows_exists() -> None:
    from roadworthy.cli.main import root

    commands = {words.split()[0] for words in re.findall(r"roadworthy ([a-z-]+)", PAGE)}
    assert commands <= set(root.commands)
