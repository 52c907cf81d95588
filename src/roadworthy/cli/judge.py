"""The ready-made judge: a workflow's files, written beside those that there are."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from roadworthy.cli.errors import BadInput
from roadworthy.workflow.fields import NAME
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.source import SourceError, parse_yaml

SCHEMA: Final = "verdict.schema.json"
FILES: Final = ("workflow.yaml", "prompt.md", SCHEMA)


def template() -> Path:
    """Where the files are kept."""
    found = importlib.util.find_spec("roadworthy")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "templates" / "judge"


def write_judge(
    folder: Path, files: Mapping[str, str], name: str, target: str, owner: str, values: Sequence[str] = ()
) -> list[Path]:
    """Write it as ``workflows/NAME/``; nothing when something is wrong.  ``values``: the only ones that its schema lets
    it give.  Raises ``BadInput``."""
    if re.fullmatch(NAME, name) is None:
        raise BadInput(f"--name {name}: expected a name of lower-case letters, digits, - and _")
    _known("--target", target, files, "roadworthy.yaml", "targets")
    _known("--owner", owner, files, "people.yaml", "people")
    place = folder / "workflows" / name
    if place.exists():
        raise BadInput(f"{place}: exists already; choose another name with --name")
    place.mkdir(parents=True)
    written = []
    for file in FILES:
        text = (template() / file).read_text(encoding="utf-8")
        if file == SCHEMA and values:
            schema = json.loads(text)
            schema["properties"]["value"] = {"enum": list(values)}
            text = json.dumps(schema, indent=2) + "\n"
        (place / file).write_text(text.replace("OWNER", owner).replace("TARGET", target), encoding="utf-8")
        written.append(place / file)
    return written


def _known(option: str, name: str, files: Mapping[str, str], file: str, key: str) -> None:
    try:
        tree = parse_yaml(file, files.get(file, "")).plain()
    except SourceError as error:
        raise BadInput(str(error)) from error
    known = tree.get(key) if isinstance(tree, dict) else None
    names = list(known) if isinstance(known, dict) else []
    if name not in names:
        raise BadInput(f"{option} {name}: is not in {file}; {did_you_mean(name, names)}")
