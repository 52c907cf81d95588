"""A Messages request as a chat.completions request.

Plain turns are not decoded: chat completions write them the same way, so their bytes are passed on.  What chat
completions have no word for is noted as lost, so that only a target that speaks this format is asked; as much of it
as can be read stands in the translation all the same, for whoever decides by it or reads the log.

Source: Anthropic API reference, "Create a Message"; ``MessageCreateParams`` of the official clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from roadworthy.formats.losses import Losses
from roadworthy.formats.messages import inward_turns
from roadworthy.formats.messages.words import ANTHROPICS, EFFORTS
from roadworthy.formats.model import Fields, Translated, compact, refuse

_NULL = msgspec.Raw(b"null")
_QUOTE = ord('"')
_SAME = frozenset(["model", "temperature", "top_p", "stream", "cache_control"])
"""Names that mean the same in both (``cache_control``: an extension of chat completions that several know)."""
_DIRECT = ["direct"]


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["user", "assistant", "system"]
    content: msgspec.Raw


class _Metadata(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    user_id: str | None = None


_turns = msgspec.json.Decoder(list[_Turn])
_metadata = msgspec.json.Decoder(_Metadata)
_most = msgspec.json.Decoder(int)
_strings = msgspec.json.Decoder(list[str])
_any = msgspec.json.Decoder()


def to_chat(fields: Mapping[str, msgspec.Raw]) -> Translated:
    """Raises ``Inexpressible`` for a body that is no Messages request, by the name of the field."""
    losses = Losses()
    if "messages" not in fields:
        refuse("messages", "expected a list of at least one message, found none")
    if fields.get("max_tokens", _NULL) == _NULL:
        refuse("max_tokens", "expected an integer: the largest number of tokens to answer with, found none")
    made: Fields = {}
    for name, raw in fields.items():
        if name in _SAME:
            if raw != _NULL:
                made[name] = raw
        elif name == "messages":
            made["messages"] = _messages(raw, fields.get("system"), losses)
        elif name in _TRANSLATED:
            if raw != _NULL:
                _TRANSLATED[name](raw, made, losses)
        elif name != "system" and raw != _NULL:
            made[name] = raw
            losses.note(
                name, "chat completions have no counterpart; leave it out, or use a target that speaks Messages"
            )
    return Translated(made, losses.first, losses.unknown)


def _messages(raw: msgspec.Raw, system: msgspec.Raw | None, losses: Losses) -> msgspec.Raw:
    try:
        turns = _turns.decode(raw)
    except msgspec.ValidationError:
        raw = inward_turns.known(_any.decode(raw), losses)
        turns = _turns.decode(raw)
    if not turns:
        refuse("messages", "expected a list of at least one message, found an empty one")
    if turns[-1].role == "assistant":
        why = "begins the answer, which chat completions cannot ask a model to go on with; end with a user's turn"
        losses.note(f"messages[{len(turns) - 1}]", why)
    plain = all([bytes(turn.content)[0] == _QUOTE for turn in turns])
    if plain and (system is None or system == _NULL):
        return raw
    pieces = [_system(system, losses)] if system is not None and system != _NULL else []
    if plain:
        whole = bytes(raw)
        pieces.append(whole[whole.index(b"[") + 1 : whole.rindex(b"]")])
    else:
        for index, turn in enumerate(turns):
            if bytes(turn.content)[0] == _QUOTE:
                pieces.append(b'{"role":"%b","content":%b}' % (turn.role.encode(), turn.content))
            else:
                said = inward_turns.messages(turn.role, _any.decode(turn.content), f"messages[{index}]", losses)
                pieces.extend(map(compact, said))
    return msgspec.Raw(b"[%b]" % b",".join(pieces))


def _system(raw: msgspec.Raw, losses: Losses) -> bytes:
    if bytes(raw)[0] == _QUOTE:
        return b'{"role":"system","content":%b}' % raw
    content = inward_turns.system(_any.decode(raw), "system", losses)
    return compact({"role": "system", "content": content})


def _max_tokens(raw: msgspec.Raw, made: Fields, losses: Losses) -> None:
    try:
        most = _most.decode(raw)
    except msgspec.ValidationError:
        refuse("max_tokens", f"expected an integer of at least 1, found {_shown(raw)}")
    if most < 0:
        refuse("max_tokens", f"expected an integer of at least 1, found {most}")
    if most == 0:
        losses.note("max_tokens", "0 fills a cache without an answer, which chat completions cannot ask for")
    made["max_completion_tokens"] = raw


def _stop(raw: msgspec.Raw, made: Fields, losses: Losses) -> None:
    try:
        asked = _strings.decode(raw)
    except msgspec.ValidationError:
        refuse("stop_sequences", f"expected a list of texts, found {_shown(raw)}")
    if asked:
        made["stop"] = raw


def _user(raw: msgspec.Raw, made: Fields, losses: Losses) -> None:
    try:
        found = _metadata.decode(raw)
    except msgspec.ValidationError:
        known = _object(raw, "metadata")
        user = known.pop("user_id", None)
        if user is not None and not isinstance(user, str):
            refuse("metadata.user_id", f"expected a text, found {type(user).__name__}")
        found = _Metadata(user)
        losses.note(f"metadata.{min(known)}", "chat completions have no counterpart; leave it out")
    if found.user_id is not None:
        made["user"] = msgspec.Raw(compact(found.user_id))


def _tier(raw: msgspec.Raw, made: Fields, losses: Losses) -> None:
    asked = _any.decode(raw)
    if asked not in ("auto", "standard_only"):
        refuse("service_tier", f"expected auto or standard_only, found {_shown(raw)}")
    made["service_tier"] = msgspec.Raw(b'"auto"' if asked == "auto" else b'"default"')


def _thinking(raw: msgspec.Raw, made: Fields, losses: Losses) -> None:
    asked = _object(raw, "thinking")
    if asked == {"type": "disabled"} and "reasoning_effort" not in made:
        made["reasoning_effort"] = msgspec.Raw(b'"none"')
        return
    made["thinking"] = raw
    losses.note("thinking", "chat completions cannot ask for thinking blocks; leave it out or set output_config.effort")


def _config(raw: msgspec.Raw, made: Fields, losses: Losses) -> None:
    asked = _object(raw, "output_config")
    effort, format = asked.pop("effort", None), asked.pop("format", None)
    if effort is not None:
        if effort not in EFFORTS:
            refuse("output_config.effort", f"expected one of {', '.join(EFFORTS)}, found {effort!r}")
        if made.get("reasoning_effort") is not None:  # thinking is disabled besides, which one word cannot say
            made["thinking"] = msgspec.Raw(b'{"type":"disabled"}')
            losses.note("thinking", "chat completions cannot say it beside output_config.effort; leave one of them out")
        made["reasoning_effort"] = msgspec.Raw(compact(effort))
    if format is not None:
        schema = format.get("schema") if isinstance(format, dict) else None
        if not isinstance(schema, dict) or format.get("type") != "json_schema":
            refuse("output_config.format", 'expected {"type": "json_schema", "schema": {…}}')
        named = {"name": "answer", "schema": schema, "strict": True}
        made["response_format"] = msgspec.Raw(compact({"type": "json_schema", "json_schema": named}))
    if asked := {name: value for name, value in asked.items() if value is not None}:
        made["output_config"] = msgspec.Raw(compact(asked))
        losses.note(f"output_config.{min(asked)}", "chat completions have no counterpart; leave it out")


def _tools(raw: msgspec.Raw, made: Fields, losses: Losses) -> None:
    asked = _any.decode(raw)
    if not isinstance(asked, list):
        refuse("tools", f"expected a list, found {_shown(raw)}")
    if asked:
        tools = [_tool(tool, f"tools[{index}]", losses) for index, tool in enumerate(asked)]
        made["tools"] = msgspec.Raw(compact(tools))


def _tool(tool: Any, where: str, losses: Losses) -> dict[str, Any]:
    if not isinstance(tool, dict):
        refuse(where, "expected an object")
    kind = tool.get("type")
    if isinstance(kind, str) and ANTHROPICS.fullmatch(kind):
        losses.note(f"{where}.type", f"{kind} is a tool of Anthropic's, which no other target knows")
        return tool
    if kind not in (None, "custom"):
        refuse(f"{where}.type", f"expected custom or a tool of Anthropic's (web_search_20250305, …), found {kind!r}")
    if not isinstance(tool.get("name"), str):
        refuse(f"{where}.name", "expected the tool's name")
    if not isinstance(tool.get("input_schema"), dict):
        refuse(f"{where}.input_schema", "expected a JSON Schema object")
    function: dict[str, Any] = {"name": tool["name"]}
    if tool.get("description") is not None:
        function["description"] = tool["description"]
    function["parameters"] = tool["input_schema"]
    if tool.get("strict"):
        function["strict"] = True
    made: dict[str, Any] = {"type": "function", "function": function}
    for name, value in tool.items():
        if name in ("type", "name", "description", "input_schema", "strict") or not value:
            continue
        if name == "allowed_callers" and value == _DIRECT:
            continue
        made[name] = value
        if name != "cache_control":
            losses.note(f"{where}.{name}", "chat completions have no counterpart; leave it out")
    return made


def _choice(raw: msgspec.Raw, made: Fields, losses: Losses) -> None:
    asked = _object(raw, "tool_choice")
    kind, alone = asked.get("type"), asked.get("disable_parallel_tool_use")
    if kind == "tool":
        if not isinstance(asked.get("name"), str):
            refuse("tool_choice.name", "expected the name of a tool")
        made["tool_choice"] = msgspec.Raw(compact({"type": "function", "function": {"name": asked["name"]}}))
    elif isinstance(kind, str) and kind in _CHOICES:
        made["tool_choice"] = _CHOICES[kind]
    else:
        refuse("tool_choice.type", f"expected auto, any, tool or none, found {kind!r}")
    if alone is True:
        made["parallel_tool_calls"] = msgspec.Raw(b"false")
    elif alone not in (None, False):
        refuse("tool_choice.disable_parallel_tool_use", "expected true or false")


_CHOICES = {
    "auto": msgspec.Raw(b'"auto"'),
    "any": msgspec.Raw(b'"required"'),
    "none": msgspec.Raw(b'"none"'),
}
_TRANSLATED: dict[str, Callable[[msgspec.Raw, Fields, Losses], None]] = {
    "max_tokens": _max_tokens,
    "stop_sequences": _stop,
    "metadata": _user,
    "service_tier": _tier,
    "thinking": _thinking,
    "output_config": _config,
    "tools": _tools,
    "tool_choice": _choice,
}


def _object(raw: msgspec.Raw, name: str) -> dict[str, Any]:
    found = _any.decode(raw)
    if not isinstance(found, dict):
        refuse(name, f"expected an object, found {_shown(raw)}")
    return found


def _shown(raw: msgspec.Raw) -> str:
    shown = bytes(raw)[:60].decode(errors="replace")
    return shown if len(raw) <= 60 else f"{shown}…"
