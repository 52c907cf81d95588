"""Portkey's gateway from npm: headless, the provider and its host named by request headers."""

from __future__ import annotations

import json
import shutil

from bench import payloads, processes
from bench.payloads import KINDS, MODEL
from bench.peers.base import NotInstalled, Peer, Route, Running, installed
from bench.upstreams import Upstream

VERSION = "1.15.2"
PACKAGE = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": VERSION},
    # With the newer adapter that npm would choose, this version of the gateway cannot stream.
    "overrides": {"@hono/node-server": "1.13.8"},
}


class Portkey(Peer):
    name = "portkey"
    title = "Portkey gateway"
    about = (
        "headless, NODE_ENV=production, no authentication, no log; @hono/node-server held at 1.13.8 so that it streams"
    )

    def install(self) -> str:
        if shutil.which("node") is None:
            raise NotInstalled("node is not on this machine")
        package, done = self.place / "package.json", self.place / "installed.txt"
        wanted = json.dumps(PACKAGE)
        if not done.exists() or done.read_text() != wanted:
            done.unlink(missing_ok=True)
            package.write_text(wanted)
            installed(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=self.place, what="npm")
            done.write_text(wanted)
        return VERSION

    def start(self, upstream: Upstream) -> Running:
        port = processes.free_port()
        home = self.place / "node_modules" / "@portkey-ai" / "gateway"
        process = self.launch(
            ["node", "build/start-server.js", f"--port={port}", "--headless"], cwd=home, env={"NODE_ENV": "production"}
        )
        found = {
            kind: Route(
                port,
                payloads.request(kind, MODEL),
                headers={"x-portkey-provider": "openai", "x-portkey-custom-host": upstream.base(kind)},
            )
            for kind in KINDS
        }
        return Running(process, found)
