"""TensorZero's HTTP gateway, the Rust server inside its Python wheel: observability off."""

from __future__ import annotations

import time

from bench.payloads import KINDS, MODEL, Kind
from bench.peers.base import FromPyPI, Route, Running, routes
from bench.upstreams import Upstream

SERVE = """
import pathlib, sys, time
from tensorzero.tensorzero import _start_http_gateway
gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
pathlib.Path(sys.argv[2]).write_text(gateway.base_url)
while True:
    time.sleep(3600)
"""


class TensorZero(FromPyPI):
    name = "tensorzero"
    title = "TensorZero gateway"
    about = "the HTTP server of the PyPI wheel, observability off, no authentication"
    requirements = ("tensorzero==2026.6.0",)

    def start(self, upstream: Upstream) -> Running:
        text = "[gateway]\nobservability.enabled = false\n" + "".join(
            f'[models.{kind}]\nrouting = ["upstream"]\n[models.{kind}.providers.upstream]\ntype = "openai"\n'
            f'model_name = "{MODEL}"\napi_base = "{upstream.base(kind)}/"\napi_key_location = "none"\n'
            for kind in KINDS
        )
        configuration, script, address = (self.place / name for name in ("config.toml", "serve.py", "url.txt"))
        configuration.write_text(text)
        script.write_text(SERVE)
        address.unlink(missing_ok=True)
        process = self.launch([self.bin("python"), script, configuration, address])
        give_up = time.monotonic() + 60
        while not (address.exists() and address.read_text().count(":") == 2):
            if process.poll() is not None or time.monotonic() > give_up:
                return Running(process, {})
            time.sleep(0.002)
        port = int(address.read_text().split(":")[2].split("/")[0])
        models: dict[Kind, str] = {kind: f"tensorzero::model_name::{kind}" for kind in KINDS}
        plain = routes(port, models, user=None)  # it refuses the field
        return Running(process, {k: Route(port, r.body, "/openai/v1/chat/completions") for k, r in plain.items()})
