"""docs/escalations.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from people_support import Desk, line

from roadworthy.gateway.answers import escalations as gateway
from roadworthy.people.escalation.rules import LEASE, TRANSITIONS
from roadworthy.people.outbox.rules import PAUSES
from roadworthy.people.webhooks import TOLERANCE

PAGE = (Path(__file__).parents[2] / "docs" / "escalations.md").read_text(encoding="utf-8")


def test_its_table_of_transitions_is_the_one_that_acts() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)
    told = {(state, event): end for state, event, end in rows if state != "from"}
    assert told == TRANSITIONS


def test_its_figures_are_those_of_the_code() -> None:
    assert f"yours for {LEASE / 60:.0f} minutes" in PAGE
    assert f"(at most {gateway.LONGEST_WAIT:.0f})" in PAGE
    assert f"At most {gateway.MOST_WAITING} calls" in PAGE
    assert f"more than {TOLERANCE / 60:.0f} minutes away" in PAGE
    assert f"ends after {gateway.DRILL_SECONDS / 60:.0f} minutes" in PAGE
    assert PAUSES == (1, 5, 30, 120, 600, 1800, 3600, 4 * 3600)
    assert "1 s, 5 s, 30 s, 2 min, 10 min, 30 min, 1 h and 4 h" in PAGE


def documented(kind: str) -> dict[str, object]:
    [example] = re.findall(rf'```json\n(\{{"type": "{kind}".*?)```', PAGE, re.DOTALL)
    found: dict[str, object] = json.loads(example)["data"]
    return found


def test_its_messages_have_the_fields_that_are_sent() -> None:
    desk = Desk()
    desk.open(line())
    desk.clock.now += 3600
    desk.queue.pass_time()
    opened, closed, _ = desk.messages()
    assert set(documented("escalation.opened")) == set(opened["data"])
    assert "`data: {id, workflow, team, drill, by}`" in PAGE
    assert set(closed["data"]) == {"id", "workflow", "team", "drill", "by"}
    alert = desk.messages()[-1]
    assert set(documented("incident.open")) == set(alert["data"]) - {"key"}


def test_the_bridge_is_as_long_as_it_says() -> None:
    [code] = re.findall(r"a test runs it -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    lines = [text for text in code.splitlines() if text.strip()]
    said = int(re.findall(r"A bridge of (\d+) lines", PAGE)[0])
    assert abs(len(lines) - said) <= 3
