"""A gateway whose release declares checks, and what its provider says, for tests of checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway_support import Bench, chat, completion, release

from roadworthy.gateway.messages import Response
from roadworthy.workflow.inference import FAILURES, Inference
from roadworthy.workflow.model import CheckSpec, Handling, TargetIdentity

SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string"}, "reply": {"type": "string"}},
    "required": ["topic"],
    "additionalProperties": False,
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
        },
    }
]
MODERATED = {"results": [{"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.8}}]}


def spec(kind: Any, failure: Any = "unsafe", /, **more: Any) -> CheckSpec:
    return CheckSpec(kind, failure, **more)


def bench(
    folder: Path, checks: Mapping[str, CheckSpec] | None = None, /, behaviour: dict[str, Any] | None = None,
    python: Any = None, enforcement: str = "enforce", **handling: Any,
) -> Bench:  # fmt: skip
    targets = {name: TargetIdentity("openai", f"{name}-model", f"{name}.test") for name in ("main", "backup")}
    ladder = {**{failure: [] for failure in FAILURES}, **handling.pop("ladder", {})}
    made = Handling(stream="buffered", checks=dict(checks or {}), ladder=ladder, **handling)
    found = Bench(
        folder,
        served=release(behaviour={"targets": targets, **(behaviour or {})}, handling=made),
        enforcement=enforcement,
    )
    found.gateway._server._caller.python = python
    return found


async def asked(made: Bench, *replies: Any, **more: Any) -> tuple[Response, Inference]:
    made.upstream.will(*replies)
    answer = await made.post(chat(**more))
    assert isinstance(answer, Response)
    assert made.taken() == 0
    return answer, made.record()


def tool_call(name: str, arguments: str) -> bytes:
    call = {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}
    return completion(None, "tool_calls", message={"tool_calls": [call]})
