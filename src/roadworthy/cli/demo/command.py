"""The ``demo`` command: tell the story, then either keep serving or check every claim and leave."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from roadworthy.cli.context import Work, common, pass_work
from roadworthy.cli.errors import CliError


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("roadworthy-demo"),
    show_default=True,
    help="Where the demo keeps its configuration and its data.",
)
@click.option("--check", is_flag=True, help="Verify every claim against the running system, stop, exit 0 or 1.")
@common
@pass_work
def demo(work: Work, folder: Path, check: bool) -> int:
    """Serve a sample workflow with a real local model: release it, break it, prove it, ramp it, stop it, answer.

    It opens on the console: in a browser of this machine you are one of the sample's people by one click, without a
    password; `roadworthy up` has no such login.  Everything stays in one folder; delete it to start over.  Without
    --check the system stays up until Ctrl-C.
    """
    from roadworthy.adapters.providers.weights import FetchFailed, fetch
    from roadworthy.cli.demo.claims import verify
    from roadworthy.cli.demo.story import Size, tell
    from roadworthy.cli.demo.system import System, lay_out

    place = lay_out(folder)
    try:
        fetch(place.data, work.say)
    except FetchFailed as error:
        raise CliError(str(error)) from error
    with System(place, say=work.say) as system:
        told = tell(system, work.console, Size())
        if check:
            work.say("\nChecking each claim against the running system")
            return verify(told, system, work.say)
        work.say(f"\nServing until Ctrl-C.  The console: {system.console}/")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0
