"""Claims about feedback: bounded, on disk before it is acknowledged, and stored only where the caller may rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gateway_support import Bench, key, on_loop, said

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.inference_log.rules import MAY_COME, may_rate
from roadworthy.inference_log.service import Shipper
from roadworthy.workflow.inference import Feedback
from roadworthy.workflow.model import Policy, RedactionRule

PATH = "/v1/roadworthy/feedback"


def given(bench: Bench) -> list[Feedback]:
    return [line for line in bench.lines() if isinstance(line, Feedback)]


async def asked(bench: Bench) -> str:
    return str(said(await bench.post())["roadworthy"]["inference"])


@on_loop
async def test_a_thumb_is_a_line_of_the_journal(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ident = await asked(bench)
    answer = await bench.post({"inference": ident, "thumb": "down", "user": "u-1"}, path=PATH)
    assert (answer.status, said(answer)) == (202, {"object": "roadworthy.feedback", "inference": ident})
    assert given(bench) == [Feedback(ident, bench.clock.now(), "thumb", 0.0, "down", "u-1", "default", ["support"])]


@on_loop
async def test_a_score_and_a_comment_are_lines_of_their_own_by_the_key_where_no_user_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ident = await asked(bench)
    await bench.post({"inference": ident, "thumb": "up", "score": 0.5, "comment": "nice"}, path=PATH)
    assert [(line.name, line.score, line.label, line.by) for line in given(bench)] == [
        ("thumb", 1.0, "up", key()[1].id), ("score", 0.5, None, key()[1].id), ("comment", None, "nice", key()[1].id),
    ]  # fmt: skip


@on_loop
async def test_a_comment_is_redacted_as_bodies_are(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, policy=Policy(redact=["numbers"]), snapshot={"redaction": [RedactionRule("numbers", "[0-9]{4}", "#")]}
    )
    ident = await asked(bench)
    await bench.post({"inference": ident, "comment": "my pin is 1234"}, path=PATH)
    assert given(bench)[0].label == "my pin is #"


BAD: list[tuple[dict[str, Any] | bytes, int, str]] = [
    (b"{no", 400, "JSON"),
    (b"[]", 400, "inference"),
    ({"inference": "inf_1", "thumb": "up"}, 400, "x-request-id"),
    ({"inference": "ID"}, 400, "thumb"),
    ({"inference": "ID", "thumb": "sideways"}, 400, "thumb"),
    ({"inference": "ID", "thumbs": "up"}, 400, "thumbs"),
    ({"inference": "ID", "score": 2}, 400, "0 (bad) to 1 (good)"),
    ({"inference": "ID", "comment": "x" * 2001}, 400, "2,000"),
    ({"inference": "ID", "comment": "x" * 20_000}, 413, "16,384"),
    ({"inference": "inf_" + "0" * 32, "thumb": "up"}, 400, "7 days"),
    ({"inference": "inf_" + "f" * 32, "thumb": "up"}, 400, "7 days"),
]


@pytest.mark.parametrize(("body", "status", "words"), BAD)
def test_what_is_no_feedback_is_refused_with_what_would_be(tmp_path: Path, body: Any, status: int, words: str) -> None:
    @on_loop
    async def run() -> None:
        bench = Bench(tmp_path)
        ident = await asked(bench)
        sent = {**body, "inference": ident} if isinstance(body, dict) and body["inference"] == "ID" else body
        answer = await bench.post(sent, path=PATH)
        assert answer.status == status
        assert words in said(answer)["error"]["message"]
        assert given(bench) == []

    run()


@on_loop
async def test_it_needs_a_key_and_is_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ident = await asked(bench)
    assert (await bench.post({"inference": ident, "thumb": "up"}, path=PATH, token="rw-" + "z" * 40)).status == 401
    assert (await bench.get(PATH)).status == 405
    statuses = [(await bench.post({"inference": ident, "thumb": "up"}, path=PATH)).status for _ in range(601)]
    assert statuses == [202] * 600 + [429]
    bench.clock.time += 61.0
    assert (await bench.post({"inference": ident, "thumb": "up"}, path=PATH)).status == 202


def test_a_caller_rates_only_what_its_own_workflows_answered() -> None:
    ident = f"inf_{1_700_000_000_000:012x}{'0' * 20}"
    rated = Feedback(ident, 1_700_000_010.0, "thumb", 1.0, "up", "u", "default", ["support"])
    assert may_rate(rated, ("default", "support"))
    assert not may_rate(rated, ("default", "triage"))
    assert not may_rate(rated, ("other", "support"))
    assert may_rate(rated, None)
    assert not may_rate(Feedback(ident, 1_700_000_000.0 + MAY_COME, "thumb", 1.0, team="default"), None)
    assert may_rate(Feedback(ident, 0.0, "score", 1.0), ("other", "support"))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_what_callers_said_is_shipped_with_the_inference_and_a_strangers_word_is_not(tmp_path: Path, kind: str) -> None:
    @on_loop
    async def run() -> None:
        bench = Bench(tmp_path / "journal", keys=[key("rw-" + "s" * 40, team="strangers", workflows=["support"])])
        ident = await asked(bench)
        await bench.post({"inference": ident, "thumb": "down", "user": "u-1"}, path=PATH)
        await bench.post({"inference": ident, "thumb": "up", "user": "x"}, path=PATH, token="rw-" + "s" * 40)
        bench.journal.close()
        store = MemoryLog() if kind == "memory" else SqliteLog(tmp_path / "log.db")
        Shipper(tmp_path / "journal", store).ship()
        entry = store.get(ident)
        store.close()
        assert entry is not None
        assert [(each.name, each.label, each.by) for each in entry.feedback] == [("thumb", "down", "u-1")]

    run()
