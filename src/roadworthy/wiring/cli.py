"""How the command line reaches control: over its Unix socket, or, when none runs, by being control.

A command that finds no control takes ``control.lock`` and runs the same ASGI application in its own process,
for as long as the command lasts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from roadworthy.wiring.data_folder import DataFolder, lock_holder, open_folder


class ControlSilent(Exception):
    """Control holds the data folder but does not answer on its socket."""


class InProcessTransport(httpx2.BaseTransport):
    """An ASGI application behind a synchronous client: each request runs on an event loop of ours."""

    def __init__(self, app: Any, runner: asyncio.Runner | None = None) -> None:
        self._inner = httpx2.ASGITransport(app=app)
        self._runner = runner or asyncio.Runner()

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
def open_control(data: Path) -> Iterator[httpx2.BaseTransport]:
    """A transport to the admin API of this data folder.

    Raises ``DataFolderError`` for a folder that is missing or not ours, ``ControlSilent`` when control holds it
    and does not listen.
    """
    folder = open_folder(data)
    if lock_holder(folder.control_lock) is None:
        raise ControlSilent(f"{folder.root}: no control runs")
    if not folder.control_socket.exists():
        raise ControlSilent(f"{folder.root}: control holds the folder and does not listen on {folder.control_socket}")
    with httpx2.HTTPTransport(uds=str(folder.control_socket)) as transport:
        yield transport


def check_files(files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Everything wrong with configuration files, without a data folder: ``Problem`` as plain values."""
    from roadworthy.workflow.files import read_configuration

    problems: list[dict[str, Any]] = [msgspec.to_builtins(p) for p in read_configuration(files).problems]
    return problems


def prices(data: Path) -> dict[str, dict[str, Any]]:
    """Target → price in US dollars a token, as the gateways know it now; empty before the first apply."""
    from roadworthy.gateway.snapshot import SnapshotRefused, decode

    try:
        known = decode(DataFolder(data).snapshot.read_bytes()).prices
    except (OSError, SnapshotRefused):
        return {}
    return {name: msgspec.structs.asdict(price) for name, price in known.items()}
