"""What a command works with: the data folder, the connection to control, the clock and where output goes."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from roadworthy.cli.errors import BadInput, Unreachable

if TYPE_CHECKING:
    from datetime import tzinfo

    import httpx2
    from rich.console import Console

    from roadworthy.cli.admin import Admin
    from roadworthy.cli.logins import Logins

Connect = Callable[[Path, bool], "AbstractContextManager[httpx2.BaseTransport]"]
"""(data folder, make it when it is missing) → a transport to the admin API."""
F = TypeVar("F", bound=Callable[..., Any])


def _connect(data: Path, create: bool) -> AbstractContextManager[httpx2.BaseTransport]:
    from roadworthy.wiring.cli import open_control

    return open_control(data, create=create)


class Work:
    """One run of the command line.  Everything that tests replace is an argument."""

    def __init__(
        self,
        *,
        connect: Connect = _connect,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        environ: dict[str, str] | None = None,
        width: int | None = None,
    ) -> None:
        self.connect = connect
        self.clock = clock
        self.sleep = sleep
        self.environ = dict(os.environ) if environ is None else environ
        self.width = width
        self.data = Path(self.environ.get("ROADWORTHY_DATA") or "./.roadworthy")
        self.json = False
        self.no_color = bool(self.environ.get("NO_COLOR"))
        self.stack = ExitStack()
        self.may_create = False
        """May this command make a data folder that is missing?"""
        self._admin: Admin | None = None

    @property
    def admin(self) -> Admin:
        """The admin API, connected at first use and closed at the end of the command."""
        if self._admin is None:
            from roadworthy.cli.admin import Admin

            transport = self.stack.enter_context(_reaching(self.connect(self.data, self.may_create)))
            saved = self.logins.current(self.data, self.clock())
            self._admin = Admin(transport, token=saved.token if saved else None)
            self.stack.callback(self._admin.close)
        return self._admin

    @property
    def logins(self) -> Logins:
        from roadworthy.cli.logins import Logins

        home = self.environ.get("XDG_CONFIG_HOME") or str(
            Path(self.environ.get("HOME") or "~").expanduser() / ".config"
        )
        return Logins(Path(home) / "roadworthy" / "session.json")

    @functools.cached_property
    def console(self) -> Console:
        from rich.console import Console

        terminal = sys.stdout.isatty()
        return Console(
            file=sys.stdout,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=False,
            no_color=self.no_color,
            force_terminal=None if terminal else False,
            width=self.width or (None if terminal else 200),
        )

    @property
    def interactive(self) -> bool:
        return sys.stdin.isatty() and sys.stdout.isatty()

    def zone(self, name: str | None = None) -> tzinfo:
        """The zone of ``--tz``, else of the applied settings, else of this machine.  Raises ``BadInput``."""
        from roadworthy.inference_log.when import Unreadable, zone_named

        if name:
            try:
                return zone_named(name)
            except Unreadable as error:
                raise BadInput(str(error)) from error
        from roadworthy.wiring.cli import settings

        applied = settings(self.data)
        if applied is not None:
            return zone_named(applied.timezone)
        from tzlocal import get_localzone

        return get_localzone()

    def emit(self, value: Any) -> None:
        """Print a JSON document."""
        from roadworthy.cli.terminal import json_text

        click.echo(json_text(value))

    def emit_line(self, value: Any) -> None:
        """Print one JSON object on one line."""
        from roadworthy.cli.terminal import json_text

        click.echo(json_text(value, indent=None))

    def say(self, text: str = "") -> None:
        """Print words of ours.  Text of others must have been cleaned."""
        self.console.print(text, soft_wrap=True)

    def note(self, text: str) -> None:
        """Print words beside the result, on stderr."""
        click.echo(text, err=True)


@contextmanager
def _reaching(opening: AbstractContextManager[httpx2.BaseTransport]) -> Iterator[httpx2.BaseTransport]:
    """Open the connection; what cannot be opened is ``Unreachable``."""
    from roadworthy.wiring.cli import ControlSilent
    from roadworthy.wiring.folders.data_folder import DataFolderError, DataFolderMissing

    try:
        with opening as transport:
            yield transport
    except DataFolderMissing as error:
        raise BadInput(str(error)) from error
    except (ControlSilent, DataFolderError) as error:
        raise Unreachable(str(error), "roadworthy doctor") from error


def _set_data(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Work).data = Path(value)


def _set_no_color(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Work).no_color = True


def _set_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Work).json = True


def common(command: F) -> F:
    """Options that every command takes, before or after its name."""
    data = click.option(
        "--data",
        metavar="FOLDER",
        expose_value=False,
        callback=_set_data,
        help="Data folder.  [env: ROADWORTHY_DATA; default: ./.roadworthy]",
    )
    colour = click.option(
        "--no-color", is_flag=True, expose_value=False, callback=_set_no_color, help="No colours.  [env: NO_COLOR]"
    )
    return data(colour(command))


json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_set_json, help="Stable JSON instead of a table."
)

pass_work = click.make_pass_decorator(Work, ensure=True)
