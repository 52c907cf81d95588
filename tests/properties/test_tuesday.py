"""Observability: "what did the model do on Tuesday at 2 pm for user X?" is answered at once, by the command line.

A hundred thousand inferences of the last nine days lie in the log, shipped from a journal as a gateway writes it.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from property_install import configuration

from roadworthy.inference_log import segments
from roadworthy.inference_log.segments import SegmentName
from roadworthy.workflow.inference import Attempt, Inference, Seal, Tokens, new_inference_id
from support.up import roadworthy

ROWS = 100_000
BERLIN = ZoneInfo("Europe/Berlin")
"""The time zone of the install; the machine may have any other."""


def last_tuesday(now: datetime) -> datetime:
    """Two in the afternoon of the last Tuesday on which that hour has begun, in Berlin."""
    local = now.astimezone(BERLIN)
    day = local - timedelta(days=(local.weekday() - 1) % 7)
    two = day.replace(hour=14, minute=0, second=0, microsecond=0)
    return two if two <= local else two - timedelta(days=7)


def body(content: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(content))


class Seeded:
    """A stopped install with a log."""

    def __init__(self, root: Path) -> None:
        self.data = root / "data"
        roadworthy("apply", str(configuration(root)), "--data", str(self.data))
        now = datetime.now(BERLIN)
        self.tuesday = last_tuesday(now)
        self._random = random.Random(14)
        at_two = self.tuesday.timestamp()
        others = [
            self.row(
                now.timestamp() - self._random.uniform(0.0, 9 * 86_400.0), f"u-{self._random.randrange(1000, 3000)}"
            )
            for _ in range(ROWS)
        ]
        self.wanted = [
            self.row(at_two + minute * 60.0, "u-42", "Where is my parcel?", f"It left on day {minute}.")
            for minute in (0, 17, 59)
            if at_two + minute * 60.0 <= now.timestamp()
        ]
        before = self.row(at_two - 1.0, "u-42")
        after = [self.row(at_two + 3600.0, "u-42")] if at_two + 3600.0 <= now.timestamp() else []
        rows = [*others, *self.wanted, before, *after]
        self._random.shuffle(rows)
        self.count = len(rows)
        self.write(rows)
        roadworthy("log", "--data", str(self.data), "--limit", "1", "--json")  # ships

    def row(self, ts: float, user: str, asked: str = "Hello?", said: str = "Hello.") -> Inference:
        identity = new_inference_id(ts, self._random.getrandbits(80))
        tokens = Tokens(input=120, output=30)
        return Inference(
            id=identity, ts=ts, team="default", workflow="support", outcome="answered", digest="rel_" + "a" * 64,
            unit=user, unit_source="header", key="key_000000000001", target="main", model_asked="sim-main",
            model_answered="simulated:sim-main", tokens=tokens, cost_usd=0.00081, latency=0.42, first_token=0.2,
            attempts=[Attempt("main", ended=0.42, status=200, tokens=tokens, cost_usd=0.00081)], worker="w9",
            request=body({"messages": [{"role": "user", "content": asked}]}),
            response=body({"choices": [{"index": 0, "message": {"role": "assistant", "content": said}}]}),
        )  # fmt: skip

    def write(self, rows: list[Inference]) -> None:
        """A segment as a worker leaves it that stopped in good order."""
        path = SegmentName("w9", 1_700_000_000_000, 1).path(self.data / "journal")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as segment:
            segment.writelines(segments.encode(row) for row in rows)
            segment.write(segments.encode(Seal(0.0, len(rows))))

    def log(self, *arguments: str) -> dict[str, Any]:
        done = roadworthy("log", *arguments, "--data", str(self.data), "--json", env={"TZ": "America/New_York"})
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    return Seeded(tmp_path_factory.mktemp("tuesday"))


def test_tuesday_two_pm_of_a_user_is_found_among_a_hundred_thousand(seeded: Seeded) -> None:
    found = seeded.log("tuesday", "2pm", "--user", "u-42")
    at_two = seeded.tuesday.timestamp()
    assert (found["window"]["since"], found["window"]["until"]) == (
        at_two,
        min(at_two + 3600.0, found["window"]["until"]),
    )
    assert [item["id"] for item in found["items"]] == [row.id for row in reversed(seeded.wanted)]


def test_the_table_says_how_the_time_was_read_and_show_tells_the_story(seeded: Seeded) -> None:
    table = roadworthy("log", "tuesday 2pm", "--user", "u-42", "--data", str(seeded.data)).stdout
    assert seeded.tuesday.strftime("%a %-d %b %Y 14:00") in table
    assert "Europe/Berlin" in table
    shown = roadworthy("show", seeded.wanted[-1].id, "--data", str(seeded.data)).stdout
    assert "Where is my parcel?" in shown
    assert "It left on day" in shown


def test_the_same_question_is_understood_in_other_words(seeded: Seeded) -> None:
    day = seeded.tuesday
    offset = day.strftime("%z")
    for words in (day.strftime("%Y-%m-%d 14:00"), day.strftime("%Y-%m-%dT14:00:00") + f"{offset[:3]}:{offset[3:]}"):
        ids = {item["id"] for item in seeded.log(words, "--user", "u-42")["items"]}
        assert seeded.wanted[0].id in ids
    held = seeded.log("tuesday 2pm", "--text", "left on day 0.")["items"]
    assert [item["id"] for item in held] == [seeded.wanted[0].id]


def test_nothing_found_is_said_with_the_nearest_that_there_is(seeded: Seeded) -> None:
    done = roadworthy("log", "tuesday 2pm", "--user", "nobody", "--data", str(seeded.data), code=1)
    assert "Nothing found" in done.stdout


def test_every_row_is_there(seeded: Seeded) -> None:
    stats = json.loads(roadworthy("stats", "last 10 days", "--json", "--data", str(seeded.data)).stdout)
    assert sum(row["count"] for row in stats["rows"]) == seeded.count > ROWS
