"""From the bytes of a request to its top-level fields, at a bounded cost.

The body is decoded once, one level deep: every field keeps its own bytes (``msgspec.Raw``), and the few that the
gateway reads are decoded alone.  What is refused: invalid UTF-8, invalid JSON, a body that is not an object,
nesting beyond the parser's limit, and a gateway field of the wrong type.  What the gateway does not know passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from roadworthy.gateway.errors import Refused
from roadworthy.gateway.ports import Fields

MOST_TAGS = 16
MOST_NESTED = 600
"""Levels of arrays and objects in a body that are read wherever we are; the parser's limit is the interpreter's stack
(``RECURSION``)."""
RECURSION = 700
"""Recursion limit of a worker: below that of everybody who reads its records, so that what it takes, they can read."""
LONGEST_NAME = 64
LONGEST_VALUE = 256

_BRACKET = ord("[")

T = TypeVar("T")

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any = msgspec.json.Decoder()
_string = msgspec.json.Decoder(str)
_maybe_string = msgspec.json.Decoder(str | None)
_bool = msgspec.json.Decoder(bool | None)
_int = msgspec.json.Decoder(int | None)


class Extension(msgspec.Struct, omit_defaults=True):
    """The caller's ``roadworthy`` object."""

    inputs: dict[str, str] = {}
    tags: dict[str, str] = {}
    session: str | None = None
    wait: float | None = None
    """Seconds that the caller holds on for a human's answer, should its call be escalated."""
    callback: str | None = None
    """URL registered on the key to which a human's answer is sent as well."""


_extension = msgspec.json.Decoder(Extension)
NO_EXTENSION = Extension()


def parse_fields(body: bytes) -> Fields:
    """Raises ``Refused`` 400 ``invalid_json`` or ``invalid_type``."""
    try:
        body.decode()
        return _fields.decode(body)
    except UnicodeDecodeError as error:
        raise Refused(
            400, "invalid_json", f"The body is not UTF-8 (byte {error.start}). Send JSON encoded as UTF-8."
        ) from None
    except RecursionError:
        raise too_deep() from None
    except msgspec.ValidationError:
        raise Refused(400, "invalid_type", 'The body must be a JSON object, such as {"model": …}.') from None
    except msgspec.DecodeError as error:
        raise Refused(400, "invalid_json", f"The body is not JSON: {error}.") from None


def too_deep() -> Refused:
    return Refused(400, "invalid_json", f"The body is nested too deeply: it may have {MOST_NESTED} levels.")


def read(fields: Fields, name: str, decoder: msgspec.json.Decoder[T], expected: str) -> T | None:
    """The value of one field, ``None`` when it is absent.  Raises ``Refused`` 400 ``invalid_type``."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(400, "invalid_type", f"'{name}' must be {expected}: {_shown(error)}.", param=name) from None


def loosely(raw: bytes | msgspec.Raw) -> Any:
    """All of a value of which ``parse_fields`` saw only the outside; ``None`` where it holds what no parser of ours
    takes (a number out of range, nesting beyond the limit).  That is for its provider to judge, and no fault of ours.
    """
    try:
        return _any.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def read_text(fields: Fields, name: str) -> str | None:
    return read(fields, name, _maybe_string, "a string")


def read_flag(fields: Fields, name: str) -> bool:
    return bool(read(fields, name, _bool, "true or false"))


def read_count(fields: Fields, name: str, default: int) -> int:
    value = read(fields, name, _int, "an integer")
    return default if value is None else value


def read_model(fields: Fields) -> str:
    """Raises ``Refused`` when ``model`` is missing, not a string or too long: it becomes a fact."""
    if "model" not in fields:
        raise Refused(400, "invalid_type", "'model' is missing: name the workflow to call.", param="model")
    model = read(fields, "model", _string, "a string") or ""
    if len(model) > LONGEST_VALUE:
        raise Refused(400, "invalid_type", f"'model' is longer than {LONGEST_VALUE} characters.", param="model")
    return model


def read_extension(fields: Fields) -> Extension:
    """The caller's ``roadworthy`` object, with bounded tags.  Raises ``Refused`` 400 ``invalid_type``."""
    if "roadworthy" not in fields:
        return NO_EXTENSION
    extension = read(fields, "roadworthy", _extension, "an object {inputs, tags, session, wait, callback}")
    if extension is None:
        return NO_EXTENSION
    check_tags(extension.tags)
    if extension.session is not None and len(extension.session) > LONGEST_VALUE:
        raise Refused(
            400,
            "invalid_type",
            f"'roadworthy.session' is longer than {LONGEST_VALUE} characters.",
            param="roadworthy",
        )
    return extension


def check_tags(tags: dict[str, str]) -> None:
    """Raises ``Refused`` when there are too many tags or one is too long: tags become indexed facts."""
    if len(tags) > MOST_TAGS:
        raise Refused(400, "invalid_type", f"{len(tags)} tags; at most {MOST_TAGS} are kept.", param="roadworthy")
    for name, value in tags.items():
        if len(name) > LONGEST_NAME or len(value) > LONGEST_VALUE:
            raise Refused(
                400,
                "invalid_type",
                f"Tag '{name[:LONGEST_NAME]}' is too long: names have at most {LONGEST_NAME} characters, "
                f"values {LONGEST_VALUE}.",
                param="roadworthy",
            )


def require_array(fields: Fields, name: str) -> None:
    """Raises ``Refused`` unless ``fields[name]`` is there and is an array (looked at, not parsed)."""
    raw = fields.get(name)
    if raw is None:
        raise Refused(400, "invalid_type", f"'{name}' is missing: it must be an array.", param=name)
    if memoryview(raw)[0] != _BRACKET:
        raise Refused(400, "invalid_type", f"'{name}' must be an array.", param=name)


def with_messages(fields: Fields, *more: Mapping[str, object]) -> msgspec.Raw:
    """``messages`` of a request with ``more`` behind them, spliced as bytes."""
    before = bytes(fields["messages"]).rstrip()[:-1].rstrip()
    comma = b"" if before.endswith(b"[") else b","
    return msgspec.Raw(b"%b%b%b]" % (before, comma, b",".join(map(msgspec.json.encode, more))))


def _shown(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
