"""The install of these tests: three workflows on a rehearsal target that fails as it is told, with a spare one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.up import Up
from support.waiting import write_files

PRICES = {
    "main": {"input": 3.0, "output": 15.0, "cache_read": 0.3},
    "spare": {"input": 1.0, "output": 4.0, "cache_read": 0.5},
}
"""US dollars for a million tokens."""

_OWNERS = "owners: {workflow: ada, prompt: ada, cost: ada}\nenforcement: observe\n"
_RETRIES = "ladder: {unavailable: [retry: {times: 4}], overlimit: [retry: {times: 4}], invalid: [retry: {times: 4}]}\n"
_LADDER = (
    "ladder:\n"
    "  unavailable: [retry: {times: 2, backoff: 10ms}, target: spare]\n"
    "  overlimit: [target: spare]\n"
    "  truncated: [retry: {times: 1, backoff: 10ms}, target: spare]\n"
    "  invalid: [retry: {times: 1, backoff: 10ms}, target: spare]\n"
)


def configuration(
    root: Path, main: dict[str, Any] | None = None, spare: dict[str, Any] | None = None, settings: str = ""
) -> Path:
    """Files for ``up``; ``main`` and ``spare`` are the profiles of the two targets."""
    targets = "".join(
        f"  {name}: {{provider: simulated, model: sim-{name}, simulation: {name}.yaml, price: {json.dumps(price)}}}\n"
        for name, price in PRICES.items()
    )
    files = {
        "roadworthy.yaml": f"version: 1\ntimezone: Europe/Berlin\n{settings}targets:\n{targets}",
        "main.yaml": json.dumps(main or {}),
        "spare.yaml": json.dumps(spare or {}),
        "people.yaml": "people:\n  ada: {name: Ada, email: ada@example.com}\n",
        "workflows/support/workflow.yaml": (
            f"{_OWNERS}prompt: {{mode: managed, system: prompt.md}}\ntarget: main\nbypass: app\n{_LADDER}"
        ),
        "workflows/support/prompt.md": "You answer customers, briefly and kindly.\n",
        "workflows/summary/workflow.yaml": (
            f"{_OWNERS}prompt: {{mode: app, system: prompt.md}}\ntarget: main\nbypass: app\n{_LADDER}"
        ),
        "workflows/summary/prompt.md": "Sum up what follows.\n",
        "workflows/vectors/workflow.yaml": f"{_OWNERS}kind: embeddings\ntarget: main\nbypass: app\n{_RETRIES}",
    }
    return write_files(root / "config", files)


WORKFLOWS = ("support", "summary", "vectors")


def started(up: Up) -> Up:
    """Wait until both targets are served, and freeze every workflow."""
    up.ready("main", "spare").freeze(*WORKFLOWS)
    return up


def question(text: str, *, workflow: str = "support", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    if workflow == "summary":
        messages.insert(0, {"role": "system", "content": "Sum up what follows."})
    return {"model": workflow, "messages": messages, **more}


def ledger(up: Up, target: str) -> list[dict[str, Any]]:
    """The simulated target's own account of what it sent, a dictionary a call."""
    path = up.data / "run" / f"target-{target}.ledger.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def cost(target: str, *, input: int = 0, cached: int = 0, output: int = 0, **_: Any) -> float:
    """US dollars of a ledger line, worked out here and not by the product."""
    price = PRICES[target]
    return (input * price["input"] + cached * price["cache_read"] + output * price["output"]) / 1_000_000
