"""What a call may bring and what its release fixes: prompt, parameters, tools and schema.

*Managed*: the release renders the system message from the caller's inputs and puts it before the caller's messages,
which may not hold any of their own.  *App-held*: the caller's system and developer messages must be a filling of the
frozen template.  Either way, fields that the release fixes follow ``caller_overrides``.

Every field of a request is fixed by the release, except those that cannot change what the model is asked
(``FREE_FIELDS``): a field that we do not know may be a sampling parameter of some provider, so it counts as fixed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.gateway.admission.body import Extension, loosely, parse_fields, require_array
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.ports import Fields
from roadworthy.gateway.surfaces.model import Surface
from roadworthy.gateway.world import Serving
from roadworthy.workflow.prompt import SYSTEM_ROLES, system_text

FREE_FIELDS = frozenset(
    {
        "model", "messages", "input", "stream", "stream_options", "user", "safety_identifier", "metadata", "roadworthy",
        "n", "logprobs", "top_logprobs", "store", "service_tier", "prompt_cache_key", "prompt_cache_retention",
        "encoding_format",
    }
)  # fmt: skip
"""Fields that a caller may always set."""

MOST_MESSAGES = 10_000
LONGEST_SCHEMA = 64 * 1024
PROMPT_UNRELEASED = "prompt_unreleased"

_NULL = b"null"


class _Role(msgspec.Struct, gc=False):
    role: str


class _Message(msgspec.Struct):
    role: str
    content: msgspec.Raw = msgspec.Raw(_NULL)


_roles = msgspec.json.Decoder(list[_Role])
_messages = msgspec.json.Decoder(list[_Message])
_any = msgspec.json.Decoder()
_encode = msgspec.json.encode


class Prepared(msgspec.Struct):
    """A request as it goes to a target, ``model`` and ``stream`` aside."""

    fields: Fields
    prompt: str | None = None
    """The rendered system message of a managed prompt."""
    overrides: list[str] = []
    notes: list[str] = []


class PromptUnreleased(Exception):
    """An app-held prompt that is not the frozen one, of a caller who is not a tester, under ``enforce``."""


def prepare(serving: Serving, fields: Fields, extension: Extension, surface: Surface, *, tester: bool) -> Prepared:
    """Apply the release to a request.  ``fields`` becomes ``Prepared.fields`` (changed in place).

    ``surface`` knows what the caller calls them.

    Raises ``Refused`` (400 ``system_messages_refused``, ``inputs_missing``, ``invalid_type``, ``override_refused``)
    and ``PromptUnreleased``.
    """
    fields.pop("roadworthy", None)
    prepared = Prepared(fields)
    if serving.operation == "chat" and "messages" in fields:
        _bound_messages(fields)
    if serving.release is None:
        return prepared
    if serving.template is not None and serving.operation == "chat":
        require_array(fields, "messages")
        if serving.managed:
            prepared.prompt = _render(serving, extension)
            fields["messages"] = _spliced(serving, fields["messages"], prepared.prompt, surface)
        elif not _matches(serving, fields["messages"]):
            if serving.enforced and not tester:
                raise PromptUnreleased
            prepared.notes = [PROMPT_UNRELEASED]
    _apply_release(serving, prepared, surface)
    return prepared


def _bound_messages(fields: Fields) -> None:
    """A cheap look at the bytes; what writes ``role`` with an escape is counted once it is decoded."""
    raw = memoryview(fields["messages"])
    if len(raw) > 10 * MOST_MESSAGES and bytes(raw).count(b'"role"') > MOST_MESSAGES:
        raise _too_many_messages()


def _too_many_messages() -> Refused:
    return Refused(
        400,
        "bad_request",
        f"'messages' holds more than {MOST_MESSAGES} messages.",
        param="messages",
        failure="bad_request",
    )


def _render(serving: Serving, extension: Extension) -> str:
    assert serving.template is not None
    given = extension.inputs
    values: dict[str, str] = {}
    missing: list[str] = []
    for name, spec in serving.inputs.items():
        value = given.get(name, spec.default)
        if value is None:
            if spec.required:
                missing.append(name)
            value = ""
        elif len(value) > spec.max_chars:
            raise Refused(
                400,
                "invalid_type",
                f"Input '{name}' has {len(value)} characters; at most {spec.max_chars} are allowed.",
                param=f"roadworthy.inputs.{name}",
            )
        values[name] = value
    if missing:
        raise Refused(
            400,
            "inputs_missing",
            f"Workflow '{serving.name}' needs {_quoted(missing)} in 'roadworthy.inputs'.",
            param="roadworthy.inputs",
        )
    unknown = [name for name in given if name not in serving.inputs]
    if unknown:
        known = _quoted(list(serving.inputs)) if serving.inputs else "none"
        raise Refused(
            400,
            "invalid_type",
            f"Workflow '{serving.name}' has no input {_quoted(unknown)}. Its inputs: {known}.",
            param="roadworthy.inputs",
        )
    return serving.template.render(values) + serving.canary_line


def _spliced(serving: Serving, messages: msgspec.Raw, prompt: str, surface: Surface) -> msgspec.Raw:
    """The caller's messages, byte for byte, behind our system message."""
    _refuse_system_messages(serving, messages, surface)
    rest = bytes(messages)[1:].lstrip()
    comma = b"" if rest.startswith(b"]") else b","
    return msgspec.Raw(b'[{"role":"system","content":%b}%b%b' % (_encode(prompt), comma, rest))


