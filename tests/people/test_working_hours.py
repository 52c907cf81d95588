"""What is no page waits for working hours, right across a change of the clocks, and comes as one mail."""

from __future__ import annotations

import random
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from paging_support import MAILS, NOON, Desk, Rota, configuration

from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import Incidents
from roadworthy.people.outbox.deferring import joined
from roadworthy.people.outbox.model import Mail
from roadworthy.workflow import hours
from roadworthy.workflow.model import Person

CHANGES = {
    "Europe/Berlin": ["2026-03-29T00:00", "2026-10-25T00:00"],
    "America/New_York": ["2026-03-08T00:00", "2026-11-01T00:00"],
    "Australia/Lord_Howe": ["2026-04-05T00:00", "2026-10-04T00:00"],  # half an hour
    "America/Santiago": ["2026-04-04T20:00", "2026-09-05T20:00"],  # midnight does not exist
}
SPANS = ["Mon-Fri 09:00-17:00", "Sat-Sun 00:00-24:00", "Sun 02:30-03:30", "Mon-Sun 01:00-02:15, Sun 22:00-24:00"]


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("text", SPANS)
def test_the_next_working_moment_is_in_hours_and_none_before_it_is(zone: str, text: str) -> None:
    where, spans = ZoneInfo(zone), hours.parse(text)
    assert spans is not None
    draw = random.Random(7)
    for change in CHANGES[zone]:
        start = datetime.fromisoformat(change).replace(tzinfo=where).timestamp()
        for _ in range(15):
            now = start + draw.randint(-2 * 1440, 2 * 1440) * 60.0
            found = hours.next_start(spans, now, where)
            assert found >= now
            assert hours.within(spans, found, where)
            assert not any(hours.within(spans, now + 60.0 * step, where) for step in range(int(found - now) // 60))


def test_of_an_hour_that_comes_twice_both_count() -> None:
    berlin, spans = ZoneInfo("Europe/Berlin"), hours.parse("Sun 02:30-03:30")
    assert spans is not None
    now = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=berlin).timestamp()
    assert hours.next_start(spans, now, berlin) == now + 20 * 60


class Told:
    def __init__(self, *, ada_hours: str = "Mon-Fri 09:00-17:00") -> None:
        ada = Person("ada", "Ada", "ada@example.com", hours=ada_hours, zone="Europe/Berlin")
        self.desk = Desk(Rota("ada"), configuration(MAILS, ada=ada))
        self.incidents = Incidents(self.desk.state, clock=self.desk.clock)
        self.incidents.paged_by(self.desk.paging)

    def notices(self, *keys: str, drill: bool = False) -> None:
        made = [
            Notice("alert", key, "default", "support", f"about {key}", "s", "workflow", self.desk.clock.now,
                   traffic="drill" if drill else "live", drill="d" if drill else "")
            for key in keys
        ]  # fmt: skip
        self.incidents.take(made)


def test_an_owner_is_told_at_the_start_of_the_next_working_day_in_one_mail() -> None:
    told = Told()
    told.desk.clock.now = NOON + 8 * 3600  # 21:00 in Berlin
    told.notices("a")
    told.notices("b", "c")
    told.desk.passes(1)
    assert told.desk.post.mails == []
    told.desk.clock.now = NOON + 20 * 3600 - 1  # one second before nine
    told.desk.passes(0)
    assert told.desk.post.mails == []
    told.desk.clock.now += 1
    told.desk.passes(0)
    (mail,) = told.desk.post.mails
    assert mail.subject == "3 messages that waited for your working hours"
    assert mail.text.startswith("1. about a\n2. about b\n3. about c\n")
    told.desk.passes(60)
    assert len(told.desk.post.mails) == 1


def test_in_working_hours_and_without_any_it_comes_at_once() -> None:
    for hours_of_ada in ("Mon-Fri 09:00-17:00", ""):
        told = Told(ada_hours=hours_of_ada)
        told.notices("a")
        told.desk.passes(0)
        assert [mail.subject for mail in told.desk.post.mails] == ["about a"]


def test_a_drill_does_not_wait() -> None:
    told = Told(ada_hours="Sun 09:00-10:00")
    told.notices("a", drill=True)
    told.desk.passes(0)
    assert [mail.subject for mail in told.desk.post.mails] == ["DRILL: about a"]


def test_a_page_does_not_wait_and_whoever_is_paged_gets_no_mail_besides() -> None:
    told = Told(ada_hours="Sun 09:00-10:00")
    alert = Notice(
        "incident", "burn/support", "default", "support", "it burns", "s", "workflow", NOON, alert="error_burn_fast"
    )
    told.incidents.watch([alert], watched=lambda incident: [])
    told.desk.passes(0)
    assert [mail.subject for mail in told.desk.post.mails] == ["it burns"]
    assert "I'm on it" in told.desk.post.mails[0].text
    told.desk.passes(60)
    assert {page.person for page in told.desk.paging.live()} == {"ada"}


def test_a_mail_that_may_be_on_its_way_is_not_added_to() -> None:
    told = Told()
    told.desk.clock.now = NOON + 8 * 3600
    told.notices("a")
    told.desk.clock.now = NOON + 20 * 3600 - 2
    told.notices("b")
    told.desk.passes(1)
    assert [mail.subject for mail in told.desk.post.mails] == ["about a", "about b"]


def test_joined_mails_keep_what_each_said() -> None:
    first, second, third = (Mail(["a@x.org"], f"s{n}", f"text {n}") for n in (1, 2, 3))
    both = joined(joined(first, second), third)
    assert both.to == ["a@x.org"]
    assert [both.text.count(f"text {n}") for n in (1, 2, 3)] == [1, 1, 1]
    assert msgspec.json.decode(msgspec.json.encode(both), type=Mail) == both
