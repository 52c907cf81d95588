# ruff: noqa: E501  (a pattern is read as one line)
"""HTML, script, and images that would call another server: what an app must not put into a page.

What stands in Markdown code is shown as text and passes, unless ``in_code`` says that the app shows it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.fallback.checks.patterns import Patterns
from roadworthy.workflow.check_options import option
from roadworthy.workflow.model import CheckSpec

_ACTIVE = (
    "script|iframe|img|image|svg|math|object|embed|style|link|meta|base|form|input|button|textarea|select|video|audio|source"
    "|track|body|html|head|frame|frameset|applet|template|noscript|marquee|portal|dialog|details"
)
_PASSIVE = (
    "div|span|br|hr|table|thead|tbody|tfoot|tr|td|th|ul|ol|li|dl|dt|dd|h1|h2|h3|h4|h5|h6|pre|code|em|strong|small|sub|sup"
    "|section|article|header|footer|nav|main|aside|figure|figcaption|blockquote|font|center|label|option|del|ins|mark|kbd"
    "|abbr|cite|summary"
)
_SHORT = "a|b|i|p|q|s|u"
_ATTRIBUTES = r"(?:\s+[A-Za-z_:][A-Za-z0-9_:.-]*\s*=[^<>]*)?\s*/?>"

SHAPES = (
    ("active HTML", rf"(?i)(</?(?:{_ACTIVE})(?:[\s/>]|$))"),
    ("HTML", rf"(?i)(</?(?:{_PASSIVE}){_ATTRIBUTES})"),
    ("HTML", rf"(?i)(</(?:{_SHORT})\s*>|<(?:{_SHORT})\s+[A-Za-z_:][A-Za-z0-9_:.-]*\s*=[^<>]*>)"),
    ("HTML", rf"(?i)(?:^|[^A-Za-z0-9_:])(<(?:{_SHORT})\s*/?>)"),
    ("an event handler", r"(?i)(<[a-z][a-z0-9-]*[^<>]*[\s/\"']on[a-z]{3,20}\s*=)"),
    ("an HTML comment or declaration", r"(?i)(<!--|<!doctype|<!\[CDATA\[|<\?xml)"),
    ("a script URL", r"(?i)(\]\(\s*<?\s*(?:javascript|vbscript|data:text/html)[^)\s]*|(?:href|src)\s*=\s*[\"']?\s*javascript:)"),
)  # fmt: skip

_IMAGE = r"!\[[^\]\n]*\]\(\s*<?((?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^\s)>]+)"
_REFERENCED = r"!\[[^\]\n]*\](?:\s?\[[^\]\n]*\])"
_DEFINED = r"(?m)^ {0,3}\[[^\]\n]+\]:\s*<?((?:https?:)?//[^\s>]+)"

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_INLINE = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]{1,500}\1(?!`)")
_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?:[^/@\s]*@)?([^/:?#\s]+)")
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)\s*/?>")


class Markup:
    def __init__(self, tags: Iterable[str], hosts: Iterable[str], in_code: bool) -> None:
        self._tags = frozenset(tag.strip("<>/ ").lower() for tag in tags)
        self._hosts = tuple(host.lower() for host in hosts)
        self._in_code = in_code
        self._shapes = Patterns(SHAPES)
        self._images = Patterns([("image", _IMAGE)])
        self._referenced = Patterns([("reference", _REFERENCED)])
        self._defined = Patterns([("definition", _DEFINED)])

    def __call__(self, text: str, context: Context) -> Finding | None:
        if "<" not in text and "](" not in text and "![" not in text:
            return None
        if not self._in_code and ("`" in text or "~~~" in text):
            text = _without_code(text)
        for what, tag, span in self._shapes.every(text):
            if not self._allowed(tag):
                return Finding(f"holds {what}", span=span)
        outside = self._outside(self._images, text)
        if outside is None and self._referenced.first(text) is not None:
            outside = self._outside(self._defined, text)
        return None if outside is None else Finding("shows an image from another server", span=outside)

    def _allowed(self, tag: str) -> bool:
        plain = _TAG.fullmatch(tag.strip())
        return plain is not None and plain[1].lower() in self._tags

    def _outside(self, patterns: Patterns, text: str) -> tuple[int, int] | None:
        for _, url, span in patterns.every(text):
            named = _HOST.match(url)
            host = named[1].lower().rstrip(".") if named else ""
            if not any(host == allowed or host.endswith(f".{allowed}") for allowed in self._hosts):
                return span
        return None


def _without_code(text: str) -> str:
    """Markdown code as spaces, so that places stay what they were."""
    kept, fence = [], ""
    for line in text.splitlines(keepends=True):
        opening = _FENCE.match(line)
        if fence:
            if opening is not None and opening[1].startswith(fence):
                fence = ""
            line = " " * (len(line) - 1) + "\n"
        elif opening is not None:
            fence = opening[1]
            line = " " * (len(line) - 1) + "\n"
        elif "`" in line:
            line = _INLINE.sub(lambda code: " " * len(code[0]), line)
        kept.append(line)
    return "".join(kept)


def build(spec: CheckSpec) -> TextCheck:
    return Markup(option(spec, "tags"), option(spec, "hosts"), option(spec, "in_code"))
