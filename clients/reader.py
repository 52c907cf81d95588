"""A model that reads the file that its user names, by whichever tool it is offered, and says what it read.

It speaks chat completions and streams, so an agent that speaks Responses or Messages reaches it translated both ways.
"""

from __future__ import annotations

import json
import re
from typing import Any

from support.provider import Exchange, Sent

_PATH = re.compile(r"/\S+/parcel\.txt")
_USAGE = {"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920}


def read(sent: Sent, exchange: Exchange) -> None:
    asked = sent.json
    results = [message for message in asked["messages"] if message["role"] == "tool"]
    offered = {tool["function"]["name"] for tool in asked.get("tools", []) if tool["type"] == "function"}
    if results:
        delta: dict[str, Any] = {"content": f"It says: {text_of(results[-1])}"}
    elif (path := _path(asked["messages"])) is not None and offered & set(_TOOLS):
        name = min(offered & set(_TOOLS))
        function = {"name": name, "arguments": json.dumps(_TOOLS[name](path))}
        delta = {
            "content": None,
            "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}],
        }
    else:
        delta = {"content": "Parcels"}  # of a side call, such as for the title of a session
    reason = "tool_calls" if "tool_calls" in delta else "stop"
    exchange.begin()
    for choice in ({"delta": {"role": "assistant", **delta}, "finish_reason": None},
                   {"delta": {}, "finish_reason": reason}):  # fmt: skip
        exchange.event(_chunk([{"index": 0, **choice}]))
    exchange.event(_chunk([], usage=_USAGE))
    exchange.event(b"[DONE]")


_TOOLS = {
    "Read": lambda path: {"file_path": path},  # Claude Code
    "exec_command": lambda path: {"cmd": f"cat {path}"},  # Codex
}


def _path(messages: list[Any]) -> str | None:
    found = _PATH.search(text_of(messages[-1])) or _PATH.search(" ".join(text_of(message) for message in messages))
    return None if found is None else found.group()


def text_of(message: Any) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _chunk(choices: list[Any], **more: Any) -> bytes:
    made = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "reader", "choices": choices, **more}
    return json.dumps(made).encode()
