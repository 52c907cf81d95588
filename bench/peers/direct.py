"""No gateway at all: the floor under every latency and the roof over every throughput."""

from __future__ import annotations

from bench import payloads
from bench.payloads import KINDS, MODEL
from bench.peers.base import Peer, Route, Running
from bench.upstreams import Upstream


class Direct(Peer):
    name = "direct"
    title = "direct (no gateway)"
    about = "the load generator talks to the upstream; both share one core"

    def install(self) -> str:
        return ""

    def start(self, upstream: Upstream) -> Running:
        return Running(None, {kind: Route(upstream.ports[kind], payloads.request(kind, MODEL)) for kind in KINDS})
