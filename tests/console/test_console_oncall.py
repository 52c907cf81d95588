"""The on-call page: who is woken, the weeks to come, gaps in words, shifts that people take, a calendar file."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from roadworthy.engine.heartbeat import VITAL
from roadworthy.workflow import calendars
from support.console import FILES, Console, text_of

ROTATION = (
    "on_call:\n"
    "  default: {members: [ada, bo, cy], zone: Europe/Berlin, start: 2026-11-16, catch_all: ada, hand_up: 5m}\n"
    "  other: {members: [sky], start: 2026-11-16, catch_all: sky}\n"
)
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    people = FILES["people.yaml"] + "  cy: {name: Cy Wolf, email: cy@example.com, left: true}\n" + ROTATION
    other = FILES["workflows/triage/workflow.yaml"].replace("owners: {", "team: other\nowners: {")
    made = Console(
        tmp_path_factory.mktemp("oncall"),
        {**FILES, "people.yaml": people, "workflows/theirs/workflow.yaml": other, "workflows/theirs/prompt.md": "x\n"},
    )
    yield made
    made.close()


def test_it_says_who_is_woken_who_then_and_who_next(console: Console) -> None:
    page = text_of(console.browser("ada").get("/oncall"))
    assert "triage Ada Lovelace" in page
    assert "Hands over Mon 23 Nov 09:00 to Bo Lee" in page
    assert "the same person again, every 5 min" in page
    assert "Hand-off Monday 09:00, Europe/Berlin, for triage" in page


def test_a_gap_stands_in_words_with_the_shift_to_take(console: Console) -> None:
    browser = console.browser("bo")
    html = browser.get("/oncall")
    page = text_of(html)
    assert "from Mon 30 Nov 09:00 until Mon 7 Dec 09:00 . Cy has left." in page
    assert "nobody : cy has left" in page
    [link] = re.findall(r'href="(/oncall\?rotation=default[^"]+)#take"', html)
    filled = browser.get(link.replace("&amp;", "&"))
    assert "Nobody is on call for triage from Mon 30 Nov 09:00" in text_of(browser.get("/"))
    assert "Nobody is on call" not in text_of(console.browser("vi").get("/"))
    assert 'name="from" value="2026-11-30T09:00"' in filled
    assert 'name="until" value="2026-12-07T09:00"' in filled


def test_a_person_takes_a_shift_and_it_can_be_taken_back(console: Console) -> None:
    browser = console.browser("bo")
    shift = {"rotation": "default", "person": "bo", "from": "2026-11-30T09:00", "until": "2026-12-07T09:00"}
    page = browser.done("/oncall/override", {**shift, "why": HOSTILE}, on="/oncall")
    assert "Bo Lee is on call from Mon 30 Nov 09:00 until Mon 7 Dec 09:00." in text_of(page)
    assert "Nobody is on call in the next two weeks" not in page
    assert HOSTILE not in page
    assert "bo oncall.override rotation/default done" in console.audit()
    [ident] = re.findall(r"/oncall/override/(ovr_[0-9a-f]+)/take-back", page)
    after = browser.done(f"/oncall/override/{ident}/take-back", on="/oncall")
    assert "Cy has left" in text_of(after)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"until": ""}, "Say until when"),
        ({"until": "soon"}, "no time that is known here"),
        ({"until": "2026-11-01T09:00"}, "end before it begins"),
        ({"person": "cy"}, "cy has left"),
        ({"person": HOSTILE}, "nobody is called"),
        ({"rotation": "none"}, "there is no rotation"),
        ({"rotation": "other"}, "not allowed"),
    ],
)
def test_what_cannot_be_meant_comes_back_as_words(console: Console, fields: dict[str, str], said: str) -> None:
    shift = {"rotation": "default", "person": "bo", "from": "2026-11-30T09:00", "until": "2026-12-01T09:00"}
    page = console.browser("bo").done("/oncall/override", {**shift, **fields}, on="/oncall")
    assert said in text_of(page)
    assert "<script>alert" not in page


def test_each_sees_the_rotations_of_their_team_and_who_only_looks_takes_no_shift(console: Console) -> None:
    viewer, other = console.browser("vi").get("/oncall"), text_of(console.browser("sky").get("/oncall"))
    assert 'action="/oncall/override"' not in viewer
    assert "Send a test page" not in viewer
    assert "Rotation other" not in text_of(viewer)
    assert "Rotation other" in other
    assert "Rotation default" not in other
    assert console.browser("vi").post("/oncall/override", on="/oncall").status_code == 403
    assert console.browser("sky").request("GET", "/oncall/calendar/default.ics").status_code == 404


def test_the_calendar_file_reads_back_as_the_rotation(console: Console) -> None:
    answer = console.browser("ada").request("GET", "/oncall/calendar/default.ics")
    assert answer.headers["content-type"].startswith("text/calendar")
    now = console.clock.now
    found = calendars.entries(answer.text, "UTC", now, now + 14 * 86_400.0)
    assert [each.words for each in found] == [("ada@example.com",), ("bo@example.com",)]


def test_a_test_page_goes_to_whoever_is_on_call_and_counts_once_it_is_acknowledged(console: Console) -> None:
    browser = console.browser("ada")
    page = browser.done("/oncall/test", {"workflow": "triage"}, on="/oncall")
    assert "Ada Lovelace is being paged" in text_of(page)
    assert "Acknowledge the test page of triage" in text_of(browser.get("/"))
    assert "Acknowledge the test page" not in text_of(console.browser("bo").get("/"))
    assert "ada oncall.test workflow/triage done" in console.audit()


def test_the_duties_that_the_heartbeat_waits_for_are_duties_of_control(console: Console) -> None:
    assert {module.name for module in console.control.modules()} >= set(VITAL)


def test_where_nobody_said_who_is_on_call_the_page_shows_how(tmp_path_factory: pytest.TempPathFactory) -> None:
    bare = Console(tmp_path_factory.mktemp("bare"))
    try:
        page = text_of(bare.browser("ada").get("/oncall"))
        assert "No rotation is configured, so pages go to its owner, ada." in page
        assert "Say who is on call" in page
        assert "members: [ada, bo]" in page
    finally:
        bare.close()
