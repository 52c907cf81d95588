"""Structured logs on stderr, from Python's own ``logging``: one JSON object a line, or on a terminal words.

Rule: what is not on the allow-list is not written.  A line holds the message as it stands in the source (its
arguments are never filled in), the fields of ``FIELDS`` that were passed as ``extra``, and of an exception its type
and where it happened, never its text or locals.  Values are short scalars, and whatever looks like a credential in
one is blacked out.  So a prompt, an answer or a key that is passed by mistake does not come out.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import traceback
from typing import IO, Final

import msgspec

FIELDS: Final = frozenset(
    {
        "actor",
        "address",
        "attempt",
        "boot",
        "bytes",
        "code",
        "count",
        "cut",
        "dropped",
        "epoch",
        "error",
        "exit_code",
        "failure",
        "failures_in_a_row",
        "folder",
        "gateway",
        "helper",
        "inference",
        "key_id",
        "listen",
        "method",
        "module_name",
        "outcome",
        "path",
        "pid",
        "port",
        "process_name",
        "reason",
        "release",
        "route",
        "seconds",
        "segment",
        "seq",
        "signal",
        "status",
        "target",
        "team",
        "version",
        "worker",
        "workflow",
    }
)
"""What a log line may say beside its message.  Nothing that a caller or a model wrote belongs here."""

FORMAT_VARIABLE: Final = "ROADWORTHY_LOG"
"""``json``: JSON lines on a terminal too, and all of them (``roadworthy up --log-json`` sets it)."""

LONGEST: Final = 300
"""Characters of a value; what is longer is cut."""

_SECRET = re.compile(
    r"""(?ix)
    \b(?:bearer|basic)\s+\S+                              # Authorization values
    | \b(?:rwt?|sk|pk|rk|key|ghp|gho|xox[abp]|hf)[-_][a-z0-9_-]{12,}   # keys with a telling prefix, ours included
    | \bAIza[\w-]{20,}                                     # Google
    | \beyJ[\w-]{10,}\.[\w-]+\.[\w-]+                      # JSON web tokens
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                      # user:password in a URL
    """
)
_KEY_ID = re.compile(r"key_[0-9a-f]{12}\Z")


def scrub(text: str) -> str:
    """Black out what looks like a credential and cut to ``LONGEST``.  Ids of our keys stay."""
    clean = _SECRET.sub(lambda found: found[0] if _KEY_ID.match(found[0]) else "[secret]", text)
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 1] + "…"


class JsonFormatter(logging.Formatter):
    """A record as one JSON object on one line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": round(record.created, 3),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "event": _event(record),
        }
        return msgspec.json.encode({**line, **self._facts(record)}).decode()

    def _facts(self, record: logging.LogRecord) -> dict[str, object]:
        """What may be said beside the message."""
        facts: dict[str, object] = {}
        for name, value in record.__dict__.items():
            if name in FIELDS and value is not None:
                facts[name] = value if isinstance(value, bool | int | float) else scrub(str(value))
        if record.exc_info and record.exc_info[0] is not None:
            facts["exception"] = record.exc_info[0].__qualname__
            facts["at"] = _places(record.exc_info[1])
        return facts


class TextFormatter(JsonFormatter):
    """The same facts as words, for a person who watches a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        said = " ".join(f"{name}={value}" for name, value in self._facts(record).items())
        when = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{when} {record.levelname.lower()} {self._process}: {_event(record)}  {said}".rstrip()


def _event(record: logging.LogRecord) -> str:
    """The message as it stands in the source.

    asyncio composes its own, with the ``repr`` of arguments and exceptions: of those, what comes before them.
    """
    text = str(record.msg)
    if record.name == "asyncio":
        text = text.partition("\n")[0].partition("(")[0]
    return scrub(text)


def _places(error: BaseException | None) -> list[str]:
    """Where an exception passed, innermost last, at most eight places."""
    if error is None:
        return []
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def configure(process: str, *, level: int | None = None, stream: IO[str] | None = None) -> None:
    """Make this process log on stderr (or ``stream``).  ``process``: ``supervisor``, ``control``, ``w0``…

    JSON lines from ``INFO`` on; on a terminal words from ``WARNING`` on, as ``up`` itself says there what went well.
    """
    out = stream if stream is not None else sys.stderr
    words = out.isatty() and os.environ.get(FORMAT_VARIABLE) != "json"
    handler = logging.StreamHandler(out)
    handler.setFormatter(TextFormatter(process) if words else JsonFormatter(process))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level if level is not None else logging.WARNING if words else logging.INFO)
    for noisy in ("alembic", "uvicorn.access", "httpx", "httpx2", "httpcore", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
