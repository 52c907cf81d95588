"""``roadworthy init``: the example works as written, and its developer's first call reaches the model."""

from __future__ import annotations

import shlex
from pathlib import Path

import openai
import pytest

from support.up import Up, exported, roadworthy


def told_next(text: str) -> list[list[str]]:
    """The commands that ``init`` prints for what comes next, without their first word."""
    lines = [line.strip() for line in text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("roadworthy ")]


@pytest.mark.parametrize("provider", [None, "simulated"])
def test_what_init_says_to_do_next_ends_in_an_answer_of_the_model(tmp_path: Path, provider: str | None) -> None:
    """Without a provider's key the default is the bundled model."""
    chosen = ["--provider", provider] if provider else []
    said = roadworthy("init", ".", *chosen, cwd=tmp_path).stdout
    assert roadworthy("check", cwd=tmp_path).stdout == ".: good\n"
    start, *rest = told_next(said)
    assert start[0] == "up"
    assert [command[0] for command in rest][-1] == "keys"
    assert "--tester" in rest[-1]
    with Up(tmp_path, data=tmp_path / ".roadworthy", cwd=tmp_path) as up:
        up.said("target main ", patience=60.0)
        for command in rest:
            found = exported(roadworthy(*command, cwd=tmp_path).stdout)
        up.ready("main")
        workflow = rest[-1][rest[-1].index("--workflow") + 1]
        with openai.OpenAI(base_url=found["OPENAI_BASE_URL"], api_key=found["OPENAI_API_KEY"]) as client:
            answer = client.chat.completions.create(model=workflow, messages=[{"role": "user", "content": "Hello!"}])
        assert answer.choices[0].message.content
        record = up.record(str(answer._request_id))
        assert (record["outcome"], record["traffic"], record["target"]) == ("answered", "tester", "main")


def test_a_second_init_overwrites_nothing(tmp_path: Path) -> None:
    roadworthy("init", ".", "--provider", "simulated", cwd=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refused = roadworthy("init", ".", "--provider", "simulated", cwd=tmp_path, code=2)
    assert "exists already" in refused.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
