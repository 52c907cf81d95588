"""The process that runs users' checks.  It is started as a file of its own and imports nothing of Roadworthy.

Reads one JSON object a line: ``{"id", "load", "sources"}`` imports source texts as the package ``checks`` (or
``scorers``); ``{"id", "code", "path", "text", "context"}`` calls ``checks.MODULE:FUNCTION(text, context)``.
Answers each with one line, ``{"id", "result"}`` or ``{"id", "error"}``.  What users' code prints goes nowhere: the
pipes are not its standard streams.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, BinaryIO

PACKAGES = ("checks", "scorers")
"""What sources may be imported as."""
MOST_ANSWER = 32_000
"""Bytes of one answer; more is no verdict."""
MOST_ERROR = 200


class Sources(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of one set of sources, which never touch a disk."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._modules = {path.removesuffix(".py").replace("/", "."): (path, text) for path, text in sources.items()}
        self.imported: dict[str, ModuleType] = {}
        """Modules of this set; they take turns in ``sys.modules`` with those of other sets."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if name.split(".")[0] not in PACKAGES:
            return None
        package = name if f"{name}.__init__" not in self._modules else f"{name}.__init__"
        if package in self._modules:
            return importlib.util.spec_from_loader(
                name, self, origin=self._modules[package][0], is_package=package != name
            )
        if any(known.startswith(f"{name}.") for known in self._modules):
            return importlib.util.spec_from_loader(name, self, is_package=True)
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        path, text = self._modules.get(f"{name}.__init__") or self._modules.get(name) or (name, "")
        exec(compile(text, path, "exec"), module.__dict__)  # noqa: S102  # what this process is for

    def enter(self) -> None:
        """Make this set the one that ``import checks`` means."""
        for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
            del sys.modules[name]
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Sources)]
        sys.meta_path.insert(0, self)
        sys.modules.update(self.imported)

    def load(self) -> None:
        self.enter()
        for name in sorted(self._modules):
            importlib.import_module(name.removesuffix(".__init__"))
        self.imported = {name: found for name, found in sys.modules.items() if name.split(".")[0] in PACKAGES}

    def function(self, path: str) -> Callable[[str, dict[str, Any]], Any]:
        module, _, name = path.partition(":")
        found: Callable[[str, dict[str, Any]], Any] = getattr(self.imported[module], name)
        return found


class Runner:
    def __init__(self) -> None:
        self._sets: dict[str, Sources] = {}
        self._entered = ""

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        ident = message["id"]
        try:
            if "load" in message:
                self._load(message["load"], message["sources"])
                return {"id": ident, "result": None}
            return {"id": ident, "result": self._call(message)}
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  # users' code may raise anything
            return {"id": ident, "error": f"{type(error).__name__}: {error}"[:MOST_ERROR]}

    def _load(self, code: str, sources: dict[str, str]) -> None:
        made = Sources(sources)
        self._entered = ""
        made.load()
        self._sets[code], self._entered = made, code

    def _call(self, message: dict[str, Any]) -> Any:
        code = message["code"]
        if code != self._entered:
            self._sets[code].enter()
            self._entered = code
        return self._sets[code].function(message["path"])(message["text"], message["context"])


def main() -> None:
    requests, answers = _pipes()
    me, runner = os.getpid(), Runner()
    for line in requests:
        answered = runner.answer(json.loads(line))
        if os.getpid() != me:  # users' code forked, and this is the copy: it may not talk for us
            os._exit(0)
        answers.write(_line(answered))
        answers.flush()


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Where requests come from and answers go to.  Nothing else stays open, whatever the starter left."""
    kept = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            with contextlib.suppress(OSError):  # the listing's own is closed already
                os.close(int(name))
    return os.fdopen(kept[0], "rb"), os.fdopen(kept[1], "wb")


def _line(answered: dict[str, Any]) -> bytes:
    try:
        line = json.dumps(answered, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        line = json.dumps({"id": answered["id"], "error": f"returned what is not JSON: {error}"[:MOST_ERROR]}).encode()
    if len(line) > MOST_ANSWER:
        line = json.dumps({"id": answered["id"], "error": "returned too much"}).encode()
    return line + b"\n"


if __name__ == "__main__":
    main()
