"""The bundled model as a process of its own: one OpenAI-compatible endpoint on loopback, made by llama.cpp.

``python -m roadworthy.adapters.providers.local --data DIR --port-file F``

Serves ``/v1/chat/completions`` (streams, JSON Schemas in ``response_format``) once the model is loaded and has
answered a first call, and only then announces its port.  It knows no tools, images or embeddings (``local_wire``).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from roadworthy.adapters.providers import child, weights

MODEL = "SmolLM2-135M-Instruct"
SLOTS = 4
"""Calls answered at once; more wait in llama.cpp's queue."""
CONTEXT = 2048
"""Tokens of prompt and answer together, per call (``n_ctx`` is divided by the slots)."""


class NoEngine(Exception):
    """The inference engine is not installed."""

    def __init__(self) -> None:
        super().__init__("the local model needs the package xllamacpp: pip install 'roadworthy[demo]'")


def start(path: Path, *, port: int = 0, threads: int | None = None) -> Any:
    """A running server for the weights at ``path``.  Raises ``NoEngine``.

    It answers in a thread of its own for as long as the object lives; ``listening_address`` is its URL.
    """
    try:
        import xllamacpp
    except ModuleNotFoundError as error:
        raise NoEngine from error
    parameters = xllamacpp.CommonParams()
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.model.path = str(path)
    parameters.model_alias = {MODEL}
    parameters.n_ctx = CONTEXT * SLOTS
    parameters.n_parallel = SLOTS
    parameters.use_jinja = False
    parameters.ui = False
    parameters.verbosity = 0
    parameters.cache_ram_mib = 64
    parameters.cpuparams.n_threads = threads or max(1, (os.cpu_count() or 2) - 1)
    parameters.cpuparams_batch.n_threads = parameters.cpuparams.n_threads
    return xllamacpp.Server(parameters)


def warm(address: str) -> None:
    """One short answer, so that the first caller does not pay for page faults.  Raises ``OSError``."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        answer.read()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="local", description="The bundled model as an OpenAI-compatible endpoint.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder (weights may be in its models/)")
    parser.add_argument("--port-file", type=Path, required=True, help="where the port is written once it answers")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--threads", type=int, help="default: one less than there are cores")
    parser.add_argument("--parent", type=int, help="end when this process is no longer the parent")
    chosen = parser.parse_args(arguments)
    child.die_with(chosen.parent)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        path = weights.require(chosen.data)
        server = start(path, port=chosen.port, threads=chosen.threads)
        warm(server.listening_address)
    except (weights.WeightsMissing, NoEngine, OSError, RuntimeError) as error:
        print(f"local: {error}", file=sys.stderr)
        return 2
    child.announce(chosen.port_file, int(server.listening_address.rpartition(":")[2]))
    stop.wait()
    sys.stdout.flush()
    os._exit(0)  # the server's threads do not end on their own


if __name__ == "__main__":
    sys.exit(main())
