"""Writes ``docs/cli.md`` from the commands themselves: ``python -m roadworthy.cli.document [PATH]``.

A test holds the file against this, so a command or an option that is not documented does not pass.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from roadworthy.cli.main import root
from roadworthy.inference_log.when import EXAMPLES

HEAD = """\
# The command line

<!-- Written by `python -m roadworthy.cli.document`; change the commands, not this file. -->

Every command talks to control over `run/control.sock` in the data folder. When no control runs, the command takes
`control.lock` and does the work itself. It acts as the person of `roadworthy login`, else as your OS user.

`--data` and `--no-color` may stand before or after the command's name; `-h` and `--help` work everywhere.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the command worked and the answer is no: a check failed, nothing was found |
| 2 | what was typed, or written in a file, is wrong |
| 3 | control or the gateway does not answer |

With `--json` a command prints one stable JSON document (`log --follow`: one a line) in which no character can act on
a terminal. What models, callers and providers wrote is stripped of terminal control sequences before it is printed.

## Times

`log`, `stats` and `export` take a time of the past as you would say it:

{examples}

An instant means its natural window: `tuesday 2pm` and `14:00` the hour, `14:05` the minute, `yesterday` the day.
`last 3 hours` and `3h` run up to now; `3h ago` is the hour that holds that moment. `A..B` runs from the start of A to
the end of B. A weekday is the latest one that has begun. Times are read in `--tz`, else in the `timezone` of
`roadworthy.yaml`, else in the zone of this machine; the output says how a time was read. When clocks change, an hour
that happens twice means both, and one that does not exist is read as the hour after it.
"""


def document() -> str:
    """The whole page."""
    examples = "\n".join(f"- `{example}`" for example in EXAMPLES)
    parts = [HEAD.replace("{examples}", examples)]
    context = click.Context(root, info_name="roadworthy")
    for title, commands in root.sections(context):
        parts.append(f"## {title}\n")
        for command in commands:
            parts += described(command, context)
    return "\n".join(parts).rstrip() + "\n"


def described(command: click.Command, parent: click.Context) -> Iterator[str]:
    """One command, then its subcommands."""
    context = click.Context(command, info_name=command.name, parent=parent)
    yield f"### {context.command_path}\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```\n{context.command_path} {usage}\n```\n"
    yield _flowing(command.help or "") + "\n"
    rows = [record for param in command.get_params(context) if (record := param.get_help_record(context)) is not None]
    rows = [(names, says) for names, says in rows if says and "--help" not in names]
    if rows:
        yield "| option | meaning |\n|---|---|"
        for names, says in rows:
            yield f"| `{names.replace('|', chr(92) + '|')}` | {says.replace('|', chr(92) + '|')} |"
        yield ""
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from described(child, context)


def _flowing(text: str) -> str:
    """Paragraphs on one line each."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(re.sub(r"\s*\n\s*", " ", paragraph) for paragraph in paragraphs)


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/cli.md")
    path.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
