"""What a simulated target answers: words, JSON that satisfies a schema, tool calls, vectors.  Pure and seeded."""

from __future__ import annotations

import base64
import math
import re
import struct
from typing import Any

import msgspec

from roadworthy.workflow.simulation import Fault, Profile, Seeded

CHARS_PER_TOKEN = 4
MOST_CHOICES = 128
MOST_DIMENSIONS = 8192
_DEEP = 8
_SENTENCES = (
    " the order was sent on Monday and should arrive within two days; please keep this receipt for your records."
    " we looked into the charge on your account, found that it was made twice and returned the second one."
    " to change the address open settings, choose profile and save; nothing else is needed from your side."
    " a colleague will write to you before the end of the day with the next step and a date for it."
)
WORDS = tuple(f" {word}" for word in _SENTENCES.split())
_GLYPHS = (" né", " größer", " 漢字", " 🙂", " naïve")


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: str | list[Any] | None = None


class Asked(msgspec.Struct, gc=False):
    """A request, as far as a simulated target looks at it."""

    model: str = ""
    messages: list[_Message] = []
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    logprobs: bool | None = None
    seed: int | None = None
    input: Any = None
    dimensions: int | None = None
    encoding_format: str | None = None

    def texts(self) -> list[str]:
        found: list[str] = []
        for message in self.messages:
            if isinstance(message.content, str):
                found.append(message.content)
            else:
                parts = [part for part in message.content or () if isinstance(part, dict)]
                found += [part["text"] for part in parts if isinstance(part.get("text"), str)]
        return found

    def too_much(self) -> str | None:
        """What is asked for beyond reason, in words: an answer must not keep the server from its other callers."""
        if (self.n or 1) > MOST_CHOICES:
            return f"'n' must be at most {MOST_CHOICES}"
        if (self.dimensions or 1) > MOST_DIMENSIONS:
            return f"'dimensions' must be at most {MOST_DIMENSIONS}"
        return None

    @property
    def begun(self) -> str:
        """The answer that the request has begun (its last message is the assistant's); empty: none."""
        last = self.messages[-1] if self.messages else None
        return last.content if last is not None and last.role == "assistant" and isinstance(last.content, str) else ""

    @property
    def limit(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


class Spoken(msgspec.Struct, gc=False):
    """One choice: its text in tokens, or a tool call."""

    pieces: list[str]
    """Tokens of the content, or of the tool call's arguments."""
    finish: str = "stop"
    tool: str | None = None
    refusal: bool = False
    null: bool = False
    """``content: null`` and nothing else."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def count(chars: int) -> int:
    """Tokens of so many characters."""
    return -(-chars // CHARS_PER_TOKEN)


def speak(profile: Profile, asked: Asked, random: Seeded, fault: Fault | None) -> Spoken:
    """One choice of the answer, faults of content included."""
    tool = _tool(profile, asked)
    if tool is not None:
        name, parameters = tool
        arguments = msgspec.json.encode(example(parameters, random)).decode()
        if fault is not None and fault.name == "tool":
            name = "unknown_tool" if fault.options["as"] == "unknown" else name
            arguments = arguments if fault.options["as"] == "unknown" else '{"broken": '
        return Spoken(_cut(arguments), "tool_calls", tool=name)
    schema = _schema(asked)
    if fault is not None and fault.name == "content":
        return _faulty(fault, schema, random)
    if schema is not None:
        pieces = _cut(msgspec.json.encode(example(schema, random)).decode())
    elif asked.begun:
        pieces = _rest(profile, asked.begun, random)
    elif profile.answers:
        pieces = _cut(profile.answers[random.below(len(profile.answers))])
    else:
        pieces = _words(max(1, round(profile.output_tokens.draw(random))), random, fault)
    spoken = Spoken(pieces)
    if asked.limit is not None and len(pieces) > asked.limit:
        spoken = Spoken(pieces[: asked.limit], "length")
    if fault is not None and fault.name == "finish":
        spoken.finish = fault.options["reason"]
        if spoken.finish == "length":
            spoken.pieces = spoken.pieces[: max(1, len(spoken.pieces) // 2)]
    return spoken


def _words(tokens: int, random: Seeded, fault: Fault | None) -> list[str]:
    words = _GLYPHS if fault is not None and fault.name == "split_utf8" else WORDS
    start = random.below(len(words))
    repeated = words * (tokens // len(words) + 2)
    pieces = list(repeated[start : start + tokens])
    pieces[0] = pieces[0].lstrip().capitalize()
    return pieces


def _rest(profile: Profile, begun: str, random: Seeded) -> list[str]:
    """What follows an answer that was begun: it knows what it would have said."""
    for answer in profile.answers:
        if answer.startswith(begun):
            return _cut(answer[len(begun) :])
    total = round(profile.output_tokens.draw(random))
    cycle = "".join(WORDS)
    last = begun[-24:].lower() if len(begun) > 24 else f" {begun.lower()}"
    at = (cycle * 2).lower().find(last) + len(last)
    rest = (cycle * (2 + total * 12 // len(cycle)))[at if at >= len(last) else 0 :]
    words = re.findall(r"\s*\S+", rest)
    in_a_word = not words[0].startswith(" ")
    return words[: max(1, total - len(begun.split()) + in_a_word)]


def _cut(text: str) -> list[str]:
    return [text[at : at + CHARS_PER_TOKEN] for at in range(0, len(text), CHARS_PER_TOKEN)]


def _faulty(fault: Fault, schema: dict[str, Any] | None, random: Seeded) -> Spoken:
    kind = fault.options["as"]
    if kind == "null":
        return Spoken([], null=True)
    if kind == "refusal":
        return Spoken(_cut("I'm sorry, I can't help with that."), refusal=True)
    proper = msgspec.json.encode(example(schema, random)).decode() if schema is not None else '{"answer": "yes"}'
    said = {
        "text": fault.options.get("text", ""),
        "prose": f"Sure! Here is the JSON you asked for:\n```json\n{proper}\n```\nAnything else?",
        "schema_violation": '{"unexpected": true}',
        "html": "<img src=x onerror=alert(1)><script>alert(1)</script>",
        "nul": "before\x00after\ufffe\u202e",
        "huge": "again and " * (fault.options.get("bytes", 1024 * 1024) // 10 + 1),
    }[kind]
    return Spoken(_cut(said))


def _schema(asked: Asked) -> dict[str, Any] | None:
    wanted = asked.response_format or {}
    if wanted.get("type") == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    return schema if isinstance(schema, dict) else None


def _tool(profile: Profile, asked: Asked) -> tuple[str, dict[str, Any]] | None:
    """(name, schema) of the tool to call: the one that is asked for, else the first, and once a conversation."""
    if not asked.tools or profile.tools == "ignore" or asked.tool_choice == "none":
        return None
    if asked.messages and asked.messages[-1].role == "tool":
        return None
    functions = [tool["function"] for tool in asked.tools if isinstance(tool.get("function"), dict)]
    if isinstance(asked.tool_choice, dict):
        wanted = (asked.tool_choice.get("function") or {}).get("name")
        functions = [function for function in functions if function.get("name") == wanted] or functions
    if not functions:
        return None
    return str(functions[0].get("name")), functions[0].get("parameters") or {"type": "object"}


def example(schema: Any, random: Seeded) -> Any:
    """A value that satisfies the schema; ``pattern``, ``not`` and ``if`` are beyond it."""
    return _value(schema, schema, random, 0)


def _value(schema: Any, root: Any, random: Seeded, depth: int) -> Any:
    if not isinstance(schema, dict):
        return "anything"
    if "$ref" in schema:
        return _value(_resolved(schema["$ref"], root), root, random, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][random.below(len(schema["enum"]))]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            branches = schema[key]
            branch = branches[-1] if depth > _DEEP else branches[random.below(len(branches))]
            return _value({**schema, key: None, **branch} if isinstance(branch, dict) else {}, root, random, depth + 1)
    if schema.get("allOf"):
        return _value(_joined(schema, root), root, random, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = "null" if depth > _DEEP and "null" in kind else kind[0]
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    if kind == "object":
        return _object(schema, root, random, depth)
    if kind == "array":
        low = schema.get("minItems", 0)
        length = low if depth > _DEEP else min(schema.get("maxItems", low + 2), low + random.below(3))
        return [_value(schema.get("items", {"type": "integer"}), root, random, depth + 1) for _ in range(length)]
    if kind in ("integer", "number"):
        return _number(schema, kind == "integer", random)
    if kind == "boolean":
        return random.below(2) == 1
    return None if kind == "null" else _string(schema, random)


def _object(schema: dict[str, Any], root: Any, random: Seeded, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    required = schema.get("required") or []
    names = [name for name in properties if depth <= _DEEP or name in required]
    names += [name for name in required if name not in properties]
    return {name: _value(properties.get(name, {}), root, random, depth + 1) for name in names}


def _resolved(reference: Any, root: Any) -> Any:
    found = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        if part and isinstance(found, dict):
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
    return found


def _joined(schema: dict[str, Any], root: Any) -> dict[str, Any]:
    joined = {key: value for key, value in schema.items() if key != "allOf"}
    for branch in schema["allOf"]:
        branch = _resolved(branch["$ref"], root) if isinstance(branch, dict) and "$ref" in branch else branch
        for key, value in branch.items() if isinstance(branch, dict) else ():
            if key == "properties":
                joined["properties"] = {**joined.get("properties", {}), **value}
            elif key == "required":
                joined["required"] = [*joined.get("required", []), *value]
            else:
                joined[key] = value
    return joined


def _number(schema: dict[str, Any], integer: bool, random: Seeded) -> int | float:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    low = low if low is not None else (high - 100 * step if high is not None else 0)
    high = high if high is not None else low + 100 * step
    if not integer and "multipleOf" not in schema:
        return float(low + (high - low) * random.share())
    first = math.floor(low / step) + 1 if low == schema.get("exclusiveMinimum") else math.ceil(low / step)
    last = math.ceil(high / step) - 1 if high == schema.get("exclusiveMaximum") else math.floor(high / step)
    picked = (first + random.below(max(1, last - first + 1))) * step
    return int(picked) if integer else picked


_FORMATS = {
    "date-time": "2026-03-14T09:26:53Z",
    "date": "2026-03-14",
    "time": "09:26:53Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "9b2e6f0a-41c7-4f0e-9d3a-5a6f1c2d3e4f",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "duration": "P1D",
}


def _string(schema: dict[str, Any], random: Seeded) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    made = "".join(_words(4 + random.below(12), random, None))
    while len(made) < low:
        made += " and so on"
    return made if high is None else made[:high]


def vectors(asked: Asked, profile: Profile, seed: int) -> tuple[list[Any], int]:
    """(embeddings, prompt tokens); equal inputs have equal vectors of length 1."""
    inputs = asked.input if isinstance(asked.input, list) and not _is_tokens(asked.input) else [asked.input]
    made, tokens = [], 0
    for item in inputs:
        told = item if isinstance(item, str) else repr(item)
        tokens += count(len(item)) if isinstance(item, str) else len(item or ())
        random = Seeded(seed ^ int.from_bytes(told.encode()[:4096], "big") % (1 << 61))
        raw = [random.share() - 0.5 for _ in range(asked.dimensions or profile.embedding_dimensions)]
        norm = math.sqrt(sum(value * value for value in raw))
        vector = [value / norm for value in raw]
        packed = struct.pack(f"<{len(vector)}f", *vector)
        made.append(base64.b64encode(packed).decode() if asked.encoding_format == "base64" else vector)
    return made, max(1, tokens)


def _is_tokens(found: list[Any]) -> bool:
    return bool(found) and all(isinstance(item, int) for item in found)
