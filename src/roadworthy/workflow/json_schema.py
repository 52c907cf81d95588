"""JSON Schemas of tools and outputs: are they sound, and does a value satisfy one?  Used where files are checked."""

from __future__ import annotations

from typing import Any


def schema_error(schema: Any) -> str:
    """Why this is not a JSON Schema that can be used (offline, linear patterns); empty when it is."""
    import jsonschema_rs

    try:
        jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())
    except jsonschema_rs.ValidationError as error:
        where = "/".join(str(part) for part in error.instance_path)
        return f"{error.message[:200]}" + (f" at /{where}" if where else "")
    return ""


def validation_error(schema: Any, value: Any) -> str:
    """The first way in which ``value`` does not satisfy ``schema``; empty when it does."""
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())
    for error in validator.iter_errors(value):
        where = "/".join(str(part) for part in error.instance_path)
        return f"{error.message[:200]}" + (f" at /{where}" if where else "")
    return ""
