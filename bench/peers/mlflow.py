"""MLflow's gateway from PyPI: one worker, no authentication."""

from __future__ import annotations

import json
import os

from bench import processes
from bench.payloads import KINDS, MODEL
from bench.peers.base import FromPyPI, Running, routes
from bench.upstreams import Upstream


class MLflow(FromPyPI):
    name = "mlflow"
    title = "MLflow gateway"
    about = "one worker, no authentication, telemetry off"
    requirements = ("mlflow[gateway]==3.17.2",)

    def start(self, upstream: Upstream) -> Running:
        port = processes.free_port()
        endpoints = [
            {
                "name": kind,
                "endpoint_type": "llm/v1/chat",
                "model": {
                    "provider": "openai",
                    "name": MODEL,
                    "config": {"openai_api_key": "sk-upstream", "openai_api_base": upstream.base(kind)},
                },
            }
            for kind in KINDS
        ]
        path = self.place / "config.yaml"
        path.write_text(json.dumps({"endpoints": endpoints}, indent=1))  # JSON is YAML
        environment = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
            "PATH": f"{self.bin('mlflow').parent}:{os.environ['PATH']}",
        }
        command = [
            self.bin("mlflow"),
            "gateway",
            "start",
            "--config-path",
            path,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        return Running(
            self.launch([*command, "--workers", "1"], env=environment), routes(port, {kind: kind for kind in KINDS})
        )
