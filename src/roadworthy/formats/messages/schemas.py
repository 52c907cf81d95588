"""Which JSON Schemas Anthropic's structured outputs and strict tools enforce.

Source: Anthropic documentation, "Structured outputs", "JSON Schema limitations".
"""

from __future__ import annotations

from typing import Any

from roadworthy.formats.model import refuse

_UNENFORCED = frozenset(
    [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "contains",
        "prefixItems",
        "not",
        "if",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
        "oneOf",
    ]
)


def unenforceable(schema: Any) -> str | None:
    """What of a JSON Schema Anthropic's structured outputs refuse, in words; ``None``: nothing known."""
    if isinstance(schema, bool):
        return "a schema that is true or false"
    if not isinstance(schema, dict):
        return None
    if found := sorted(_UNENFORCED & schema.keys()):
        return f"the keyword {found[0]}"
    if schema.get("minItems", 0) not in (0, 1):
        return "minItems above 1"
    is_object = schema.get("type") == "object" or "properties" in schema
    if is_object and schema.get("additionalProperties") is not False:
        return "an object without additionalProperties: false"
    reference = schema.get("$ref")
    if isinstance(reference, str) and not reference.startswith(("#/$defs/", "#/definitions/")):
        return "a $ref to anything but a definition"
    if _recursive(schema):
        return "a recursive schema"
    for key in ("properties", "$defs", "definitions"):
        for inner in _mapping(schema.get(key)).values():
            if found_inside := unenforceable(inner):
                return found_inside
    several = [schema.get("anyOf"), schema.get("allOf")]
    branches = [inner for found in several if isinstance(found, list) for inner in found] + [schema.get("items")]
    return next((found_inside for inner in branches if (found_inside := unenforceable(inner))), None)


def by_tool(described: dict[str, Any], why: str | None, taker: str, *, tools: bool, thinking: Any) -> str:
    """The description of the forced tool whose input schema this one becomes.

    ``why``: what of it cannot be enforced; ``None``: the target has no structured outputs.  ``tools``: the caller has
    some.  Raises ``Inexpressible`` where no tool can be forced, or none has such a schema.
    """
    why = why or "a schema (target's capabilities: response_schema is false)"
    if tools:
        refuse("response_format", f"beside `tools`, {taker} cannot enforce {why}")
    if described["schema"].get("type") != "object":
        refuse("response_format.json_schema.schema", "a schema that goes out as a tool must have type object")
    if thinking is not None and thinking != {"type": "disabled"}:
        refuse("thinking", "cannot be combined with a schema that goes out as a forced tool")
    told = described.get("description")
    return told if isinstance(told, str) and told else "Give the answer in this shape."


def _mapping(found: Any) -> dict[str, Any]:
    """What is no object where a schema wants one is the provider's to refuse."""
    return found if isinstance(found, dict) else {}


def _recursive(schema: dict[str, Any]) -> bool:
    """Does a definition reach itself?"""
    definitions = {**_mapping(schema.get("$defs")), **_mapping(schema.get("definitions"))}
    reaches = {name: _references(inner) for name, inner in definitions.items()}
    for start in reaches:
        seen, open_ = set[str](), list(reaches[start])
        while open_:
            name = open_.pop()
            if name == start:
                return True
            if name not in seen:
                seen.add(name)
                open_.extend(reaches.get(name, ()))
    return False


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*(_references(item) for item in schema))
    if not isinstance(schema, dict):
        return set()
    found = set().union(*(_references(value) for value in schema.values()))
    if isinstance(reference := schema.get("$ref"), str):
        found.add(reference.rsplit("/", 1)[-1])
    return found
