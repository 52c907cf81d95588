"""Claude Code and Codex CLI, run headless with the settings of docs/clients.md and nothing else of this machine's."""

from __future__ import annotations

import json
import platform
import secrets
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import SAID
from reader import text_of
from support.provider import Recorder
from support.snippets import ROOT, snippets
from support.up import Up

MODULES = ROOT / "clients" / "agents" / "node_modules"
SETTINGS = {name: made.text for name, made in snippets().items()}
BASE, KEY, WORKFLOW = "http://127.0.0.1:8400", "rw-…", "coder"
"""As the page writes them."""


def binary(pattern: str) -> str:
    """The program in the package of this machine's platform."""
    found = sorted(MODULES.glob(pattern))
    if not found or platform.system() != "Linux":
        pytest.skip(f"no clients/agents/node_modules/{pattern} here: make test-clients installs it where npm is")
    return str(found[0])


def run(command: list[str], home: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    work = home / "work"
    work.mkdir()
    clean = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "NO_PROXY": "127.0.0.1", **env}
    return subprocess.run(
        command, cwd=work, env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )


Agent = Callable[[str, str, str], str]
"""Key, workflow (as the model), what is asked → what it said."""


@pytest.fixture(params=["claude", "codex"])
def agent(request: pytest.FixtureRequest, up: Up, tmp_path: Path) -> Agent:
    root = up.base_url.removesuffix("/v1")

    def claude(key: str, workflow: str, question: str) -> str:
        env: dict[str, str] = json.loads(SETTINGS["claude-code"])["env"]
        if workflow == "translated":
            env |= json.loads(SETTINGS["claude-code-translated"])["env"]
        told = {BASE: root, KEY: key, WORKFLOW: workflow}
        env = {name: told.get(value, value) for name, value in env.items()}
        folder = tmp_path / ".claude"
        folder.mkdir()
        (folder / "settings.json").write_text(json.dumps({"env": env}))
        program = binary("@anthropic-ai/claude-code-linux-*/claude")
        more = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}  # no update, no telemetry: the network is ours alone
        done = run([program, "-p", question, "--allowedTools", "Read"], tmp_path, more)
        return done.stdout + done.stderr

    def codex(key: str, workflow: str, question: str) -> str:
        folder = tmp_path / ".codex"
        folder.mkdir()
        text = SETTINGS["codex"].replace(BASE, root)
        assert tomllib.loads(text)["model"] == WORKFLOW
        (folder / "config.toml").write_text(text.replace(WORKFLOW, workflow))
        program = binary("@openai/codex-linux-*/vendor/*/bin/codex")
        command = [program, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", question]
        done = run(command, tmp_path, {"ROADWORTHY_API_KEY": key})
        return done.stdout + done.stderr

    chosen: Agent = {"claude": claude, "codex": codex}[request.param]
    return chosen


def key_for(up: Up, workflow: str) -> str:
    return up.key(f"agent {secrets.token_hex(4)}", workflows=[workflow])


def test_an_agent_is_answered_in_its_own_format(up: Up, agent: Agent) -> None:
    before = {record["id"] for record in up.records(workflow="native")}
    assert SAID in agent(key_for(up, "native"), "native", "Where is my parcel?")
    calls = [record for record in up.records(workflow="native") if record["id"] not in before]
    assert calls
    assert {(call["outcome"], call["unit"], call["target"]) for call in calls} == {("answered", "u-17", "native")}


def test_an_agent_uses_its_tools_through_a_model_that_speaks_another_format(
    up: Up, agent: Agent, reader: Recorder, tmp_path: Path
) -> None:
    path = tmp_path / "parcel.txt"
    path.write_text("It lies at the neighbour's.\n")
    reader.sent.clear()
    assert "It says:" in (said := agent(key_for(up, "translated"), "translated", f"Read {path} and say what it says."))
    assert "It lies at the neighbour's." in said
    assert any(text_of(message).count("neighbour") for message in reader.sent[-1].json["messages"])


def test_an_agent_that_is_bypassed_asks_once_and_says_why(up: Up, agent: Agent) -> None:
    before = {record["id"] for record in up.records(workflow="bypassed")}
    said = agent(key_for(up, "bypassed"), "bypassed", "Where is my parcel?")
    assert "'bypassed' does not answer this call" in said
    assert len([record for record in up.records(workflow="bypassed") if record["id"] not in before]) == 1
