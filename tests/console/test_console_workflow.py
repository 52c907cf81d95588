"""The first page, the stop and the workflow's pages, called as a browser would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadworthy.console.charts import gathered
from roadworthy.console.pages import stop, waiting, words, workflow
from roadworthy.inference_log.model import Batch
from roadworthy.operations import waiting as tasks
from roadworthy.operations.tasks import Task, in_order
from roadworthy.workflow.inference import Inference, new_inference_id
from roadworthy.workflow.service import Actor
from support.console import FILES, Console, text_of

EVIL = "<script>alert('words')</script>"
HERE = "/workflows/triage"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    flow = "workflows/triage/workflow.yaml"
    files = {
        **FILES,
        flow: FILES[flow].replace("text: later", f'text: "later {EVIL}"') + f'description: "sorts {EVIL}"\n',
        "workflows/triage/prompt.md": f"You are kind. {EVIL}\n",
        "people.yaml": FILES["people.yaml"] + "  op: {name: Op Erator, email: op@example.com, roles: [operator]}\n",
    }
    made = Console(tmp_path_factory.mktemp("console"), files)
    yield made
    made.close()


def test_the_first_page_says_what_waits_for_this_person_and_how_every_workflow_stands(console: Console) -> None:
    mine = text_of(console.browser("ada").get("/"))
    assert "Say that you answer for triage (workflow and cost owner) about 1 min" in mine
    assert "AI on Pilot" in mine
    assert "Cost today $0" in mine
    assert "Stop…" in mine
    nothing = text_of(console.browser("vi").get("/"))
    assert "Nobody waits for you." in nothing
    assert "triage" in nothing
    assert "Stop…" not in nothing
    assert "triage" not in text_of(console.browser("sky").get("/"))  # of another team


def test_the_first_page_asks_the_log_nothing_while_its_figures_are_fresh(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = console.browser("ada")
    browser.get("/")
    monkeypatch.setattr(console.control.store, "stats", lambda *asked: pytest.fail("the log was asked"))
    browser.get("/")
    browser.get("/workflows")
    browser.get("/stop")


def test_without_script_a_stop_takes_two_steps_and_with_it_one_that_is_held(console: Console) -> None:
    browser, page = console.browser("op"), f"{HERE}/stop"
    first = browser.post(page, {"to": "off"}, on=page)
    assert (first.status_code, first.headers["location"]) == (303, f"{page}?to=off")
    assert "triage" in console.services.status()["workflows"][0].name
    assert console.services.kill.desk.stand("triage").state == "on"
    asked = browser.get(f"{page}?to=off")
    assert "Turn AI off for triage?" in text_of(asked)
    assert 'name="sure" value="yes"' in asked
    done = text_of(browser.done(page, {"to": "off", "sure": "yes"}, on=f"{page}?to=off"))
    assert "Stopped: triage" in done
    assert "no reason given yet" in done
    assert "The app gets 503 with the code ai_off, and takes its old path" in done
    assert console.services.kill.desk.stand("triage").state == "off"
    why = browser.done(f"{page}/reason", {"reason": f"rhymes {EVIL}"}, on=page)
    assert "rhymes &lt;script&gt;" in why
    assert "Why?" not in text_of(why)
    assert f"triage has been off since 03:13: rhymes {EVIL}" in text_of(console.browser("ada").get("/"))
    assert "Restore…" in browser.get("/")


def test_whoever_pressed_takes_it_back_and_only_whom_the_rules_let_restores(console: Console) -> None:
    page = f"{HERE}/stop"
    refused = text_of(console.browser("op").done(f"{page}/restore", {"to": "on", "reason": "fine"}, on=page))
    assert "may not go from off to on" in refused
    assert "needs a reason" in text_of(console.browser("ada").done(f"{page}/restore", {"to": "on"}, on=page))
    assert "Undo" not in text_of(console.browser("ada").get(page))
    assert "Taken back: triage is on again." in text_of(console.browser("op").done(f"{page}/undo", on=page))
    assert console.services.kill.desk.stand("triage").state == "on"


def test_the_page_for_a_phone_lists_my_workflows_and_needs_two_taps_and_no_script(console: Console) -> None:
    browser = console.browser("op")
    listed = browser.get("/stop")
    one = browser.get("/stop/triage")
    for page in (listed, one):
        assert "<script" not in page
        assert len(page) < 4000
    assert listed.count('class="button stop"') == 1
    assert one.count("<button") == 1
    assert "AI off since" in text_of(browser.done("/stop/triage", {"back": "/stop/triage"}, on="/stop/triage"))
    assert console.services.kill.desk.stand("triage").state == "off"
    assert "Taken back" in text_of(browser.done("/stop/triage/undo", on="/stop/triage"))
    console.browser("vi").get("/stop", 403)


def test_from_files_to_a_release_and_to_words_that_are_ahead_of_them(console: Console) -> None:
    ada = console.browser("ada")
    frozen = ada.done(f"{HERE}/freeze", {"note": "first"}, on=f"{HERE}/releases")
    assert "Froze release 1." in text_of(frozen)
    page = f"{HERE}/words"
    before = ada.get(page)
    assert "later &lt;script&gt;" in before
    assert "Shown when the model could not be reached" in text_of(before)
    saved = text_of(ada.done(page, {"text-canned": f"By noon. {EVIL}"}, on=page))
    assert "Saved. Nobody is served it before it is published." in saved
    assert "Test on 5 failures" in saved
    wrong = text_of(ada.done(page, {"text-canned": " "}, on=page))
    assert "found nothing, expected what the customer reads" in wrong
    published = text_of(ada.done(f"{page}/publish", {"note": "calmer"}, on=page))
    assert "Published as release 2." in published
    assert "The files do not say it yet" in published
    assert f"text: By noon. {EVIL}" in published
    difference = ada.get(f"{HERE}/releases?a=1&b=2")
    assert "fallback drills, failure catalogue" in text_of(difference)
    assert "By noon. &lt;script&gt;" in difference
    back = text_of(ada.done(f"{HERE}/freeze", on=f"{HERE}/releases"))
    assert "goes back from words that were published here: canned" in back


def test_somebody_else_reads_the_words_and_may_not_change_them(console: Console) -> None:
    page = f"{HERE}/words"
    seen = console.browser("op").get(page)
    assert "<textarea" not in seen
    assert "Ada Lovelace and Bo Lee may change them." in text_of(seen)
    refused = text_of(console.browser("op").done(page, {"text-canned": "Never."}, on=page))
    assert "may not change the words of triage: Ada Lovelace or Bo Lee" in refused
    assert "op words.save workflow/triage denied" in console.audit()


def test_names_are_put_under_a_workflow_from_its_page(console: Console) -> None:
    bo, ada = console.browser("bo"), console.browser("ada")
    assert "Bo Lee answers for it as prompt owner" in text_of(bo.get(HERE))
    done = text_of(bo.done(f"{HERE}/accept", {"role": "prompt"}, on=HERE))
    assert "It is on record that you accepted it." in done
    assert "Bo Lee answers for it as prompt owner" not in done  # what was gathered ahead is judged anew at once
    refused = text_of(bo.done(f"{HERE}/accept", {"role": "cost"}, on=HERE))
    assert "bo is not the cost owner of triage" in refused
    ada.done(f"{HERE}/accept", on=HERE)
    assert "Names that are missing" not in text_of(ada.get(HERE))


def test_every_item_of_the_checklist_says_where_it_is_completed(console: Console) -> None:
    page = console.browser("ada").get(HERE)
    rows = re.findall(r'<tr id="item-(\d+)">(.*?)</tr>', page, re.S)
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    for number, row in rows:
        assert "<button" in row or 'class="button"' in row or number == "5", number
        assert "Not shown yet" in row or number == "5"
        console.browser("ada").get(tasks.place_of(int(number), "triage").partition("#")[0])
    waived = {"item": "9", "until": "2026-12-01", "reason": "no budget yet"}
    assert "Item 9 of triage rests until 2026-12-01" in text_of(
        console.browser("ada").done(f"{HERE}/waive", waived, on=HERE)
    )
    assert "expected a day such as 2026-12-01" in text_of(
        console.browser("ada").done(f"{HERE}/waive", {**waived, "until": "soon"}, on=HERE)
    )


def test_a_ramp_begins_after_its_calendar_and_is_held_by_whom_may_stop(console: Console) -> None:
    ada, page = console.browser("ada"), f"{HERE}/ramp"
    calendar = text_of(ada.get(page))
    assert "never at this volume" in calendar
    assert "Start the ramp" in calendar
    assert "Start the ramp" not in text_of(console.browser("op").get(page))
    begun = text_of(ada.done(f"{page}/start", {"accept_unknown": "yes"}, on=page))
    assert "Release at testers (testers only): ramping." in begun
    assert "What must hold before 1 %" in begun
    assert "Not enough data yet" in begun
    held = text_of(console.browser("op").done(f"{page}/hold", {"reason": "wait"}, on=HERE))
    assert "Held" in held
    assert "Decide what becomes of the ramp of triage: it is held at 0 %: wait" in text_of(ada.get("/"))
    assert "may not resume the ramp of triage" in text_of(console.browser("op").done(f"{page}/resume", on=HERE))


def test_whoever_may_only_read_changes_nothing(console: Console) -> None:
    vi = console.browser("vi")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', vi.get("/workflows"))
    assert token is not None
    for page in (*waiting.PAGES, *stop.PAGES, *workflow.PAGES, *words.PAGES):
        if page.method == "POST":
            path = page.path.replace("{workflow}", "triage")
            assert vi.request("POST", path, data={"csrf": token.group(1)}).status_code == 403, path


def test_charts_are_drawn_from_two_questions_to_the_log_however_many_lines_they_have(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    stats = console.control.store.stats
    monkeypatch.setattr(console.control.store, "stats", lambda *each: (asked.append(each), stats(*each))[1])
    page = console.browser("ada").get(f"{HERE}/charts?span=7d")
    assert page.count("data-chart=") == 3
    assert len(asked) == 2


def test_how_long_answers_take_is_told_of_calls_in_which_the_ai_was_asked(console: Console) -> None:
    now = console.clock() - 30 * 86_400  # an hour of its own
    fields: dict[str, Any] = {"ts": now, "team": "default", "workflow": "triage"}
    served = Inference(id=new_inference_id(now, 1), outcome="answered", latency=2.0, **fields)
    passed = [
        Inference(id=new_inference_id(now, 2 + each), outcome="bypassed", route="bypass", latency=0.0001, **fields)
        for each in range(50)
    ]
    console.control.store.ship(Batch(ends=[served, *passed]))
    found = gathered(console.services.log, "triage", "24h", now)
    assert found["latency"]["lines"][0]["values"][-1] == pytest.approx(2.0, rel=0.1)


def test_nothing_that_was_written_by_others_runs(console: Console, tmp_path: Path) -> None:
    ada = console.browser("ada")
    for path in ("/", "/workflows", HERE, f"{HERE}/words", f"{HERE}/releases?a=draft&b=1", f"{HERE}/stop", "/stop"):
        assert "<script>alert" not in ada.get(path), path


def test_of_two_tasks_about_one_matter_the_more_urgent_is_shown() -> None:
    def task(key: str, urgency: int, minutes: float | None = None) -> Task:
        return Task(key=key, sentence=key, button="Go", href="/", urgency=urgency, minutes=minutes)

    found = in_order([task("a", 3), task("b", 1, 9), task("a", 0), task("c", 1, 2)])
    assert [(each.key, each.urgency) for each in found] == [("a", 0), ("c", 1), ("b", 1)]


def test_since_is_said_as_people_do(console: Console) -> None:
    zone, now = console.services.zone(), console.clock.now  # Monday, 03:13
    day = 86_400.0
    said = [tasks._since(now - ago, now, zone) for ago in (60.0, day, 5 * day, 20 * day)]
    assert said == ["since 03:12", "since Sunday", "since Wednesday", "since 3 November"]


def test_when_everything_is_stopped_each_brings_back_their_own(console: Console) -> None:
    ada, page = console.browser("ada"), f"{HERE}/stop"
    console.services.kill.desk.press("*", "off", "flood", Actor("op"), 0.0)
    assert "Everything has been off since 03:13: flood. Decide when triage goes on again" in text_of(ada.get("/"))
    assert "Back to “AI on”" in text_of(ada.get(page))
    back = text_of(ada.done(f"{page}/restore", {"to": "on", "reason": "it is over"}, on=page))
    assert "triage is on." in back
    assert console.services.kill.desk.stand("triage").in_force == "on"