def _refuse_system_messages(serving: Serving, messages: msgspec.Raw, surface: Surface) -> None:
    for index, message in enumerate(_decoded(_roles, messages)):
        if message.role in SYSTEM_ROLES:
            found, param = f"messages[{index}] has the role '{message.role}'", f"messages[{index}].role"
            left_out = "system and developer messages"
            if surface.format != "chat":
                param = surface.name("system")
                found, left_out = f"'{param}', or a message, holds a system prompt", f"'{param}' and such messages"
            raise Refused(
                400,
                "system_messages_refused",
                f"{found}, but the prompt of '{serving.name}' is managed: "
                f"send its inputs in 'roadworthy.inputs' and leave {left_out} out.",
                param=param,
            )


def _matches(serving: Serving, messages: msgspec.Raw) -> bool:
    assert serving.template is not None
    system = [message for message in _decoded(_messages, messages) if message.role in SYSTEM_ROLES]
    if len(system) == 1 and bytes(system[0].content) == serving.held_content:
        return True
    held = [{"role": message.role, "content": loosely(message.content)} for message in system]
    return serving.template.match(system_text(held) or "") is not None


def _decoded(decoder: msgspec.json.Decoder[Any], messages: msgspec.Raw) -> Any:
    try:
        decoded = decoder.decode(messages)
    except (msgspec.DecodeError, RecursionError) as error:
        shown = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(
            400, "invalid_type", f"'messages' must be an array of objects with a 'role': {shown}.", param="messages"
        ) from None
    if len(decoded) > MOST_MESSAGES:
        raise _too_many_messages()
    return decoded


def _apply_release(serving: Serving, prepared: Prepared, surface: Surface) -> None:
    """Put the release's fields in and decide about the caller's own."""
    assert serving.behaviour is not None
    fields, released = prepared.fields, serving.released
    rule = serving.behaviour.caller_overrides
    if surface.forced:
        _settle_forced(fields, released, surface, rule)
    differing = [
        name
        for name in fields
        if name not in FREE_FIELDS and name not in surface.forced and _differs(name, fields[name], released.get(name))
    ]
    if differing:
        allowed = rule if isinstance(rule, list) else []
        unwanted = [name for name in differing if name not in allowed]
        if rule == "ignore":
            for name in differing:
                del fields[name]
        elif unwanted and serving.enforced:
            own = [surface.name(name) for name in unwanted]
            listed = "it" if own == unwanted else _quoted(unwanted)
            raise Refused(
                400,
                "override_refused",
                f"{_quoted(own)} is fixed by the release of '{serving.name}'. Leave it out, or list {listed} under "
                "'caller_overrides' in workflow.yaml and freeze.",
                param=own[0],
            )
        prepared.overrides = differing
    kept = () if rule == "ignore" else prepared.overrides
    given = surface.forced and not surface.forced.isdisjoint(fields)
    for name, value in released.items():
        if name not in kept and not (given and name in surface.forced):
            fields[name] = value


def vet_unknown(serving: Serving, where: str) -> None:
    """A member of a turn, an item or a part that nobody here knows (``messages[0].output_config``) is the caller's own
    word beside the release, for it goes out as it came.  Raises ``Refused`` 400 ``override_refused``."""
    assert serving.behaviour is not None
    rule, name = serving.behaviour.caller_overrides, where.rpartition(".")[2]
    if serving.enforced and not (isinstance(rule, list) and name in rule):
        raise Refused(
            400,
            "override_refused",
            f"'{where[:128]}' is not known here, and the release of '{serving.name}' fixes what goes out. Leave it "
            f"out, or list '{name[:64]}' under 'caller_overrides' in workflow.yaml and freeze.",
            param=where[:128],
        )


def _settle_forced(fields: Fields, released: Fields, surface: Surface, rule: object) -> None:
    """A limit that the format makes its callers send is a wish where the release has one of its own (and does not leave
    it to the caller), and else is what goes out."""
    fixed = [name for name in surface.forced if name in released]
    if fixed and not (isinstance(rule, list) and not surface.forced.isdisjoint(rule)):
        for name in surface.forced:
            fields.pop(name, None)


def _differs(name: str, given: msgspec.Raw, fixed: msgspec.Raw | None) -> bool:
    mine = bytes(given)
    if mine == _NULL:
        return False
    if fixed is None:
        return True
    if mine == bytes(fixed):
        return False
    asked, released = loosely(given), _any.decode(fixed)
    return asked != released and not (name == "response_format" and _same_schema(asked, released))


def schema_of_caller(serving: Serving, body: bytes) -> dict[str, Any] | None:
    """The JSON Schema that the request (its bytes, read before) asks for; ``None``: none, or the release's.

    One that cannot be read, or is too long to be compiled while others wait, is ``False`` in schema language: nothing
    satisfies it.
    """
    given = parse_fields(body).get("response_format")
    if given is None or not _differs("response_format", given, serving.released.get("response_format")):
        return None
    asked = loosely(given)
    if asked is None:
        return {"not": {}}
    if not isinstance(asked, dict) or asked.get("type") != "json_schema":
        return None
    described = asked.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    return schema if isinstance(schema, dict) and len(bytes(given)) <= LONGEST_SCHEMA else {"not": {}}


def _same_schema(asked: Any, released: Any) -> bool:
    """Is it the released schema under another name?  OpenAI's client names a schema after its class."""
    described = asked.get("json_schema") if isinstance(asked, dict) else None
    if not isinstance(described, dict):
        return False
    return {**asked, "json_schema": {**described, "name": released["json_schema"]["name"]}} == dict(released)


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name[:64]}'" for name in names[:10])
