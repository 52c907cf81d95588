"""Bodies and chunks of dialects: read as far as they have the shape that their format promises.

What providers call compatible differs, and a wire takes an answer whose text, ends and counts it can read; whoever
tells that answer in another format must be able to read it too.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from roadworthy.formats.model import compact

T = TypeVar("T")
_NOTHING = object()


def read(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """What ``decoder`` makes of a body; where that is of another shape, without the members that are.

    Raises ``msgspec.DecodeError`` for what is not JSON or lacks what the type cannot be without.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        found = _fitted(msgspec.json.decode(body), _shape(decoder))
        return decoder.decode(compact(None if found is _NOTHING else found))


@cache
def _shape(decoder: msgspec.json.Decoder[Any]) -> inspect.Type:
    """Looked at once: some dialects have something of another shape in every chunk."""
    return inspect.type_info(decoder.type)


def _fitted(found: Any, kind: inspect.Type) -> Any:
    """``found`` without what does not fit, or ``_NOTHING``."""
    if isinstance(kind, inspect.UnionType):
        return next((made for one in kind.types if (made := _fitted(found, one)) is not _NOTHING), _NOTHING)
    if isinstance(kind, inspect.StructType):
        if not isinstance(found, dict):
            return _NOTHING
        inner = {
            field.encode_name: _fitted(found.get(field.encode_name, _NOTHING), field.type) for field in kind.fields
        }
        return {name: value for name, value in inner.items() if value is not _NOTHING}
    if isinstance(kind, inspect.ListType):
        if not isinstance(found, list):
            return _NOTHING
        return [made for item in found if (made := _fitted(item, kind.item_type)) is not _NOTHING]
    try:
        return msgspec.convert(found, _plain(kind), strict=not isinstance(found, float))  # some write 12.0 tokens
    except msgspec.ValidationError:
        return _NOTHING


_PLAIN = {inspect.StrType: str, inspect.IntType: int, inspect.FloatType: float, inspect.NoneType: None}


def _plain(kind: inspect.Type) -> Any:
    return dict if isinstance(kind, inspect.DictType) else _PLAIN.get(type(kind), Any)
