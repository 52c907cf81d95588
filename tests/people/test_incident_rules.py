from __future__ import annotations

from typing import Any

import pytest
from people_support import NOON, ident

from roadworthy.people.incident.model import MOST_REMEMBERED, Notice
from roadworthy.people.incident.rules import REMIND, Refused, resolve, seen


def notice(number: int = 1, at: float = NOON, **more: Any) -> Notice:
    fields: dict[str, Any] = {
        "kind": "incident", "key": "unsafe/support", "team": "default", "workflow": "support", "title": "unsafe",
        "summary": "an answer was unsafe", "role": "workflow", "at": at, "inference": ident(number),
    }  # fmt: skip
    return Notice(**{**fields, **more})


def test_the_first_notice_opens_an_incident_and_somebody_is_told() -> None:
    incident, tell = seen(None, notice(), "inc_1")
    assert (incident.state, incident.count, tell) == ("open", 1, True)


def test_the_next_ones_are_counted_in_silence_until_a_day_has_passed() -> None:
    incident, _ = seen(None, notice(), "inc_1")
    incident, tell = seen(incident, notice(2, NOON + 60), "inc_2")
    assert (incident.id, incident.count, incident.seen_at, tell) == ("inc_1", 2, NOON + 60, False)
    incident, tell = seen(incident, notice(3, NOON + REMIND), "inc_3")
    assert (incident.count, tell) == (3, True)
    assert seen(incident, notice(4, NOON + REMIND + 60), "inc_4")[1] is False


def test_a_record_that_is_shipped_twice_counts_once() -> None:
    incident, _ = seen(None, notice(), "inc_1")
    assert seen(incident, notice(), "inc_2") == (incident, False)


def test_seen_after_it_was_resolved_it_is_a_new_incident() -> None:
    incident = resolve(seen(None, notice(), "inc_1")[0], "ada", "prompt mended", NOON + 5)
    assert (incident.state, incident.resolved_by) == ("resolved", "ada")
    again, tell = seen(incident, notice(2), "inc_2")
    assert (again.id, again.state, tell) == ("inc_2", "open", True)


def test_it_is_resolved_once() -> None:
    incident = resolve(seen(None, notice(), "inc_1")[0], "ada", "", NOON)
    with pytest.raises(Refused, match="resolved already, by ada"):
        resolve(incident, "bo", "", NOON)


def test_what_a_drill_caused_is_told_every_time_and_leaves_nothing_to_look_into() -> None:
    incident, tell = seen(None, notice(traffic="drill", drill="html_page"), "inc_1")
    assert (incident.state, incident.resolved_by, incident.drill, tell) == ("resolved", "drill", "html_page", True)
    assert seen(incident, notice(traffic="drill"), "inc_2") == (incident, False)


def test_it_remembers_the_newest_inferences_only() -> None:
    incident, _ = seen(None, notice(), "inc_1")
    for number in range(2, MOST_REMEMBERED + 20):
        incident, _ = seen(incident, notice(number), "inc_x")
    assert len(incident.inferences) == MOST_REMEMBERED
    assert incident.count == MOST_REMEMBERED + 19
