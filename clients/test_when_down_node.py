"""The Node wrapper of docs/when-roadworthy-is-down.md takes the old path whatever became of the gateway."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.provider import Exchange, Recorder, Sent, completion
from support.snippets import ROOT
from support.up import clean_env

PAGE = (ROOT / "docs" / "when-roadworthy-is-down.md").read_text(encoding="utf-8")
[WRAPPER] = re.findall(r"<!-- the wrapper for Node: a test runs it -->\n```js\n(.*?)```", PAGE, re.DOTALL)
APP = """
import { answered } from "./wrapper.mjs";
const messages = [{ role: "user", content: "Where is my parcel?" }];
const ask = async (ai) => (await ai.chat.completions.create({ model: "support", messages })).choices[0].message.content;
console.log("reply:", await answered(ask, () => "old"));
process.exit();
"""
NODE = shutil.which("node")
MODULES = ROOT / "clients" / "node" / "node_modules"


@contextmanager
def hole() -> Iterator[int]:
    """A port at which packets vanish: nobody accepts, and its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextmanager
def closed() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    yield port


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    def answer(sent: Sent, exchange: Exchange) -> None:
        exchange.whole(body, status=status)

    with Recorder(answer) as made:
        yield int(made.url.removesuffix("/v1").rpartition(":")[2])


@contextmanager
def silent() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


OFF = json.dumps({"error": {"message": "off", "type": "api_error", "param": None, "code": "ai_off"}}).encode()
CASES = {
    "closed": (closed, "error", "ECONNREFUSED"),
    "hole": (hole, "error", "APIConnectionTimeoutError"),
    "silent": (silent, "error", "APIConnectionTimeoutError"),
    "off": (lambda: answering(503, OFF), "info", "503 ai_off"),
    "proxy": (lambda: answering(502, b"<html>"), "error", "502"),
    "good": (lambda: answering(200, completion("It arrives tomorrow.")), "", "It arrives tomorrow."),
}


@pytest.mark.parametrize("case", CASES)
def test_the_old_path_is_taken_and_the_provider_never_asked(tmp_path: Path, case: str) -> None:
    if NODE is None or not (MODULES / "undici").exists():
        pytest.skip("no Node, or no clients/node/node_modules here: make test-clients installs them")
    (tmp_path / "node_modules").symlink_to(MODULES)
    text = WRAPPER.replace("65_000", "500") if case == "silent" else WRAPPER
    assert case != "silent" or text != WRAPPER
    (tmp_path / "wrapper.mjs").write_text(text)
    (tmp_path / "app.mjs").write_text(APP)
    make, stream, words = CASES[case]

    def answer(sent: Sent, exchange: Exchange) -> None:
        exchange.whole(completion())

    with Recorder(answer) as provider, make() as port:
        env = {"ROADWORTHY_BASE_URL": f"http://127.0.0.1:{port}/v1", "ROADWORTHY_API_KEY": "rw-x"}
        tempting = {"OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "sk-provider"}
        done = subprocess.run(
            [NODE, str(tmp_path / "app.mjs")], env=clean_env({**env, **tempting}), capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert provider.sent == []
    assert done.returncode == 0, done.stderr
    if case == "good":
        assert done.stdout == "reply: It arrives tomorrow.\n"
        assert done.stderr == ""
        return
    assert done.stdout.splitlines()[-1] == "reply: old"
    logged = done.stdout if stream == "info" else done.stderr
    [line] = [line for line in logged.splitlines() if line.startswith("old path:")]
    assert words in line


def test_without_the_gateways_address_the_app_does_not_start(tmp_path: Path) -> None:
    if NODE is None or not MODULES.exists():
        pytest.skip("no Node, or no clients/node/node_modules here: make test-clients installs them")
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "wrapper.mjs").write_text(WRAPPER)
    done = subprocess.run(
        [NODE, str(tmp_path / "wrapper.mjs")], env=clean_env({"OPENAI_API_KEY": "sk-provider"}), capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "ROADWORTHY_BASE_URL is not set" in done.stderr
