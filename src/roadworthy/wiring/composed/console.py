"""The console in control: put together at the first request, for most starts of control nobody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from roadworthy.operations.services import Services
from roadworthy.wiring.processes import decoding

if TYPE_CHECKING:
    from roadworthy.console.live import Live


class ConsoleFrontDoor:
    """An ASGI application that becomes the console.  Templates and forms cost a tenth of a second to load."""

    def __init__(self, services: Services, key: bytes, address: Callable[[], str]) -> None:
        self._services = services
        self._key = key
        self._address = address
        self.demo = False
        """Is it ``roadworthy demo`` that runs, on loopback?  Then visitors choose whom of the sample they are."""
        self._app: ASGIApp | None = None
        self._live: Live | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._making:
            if self._app is None:
                self._app, self._live = await asyncio.to_thread(self._made)
        assert self._app is not None
        await self._app(scope, receive, send)

    def close(self) -> None:
        """End the open streams, so that stopping need not wait for them."""
        if self._live is not None:
            self._live.close()

    def _made(self) -> tuple[ASGIApp, Live]:
        from roadworthy.console.app import make_console
        from roadworthy.console.pages import demo
        from roadworthy.console.routes import PAGES

        decoding.make_ready()
        pages = [*PAGES, *demo.PAGES] if self.demo else PAGES
        return make_console(self._services, self._key, self._address, pages)
