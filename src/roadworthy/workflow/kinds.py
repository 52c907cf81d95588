"""The scalar kinds: text, numbers, durations, shares, URLs, secret names, files and references."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit

from roadworthy.workflow.fields import INVALID, At, Reference
from roadworthy.workflow.problems import did_you_mean, looks_secret, show
from roadworthy.workflow.source import Value

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_KEY_NAME: Final = r"(?:env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)"


@dataclass(frozen=True)
class Text:
    says: str = "text"
    pattern: str | None = None
    mend: str = "put text there, in quotes if it looks like a number"

    def read(self, value: Value, at: At) -> Any:
        text = value.data
        if not isinstance(text, str) or not text.strip():
            return at.problem(value.line, show(text), self.says, self.mend)
        if looks_secret(text):
            return at.problem(
                value.line, "what looks like a real key (not shown)", self.says, "remove it and revoke it"
            )
        if self.pattern is not None and re.fullmatch(self.pattern, text) is None:
            return at.problem(value.line, show(text), self.says, self.mend)
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string"} | ({"pattern": f"^{self.pattern}$"} if self.pattern else {})


@dataclass(frozen=True)
class Number:
    low: float
    high: float
    says: str
    whole: bool = False

    def read(self, value: Value, at: At) -> Any:
        number = value.data
        right = isinstance(number, int if self.whole else int | float) and not isinstance(number, bool)
        if not right or not self.low <= number <= self.high:
            return at.problem(value.line, show(number), self.says, f"use a number from {self.low:g} to {self.high:g}")
        return number if self.whole else float(number)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer" if self.whole else "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Boolean:
    says: str = "true or false"

    def read(self, value: Value, at: At) -> Any:
        if not isinstance(value.data, bool):
            return at.problem(value.line, show(value.data), self.says, "write true or false, without quotes")
        return value.data

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Duration:
    """Seconds as a float, from ``300ms``, ``20s``, ``5m``, ``2h`` or ``30d``."""

    low: float = 0.001
    high: float = 3650 * 86400.0
    says: str = "a duration such as 300ms, 20s, 5m, 2h or 30d"

    def read(self, value: Value, at: At) -> Any:
        text = value.data
        if isinstance(text, int | float) and not isinstance(text, bool):
            return at.problem(value.line, f"{text:g} without a unit", self.says, f"write {text:g}s if you mean seconds")
        parts = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)", text) if isinstance(text, str) else None
        if parts is None:
            return at.problem(value.line, show(text), self.says, "use a number and one of the units ms, s, m, h, d")
        seconds = round(float(parts[1]) * _SECONDS[parts[2]], 3)
        if not self.low <= seconds <= self.high:
            return at.problem(value.line, show(text), f"{self.low:g} s to {self.high:g} s", "choose one inside")
        return seconds

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\d{1,9}(\.\d{1,3})?(ms|s|m|h|d)$"}


@dataclass(frozen=True)
class Share:
    """A share in (0, 1], from ``1%`` or ``0.01``."""

    says: str = "a share such as 1% or 0.01"

    def read(self, value: Value, at: At) -> Any:
        share = value.data
        if isinstance(share, str) and re.fullmatch(r"\d{1,3}(\.\d{1,6})?%", share):
            share = round(float(share[:-1]) / 100, 9)
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
            return at.problem(value.line, show(value.data), self.says, "use more than 0 % and at most 100 %")
        return float(share)

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,6})?%$"},
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            ]
        }


@dataclass(frozen=True)
class BooleanOrShare:
    """A share in [0, 1], from ``true`` (1), ``false`` (0), ``25%`` or ``0.25``."""

    says: str = "true, false, or a share such as 25%"

    def read(self, value: Value, at: At) -> Any:
        return float(value.data) if isinstance(value.data, bool) else ShareOrNone(self.says).read(value, at)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "boolean"}, *ShareOrNone().schema()["anyOf"]]}


@dataclass(frozen=True)
class Day:
    """A day of the calendar, as text."""

    says: str = "a day such as 2026-11-01"

    def read(self, value: Value, at: At) -> Any:
        text = str(value.data)
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
                return date.fromisoformat(text).isoformat()
        except ValueError:
            pass
        return at.problem(value.line, show(value.data), self.says, "write year, month and day: 2026-11-01")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}


@dataclass(frozen=True)
class Shares:
    """One share in (0, 1], or a list of them; read as a rising tuple."""

    most: int = 10
    says: str = "a share such as 80%, or a list of them: [50%, 80%, 100%]"

    def read(self, value: Value, at: At) -> Any:
        listed = value.data if isinstance(value.data, list) else [value]
        if not 1 <= len(listed) <= self.most:
            found = f"{len(listed)} shares"
            return at.problem(value.line, found, f"1 to {self.most} shares", "list the shares: [50%, 80%, 100%]")
        single = not isinstance(value.data, list)
        read = [Share().read(each, at if single else at.child(index)) for index, each in enumerate(listed)]
        return INVALID if any(share is INVALID for share in read) else tuple(sorted(set(read)))

    def schema(self) -> dict[str, Any]:
        share = Share().schema()
        return {"anyOf": [*share["anyOf"], {"type": "array", "items": share, "minItems": 1, "maxItems": self.most}]}


@dataclass(frozen=True)
class ShareOrNone:
    """A share in [0, 1]."""

    says: str = "a share such as 0%, 1% or 0.01"

    def read(self, value: Value, at: At) -> Any:
        return 0.0 if value.data in ("0%", 0) and value.data is not False else Share(self.says).read(value, at)

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,6})?%$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ]
        }


@dataclass(frozen=True)
class Amount:
    """What a guardrail counts, as a float: a share, seconds, or a plain number (US dollars, a ratio)."""

    says: str = "a share such as 1%, a duration such as 800ms, or a number (US dollars, a ratio)"

    def read(self, value: Value, at: At) -> Any:
        written = value.data
        if isinstance(written, str) and written.endswith("%"):
            return ShareOrNone().read(value, at)
        if isinstance(written, str):
            return Duration().read(value, at)
        return Number(0.0, 1e6, self.says).read(value, at)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [*ShareOrNone().schema()["anyOf"][:1], Duration().schema(), {"type": "number", "minimum": 0}]}


@dataclass(frozen=True)
class Choice:
    options: tuple[str, ...]

    @property
    def says(self) -> str:
        return "one of " + ", ".join(self.options)

    def read(self, value: Value, at: At) -> Any:
        word = value.data
        if not isinstance(word, str) or word not in self.options:
            return at.problem(value.line, show(word), self.says, did_you_mean(str(word), self.options))
        return word

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.options)}


@dataclass(frozen=True)
class Secret:
    """The name of a secret.  Whatever else is found is never repeated: it may be the secret."""

    says: str = "the name of a secret: env:NAME or file:/path"

    def read(self, value: Value, at: At) -> Any:
        if isinstance(value.data, str) and re.fullmatch(_KEY_NAME, value.data) and not looks_secret(value.data):
            return value.data
        found = "what may be a real key (not shown)" if isinstance(value.data, str) else show(value.data)
        mend = "put the key into an environment variable or a file (mode 0600) and write its name here"
        return at.problem(value.line, found, self.says, mend)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_KEY_NAME}$"}


@dataclass(frozen=True)
class Url:
    says: str = "an http(s) URL without user, query or fragment"

    def read(self, value: Value, at: At) -> Any:
        text = value.data
        if not isinstance(text, str):
            return at.problem(value.line, show(text), self.says, "write a URL such as https://api.openai.com/v1")
        try:
            parts = urlsplit(text)
            host, _port, user = parts.hostname, parts.port, parts.username or parts.password
        except ValueError as error:
            return at.problem(value.line, f"a URL that cannot be read ({error})", self.says, "mend the URL")
        if user is not None:
            return at.problem(
                value.line, "a URL with a user or password (not shown)", self.says, "name a secret instead"
            )
        if looks_secret(text) or parts.query or parts.fragment:
            return at.problem(value.line, "a URL with a query, fragment or key (not shown)", self.says, "leave it out")
        if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]", text):
            return at.problem(value.line, show(text), self.says, "write a URL such as https://api.openai.com/v1")
        return text.rstrip("/")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^https?://[^\s\\@?#]+$"}


def is_private_host(host: str) -> bool:
    """Does the host name itself say that it is this machine or a private network?  Names are not resolved."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return not address.is_global


