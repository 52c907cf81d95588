"""The kinds of declared checks as plain data: what each is for, what it may be told, and what a stream needs of it.

Everything that reads or shows checks takes it from here: the parser of workflow.yaml (``check_fields``), the checks
themselves (``fallback/checks``), ``roadworthy check`` and docs/checks.md.  Nothing here loads more than the standard
library, for gateway workers import it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from roadworthy.workflow.model import CheckKind, CheckSpec

OptionType = Literal["texts", "patterns", "names", "whole", "share", "flag", "template", "url", "secret", "function"]
"""``texts``: a list of text; ``patterns``: of RE2 patterns; ``names``: of ``Option.choices`` (of anything when there
are none); ``whole``: a whole number; ``share``: a number in (0, 1]; ``template``: a text file with ``{{ holes }}``;
``function``: a dotted path such as ``checks.tone:check``."""

LANGUAGES: Final = (
    "ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "id", "it", "ja",
    "ko", "lt", "lv", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "th", "tr", "uk", "vi", "zh",
)  # fmt: skip
"""ISO 639-1 codes that ``language`` tells apart."""

PERSONAL: Final = ("email", "phone", "card", "iban", "ssn", "ip")
"""What ``personal_data`` looks for."""

GUARD_HOLES: Final = frozenset({"answer", "question", "mark"})
"""Of the template of ``guard``; ``mark`` is a number that is new for every call."""


@dataclass(frozen=True)
class Option:
    """One setting of a kind."""

    type: OptionType
    doc: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 10_000_000


@dataclass(frozen=True)
class CheckRow:
    """One kind of check."""

    doc: str
    failure: Literal["invalid", "refused", "unsafe"]
    """What an answer that does not pass becomes, unless the check says otherwise."""
    options: Mapping[str, Option] = field(default_factory=dict)
    timeout: float = 1.0
    """Seconds, unless the check says otherwise."""
    target: bool = False
    """Needs ``target: NAME``."""
    one_of: tuple[str, ...] = ()
    """At least one of these options must be there."""
    span: int | None = None
    """Longest text in characters that a finding needs to be seen in; ``None``: the whole answer."""


_THRESHOLD: Final = Option("share", "Scores from here on do not pass.", 0.5)

CHECK_KINDS: Final[Mapping[CheckKind, CheckRow]] = {
    "language": CheckRow(
        "The answer is written in a language that is not allowed.",
        "invalid",
        {
            "allowed": Option("names", "Languages (ISO 639-1 codes).", required=True, choices=LANGUAGES),
            "min_chars": Option("whole", "Shorter answers pass: too little to tell.", 40, low=20, high=100_000),
        },
    ),
    "refusal": CheckRow(
        "The model declines instead of answering (English, German, French, Spanish, Italian).",
        "refused",
        {"patterns": Option("patterns", "Further ways to decline.", ())},
    ),
    "repetition": CheckRow(
        "The answer runs in circles: the same characters, words or lines over and over.",
        "invalid",
        {"times": Option("whole", "So often the same piece may follow itself.", 8, low=3, high=10_000)},
    ),
    "forbidden": CheckRow(
        "The answer says what the workflow's own rules forbid: promises, claims, names.",
        "unsafe",
        {
            "patterns": Option("patterns", "RE2 patterns; '(?i)' in front ignores case.", ()),
            "phrases": Option("texts", "Phrases as whole words; case and spacing do not matter.", ()),
        },
        one_of=("patterns", "phrases"),
        span=0,  # as long as the patterns: see ``span_of``
    ),
    "personal_data": CheckRow(
        "The answer holds personal data that the caller did not send.",
        "unsafe",
        {
            "kinds": Option("names", "What to look for.", ("email", "phone", "card", "iban", "ssn"), choices=PERSONAL),
            "allow": Option(
                "texts", "Values that are no leak, such as your own address; '@acme.com' for all of it.", ()
            ),
        },
        span=100,
    ),
    "secrets": CheckRow("The answer holds an API key, a token or a private key.", "unsafe", span=300),
    "prompt_leak": CheckRow(
        "The answer holds the canary token or a long piece of the system prompt.",
        "unsafe",
        {"run": Option("whole", "So many characters of the prompt word by word are a leak.", 120, low=40, high=10_000)},
        span=0,  # as long as ``run``
    ),
    "markup": CheckRow(
        "The answer holds HTML, script, or an image that would call another server.",
        "unsafe",
        {
            "tags": Option("names", "HTML tags that are fine, without attributes: b, i, br.", ()),
            "hosts": Option("names", "Hosts from which images may come.", ()),
            "in_code": Option("flag", "Does what stands in Markdown code count, too?", False),
        },
        span=300,
    ),
    "garbage": CheckRow(
        "The answer holds NUL, control or replacement characters, or broken surrogates.", "invalid", span=1
    ),
    "length": CheckRow(
        "The answer is too long or too short.",
        "invalid",
        {
            "max_chars": Option("whole", "Most characters.", None, low=1),
            "min_chars": Option("whole", "Fewest characters.", 0),
        },
        one_of=("max_chars", "min_chars"),
    ),
    "moderation": CheckRow(
        "A moderation endpoint (OpenAI's /v1/moderations) flags the answer.",
        "unsafe",
        {
            "threshold": Option(
                "share", "Scores from here on do not pass; without it the endpoint's own 'flagged' counts."
            ),
            "categories": Option("names", "Only these categories count.", ()),
        },
        timeout=2.0,
        target=True,
    ),
    "guard": CheckRow(
        "A model that is asked whether the answer is safe says no.",
        "unsafe",
        {
            "template": Option(
                "template", "What it is asked: {{ answer }}, {{ question }}, {{ mark }} (new a call).", None
            )
        },
        timeout=5.0,
        target=True,
    ),
    "python": CheckRow(
        "Your own function in checks/, by dotted path.",
        "invalid",
        {
            "python": Option("function", "checks.MODULE:FUNCTION", required=True),
            "threshold": _THRESHOLD,
        },
    ),
    "http": CheckRow(
        "Your own endpoint.",
        "invalid",
        {
            "http": Option("url", "Address that is sent {text, context}.", required=True),
            "key": Option("secret", "Name of a secret that is sent as bearer token.", None),
            "allow_private": Option("flag", "May the address be loopback or private?", False),
            "threshold": _THRESHOLD,
        },
        timeout=2.0,
    ),
}
"""Kind → what it is.  For ``python`` and ``http`` the key that names the function or address is an option, too."""

_SLACK: Final = 10
"""Characters of white space that a phrase may hold beyond its own."""


def option(spec: CheckSpec, name: str) -> Any:
    """The value of an option, its default when the check does not set it."""
    return spec.options.get(name, CHECK_KINDS[spec.kind].options[name].default)


def span_of(spec: CheckSpec) -> int | None:
    """Longest text in characters in which the check must look at once; ``None``: only the whole answer will do.

    A stream may be windowed when every check that is not ``record_only`` has a span no longer than the window.
    """
    if spec.kind == "prompt_leak":
        return int(option(spec, "run"))
    if spec.kind == "forbidden":
        widths = [_width(pattern) for pattern in option(spec, "patterns")]
        phrases = [len(phrase) + _SLACK for phrase in option(spec, "phrases")]
        return None if None in widths else max([*(width or 0 for width in widths), *phrases], default=1)
    return CHECK_KINDS[spec.kind].span


def _width(pattern: str) -> int | None:
    """Longest match of a pattern in characters; ``None``: without bound, or beyond what this can tell."""
    try:
        import re._parser as parser  # type: ignore[import-not-found]  # what the standard library reads patterns with

        longest = int(parser.parse(pattern).getwidth()[1])
    except (re.error, OverflowError, RecursionError):  # RE2's own syntax such as \pL
        return None
    return longest if longest <= 10_000 else None


_FUNCTION: Final = re.compile(r"(checks|scorers)((?:\.[A-Za-z_][A-Za-z0-9_]*)+):([A-Za-z_][A-Za-z0-9_]*)")

CodeFolder = Literal["checks", "scorers"]
"""Folders of users' code beside workflow.yaml; only ``checks`` is part of a release."""


