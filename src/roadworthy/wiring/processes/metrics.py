"""``/metrics`` of the supervisor: the sum of its workers' counters, in Prometheus' text format."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from roadworthy.adapters.telemetry.prometheus import render
from roadworthy.wiring.processes.http_server import server
from roadworthy.wiring.processes.internal import Internal

Numbers = dict[str, dict[str, float]]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def serve_metrics(
    listener: socket.socket, internal: Internal, workers: Mapping[str, Path], control: Path | None
) -> None:
    """Serve until cancelled.  Who does not answer within a second is left out, and shows as down.

    ``workers``: name → private socket; ``control``: whose numbers are on the page too.
    """

    async def numbers() -> Numbers | None:
        answer = None if control is None else await internal.get(control, "/v1/counters")
        return msgspec.json.decode(answer[1], type=Numbers) if answer is not None and answer[0] == 200 else None

    async def metrics(request: Request) -> Response:
        counters, known = await asyncio.gather(internal.counters(list(workers.values())), numbers())
        return Response(render(counters, expected=workers, control=known), media_type=CONTENT_TYPE)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    app = Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz)])
    await server(app, grace=1.0).serve(sockets=[listener])
