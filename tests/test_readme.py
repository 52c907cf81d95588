"""The README is true to the letter: what it names exists, and the output that it shows is the demo's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roadworthy.cli.demo.claims import CLAIMS
from roadworthy.cli.main import root

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROPERTIES = (
    "Latency under load",
    "Cost predictability",
    "Observability",
    "Fallback behaviour",
    "Human accountability",
    "Evaluation harness",
    "Kill switch",
)


def links(text: str) -> list[str]:
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)  # in code `](` calls what is in a list
    return [found for found in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in found]


@pytest.mark.parametrize(
    "page", ["README.md", "ARCHITECTURE.md", *sorted(p.name for p in (ROOT / "docs").glob("*.md"))]
)
def test_every_link_between_pages_leads_somewhere(page: str) -> None:
    path = ROOT / page if (ROOT / page).exists() else ROOT / "docs" / page
    for link in links(path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), f"{page} links to {link}"


def test_every_page_of_the_docs_can_be_reached_from_the_readme() -> None:
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert pages <= set(links(README))


def test_the_seven_properties_are_the_table() -> None:
    rows = re.findall(r"^\| (\d) \| ([^|]+?) \|", README, re.MULTILINE)
    assert rows == [(str(number), name) for number, name in enumerate(PROPERTIES, 1)]


def test_every_command_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"(?:`|^)roadworthy ([a-z-]+)", README, re.MULTILINE))
    known = set(root.list_commands(None))  # type: ignore[arg-type]
    assert named
    assert named <= known


def test_every_make_target_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"make ([a-z]+)", README))
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_the_output_that_the_readme_shows_holds_each_claim_of_the_demo_once() -> None:
    shown = README.split("<!-- demo -->")[1].split("<!-- /demo -->")[0]
    said = re.findall(r"^ok {4}([^:]+):", shown, re.MULTILINE)
    assert said == [(claim.__doc__ or "").strip() for claim in CLAIMS]
    assert f"{len(CLAIMS)} of {len(CLAIMS)} claims hold" in shown


def test_every_folder_of_the_package_that_the_architecture_names_exists() -> None:
    table = ARCHITECTURE.split("## Where things are")[1].split("## ")[0]
    first_column = "".join(re.findall(r"^\| (`[^|]+)\|", table, re.MULTILINE))
    named = {name.rstrip("/") for name in re.findall(r"`([a-z_0-9]+/)`", first_column)}
    present = {path.name for path in (ROOT / "src" / "roadworthy").iterdir() if path.is_dir()} - {"__pycache__"}
    assert named == present
