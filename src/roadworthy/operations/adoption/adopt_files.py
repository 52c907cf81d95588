"""The text edits of adoption: what is written into a person's configuration files, comments kept.  Pure.

Files are ``{relative path: text}``.  Only the lines that are needed are added; nothing is rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import yaml

from roadworthy.workflow.fields import NAME
from roadworthy.workflow.model import Capabilities, Person, Target
from roadworthy.workflow.source import SourceError, parse_yaml

INSTALL: Final = "roadworthy.yaml"
PEOPLE: Final = "people.yaml"
_USUAL: Final = msgspec.structs.asdict(Capabilities())


class AdoptRefused(ValueError):
    """Adoption cannot go on; the message says what was found, what was expected and how to mend it."""


def workflow_path(name: str, file: str = "workflow.yaml") -> str:
    return f"workflows/{name}/{file}"


def with_target(files: Mapping[str, str], target: Target, comment: str) -> dict[str, str]:
    """The files with a target more.  One of that name that is there stays as it is."""
    text = files.get(INSTALL, "version: 1\n\ntargets: {}\n")
    targets = _mapping(INSTALL, text, "targets")
    if target.name in targets:
        return dict(files)
    return {**files, INSTALL: _inserted(INSTALL, text, "targets", target.name, _target_facts(target), comment)}


def with_person(files: Mapping[str, str], person: Person, comment: str) -> dict[str, str]:
    """The files with a person more, unless that id is there."""
    text = files.get(PEOPLE, "people: {}\n")
    if person.id in _mapping(PEOPLE, text, "people"):
        return dict(files)
    facts = {"name": person.name, "email": person.email}
    return {**files, PEOPLE: _inserted(PEOPLE, text, "people", person.id, facts, comment)}


def people_ids(files: Mapping[str, str]) -> list[str]:
    return list(_mapping(PEOPLE, files.get(PEOPLE, ""), "people"))


def passthrough_workflow(name: str, target: str, owner: str) -> str:
    """``workflow.yaml`` of an app that is only passed through and recorded."""
    return (
        f"# {name} is passed through to its provider and recorded; nothing is changed on the way.\n"
        f"# After some calls, 'roadworthy adopt {name}' writes the rest of this file from them.\n"
        f"owners: {{workflow: {owner}, prompt: {owner}, cost: {owner}}}\n"
        "enforcement: observe   # record what differs from a release, refuse nothing\n"
        f"passthrough: {target}\n"
    )


def refuse_name(name: str) -> None:
    if re.fullmatch(NAME, name) is None:
        raise AdoptRefused(
            f"the name {name[:80]!r}; expected lower-case letters, digits, - and _ (at most 63): choose such a name"
        )


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")


def dumped(value: Any) -> str:
    """A value as one line of YAML."""
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False).strip()


def printable(text: str, most: int = 60) -> str:
    """A text for a comment: one line, no control characters, cut."""
    flat = "".join(character if character.isprintable() else " " for character in text)
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _target_facts(target: Target) -> dict[str, Any]:
    facts: dict[str, Any] = {"provider": target.provider, "model": target.model}
    for key in ("endpoint", "key", "headers"):
        value = getattr(target, key)
        if value:
            facts[key] = value
    can = {key: value for key, value in msgspec.structs.asdict(target.capabilities).items() if value != _USUAL[key]}
    if can:  # what its endpoint speaks, above all: without it the app's calls would be translated
        facts["capabilities"] = msgspec.to_builtins(can)
    if target.allow_private:
        facts["allow_private"] = True
    return facts


def _mapping(file: str, text: str, key: str) -> dict[str, Any]:
    try:
        data = parse_yaml(file, text).data
    except SourceError as error:
        raise AdoptRefused(str(error.problem)) from error
    value = data.get(key) if isinstance(data, dict) else None
    return value.data if value is not None and isinstance(value.data, dict) else {}


def _inserted(file: str, text: str, section: str, name: str, facts: Mapping[str, Any], comment: str) -> str:
    """``text`` with ``name: facts`` as the first entry of a top-level section in block style."""
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines) if re.match(rf"{section}\s*:", line)]
    if not heads:
        lines += ["", f"{section}:"]
        heads = [len(lines) - 1]
    at = heads[0]
    empty = re.fullmatch(rf"({section}\s*:)\s*(?:\{{\s*\}})?\s*(#.*)?", lines[at])
    if empty is None:
        raise AdoptRefused(
            f"{file}:{at + 1}: {section} on one line; expected one entry a line below '{section}:': write it so"
        )
    lines[at] = empty[1] + (f"  {empty[2]}" if empty[2] else "")
    entries = [line for line in lines[at + 1 :] if re.match(r"\s+[^\s#]", line)]
    inside = entries and lines.index(entries[0], at + 1)
    bounded = inside and not any(re.match(r"[^\s#]", line) for line in lines[at + 1 : inside])
    indent = re.match(r"\s+", entries[0])[0] if bounded else "  "  # type: ignore[index]
    block = [f"{indent}# {comment}"] if comment else []
    block.append(f"{indent}{name}:")
    block += [f"{indent}  {_line(key, value)}" for key, value in facts.items()]
    lines[at + 1 : at + 1] = block
    out = "\n".join(lines) + "\n"
    if name not in _mapping(file, out, section):
        raise AdoptRefused(
            f"{file}: {section} in a form that cannot be added to; add '{name}' by hand: {dumped(dict(facts))}"
        )
    return out


def _line(key: str, value: Any) -> str:
    if not isinstance(value, str):
        return f"{key}: {dumped([value])[1:-1]}"
    return yaml.safe_dump({key: value}, allow_unicode=True, width=10**9).strip()
