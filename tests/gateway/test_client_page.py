"""docs/client.md: every block runs, in order, against a gateway, and the page leaves nothing out."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_live import Live
from gateway_support import HELLO, TOKEN, completion, release

from roadworthy import client as ours
from roadworthy.gateway.answers.escalations import News
from roadworthy.gateway.answers.escalations import Told as Fate
from roadworthy.workflow.inference import Escalation, Feedback
from roadworthy.workflow.model import Canned, Handling, Step

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run -->\n```python\n(.*?)```", PAGE, re.DOTALL)


def test_its_blocks_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handling = Handling(
        ladder={"refused": [Step("escalate")], "invalid": [Step("canned")]}, holding=Canned("Soon."),
        canned=Canned("Later."),
    )  # fmt: skip
    with Live(tmp_path, served=release(handling=handling)) as live:
        live.upstream.cases = {
            "easy": [completion(""), HELLO],
            "hard": [completion(None, message={"refusal": "I will not."})],
        }
        monkeypatch.setenv("ROADWORTHY_BASE_URL", f"http://127.0.0.1:{live.port}/v1")
        monkeypatch.setenv("ROADWORTHY_API_KEY", TOKEN)
        names: dict[str, Any] = {
            "os": os, "messages": [{"role": "user", "content": "easy"}],
            "hard_ones": [{"role": "user", "content": "hard"}],
        }  # fmt: skip

        def somebody_answers(_: float) -> None:
            """While the page waits."""
            [line] = [line for line in live.bench.lines() if isinstance(line, Escalation)]
            fate = Fate(line.inference, "default", "support", "answered", 9e9, text="Tomorrow.", answered_at=7.0)
            live.on_loop(lambda: live.bench.gateway.escalations.learn(msgspec.json.encode(News([fate]))))

        for text in BLOCKS:
            exec(compile(text, "client.md", "exec"), names)
            if "roadworthy" in names and "is_on" not in text:
                names["roadworthy"]._sleep = somebody_answers
        names["roadworthy"].close()
        names["ai"].close()
        [thumb, comment] = [line for line in live.bench.lines() if isinstance(line, Feedback)]
    assert (thumb.label, comment.label, thumb.by) == ("down", "wrong city", "user-17")
    assert capsys.readouterr().out.splitlines() == [
        "no model wrote this: canned after invalid", "answered 0.02", "['support']", "Tomorrow.",
        "show the button", "STATIC None False",
        "400 invalid_type 'inf_1' is no inference; take the id from x-request-id or from roadworthy.inference.",
    ]  # fmt: skip


def test_it_names_every_field_method_and_error() -> None:
    for field in dataclasses.fields(ours.Told):
        assert f"`{field.name}`" in PAGE or field.name == "raw", field.name
    methods = [name for name, _ in inspect.getmembers(ours.Roadworthy, inspect.isfunction) if not name.startswith("_")]
    for name in methods:
        assert f"{name}(" in PAGE or f"`{name}`" in PAGE, name
    for name in ours.__all__:
        if isinstance(getattr(ours, name), type) and issubclass(getattr(ours, name), ours.RoadworthyError):
            assert f"`{name}`" in PAGE, name


def test_its_figures_are_those_of_the_code() -> None:
    longest = inspect.signature(ours.Roadworthy.wait_for_answer).parameters["longest_pause"].default
    assert f"up to every {longest:g} s" in PAGE
    timeout = inspect.signature(ours.Roadworthy.__init__).parameters["timeout"].default
    assert (timeout.read, timeout.connect) == (10.0, 1.0)
    assert "timeout=10.0" in PAGE
    assert "A connection has a second" in PAGE
