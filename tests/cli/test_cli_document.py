"""docs/cli.md says what the commands say."""

from __future__ import annotations

from pathlib import Path

import click

from roadworthy.cli.document import document
from roadworthy.cli.main import root

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def every_command(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    children = command.commands.items() if isinstance(command, click.Group) else []
    return [(name, command), *(row for child, inner in children for row in every_command(inner, f"{name} {child}"))]


def test_every_command_and_option_is_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    context = click.Context(root, info_name="roadworthy")
    names = {name: root.get_command(context, name) for name in root.list_commands(context)}
    for name, found in names.items():
        assert found is not None
        for path, inner in every_command(found, f"roadworthy {name}"):
            assert f"\n### {path}\n" in page, f"{path}: run python -m roadworthy.cli.document"
            part = page.split(f"\n### {path}\n")[1].split("\n### ")[0]
            for param in inner.params:
                if isinstance(param, click.Option):
                    assert param.help, f"{path} {param.opts[0]} has no help"
                    assert all(opt in part for opt in param.opts), f"{path} {param.opts}"


def test_every_command_is_called_what_it_is_looked_up_by() -> None:
    assert [command.name for command in root.commands.values()] == list(root.commands)


def test_the_page_is_as_the_commands_write_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "run python -m roadworthy.cli.document"


def test_help_lists_every_command_once() -> None:
    context = click.Context(root, info_name="roadworthy")
    listed = [each.name for _, commands in root.sections(context) for each in commands]
    assert sorted(str(name) for name in listed) == sorted(root.list_commands(context))