def python_sources(files: Mapping[str, str], workflow: str, code: CodeFolder = "checks") -> dict[str, str]:
    """The Python files of a workflow's ``checks`` folder by path beside workflow.yaml, line ends as ``\\n``."""
    folder = f"workflows/{workflow}/"
    return {
        path[len(folder) :]: text.replace("\r\n", "\n").replace("\r", "\n")
        for path, text in sorted(files.items())
        if path.startswith(f"{folder}{code}/") and path.endswith(".py")
    }


def python_hash(sources: Mapping[str, str]) -> str:
    """SHA-256 of all of a workflow's check code: a helper that changes changes the check that uses it.

    This is what ``Behaviour.checks`` holds for each ``python`` check, and by which the snapshot finds the sources.
    """
    return hashlib.sha256(json.dumps(dict(sorted(sources.items()))).encode()).hexdigest()


def python_problem(path: str, sources: Mapping[str, str], code: CodeFolder = "checks") -> str:
    """Why a dotted path cannot be called, in words for "found"; empty when it can.

    Looks only: the code is parsed, never run.
    """
    named = _FUNCTION.fullmatch(path)
    if named is None or named[1] != code:
        return f"'{path}', which is not {code}.MODULE:FUNCTION"
    file = f"{code}{named[2].replace('.', '/')}.py"
    if file not in sources:
        return f"'{path}', but there is no file {file}"
    for name, source in sources.items():
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"{name}, which is not Python: {error}"
        if name == file and not any(isinstance(part, ast.FunctionDef) and part.name == named[3] for part in tree.body):
            return f"'{path}', but {file} has no function {named[3]}"
    return ""
