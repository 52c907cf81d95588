"""Every command that the program or its docs tell somebody to run exists, with the options that are named.

Read from the texts themselves, so a command that is renamed leaves no advice behind that cannot be followed.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from roadworthy.cli.main import root

ROOT = Path(__file__).parents[2]
TOLD = re.compile(r"(?<![\w./'-])(`?)roadworthy ((?:--data \S+ )?[a-z][^\n`|;,:()\"“”]*)(`?)")
"""A command, up to where prose may go on; between back quotes it is whole."""
PROSE = ("command", "evidence keeps them")
"""Sentences that go on after the name."""
WORD = re.compile(r"[a-z][a-z-]*$")


def texts(path: Path) -> Iterator[str]:
    """The strings of a module with ``X`` for what is filled in, without docstrings; all of a page."""
    if path.suffix != ".py":
        yield from re.findall(r"`([^`\n]+)`", path.read_text("utf-8"))
        yield from re.findall(r"^ *(roadworthy .*?)(?:  +#.*| \\)?$", path.read_text("utf-8"), re.M)
        return
    tree = ast.parse(path.read_text("utf-8"))
    bare = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {node} & (bare | inner):
            yield node.value


def told() -> Iterator[tuple[str, str, bool]]:
    """Page, command, is it whole."""
    pages = [
        *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "cli.md"),
        ROOT / "README.md",
        *sorted((ROOT / "src").rglob("*.py")),
    ]
    for page in pages:
        for text in texts(page):
            for before, found, after in TOLD.findall(text):
                if not found.startswith(PROSE):
                    yield str(page.relative_to(ROOT)), found.strip(), bool(before and after)


def wrong(command: str, whole: bool = True) -> str:
    """What cannot be run of it; empty: nothing."""
    words = command.split()
    if words[0] == "--data":
        words = words[2:]
    found: click.Command = root
    context = click.Context(root)
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        _, below, rest = found.resolve_command(context, words) if WORD.match(words[0]) else (None, None, words)
        if below is None:
            takes_a_name = type(found).parse_args is not click.Group.parse_args and found is not root
            return "" if takes_a_name else f"no command '{words[0]}'"
        found, words = below, rest
    if isinstance(found, click.Group):  # one that lists when nothing else is said, with the options of its list
        found = found.commands.get("list", found)
    named = [word.strip("[].…").partition("=")[0] for word in words if re.match(r"\[?--?[a-z]", word)]
    options = {name: option for option in found.params for name in (*option.opts, *option.secondary_opts)}
    missing = [name for name in named if name not in {*options, "--help", "-h"}]
    if missing:
        return f"no option {missing[0]}"
    return _too_many(found, words, options) if whole else ""


def _too_many(found: click.Command, words: list[str], options: dict[str, click.Parameter]) -> str:
    room = sum(999 if part.nargs < 0 else part.nargs for part in found.params if isinstance(part, click.Argument))
    names, skip = [], False
    for word in words:
        option = options.get(word.strip("[]"))
        if not skip and option is None and not word.startswith(("-", "[")) and word not in ("|", "…", "..."):
            names.append(word)
        skip = isinstance(option, click.Option) and not option.is_flag
    return f"{' '.join(names)}: takes {room}" if len(names) > room else ""


def test_every_command_that_people_are_told_to_run_exists() -> None:
    problems = []
    seen = 0
    for page, command, whole in told():
        seen += 1
        try:
            said = wrong(command, whole)
        except click.UsageError as error:
            said = error.format_message()
        if said:
            problems.append(f"{page}: roadworthy {command}: {said}")
    assert seen > 200
    assert problems == []


@pytest.mark.parametrize("command", ["drill run support", "evals gates X", "waive X --untill 3d", "nothing"])
def test_a_command_that_does_not_exist_would_be_seen(command: str) -> None:
    with contextlib.suppress(click.UsageError):
        assert wrong(command)
