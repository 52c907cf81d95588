"""Chat messages as Converse's system blocks and turns.  What has no counterpart is refused by the name of its field.

Source: Amazon Bedrock API reference, "Message", "ContentBlock" and the blocks that it names; service model 2023-09-30.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from roadworthy.formats import chat
from roadworthy.formats.chat import arguments_of, inline_data
from roadworthy.formats.messages.words import FAILED
from roadworthy.formats.model import refuse

Block = dict[str, Any]
"""One content block; a cache point is a block of its own."""

nothing_else = partial(chat.nothing_else, format="Bedrock's Converse")

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_ENDINGS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_SOUNDS = ("wav", "mp3")
_IDENT = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NO_NAME = re.compile(r"[^A-Za-z0-9\s()\[\]-]+|\s{2,}")
"""What no document's name may hold."""


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
            nothing_else(message, where, ("role", "content"))
            turn, blocks = ("user" if role == "user" else "system"), _content(message, where, media=role == "user")
            if turn == "system" and not turns:
                system += blocks
                continue
        elif role == "assistant":
            turn, blocks = "assistant", _assistant(message, where)
        elif role == "tool":
            turn, blocks = "user", _result(message, where)
        else:
            refuse(f"{where}.role", f"expected system, developer, user, assistant or tool, found {role!r}")
        if not blocks:
            refuse(f"{where}.content", "is empty; Converse refuses a message without content")
        if turns and turns[-1]["role"] == turn:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": turn, "content": blocks})
    if not turns:
        refuse("messages", "Converse needs at least one message beside the system messages")
    _tell_apart(turns)
    return system, turns


def _tell_apart(turns: list[dict[str, Any]]) -> None:
    """Converse takes no two documents of one name: the later ones are numbered."""
    blocks = [block for turn in turns for block in turn["content"]]
    blocks += [inner for block in blocks if "toolResult" in block for inner in block["toolResult"]["content"]]
    taken: set[str] = set()
    for document in (block["document"] for block in blocks if "document" in block):
        name, number = document["name"], 1
        while document["name"] in taken:
            number += 1
            document["name"] = f"{name[:190]} ({number})"
        taken.add(document["name"])


def uses_tools(turns: list[dict[str, Any]]) -> bool:
    return any("toolUse" in block or "toolResult" in block for turn in turns for block in turn["content"])


def cache_point(said: dict[str, Any], where: str) -> list[Block]:
    """The cache point behind what was said with Anthropic's mark, ``cache_control``."""
    marked = said.get("cache_control")
    if not marked:
        return []
    if not isinstance(marked, dict) or marked.get("type") != "ephemeral" or marked.get("ttl") not in (None, "5m", "1h"):
        refuse(f"{where}.cache_control", 'expected {"type": "ephemeral"}, with ttl 5m or 1h')
    nothing_else(marked, f"{where}.cache_control", ("type", "ttl"))
    return [{"cachePoint": {"type": "default", **({"ttl": marked["ttl"]} if marked.get("ttl") else {})}}]


def _assistant(message: dict[str, Any], where: str) -> list[Block]:
    nothing_else(message, where, ("role", "content", "refusal", "tool_calls", "thinking_blocks", "reasoning_content"))
    blocks = _thoughts(message, where) + _content(message, where, media=False)
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        blocks.append({"text": message["refusal"]})
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        refuse(f"{where}.tool_calls", "expected a list")
    for index, call in enumerate(calls):
        blocks += _call(call, f"{where}.tool_calls[{index}]")
    return blocks


def _thoughts(message: dict[str, Any], where: str) -> list[Block]:
    """As they were answered: signed or withheld blocks where there are any, else the words."""
    blocks = message.get("thinking_blocks") or []
    if not isinstance(blocks, list):
        refuse(f"{where}.thinking_blocks", "expected a list of thinking blocks as they were answered")
    words = message.get("reasoning_content")
    if words and not blocks:
        if not isinstance(words, str):
            refuse(f"{where}.reasoning_content", "expected text")
        return [{"reasoningContent": {"reasoningText": {"text": words}}}]
    made = []
    for index, block in enumerate(blocks):
        at = f"{where}.thinking_blocks[{index}]"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "thinking" and isinstance(block.get("thinking"), str):
            nothing_else(block, at, ("type", "thinking", "signature"))
            signed = {"signature": block["signature"]} if block.get("signature") else {}
            made.append({"reasoningContent": {"reasoningText": {"text": block["thinking"], **signed}}})
        elif kind == "redacted_thinking" and isinstance(block.get("data"), str):
            nothing_else(block, at, ("type", "data"))
            made.append({"reasoningContent": {"redactedContent": block["data"]}})
        else:
            refuse(at, "expected a thinking or redacted_thinking block as it was answered")
    return made


def _call(call: Any, at: str) -> list[Block]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        refuse(at, "expected a function call with its id")
    nothing_else(call, at, ("id", "type", "index", "function", "cache_control"))
    ident = _ident(call.get("id"), f"{at}.id")
    if not isinstance(function.get("name"), str):
        refuse(f"{at}.function.name", "expected text")
    arguments = arguments_of(function, at, "Converse")
    made = {"toolUse": {"toolUseId": ident, "name": function["name"], "input": arguments}}
    return [made, *cache_point(call, at)]


