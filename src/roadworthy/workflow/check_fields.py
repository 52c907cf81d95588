"""How the options of each kind of check are read from workflow.yaml: fields made from ``check_options``."""

from __future__ import annotations

from typing import Any, Final

from roadworthy.workflow.check_options import CHECK_KINDS, Option
from roadworthy.workflow.fields import Field, Kind, ListOf
from roadworthy.workflow.kinds import Boolean, Choice, File, Number, Secret, Share, Text, Url
from roadworthy.workflow.model import CheckKind
from roadworthy.workflow.shapes import Pattern

MOST_ENTRIES: Final = 500


def _kind(option: Option) -> Kind:
    match option.type:
        case "texts":
            return ListOf(Text("a phrase"), MOST_ENTRIES)
        case "patterns":
            return ListOf(Pattern(), MOST_ENTRIES)
        case "names":
            return ListOf(Choice(option.choices) if option.choices else Text("a name"), MOST_ENTRIES)
        case "whole":
            return Number(option.low, option.high, "a whole number", whole=True)
        case "share":
            return Share()
        case "flag":
            return Boolean()
        case "template":
            return File("a text file with the hole {{ answer }}, and {{ question }} and {{ mark }} if it wants them")
        case "url":
            return Url()
        case "secret":
            return Secret()
        case "function":
            return Text("the dotted path of a function such as checks.tone:check")


def _shown(default: Any) -> str:
    if default is None:
        return ""
    if isinstance(default, tuple):
        return f"[{', '.join(default)}]"
    return str(default).lower() if isinstance(default, bool) else f"{default:g}"


OPTION_FIELDS: Final[dict[CheckKind, dict[str, Field]]] = {
    kind: {
        name: Field(_kind(option), option.doc, option.required, _shown(option.default))
        for name, option in row.options.items()
    }
    for kind, row in CHECK_KINDS.items()
}
"""Kind → its option fields, to be joined with the keys that every check has."""
