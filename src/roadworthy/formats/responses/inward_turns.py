"""Input items of a Responses request as chat messages.

Neighbours that are one turn of the assistant (its message, its calls) become one message: chat wants the results of
all calls of a turn right behind them.  Of items that a client got from an answer and sends back, ``id``, ``status``,
``logprobs`` and ``annotations`` are facts about the answer that no model reads; they are left behind.

Source: OpenAI API reference, "Create a model response" (``input``).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from roadworthy.formats.losses import Losses
from roadworthy.formats.model import compact, refuse
from roadworthy.formats.responses.words import FOREIGN, full_name

_NONE = msgspec.Raw(b"null")
_QUOTE = ord('"')


class _Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Every kind of item that is served, in one: a struct a kind would cost a look at each item before its reading."""

    type: str | None = None
    role: str | None = None
    content: msgspec.Raw = _NONE
    id: str | None = None
    status: str | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: msgspec.Raw = _NONE
    input: msgspec.Raw = _NONE
    output: msgspec.Raw = _NONE
    summary: msgspec.Raw = _NONE
    encrypted_content: str | None = None


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A turn that chat completions write the same way, where its content is a text."""

    role: Literal["user", "assistant", "system", "developer"]
    content: msgspec.Raw


_items = msgspec.json.Decoder(list[_Item])
_plain = msgspec.json.Decoder(list[_Plain])
_list = msgspec.json.Decoder(list[Any])
_text = msgspec.json.Decoder(str)
_KNOWN = frozenset(_Item.__struct_fields__)
_KINDS = (
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "custom_tool_call",
    "custom_tool_call_output",
)
_ROLES = ("user", "system", "developer")


def messages(asked: bytes, instructions: bytes | None, losses: Losses) -> bytes:
    """JSON of ``input`` and of ``instructions`` → JSON of ``messages``.

    Raises ``Inexpressible``.
    """
    turns = _Turns(losses)
    if instructions is not None:
        if not instructions.startswith(b'"'):
            refuse("instructions", "expected a string")
        turns.made.append(b'{"role":"system","content":%b}' % instructions)
    if asked.startswith(b'"'):
        turns.made.append(b'{"role":"user","content":%b}' % asked)
    elif asked.startswith(b"[") and _is_plain(asked):
        turns.made.append(asked[1:-1])
    elif asked.startswith(b"["):
        for index, item in enumerate(_read(asked, losses)):
            content = bytes(item.content)
            if item.role in _ROLES and content.startswith(b'"') and item.type in (None, "message"):
                if turns.open:
                    turns.close()
                turns.made.append(b'{"role":"%b","content":%b}' % (item.role.encode(), content))
            else:
                turns.add(item, content, f"input[{index}]")
        turns.close()
    else:
        refuse("input", "expected a text or a list of items")
    if not turns.made:
        refuse("input", "is empty; send at least one message")
    return b"[%b]" % b",".join(turns.made)


def _is_plain(asked: bytes) -> bool:
    try:
        turns = _plain.decode(asked)
    except msgspec.ValidationError:
        return False
    return bool(turns) and all([bytes(turn.content)[0] == _QUOTE for turn in turns])


def _read(asked: bytes, losses: Losses) -> list[_Item]:
    try:
        return _items.decode(asked)
    except msgspec.ValidationError:
        return _items_of(_list.decode(asked), losses)


def _items_of(found: list[Any], losses: Losses) -> list[_Item]:
    """Items of which some say what we do not know: that is lost, the rest is read."""
    kept = []
    for index, item in enumerate(found):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            refuse(where, "expected an object")
        _known_kind(item.get("type"), where)
        for name, value in item.items():
            if name not in _KNOWN and value is not None:
                losses.note(f"{where}.{name}", FOREIGN, unknown=True)
        kept.append({name: value for name, value in item.items() if name in _KNOWN})
    try:
        return _items.decode(compact(kept))
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        refuse(f"input{path.rstrip('`')}", what[:1].lower() + what[1:])


def _known_kind(kind: Any, where: str) -> None:
    if kind is None or kind in _KINDS:
        return
    if kind == "item_reference":
        refuse(where, "is a reference to a stored item, and nothing is stored here; send the item itself")
    refuse(f"{where}.type", f"{kind!r} is not served; expected one of {', '.join(_KINDS)}")


class _Turns:
    """Chat messages in the making.  ``open``: the assistant's turn that the next item may still add to."""

    def __init__(self, losses: Losses) -> None:
        self.made: list[bytes] = []
        self._losses = losses
        self.open = False
        self._parts: list[dict[str, Any]] = []
        self._calls: list[bytes] = []
        self._thoughts = ""

    def add(self, item: _Item, content: bytes, where: str) -> None:
        kind = item.type or "message"
        if kind == "message":
            self._message(item, content, where)
        elif kind == "function_call":
            function = b'{"name":%b,"arguments":%b}' % (
                _named(item, where),
                _string(item.arguments, f"{where}.arguments"),
            )
            self._call(b'{"id":%b,"type":"function","function":%b}' % (_call_id(item, where), function))
        elif kind == "custom_tool_call":
            custom = b'{"name":%b,"input":%b}' % (_named(item, where), _string(item.input, f"{where}.input"))
            self._call(b'{"id":%b,"type":"custom","custom":%b}' % (_call_id(item, where), custom))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self.close()
            output = self._content(bytes(item.output), f"{where}.output")
            self.made.append(b'{"role":"tool","tool_call_id":%b,"content":%b}' % (_call_id(item, where), output))
        elif kind == "reasoning":
            self._reasoning(item, content, where)
        else:
            _known_kind(kind, where)

    def close(self) -> None:
        """The assistant's turn is whole."""
        if not self.open:
            return
        self.open = False
        message: dict[str, Any] = {"role": "assistant"}
        parts = self._parts
        if len(parts) == 1 and parts[0]["type"] in ("text", "refusal") and len(parts[0]) == 2:
            message["content"] = parts[0].get("text")
            if parts[0]["type"] == "refusal":
                message["refusal"] = parts[0]["refusal"]
        else:
            message["content"] = parts or None
        if self._thoughts:
            if not (parts or self._calls):
                message["content"] = ""  # broke off while it thought
            message["reasoning_content"] = self._thoughts
        if self._calls:
            message["tool_calls"] = msgspec.Raw(b"[%b]" % b",".join(self._calls))
        self.made.append(compact(message))
        self._parts, self._calls, self._thoughts = [], [], ""

    def _message(self, item: _Item, content: bytes, where: str) -> None:
        if item.role == "assistant":
            if item.phase is not None:
                self._losses.note(f"{where}.phase", FOREIGN)
            if self._parts and not self._calls:
                self.close()
            self.open = True
            if content.startswith(b'"'):
                self._parts.append({"type": "text", "text": _text.decode(content)})
            else:
                self._parts += self._translated(content, f"{where}.content")
        elif item.role in _ROLES:
            self.close()
            self.made.append(
                b'{"role":"%b","content":%b}' % (item.role.encode(), self._content(content, f"{where}.content"))
            )
        else:
            refuse(f"{where}.role", f"expected user, assistant, system or developer, found {item.role!r}")

    def _call(self, call: bytes) -> None:
        self.open = True
        self._calls.append(call)

    def _reasoning(self, item: _Item, content: bytes, where: str) -> None:
        """A summary is for people; only what the model itself thought (``content``) goes back to one."""
        if item.encrypted_content:
            self._losses.note(f"{where}.encrypted_content", "can be read by the provider alone that wrote it")
        if content != b"null":
            if self._parts or self._calls:
                self.close()
            for index, part in enumerate(_parts(content, f"{where}.content")):
                if part.get("type") != "reasoning_text" or not isinstance(part.get("text"), str):
                    refuse(f"{where}.content[{index}]", "expected a part of type reasoning_text")
                self.open = True
                self._thoughts += part["text"]

    def _content(self, content: bytes, where: str) -> bytes:
        """Text as it is, or parts; a single text is told as one, which every provider of chat completions takes."""
        if content.startswith(b'"'):
            return content
        parts = self._translated(content, where)
        return compact(parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts)

    def _translated(self, content: bytes, where: str) -> list[dict[str, Any]]:
        return [self._part(part, f"{where}[{index}]") for index, part in enumerate(_parts(content, where))]

    def _part(self, part: dict[str, Any], where: str) -> dict[str, Any]:
        left = {name: value for name, value in part.items() if value is not None}
        kind = left.pop("type", None)
        if kind in ("input_text", "output_text", "text") and isinstance(left.get("text"), str):
            made: dict[str, Any] = {"type": "text", "text": left.pop("text")}
            if kind == "output_text":
                left.pop("annotations", None)
                left.pop("logprobs", None)
        elif kind == "refusal" and isinstance(left.get("refusal"), str):
            made = {"type": "refusal", "refusal": left.pop("refusal")}
        elif kind == "input_image":
            made = self._image(left, where)
        elif kind == "input_file":
            made = self._file(left, where)
        elif kind == "input_audio" and isinstance(left.get("input_audio"), dict):
            made = {"type": "input_audio", "input_audio": left.pop("input_audio")}
        else:
            refuse(where, f"expected a part of type input_text, input_image, input_file or output_text, found {kind!r}")
        if "prompt_cache_breakpoint" in left:
            made["prompt_cache_breakpoint"] = left.pop("prompt_cache_breakpoint")
        for name in left:
            self._losses.note(f"{where}.{name}", FOREIGN, unknown=True)
        return made

    def _image(self, left: dict[str, Any], where: str) -> dict[str, Any]:
        if "image_url" not in left and "file_id" not in left:
            refuse(where, "expected `image_url`")
        image = {"url": left.pop("image_url", "")}
        if not isinstance(image["url"], str):
            refuse(f"{where}.image_url", "expected a string: an http(s) URL or a data URL")
        if left.get("detail") == "original":
            self._losses.note(f"{where}.detail", "is not expressed by chat completions, which take auto, low or high")
        if "detail" in left:
            image["detail"] = left.pop("detail")
        return {"type": "image_url", "image_url": image}

    def _file(self, left: dict[str, Any], where: str) -> dict[str, Any]:
        file = {name: left.pop(name) for name in ("file_data", "file_id", "filename") if name in left}
        if "file_data" not in file and "file_id" not in file and "file_url" not in left:
            refuse(where, "expected `file_data` with `filename`")
        if left.get("detail") == "auto":
            del left["detail"]
        return {"type": "file", "file": file}


def _parts(content: bytes, where: str) -> list[dict[str, Any]]:
    if not content.startswith(b"["):
        refuse(where, "expected a text or a list of parts")
    parts = _list.decode(content)
    for index, part in enumerate(parts):
        if not isinstance(part, dict):
            refuse(f"{where}[{index}]", "expected an object")
    return parts


def _string(raw: msgspec.Raw, where: str) -> bytes:
    json = bytes(raw)
    if not json.startswith(b'"'):
        refuse(where, "expected a string")
    return json


def _named(item: _Item, where: str) -> bytes:
    return _present(full_name(item.namespace, item.name) if item.name else None, f"{where}.name")


def _call_id(item: _Item, where: str) -> bytes:
    return _present(item.call_id, f"{where}.call_id")


def _present(value: str | None, where: str) -> bytes:
    if not value:
        refuse(where, "is missing")
    return compact(value)
