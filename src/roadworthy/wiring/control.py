"""Control: the only writer of state, as a process.

``python -m roadworthy.wiring.control --data D`` runs it: the lock, state, inference log, services, the admin API on
``run/control.sock`` and the engine.  ``open_control`` gives a command of the CLI the same application in its own
process while no control runs: the lock is held, the engine is not started, changes are published.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import apsw
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from roadworthy.adapters.sqlite.log_schema import LogTooNew
from roadworthy.adapters.sqlite.state import StateUnavailable
from roadworthy.adapters.sqlite.state_migrations import StateTooNew
from roadworthy.engine.supervise import Engine
from roadworthy.people.service import NoSuchPerson
from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.config_folder import ConfigFolderError, read_folder
from roadworthy.wiring.folders.data_folder import DataFolderError, DataFolderHeld, FolderLock, create_folder
from roadworthy.wiring.processes.sockets import CannotListen, listen_unix, on_loopback
from roadworthy.workflow.problems import errors
from roadworthy.workflow.service import Actor, Workflows

log = logging.getLogger("roadworthy.control")

EXIT_REFUSED = 2
"""No restart mends it: see ``supervisor.CONTROL_REFUSED``."""
EXIT_HELD = 3
"""Somebody else is control; worth another try."""


class AsThisUser:
    """The application for requests of this very process: the caller is its own OS user."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "client": (f"os:{os.geteuid()}", os.getpid())}
        await self._app(scope, receive, send)


@contextmanager
def open_control(data: str | os.PathLike[str], *, purpose: str = "a roadworthy command") -> Iterator[AsThisUser]:
    """The admin API in this process, while no control runs.

    Raises ``DataFolderHeld`` when one does, and what ``Control`` raises.
    """
    folder = create_folder(data)
    with FolderLock(folder.control_lock, purpose=purpose):
        control = Control(folder)
        try:
            control.publish()
            control.kill.tend()
            yield AsThisUser(control.app)
            with suppress(StateUnavailable):  # the next control mirrors it
                control.kill.tend()
        finally:
            control.close()


async def serve(control: Control, console: socket.socket | None = None) -> None:
    """Serve the admin API and the console and run the engine until SIGTERM or SIGINT; then ship what is left."""
    from roadworthy.wiring.processes.http_server import server

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    control.kill.start()
    control.kill_drills.recover()
    control.loading.recover()
    engine = Engine(control.modules())
    control.board.engine = engine
    http = server(control.app)
    serving = [loop.create_task(http.serve(sockets=[listen_unix(control.folder.control_socket)]))]
    pages = None if console is None else server(control.console, grace=1.0, public=True)
    if pages is not None and console is not None:
        serving.append(loop.create_task(pages.serve(sockets=[console])))
    running = loop.create_task(engine.run())
    log.info("control ready", extra={"epoch": control.epoch, "pid": os.getpid()})
    stopping = loop.create_task(stop.wait())
    await asyncio.wait({stopping, *serving, running}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    http.should_exit = True
    if pages is not None:
        control.console.close()
        pages.should_exit = True
    engine.stop()
    await asyncio.gather(*serving, running)
    await control.hang_up()
    control.folder.control_socket.unlink(missing_ok=True)


def apply_at_start(control: Control, directory: str, say: Callable[[str], None]) -> bool:
    """Apply a folder before serving.  Returns whether control may go on.

    Fails open: when the folder has errors and something was applied before, that stays in force (a machine that
    restarts at night serves on) and the errors are said; with nothing applied before there is nothing to serve.
    """
    had = control.workflows.configuration() is not None
    try:
        done = control.workflows.apply(read_folder(directory), Actor(f"os:{os.geteuid()}"), reason="roadworthy up")
    except ConfigFolderError as error:
        found = [str(error)]
    else:
        found = [str(problem) for problem in errors(done.problems)]
        if done.applied:
            say(f"configuration {directory} applied: {len(done.plan)} changes (version {done.version})")
    for problem in found:
        say(f"configuration: {problem}")
    control.board.configuration_errors = found
    if found and had:
        say(f"configuration {directory} has {len(found)} errors; what was applied before stays in force")
    return had or not found


def run(
    data: str,
    *,
    apply: str | None,
    login: Sequence[str] | None,
    say: Callable[[str], None],
    console: int | None = None,
    demo: bool = False,
) -> int:
    """Be control until told to stop.  Returns the exit code.

    ``login``: people for whom a one-time code is printed; ``None``: the first owner.  ``console``: descriptor of the
    socket on which people reach the console; ``None``: nowhere.  ``demo``: visitors choose whom they are, as long as
    that socket is on loopback.
    """
    try:
        folder = create_folder(data)
        with FolderLock(folder.control_lock, purpose="control"):
            control = Control(folder)
            try:
                if control.workflows.configuration() is not None:
                    control.publish()  # gateways need not wait for what follows
                if apply is not None and not apply_at_start(control, apply, say):
                    return EXIT_REFUSED
                control.publish()
                for person in login if login is not None else first_owner(control.workflows):
                    say_code(control, person, say, console=console is not None)
                pages = None if console is None else socket.socket(fileno=console)
                control.console.demo = demo and pages is not None and on_loopback(pages)
                asyncio.run(serve(control, pages))
            finally:
                control.close()
    except DataFolderHeld as error:
        log.error("control is held by another process", extra={"pid": error.pid})
        return EXIT_HELD
    except (DataFolderError, StateTooNew, LogTooNew, StateUnavailable, CannotListen, apsw.Error) as error:
        say(f"control: {error}")
        return EXIT_REFUSED
    return 0


def first_owner(workflows: Workflows) -> list[str]:
    """Whom a newcomer most likely is: the owner of the first workflow."""
    applied = workflows.configuration()
    found = [] if applied is None else list(applied.configuration.workflows.values())
    return [workflow.owners.workflow for workflow in found[:1]]


def say_code(control: Control, person: str, say: Callable[[str], None], *, console: bool = False) -> None:
    try:
        code = control.sign_in.code(person, actor=f"os:{os.geteuid()}")
    except NoSuchPerson as error:
        say(f"login: {error}")
        return
    say(f"login {person}: roadworthy login {code} (works once, for 15 minutes; others: up --login PERSON)")
    if address := control.console_url() if console else "":
        say(f"login {person}: {address}/login?code={code} (the same code, in a browser)")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="control", description="Control of a data folder; `roadworthy up` starts it.")
    parser.add_argument("--data", required=True, help="the data folder")
    parser.add_argument("--apply", metavar="DIR", help="apply this configuration folder first")
    parser.add_argument("--login", metavar="PERSON", action="append", default=[], help="print a one-time code")
    parser.add_argument("--login-owner", action="store_true", help="print one for the first owner, on a terminal")
    parser.add_argument("--demo", action="store_true", help="the demo's login on that console")
    parser.add_argument("--console-fd", type=int, help="descriptor of the socket on which the console is served")
    chosen = parser.parse_args(arguments)
    from roadworthy.adapters.telemetry.logs import configure

    configure("control")

    def say(text: str) -> None:
        print(text, flush=True)

    login = None if chosen.login_owner and not chosen.login and sys.stdout.isatty() else chosen.login
    return run(chosen.data, apply=chosen.apply, login=login, say=say, console=chosen.console_fd, demo=chosen.demo)


if __name__ == "__main__":
    sys.exit(main())
