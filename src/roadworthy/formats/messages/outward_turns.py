"""The messages of chat completions as Anthropic's system blocks and turns."""

from __future__ import annotations

from functools import partial
from typing import Any

from roadworthy.formats import chat
from roadworthy.formats.chat import arguments_of, inline_data
from roadworthy.formats.messages.words import FAILED, IMAGES, PDF, UNNAMED
from roadworthy.formats.model import refuse

Block = dict[str, Any]

_nothing_else = partial(chat.nothing_else, format="Anthropic's Messages API")


def conversation(messages: list[Any]) -> tuple[list[Block], list[dict[str, Any]]]:
    """(system blocks, turns).  Neighbours of one role become one turn: a turn's tool results must be together.

    System messages behind the first of the others stay where they are: newer models take them there.
    """
    system: list[Block] = []
    turns: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            refuse(where, "expected an object")
        role = message.get("role")
        if role in ("system", "developer", "user"):
            _nothing_else(message, where, ("role", "content"))
            turn, blocks = ("user" if role == "user" else "system"), _content(message, where, media=role == "user")
            if turn == "system" and not turns:
                system += blocks
                continue
        elif role == "assistant":
            turn, blocks = "assistant", _assistant(message, where)
        elif role == "tool":
            turn, blocks = "user", [_tool_result(message, where)]
        else:
            refuse(f"{where}.role", f"expected system, developer, user, assistant or tool, found {role!r}")
        if not blocks:
            refuse(f"{where}.content", "is empty; Anthropic refuses a message without content")
        if turns and turns[-1]["role"] == turn:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": turn, "content": blocks})
    if not turns:
        refuse("messages", "Anthropic needs at least one message beside the system messages")
    return system, turns


def _assistant(message: dict[str, Any], where: str) -> list[Block]:
    _nothing_else(message, where, ("role", "content", "refusal", "tool_calls", "thinking_blocks", "reasoning_content"))
    blocks = _thoughts(message, where) + _content(message, where, media=False)
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        blocks.append({"type": "text", "text": message["refusal"]})
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        refuse(f"{where}.tool_calls", "expected a list")
    for index, call in enumerate(calls):
        at = f"{where}.tool_calls[{index}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(call.get("id"), str):
            refuse(at, "expected a function call with its id")
        arguments = arguments_of(function, at, "Anthropic")
        made = {"type": "tool_use", "id": call["id"], "name": function.get("name"), "input": arguments}
        blocks.append(_hinted(made, call))
    return blocks


def _thoughts(message: dict[str, Any], where: str) -> list[Block]:
    """Blocks as a Claude model signed them; thoughts in words alone it takes from nobody."""
    blocks = message.get("thinking_blocks") or []
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        refuse(f"{where}.thinking_blocks", "expected a list of thinking blocks as they were answered")
    if message.get("reasoning_content") and not blocks:
        refuse(f"{where}.reasoning_content", "Anthropic's Messages API has no counterpart; leave it out")
    return list(blocks)


def _tool_result(message: dict[str, Any], where: str) -> Block:
    _nothing_else(message, where, ("role", "content", "tool_call_id", "name"))
    if not isinstance(message.get("tool_call_id"), str):
        refuse(f"{where}.tool_call_id", "expected the id of the tool call that this answers")
    result: Block = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
    content = _content(message, where, media=True)
    if content and content[0].get("text", "").startswith(FAILED):
        result["is_error"] = True
        content[0]["text"] = content[0]["text"][len(FAILED) :]
    if content and "cache_control" in content[-1]:
        result["cache_control"] = content[-1].pop("cache_control")
    if content := [block for block in content if block.get("text") != ""]:
        result["content"] = content
    return result


def _content(message: dict[str, Any], where: str, *, media: bool) -> list[Block]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if content is None:
        return []
    if not isinstance(content, list):
        refuse(f"{where}.content", "expected text or a list of parts")
    parts = [_part(part, f"{where}.content[{index}]", media) for index, part in enumerate(content)]
    return [part for part in parts if part.get("text") != ""]


def _part(part: Any, where: str, media: bool) -> Block:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal") and isinstance(part.get(kind), str):
        made: Block = {"type": "text", "text": part[kind]}
    elif kind == "image_url" and media and isinstance(part.get("image_url"), dict):
        if part["image_url"].get("detail") == "low":
            refuse(f"{where}.image_url.detail", "Anthropic reads every image at full detail")
        made = {"type": "image", "source": _image(part["image_url"].get("url"), where)}
    elif kind == "file" and media and isinstance(part.get("file"), dict):
        made = _document(part["file"], where)
    else:
        refuse(where, f"expected a part of type text{', image_url or file' if media else ''}, found {kind!r}")
    return _hinted(made, part)


def _hinted(made: Block, said: dict[str, Any]) -> Block:
    if isinstance(said.get("cache_control"), dict):
        made["cache_control"] = said["cache_control"]
    return made


def _image(url: Any, where: str) -> dict[str, str]:
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    if not isinstance(url, str) or not url.startswith("data:"):
        refuse(f"{where}.image_url.url", "expected an http(s) URL or a data URL")
    media, data = inline_data(url)
    if media not in IMAGES:
        refuse(
            f"{where}.image_url.url",
            f"expected base64 of {', '.join(IMAGES)}, found {url[5:].partition(',')[0][:60]!r}",
        )
    return {"type": "base64", "media_type": media, "data": data}


def _document(file: dict[str, Any], where: str) -> Block:
    if file.get("file_id"):
        refuse(f"{where}.file.file_id", "names a file that OpenAI keeps; send it as file_data")
    url = file.get("file_data")
    media, data = inline_data(url) if isinstance(url, str) else ("", "")
    if media != PDF:
        refuse(f"{where}.file.file_data", f"expected a data URL with base64 of {PDF}")
    made: Block = {"type": "document", "source": {"type": "base64", "media_type": PDF, "data": data}}
    name = file.get("filename")
    if isinstance(name, str) and name and name != UNNAMED:
        made["title"] = name
    return made
