"""``/metrics`` of the supervisor: the sum of its workers' counters, in Prometheus' text format."""

from __future__ import annotations

import socket
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from roadworthy.adapters.telemetry.prometheus import render
from roadworthy.wiring.http_server import server
from roadworthy.wiring.internal import Internal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def serve_metrics(listener: socket.socket, internal: Internal, workers: list[Path]) -> None:
    """Serve until cancelled."""

    async def metrics(request: Request) -> Response:
        counters = await internal.counters(workers)
        return Response(render(counters), media_type=CONTENT_TYPE)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    app = Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz)])
    await server(app, grace=1.0).serve(sockets=[listener])
