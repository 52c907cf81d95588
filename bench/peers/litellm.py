"""LiteLLM proxy from PyPI: production mode, one worker, authentication by master key, no database."""

from __future__ import annotations

import json

from bench import processes
from bench.payloads import CLIENT_KEY, KINDS, MODEL
from bench.peers.base import FromPyPI, Running, routes
from bench.upstreams import Upstream

QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
}


class LiteLLM(FromPyPI):
    name = "litellm"
    title = "LiteLLM proxy"
    about = "one uvicorn worker with httptools, production mode, master key, no database, no callbacks, no retries"
    requirements = ("litellm[proxy]==1.106.2", "httptools")

    def start(self, upstream: Upstream) -> Running:
        port = processes.free_port()
        models = [
            {
                "model_name": kind,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": upstream.base(kind),
                    "api_key": "sk-upstream",
                },
            }
            for kind in KINDS
        ]
        configuration = {
            "model_list": models,
            "litellm_settings": {"telemetry": False, "request_timeout": 60, "num_retries": 0, "drop_params": True},
            "general_settings": {"master_key": CLIENT_KEY},
        }
        path = self.place / "config.yaml"
        path.write_text(json.dumps(configuration, indent=1))  # JSON is YAML
        command = [
            self.bin("litellm"),
            "--config",
            path,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--num_workers",
            "1",
        ]
        return Running(self.launch(command, env=QUIET), routes(port, {kind: kind for kind in KINDS}))
