"""Chat messages as Gemini's contents and parts.  What has no counterpart is refused by the name of its field.

Source: Gemini API reference, "Content" and "Part", "Image understanding", "Function calling", "Thought signatures".
"""

from __future__ import annotations

from typing import Any

from roadworthy.formats import chat
from roadworthy.formats.chat import arguments_of, inline_data
from roadworthy.formats.model import refuse

_IMAGES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
_ENDINGS = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heif",
}
_FILES_API = "https://generativelanguage.googleapis.com/"
_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mp3"}
_CACHED = "cache_control"
"""Anthropic's mark on a part.  Gemini caches what requests have in common by itself, so it is fulfilled."""

Part = dict[str, Any]


def conversation(messages: list[Any]) -> tuple[list[Part], list[dict[str, Any]]]:
    """(parts of the system instruction, contents).

    Neighbours of one role become one content; the results of one turn's calls stay together and apart from texts.
    """
    system: list[Part] = []
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    last = ""
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            refuse(where, "expected an object")
        role = message.get("role")
        if role in ("system", "developer"):
            if contents:
                refuse(f"{where}.role", f"Gemini takes {role} messages only before the first of the others")
            nothing_else(message, where, ("role", "content"))
            system += _content(message, where, media=False)
            continue
        if role == "user":
            nothing_else(message, where, ("role", "content"))
            parts = _content(message, where, media=True)
        elif role == "assistant":
            parts = _assistant(message, where, names)
        elif role == "tool":
            parts = [_result(message, where, names)]
        else:
            refuse(f"{where}.role", f"expected system, developer, user, assistant or tool, found {role!r}")
        if not parts:
            refuse(f"{where}.content", "is empty; Gemini refuses a message without content")
        if role == last:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": "model" if role == "assistant" else "user", "parts": parts})
        last = role
    if not contents:
        refuse("messages", "Gemini needs at least one message beside the system messages")
    return system, contents


def _assistant(message: dict[str, Any], where: str, names: dict[str, str]) -> list[Part]:
    """``names``: id of every call so far → its function; results are told by the function's name."""
    known = ("role", "content", "refusal", "tool_calls", "reasoning_content", "extra_content")
    nothing_else(message, where, known)
    parts: list[Part] = []
    thoughts = message.get("reasoning_content")
    if thoughts:
        if not isinstance(thoughts, str):
            refuse(f"{where}.reasoning_content", "expected text")
        parts.append({"text": thoughts, "thought": True})
    parts += _content(message, where, media=False)
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        parts.append({"text": message["refusal"]})
    if signature := _signature(message, where):
        if not parts or "thought" in parts[-1]:
            parts.append({"text": ""})
        parts[-1]["thoughtSignature"] = signature
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        refuse(f"{where}.tool_calls", "expected a list")
    for index, call in enumerate(calls):
        parts.append(_call(call, f"{where}.tool_calls[{index}]", names))
    return parts


def _call(call: Any, at: str, names: dict[str, str]) -> Part:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(call.get("id"), str):
        refuse(at, "expected a function call with its id")
    nothing_else(call, at, ("id", "type", "index", "function", "extra_content"))
    name = function.get("name")
    if not isinstance(name, str):
        refuse(f"{at}.function.name", "expected text")
    arguments = arguments_of(function, at, "Gemini")
    names[call["id"]] = name
    made: Part = {"functionCall": {"id": call["id"], "name": name, "args": arguments}}
    if signature := _signature(call, at):
        made["thoughtSignature"] = signature
    return made


def _signature(holder: dict[str, Any], where: str) -> str | None:
    """``extra_content.google.thought_signature``, where Google's OpenAI-compatible endpoint has it too."""
    extra = holder.get("extra_content")
    if not extra:
        return None
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    if not isinstance(signature, str) or extra != {"google": {"thought_signature": signature}}:
        refuse(f"{where}.extra_content", 'expected {"google": {"thought_signature": …}}')
    return signature


