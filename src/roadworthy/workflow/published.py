"""What the field tables say, for others: JSON Schemas for editors, the key tables of docs/configuration.md, the kinds
of scorers of docs/scorers.md.

``python -m roadworthy.workflow.published ROOT`` rewrites them below ROOT; a test fails while they differ.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from roadworthy.workflow import evals_table
from roadworthy.workflow.checks_kind import COMMON, ChecksKind
from roadworthy.workflow.fields import Field, Kind, ListOf, MapOf, Section
from roadworthy.workflow.scorer_kinds import COMPARED, SCORER_KINDS
from roadworthy.workflow.tables import PEOPLE, ROADWORTHY
from roadworthy.workflow.workflow_table import WORKFLOW

FILES: Final = {"roadworthy": ROADWORTHY, "people": PEOPLE, "workflow": WORKFLOW}
"""Name of the published schema → the table."""

START, END = "<!-- keys of {}: written from the field table, do not edit -->", "<!-- end of {} -->"


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one kind of file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Roadworthy: {name}.yaml",
        **FILES[name].schema(),
    }


def schema_text(name: str) -> str:
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def key_table(name: str) -> str:
    """A Markdown table of every key of one kind of file."""
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for path, field in keys(FILES[name]):
        default = "**required**" if field.required else field.default
        cells = (f"`{path}`", field.kind.says, default, field.doc)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def keys(section: Section, prefix: str = "") -> Iterator[tuple[str, Field]]:
    """(dotted path, field) of a section and all that is in it."""
    for name, field in section.fields.items():
        yield prefix + name, field
        path, kind = _inside(prefix + name, field.kind)
        if isinstance(kind, Section):
            yield from keys(kind, f"{path}.")


def _inside(path: str, kind: Kind) -> tuple[str, Kind]:
    if isinstance(kind, MapOf):
        return _inside(f"{path}.NAME", kind.item)
    if isinstance(kind, ChecksKind):
        return f"{path}.NAME", COMMON
    if isinstance(kind, evals_table.ScorersKind):
        return f"{path}.NAME", evals_table.COMMON
    if isinstance(kind, ListOf):
        return _inside(f"{path}[]", kind.item)
    return path, kind


def with_tables(page: str) -> str:
    """A page with the tables between its markers written anew.  Raises ``ValueError`` when a marker is missing."""
    for name in FILES:
        start, end = START.format(name), END.format(name)
        head, tail = page.index(start) + len(start), page.index(end)
        page = f"{page[:head]}\n{key_table(name)}\n{page[tail:]}"
    return page


SCORERS_PAGE: Final = "docs/scorers.md"
_GIVES: Final = {"assertion": "true or false", "score": "0 to 1", "label": "a word"}


def scorer_tables() -> dict[str, str]:
    """The tables of docs/scorers.md by the name in their markers."""
    kinds = ["| kind | is 1 when, or is | gives | asks |", "|---|---|---|---|"]
    options = ["| kind | option | value | default | says |", "|---|---|---|---|---|"]
    for kind, row in SCORER_KINDS.items():
        gives = "as it returns" if row.own else _GIVES[row.gives]
        kinds.append(_row(f"`{kind}`", row.doc, gives, row.asks or "nobody"))
        for name, field in row.options.items():
            if COMPARED.get(name) is field:
                continue  # said once, above the tables
            default = "**required**" if field.required else field.default
            options.append(_row(f"`{kind}`", f"`{name}`", field.kind.says, default, field.doc))
    return {"kinds": "\n".join(kinds), "options": "\n".join(options)}


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def with_scorers(page: str) -> str:
    """docs/scorers.md with its tables written anew.  Raises ``ValueError`` when a marker is missing."""
    for name, table in scorer_tables().items():
        start, end = f"<!-- {name} of scorers: written from the table, do not edit -->", f"<!-- end of {name} -->"
        head, tail = page.index(start) + len(start), page.index(end)
        page = f"{page[:head]}\n{table}\n{page[tail:]}"
    return page


def main(root: Path) -> None:
    for name in FILES:
        (root / "schemas" / f"{name}.schema.json").write_text(schema_text(name), encoding="utf-8")
    page = root / "docs" / "configuration.md"
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
    page = root / SCORERS_PAGE
    page.write_text(with_scorers(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