def address_problem(url: str, allow_private: bool) -> tuple[str, str, str] | None:
    """(found, expected, mend) of an address that is not public and spoken to over TLS, unless somebody said so."""
    parts = urlsplit(url)
    if allow_private:
        return None
    if is_private_host(parts.hostname or ""):
        return f"the private host {parts.hostname}", "a public one", "add 'allow_private: true' if you mean it"
    if parts.scheme == "http":
        mend = "use https, or add 'allow_private: true' for a host of your own network"
        return "http to a public host", "https", mend
    return None


@dataclass(frozen=True)
class Address:
    says: str = "host:port"
    off: bool = False
    """May it say ``off``?"""

    def read(self, value: Value, at: At) -> Any:
        if self.off and value.data in ("off", False):  # YAML reads a bare ``off`` as false
            return "off"
        parts = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})", str(value.data))
        if parts is None or int(parts[2]) > 65535:
            return at.problem(value.line, show(value.data), self.says, "write for example 127.0.0.1:8400")
        return value.data

    def schema(self) -> dict[str, Any]:
        address = {"type": "string", "pattern": r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$"}
        return {"anyOf": [address, {"enum": ["off", False]}]} if self.off else address


@dataclass(frozen=True)
class File:
    """The path of a file beside this one; reads as its text (``parse``: as what the text says)."""

    says: str
    parse: Callable[[str, str, At], Any] | None = None

    def read(self, value: Value, at: At) -> Any:
        name = value.data
        if not isinstance(name, str) or not name or name.startswith("/") or ".." in name.split("/") or "\\" in name:
            return at.problem(
                value.line, show(name), f"{self.says}, a path inside this folder", "name a file beside this one"
            )
        path = posixpath.normpath(posixpath.join(posixpath.dirname(at.file), name))
        text = at.reading.files.get(path)
        if text is None:
            folder = posixpath.dirname(path)
            beside = [posixpath.basename(other) for other in at.reading.files if posixpath.dirname(other) == folder]
            mend = f"create {path}, or {did_you_mean(posixpath.basename(path), beside)}"
            return at.problem(value.line, f"no file {path}", self.says, mend)
        return text if self.parse is None else self.parse(path, text, at)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "description": self.says}


@dataclass(frozen=True)
class Ref:
    """A name out of another table (``people``, ``targets``, ``redaction``), checked once all files are read."""

    table: str
    says: str

    def read(self, value: Value, at: At) -> Any:
        if not isinstance(value.data, str) or not value.data:
            return at.problem(value.line, show(value.data), self.says, "write its name")
        at.reading.references.append(Reference(self.table, value.data, at, value.line))
        return value.data

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True)
class Json:
    """Any value; with ``mapping``, a mapping."""

    says: str = "any JSON value"
    mapping: bool = False

    def read(self, value: Value, at: At) -> Any:
        if self.mapping and not isinstance(value.data, dict):
            return at.problem(value.line, show(value.data), self.says, "write key: value lines")
        return value.plain()

    def schema(self) -> dict[str, Any]:
        return {"type": "object"} if self.mapping else {}
