"""A real worker with every kind of check that needs no network: light, keyless, and nothing left when it dies."""

from __future__ import annotations

import http.server
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import release
from gateway_workers import Provider, Workers

from roadworthy.fallback.checks.registry import TEXT_KINDS
from roadworthy.gateway.snapshot import ServedWorkflow
from roadworthy.wiring.folders.data_folder import create_folder
from roadworthy.workflow.check_options import CHECK_KINDS, python_hash
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import CheckSpec, Handling, Policy

HEAVY = (
    "sqlalchemy", "apsw", "numpy", "scipy", "jinja2", "starlette", "pydantic", "rich", "click", "pyarrow", "botocore",
    "opentelemetry", "sqlite3", "yaml",
)  # fmt: skip
SOURCES = {
    "checks/tone.py": """
import os
from checks.words import RUDE

def check(text, context):
    seen = f"{os.getpid()} {'UP' in os.environ} {len(os.listdir('/proc/self/fd'))}"
    return {"passed": not any(word in text for word in RUDE), "detail": seen}
""",
    "checks/words.py": "RUDE = ['idiot']\n",
}
NEEDED: dict[str, Any] = {
    "language": {"allowed": ["en"]},
    "forbidden": {"phrases": ["x y"]},
    "length": {"max_chars": 99},
}


@pytest.fixture
def provider() -> Iterator[Any]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.asked, server.go = threading.Event(), threading.Event()  # type: ignore[attr-defined]
    server.go.set()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def running(tmp_path: Path, provider: Any) -> Iterator[Workers]:
    checks = {
        kind: CheckSpec(kind, CHECK_KINDS[kind].failure, options=NEEDED.get(kind, {})) for kind in sorted(TEXT_KINDS)
    }
    tone = CheckSpec("python", "invalid", timeout=30.0, options={"python": "checks.tone:check"})
    made = release(
        behaviour={"checks": {"tone": python_hash(SOURCES)}},
        handling=Handling(stream="buffered", checks={**checks, "tone": tone}),
    )
    worker = Workers(
        create_folder(tmp_path / "data"), f"http://127.0.0.1:{provider.server_port}/v1", served={"support": made}
    )
    served = ServedWorkflow("support", "default", "enforce", Policy(), made.digest, check_sources=SOURCES)
    worker.publish(seq=2, workflows={"support": served})
    worker.until(lambda: worker.get("/readyz")[1]["snapshot"] == 2)
    yield worker
    worker.end()


def test_a_worker_with_checks_is_light_and_its_checks_see_no_key_and_die_with_it(running: Workers) -> None:
    status, body = running.post()
    assert status == 200, body["error"]["message"]
    assert body["roadworthy"]["outcome"] == "answered"
    records = [line for line in running.lines() if isinstance(line, Inference)]
    verdicts = {check.name: check for check in records[-1].checks}
    assert set(verdicts) == {*TEXT_KINDS, "tone"}
    assert all(check.passed and not check.broke for check in verdicts.values()), msgspec.to_builtins(verdicts)
    pid, key_visible, files = verdicts["tone"].detail.split()
    assert key_visible == "False"
    assert int(files) <= 6  # standard streams, two pipes, the listing itself
    assert int(pid) != running.processes[0].pid
    assert Path(f"/proc/{pid}").exists()

    running.processes[0].send_signal(signal.SIGUSR1)
    assert running.processes[0].stdout is not None
    loaded = set(running.processes[0].stdout.readline().strip().split(","))
    assert {"re2", "pycld2"} <= loaded
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)

    running.processes[0].kill()
    running.processes[0].wait(10)
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[-1][:3]:
            break
        threading.Event().wait(0.01)
    else:
        pytest.fail("the process of the checks outlived its worker")
