"""How the command line reaches control: over its Unix socket, or, when none runs, by being control.

A command that finds no control takes ``control.lock`` and runs the same ASGI application in its own process,
for as long as the command lasts.  What a command reads without control (settings, prices) comes from the files
that control writes for the gateways.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from roadworthy.wiring.folders.data_folder import (
    DataFolder,
    DataFolderHeld,
    create_folder,
    lock_holder,
    open_folder,
)
from roadworthy.workflow.inference import Attempt
from roadworthy.workflow.model import Settings

PATIENCE = 10.0
"""Seconds to wait for a control that starts, or for another command to end."""


class ControlSilent(Exception):
    """Control does not answer, or its stores cannot be opened; the message says why."""


class InProcessTransport(httpx2.BaseTransport):
    """An ASGI application behind a synchronous client: each request runs on an event loop of ours.

    The body of an answer is held whole in memory.
    """

    def __init__(self, app: Any) -> None:
        self._inner = httpx2.ASGITransport(app=app)
        self._runner = asyncio.Runner()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._runner.run(self._handle(request))

    async def _handle(self, request: httpx2.Request) -> httpx2.Response:
        content = request.read()
        inner = httpx2.Request(request.method, request.url, headers=request.headers, content=content)
        response = await self._inner.handle_async_request(inner)
        body = await response.aread()
        return httpx2.Response(response.status_code, headers=response.headers, content=body)

    def close(self) -> None:
        self._runner.close()


@contextmanager
def open_control(
    data: Path, *, create: bool = False, patience: float = PATIENCE, sleep: Callable[[float], None] = time.sleep
) -> Iterator[httpx2.BaseTransport]:
    """A transport to the admin API of this data folder, made first when ``create``.

    Raises ``DataFolderError`` for a folder that is missing or cannot be used and ``ControlSilent``.
    """
    folder = create_folder(data) if create else open_folder(data)
    until = time.monotonic() + patience
    while True:
        holder = lock_holder(folder.control_lock)
        if holder is not None and folder.control_socket.exists():
            with httpx2.HTTPTransport(uds=str(folder.control_socket)) as over_socket:
                yield over_socket
            return
        if holder is None:
            try:
                opening = _be_control(folder)
                transport = opening.__enter__()
            except DataFolderHeld:  # somebody was faster
                pass
            else:
                try:
                    yield transport
                finally:
                    opening.__exit__(None, None, None)
                return
        if time.monotonic() > until:
            raise ControlSilent(
                f"{folder.root}: process {holder} holds it and does not listen on {folder.control_socket}"
            )
        sleep(0.05)


@contextmanager
def _be_control(folder: DataFolder) -> Iterator[httpx2.BaseTransport]:
    import apsw

    from roadworthy.adapters.sqlite.log_schema import LogTooNew
    from roadworthy.adapters.sqlite.state import StateUnavailable
    from roadworthy.adapters.sqlite.state_migrations import StateTooNew
    from roadworthy.wiring import control

    try:
        with control.open_control(folder.root) as app, InProcessTransport(app) as transport:
            yield transport
    except (StateUnavailable, StateTooNew, LogTooNew, apsw.Error) as error:
        raise ControlSilent(f"{folder.root}: {error}") from error


def check_files(files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Everything wrong with configuration files, without a data folder: ``Problem`` as plain values."""
    from roadworthy.cost.service import PriceList
    from roadworthy.workflow.files import read_configuration

    prices = PriceList()
    checked = read_configuration(files, lambda target: prices.price_of(target) is not None, prices.names_of)
    problems: list[dict[str, Any]] = msgspec.to_builtins(checked.problems)
    return problems


def settings(data: Path) -> Settings | None:
    """The settings in force, as control wrote them last; ``None`` before the first apply."""
    try:
        return msgspec.json.decode(DataFolder(data).settings.read_bytes(), type=Settings)
    except (OSError, msgspec.MsgspecError):
        return None


def prices(data: Path, attempts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Target of each attempt → price in US dollars a token, as the gateways know it now; those that are known."""
    from roadworthy.gateway.limits.pricing import ModelPrices
    from roadworthy.gateway.snapshot import SnapshotRefused, decode

    try:
        snapshot = decode(DataFolder(data).snapshot.read_bytes())
    except (OSError, SnapshotRefused):
        return {}
    out: dict[str, dict[str, Any]] = {}
    for attempt in (msgspec.convert(attempt, Attempt) for attempt in attempts):
        listed = snapshot.model_prices.get(attempt.target)
        price = snapshot.prices.get(attempt.target) or (ModelPrices(listed).of(attempt) if listed else None)
        if price is not None:
            out[attempt.target] = msgspec.structs.asdict(price)
    return out
