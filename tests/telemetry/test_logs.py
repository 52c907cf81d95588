"""Logs are JSON lines that hold what is on the allow-list and never a prompt or a key."""

from __future__ import annotations

import ast
import asyncio
import gc
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import roadworthy
from roadworthy.adapters.telemetry.logs import FIELDS, FORMAT_VARIABLE, LONGEST, JsonFormatter, configure, scrub

PROMPT = "My name is Ada Example and my order card-4711 never came"
KEY = "rw-" + "Ab3_" * 10


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(out: io.StringIO) -> logging.Logger:
    logger = logging.Logger("roadworthy.test")
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter("w0"))
    logger.addHandler(handler)
    return logger


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_says_when_who_what_and_the_allowed_fields(log: logging.Logger, out: io.StringIO) -> None:
    log.warning("snapshot refused", extra={"seq": 7, "reason": "too new"})
    (line,) = lines(out)
    assert (line["level"], line["process"], line["event"]) == ("warning", "w0", "snapshot refused")
    assert (line["seq"], line["reason"]) == (7, "too new")


@pytest.mark.parametrize(
    "mistake",
    [
        lambda log: log.error("bad request %s", PROMPT),
        lambda log: log.error("bad request", extra={"prompt": PROMPT, "body": {"messages": [PROMPT]}}),
        lambda log: log.error("bad request", {"text": PROMPT}),
        lambda log: _raise(log, ValueError(PROMPT)),
    ],
    ids=["as an argument", "as a field", "as a mapping", "in an exception"],
)
def test_a_prompt_passed_by_mistake_never_appears(mistake: Any, log: logging.Logger, out: io.StringIO) -> None:
    mistake(log)
    assert lines(out)
    assert "Ada" not in out.getvalue()
    assert "card-4711" not in out.getvalue()


def _raise(log: logging.Logger, error: Exception) -> None:
    prompt = PROMPT
    try:
        raise error
    except ValueError:
        log.exception("failed", extra={"module_name": "shipper", "length": len(prompt)})


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_a_key_passed_by_mistake_never_appears(field: str, log: logging.Logger, out: io.StringIO) -> None:
    log.error("refused", extra={field: f"authorization: Bearer {KEY} was {KEY}"})
    assert KEY not in out.getvalue()
    assert KEY[3:] not in out.getvalue()


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "rwt-" + "x" * 40,
        "sk-proj-abcdefghijklmnop1234",
        "sk-ant-api03-abcdefghijkl",
        "Bearer abc.def",
        "AIzaSyA1234567890abcdefghijklmn",
        "http://user:hunter2@collector:4318",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln",
    ],
)
def test_what_looks_like_a_credential_is_blacked_out(secret: str) -> None:
    assert secret not in scrub(f"before {secret} after")
    assert "after" in scrub(f"before {secret} after")


def test_ids_stay_readable() -> None:
    said = "key_0123456789ab inf_019abc0000000123456789abcdef0123456789 rel_" + "0" * 64
    assert scrub(said) == said


def test_a_long_value_is_cut() -> None:
    assert len(scrub("x" * 5000)) == LONGEST


def test_an_exception_is_named_and_placed_but_not_quoted(log: logging.Logger, out: io.StringIO) -> None:
    _raise(log, ValueError(PROMPT))
    (line,) = lines(out)
    assert line["exception"] == "ValueError"
    assert any("test_logs.py" in place for place in line["at"])


def test_a_line_break_in_a_value_stays_inside_its_line(log: logging.Logger, out: io.StringIO) -> None:
    log.error("failed", extra={"error": 'one\n{"level": "fake"}'})
    assert len(out.getvalue().splitlines()) == 1


def _is_log_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"debug", "info", "warning", "error", "exception", "critical"}
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"log", "logger", "_log", "_logger"}
    )


def _log_calls() -> Iterator[tuple[str, ast.Call]]:
    """Of our processes.  The client runs in an app, whose log may show the message and no fields."""
    root = Path(roadworthy.__file__).parent
    for path in set(root.rglob("*.py")) - set((root / "client").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _is_log_call(node):
                yield f"{path.relative_to(root)}:{node.lineno}", node


def test_every_log_call_has_a_fixed_message_and_only_allowed_fields() -> None:
    wrong = []
    for place, call in _log_calls():
        if not call.args or not isinstance(call.args[0], ast.Constant) or len(call.args) > 1:
            wrong.append(f"{place}: the message must be one fixed text; put values in extra=")
        for keyword in call.keywords:
            if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
                names = {key.value for key in keyword.value.keys if isinstance(key, ast.Constant)}
                wrong += [f"{place}: field {name!r} is not in logs.FIELDS" for name in sorted(names - FIELDS)]
    assert not wrong


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    kept, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = kept
    logger.setLevel(level)


def test_a_terminal_shows_words_and_only_what_needs_a_look(root: logging.Logger, monkeypatch: Any) -> None:
    monkeypatch.delenv(FORMAT_VARIABLE, raising=False)
    shown = Terminal()
    configure("w0", stream=shown)
    root.info("snapshot loaded", extra={"seq": 7})
    root.error("snapshot refused %s", PROMPT, extra={"reason": f"too new {KEY}", "prompt": PROMPT})
    (line,) = shown.getvalue().splitlines()
    assert line.endswith("error w0: snapshot refused %s  reason=too new [secret]")


@pytest.mark.parametrize(("stream", "asked"), [(Terminal(), "json"), (io.StringIO(), "")])
def test_elsewhere_and_on_demand_every_line_is_json(
    root: logging.Logger, monkeypatch: Any, stream: io.StringIO, asked: str
) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, asked)
    configure("w0", stream=stream)
    root.info("snapshot loaded", extra={"seq": 7})
    logging.getLogger("alembic.runtime").info("setup plugin %s", "x")
    (line,) = lines(stream)
    assert (line["event"], line["seq"]) == ("snapshot loaded", 7)


def test_a_defect_in_a_worker_tells_its_type_and_place_and_no_text(root: logging.Logger) -> None:
    stream = io.StringIO()
    configure("w0", stream=stream)
    loop = asyncio.new_event_loop()

    async def defect() -> None:
        raise ValueError(PROMPT)

    task = loop.create_task(defect())
    loop.call_soon(lambda text: text.no_such_attribute, PROMPT)
    loop.run_until_complete(asyncio.wait([task]))
    del task
    gc.collect()
    loop.close()
    callback, forgotten = lines(stream)
    assert callback["event"].startswith("Exception in callback")
    assert (forgotten["event"], forgotten["exception"]) == ("Task exception was never retrieved", "ValueError")
    assert "Ada" not in stream.getvalue()