def _result(message: dict[str, Any], where: str) -> list[Block]:
    nothing_else(message, where, ("role", "content", "tool_call_id", "name"))
    ident = _ident(message.get("tool_call_id"), f"{where}.tool_call_id")
    content = _content(message, where, media=True)
    made: Block = {"toolUseId": ident}
    if content and content[0].get("text", "").startswith(FAILED):
        made["status"] = "error"
        content[0] = {"text": content[0]["text"][len(FAILED) :]}
    points = [block for block in content if "cachePoint" in block]  # the inside of a result holds none
    made["content"] = [block for block in content if "cachePoint" not in block and block.get("text") != ""]
    return [{"toolResult": made}, *points[-1:]]


def _ident(ident: Any, at: str) -> str:
    if not isinstance(ident, str) or _IDENT.fullmatch(ident) is None:
        refuse(at, f"expected the id of a tool call: 1 to 64 letters, digits or _.:-, found {str(ident)[:80]!r}")
    return ident


def _content(message: dict[str, Any], where: str, *, media: bool) -> list[Block]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"text": content}] if content else []
    if content is None:
        return []
    if not isinstance(content, list):
        refuse(f"{where}.content", "expected text or a list of parts")
    blocks: list[Block] = []
    for index, part in enumerate(content):
        at = f"{where}.content[{index}]"
        made = _part(part, at, media)
        if made.get("text") != "":
            blocks += [made, *cache_point(part, at)]
    return blocks


def _part(part: Any, where: str, media: bool) -> Block:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal") and isinstance(part.get(kind), str):
        nothing_else(part, where, ("type", kind, "cache_control"))
        return {"text": part[kind]}
    told = part.get(kind) if media and isinstance(kind, str) else None
    if isinstance(told, dict) and kind in ("image_url", "file", "input_audio"):
        nothing_else(part, where, ("type", kind, "cache_control"))
        at = f"{where}.{kind}"
        if kind == "image_url":
            return {"image": _image(told, at)}
        return {"document": _document(told, at)} if kind == "file" else {"audio": _sound(told, at)}
    takes = "text, image_url, file or input_audio" if media else "text"
    refuse(where, f"expected a part of type {takes}, found {kind!r}")


def _image(told: dict[str, Any], at: str) -> Block:
    nothing_else(told, at, ("url", "detail"))
    if told.get("detail") == "low":
        refuse(f"{at}.detail", "Converse reads every image at full detail")
    url = told.get("url")
    if not isinstance(url, str):
        refuse(f"{at}.url", "expected a URL")
    if url.startswith("s3://"):
        kept_as = next((word for end, word in _ENDINGS.items() if url.lower().endswith(end)), None)
        if kept_as is None:
            refuse(f"{at}.url", f"must end in {', '.join(_ENDINGS)}, so that Bedrock is told what it is")
        return {"format": kept_as, "source": {"s3Location": {"uri": url}}}
    if not url.startswith("data:"):
        refuse(f"{at}.url", "Converse fetches no URL but s3:// ones; send the image as a data URL")
    written_as, data = _inline(url, f"{at}.url", _IMAGES)
    return {"format": written_as, "source": {"bytes": data}}


def _document(told: dict[str, Any], at: str) -> Block:
    if told.get("file_id"):
        refuse(f"{at}.file_id", "names a file that OpenAI keeps; send it as file_data")
    nothing_else(told, at, ("file_data", "filename"))
    url = told.get("file_data")
    if not isinstance(url, str) or not url.startswith("data:"):
        refuse(f"{at}.file_data", "expected a data URL")
    written_as, data = _inline(url, f"{at}.file_data", _DOCUMENTS)
    name = told.get("filename")
    return {"format": written_as, "name": named(name if isinstance(name, str) else ""), "source": {"bytes": data}}


def named(filename: str) -> str:
    """A file's name as Converse takes it: without its ending, other characters as hyphens."""
    stem = filename.rpartition(".")[0] or filename
    return _NO_NAME.sub(lambda found: " " if found.group().isspace() else "-", stem).strip()[:200] or "document"


def _sound(told: dict[str, Any], at: str) -> Block:
    nothing_else(told, at, ("data", "format"))
    if told.get("format") not in _SOUNDS:
        refuse(f"{at}.format", f"expected {' or '.join(_SOUNDS)}, found {told.get('format')!r}")
    if not isinstance(told.get("data"), str) or not told["data"]:
        refuse(f"{at}.data", "expected base64 text")
    return {"format": told["format"], "source": {"bytes": told["data"]}}


def _inline(url: str, at: str, takes: dict[str, str]) -> tuple[str, str]:
    """(Converse's word for its media type, its base64)."""
    media, data = inline_data(url)
    if media not in takes or not data:
        refuse(at, f"expected base64 of {', '.join(takes)}, found {url[5:].partition(',')[0][:60]!r}")
    return takes[media], data