def _result(message: dict[str, Any], where: str, names: dict[str, str]) -> Part:
    nothing_else(message, where, ("role", "content", "tool_call_id", "name"))
    ident = message.get("tool_call_id")
    if not isinstance(ident, str) or ident not in names:
        refuse(f"{where}.tool_call_id", "expected the id of a tool call of a message before this one")
    parts = _content(message, where, media=True)
    # the text as it is: an object would turn its numbers into doubles
    texts = [part["text"] for part in parts if "text" in part]
    made: Part = {"id": ident, "name": names[ident], "response": {"output": "\n".join(texts)}}
    if media := [part for part in parts if "text" not in part]:
        made["parts"] = media
    return {"functionResponse": made}


def nothing_else(message: dict[str, Any], where: str, known: tuple[str, ...]) -> None:
    chat.nothing_else(message, where, (*known, _CACHED), "Gemini's generateContent")


def _content(message: dict[str, Any], where: str, *, media: bool) -> list[Part]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"text": content}] if content else []
    if content is None:
        return []
    if not isinstance(content, list):
        refuse(f"{where}.content", "expected text or a list of parts")
    parts = [_part(part, f"{where}.content[{index}]", media) for index, part in enumerate(content)]
    return [part for part in parts if part.get("text") != ""]


def _part(part: Any, where: str, media: bool) -> Part:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal") and isinstance(part.get(kind), str):
        nothing_else(part, where, ("type", kind))
        return {"text": part[kind]}
    told = part.get(kind) if media and isinstance(kind, str) else None
    if isinstance(told, dict) and kind in ("image_url", "input_audio", "file"):
        nothing_else(part, where, ("type", kind))
        at = f"{where}.{kind}"
        return {"image_url": _image, "input_audio": _sound, "file": _file}[kind](told, at)
    takes = "text, image_url, input_audio or file" if media else "text"
    refuse(where, f"expected a part of type {takes}, found {kind!r}")


def _image(told: dict[str, Any], at: str) -> Part:
    nothing_else(told, at, ("url", "detail"))
    if told.get("detail") == "low":
        refuse(f"{at}.detail", "Gemini sets it for all images alike, by the parameter `media_resolution`")
    url = told.get("url")
    if not isinstance(url, str):
        refuse(f"{at}.url", "expected a URL")
    if url.startswith("data:"):
        return _inline(url, f"{at}.url", _IMAGES)
    if url.startswith(_FILES_API):
        return {"fileData": {"fileUri": url}}
    if url.startswith("gs://"):
        mime = next((mime for end, mime in _ENDINGS.items() if url.lower().endswith(end)), None)
        if mime is None:
            refuse(f"{at}.url", f"must end in {', '.join(_ENDINGS)}, so that Gemini is told what it is")
        return {"fileData": {"fileUri": url, "mimeType": mime}}
    refuse(f"{at}.url", "Gemini fetches no URL but a gs:// one or its own Files API's; send the image as a data URL")


def _sound(told: dict[str, Any], at: str) -> Part:
    nothing_else(told, at, ("data", "format"))
    sound = _SOUNDS.get(str(told.get("format")))
    if sound is None:
        refuse(f"{at}.format", f"expected {' or '.join(_SOUNDS)}, found {told.get('format')!r}")
    if not isinstance(told.get("data"), str):
        refuse(f"{at}.data", "expected base64 text")
    return {"inlineData": {"mimeType": sound, "data": told["data"]}}


def _file(told: dict[str, Any], at: str) -> Part:
    nothing_else(told, at, ("file_data", "filename"))  # Gemini shows its model no name
    data = told.get("file_data")
    if not isinstance(data, str) or not data.startswith("data:"):
        refuse(f"{at}.file_data", "expected a data URL")
    return _inline(data, f"{at}.file_data", None)


def _inline(url: str, at: str, takes: tuple[str, ...] | None) -> Part:
    media, data = inline_data(url)
    if not media or (takes is not None and media not in takes):
        kinds = ", ".join(takes) if takes is not None else "a named media type"
        refuse(at, f"expected base64 of {kinds}, found {url[5:].partition(',')[0][:60]!r}")
    return {"inlineData": {"mimeType": media, "data": data}}
