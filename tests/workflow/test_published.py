"""Parser, published schemas and docs say the same, for they come from one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from roadworthy.workflow.published import FILES, keys, schema, schema_text, with_tables

ROOT = Path(__file__).parents[2]
REWRITE = "run: python -m roadworthy.workflow.published ."


@pytest.mark.parametrize("name", FILES)
def test_the_published_schema_is_the_one_of_the_field_table(name: str) -> None:
    published = (ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(name), REWRITE


def test_every_key_is_documented() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == with_tables(page), REWRITE
    for section in FILES.values():
        for path, field in keys(section):
            assert f"| `{path}` |" in page
            assert field.doc.strip()


@pytest.mark.parametrize("name", FILES)
def test_a_published_schema_is_a_schema_and_accepts_a_valid_file(name: str, files: dict[str, str]) -> None:
    jsonschema_rs.meta.validate(schema(name))
    file = {"workflow": "workflows/triage/workflow.yaml"}.get(name, f"{name}.yaml")
    value: Any = yaml.safe_load(files[file])
    jsonschema_rs.validator_for(schema(name)).validate(value)
    assert not jsonschema_rs.validator_for(schema(name)).is_valid({**value, "surprise": 1})


def test_schemas_are_readable_json() -> None:
    assert json.loads(schema_text("people"))["properties"]["people"]["type"] == "object"
