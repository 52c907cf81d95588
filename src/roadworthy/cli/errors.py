"""Every way in which a command can end, in one place.

    CliError (exit 1)
    ├── Finding        exit 1: the command worked and the answer is no (a check failed, nothing was found)
    ├── Undecided      exit 2: the command worked and could not tell: too little was measured
    ├── BadInput       exit 2: what was typed or written in a file is wrong
    └── Unreachable    exit 3: control or a gateway does not answer

Errors are raised as these, printed by ``report`` on stderr and turned into exit codes by ``exit_code``; no
command prints an error or exits by itself, and no traceback reaches a person.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click

from roadworthy.cli.terminal import clean

EXIT_OK = 0
EXIT_FINDING = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130


class CliError(Exception):
    """A message for a person: what was found, what was expected; ``mend`` says what to do about it."""

    code = EXIT_FINDING

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.mend = mend


class Finding(CliError):
    """The command did its work; its answer is negative."""


class Undecided(CliError):
    """The command did its work; what it measured is too little for an answer."""

    code = EXIT_USAGE


class BadInput(CliError):
    """An argument, an option or a file of the caller is wrong."""

    code = EXIT_USAGE


class Unreachable(CliError):
    """Control or a gateway does not answer."""

    code = EXIT_UNREACHABLE


class AlreadyTold(Finding):
    """A negative answer whose words are printed already: only the exit code is left to give."""

    def __init__(self) -> None:
        super().__init__("")


def exit_code(error: BaseException) -> int:
    """The exit code of what ended a command."""
    if isinstance(error, CliError):
        return error.code
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        return EXIT_USAGE
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return EXIT_INTERRUPTED
    return EXIT_FINDING


def report(error: BaseException) -> None:
    """Print what ended a command on stderr; text of others is stripped of control sequences."""
    if isinstance(error, (click.exceptions.Exit, AlreadyTold)):
        return
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        click.echo("interrupted", err=True)
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"See `{error.ctx.command_path} --help`.", err=True)
    message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    if isinstance(error, OSError):
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    click.echo(f"error: {clean(message)}", err=True)
    mend = error.mend if isinstance(error, CliError) else ""
    if mend:
        click.echo(f"  mend: {clean(mend)}", err=True)


def suggestion(word: str, known: Iterable[str]) -> str:
    """``Did you mean …?`` with the nearest known word, or the list when it is short, or nothing."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    if 0 < len(names) <= 8:
        return f"There is: {', '.join(names)}."
    return ""
