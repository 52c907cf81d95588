"""Mailed links as a mail scanner, a browser and PagerDuty meet them."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from roadworthy.people.incident.model import Incident
from roadworthy.people.links.model import Action
from roadworthy.people.paging import pagerduty
from roadworthy.workflow.model import Person
from support.console import FILES, HOST, Browser, Console, text_of

CHANNELS = "channels:\n  pager: {kind: pagerduty, secret: env:D_PD, signed_by: env:D_SIGNING}\n"
SECRET = "gK5m-signing"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    files = FILES | {"roadworthy.yaml": FILES["roadworthy.yaml"] + CHANNELS}
    made = Console(tmp_path_factory.mktemp("links"), files)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D_SIGNING", SECRET)


class Numbers:
    last = 0


def incident(house: Console, **more: Any) -> Incident:
    Numbers.last += 1
    now = house.clock.now
    fields: dict[str, Any] = {
        "id": f"inc_{Numbers.last:012d}", "kind": "incident", "key": f"burn/{Numbers.last}", "team": "default",
        "workflow": "triage", "title": "triage: 38 of 52 customers <i>got</i> the holding text", "summary": "s",
        "role": "workflow", "opened_at": now, "seen_at": now, "notified_at": now, "cls": "page",
    }  # fmt: skip
    made = Incident(**{**fields, **more})
    with house.control.state.write() as tx:
        tx.put_incident(made)
    return made


def link(house: Console, action: Action, made: Incident, person: str = "ada") -> str:
    return house.control.people.links.make(action, made.id, person, 600.0)


def back_on(house: Console) -> None:
    if house.services.kill.desk.stand("triage").state != "on":
        house.services.kill.kills.restore("triage", "on", "ada", "test", frozenset({"stop", "on_call", "owner"}))


def state_of(house: Console) -> tuple[Any, ...]:
    """Everything that a fetch could have changed."""
    with house.control.state.read() as tx:
        incidents = [tx.incident(row.id) for row in tx.incidents()]
        return incidents, list(tx.audit(after=0, limit=10_000)), house.services.kill.desk.stand("triage").seq


@pytest.mark.parametrize("action", ["acknowledge", "last_good", "stop"])
def test_a_scanner_that_fetches_a_link_twice_changes_nothing_and_the_link_still_works(
    house: Console, action: Action
) -> None:
    made = incident(house)
    path, scanner = link(house, action, made), Browser(house.app)
    before = state_of(house)
    pages = [scanner.request(method, path) for method in ("GET", "GET", "HEAD", "HEAD")]
    pages.append(scanner.request("GET", path, headers={"purpose": "prefetch", "sec-purpose": "prefetch"}))
    assert {page.status_code for page in pages} == {200}
    assert state_of(house) == before
    assert scanner.cookies == {}
    assert Browser(house.app).request("POST", path).status_code == 200
    back_on(house)


def test_the_page_says_what_happens_for_whom_and_until_when_without_a_script(house: Console) -> None:
    page = Browser(house.app).request("GET", link(house, "stop", incident(house)))
    text = text_of(page.text)
    assert "Turn AI off: triage" in text
    assert "For Ada Lovelace alone, once, until" in text
    assert "No model is called any more" in text
    assert "<script" not in page.text
    assert "<i>got" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert '<meta name="robots" content="noindex">' in page.text
    assert len(re.findall(r"<form", page.text)) == 1


def test_confirming_acknowledges_once_and_signs_nobody_in(house: Console) -> None:
    made = incident(house)
    path, browser = link(house, "acknowledge", made), Browser(house.app)
    assert "You have it" in text_of(browser.request("POST", path).text)
    found = house.services.incidents.find(made.id)
    assert (found.state, found.acknowledged_by, found.acknowledged_how) == ("acknowledged", "ada", "link")
    assert browser.cookies == {}
    assert browser.request("GET", "/").status_code == 303
    again = browser.request("POST", path)
    assert again.status_code == 410
    assert "was used, has expired or never was" in text_of(again.text)
    assert f"ada link.acknowledge {made.id} done" in house.audit()


def test_a_link_turns_the_ai_off_takes_the_incident_and_says_how_far_it_came(house: Console) -> None:
    made = incident(house)
    done = Browser(house.app).request("POST", link(house, "stop", made))
    assert house.services.kill.desk.stand("triage").state == "off"
    assert house.services.kill.desk.stand("triage").by == "ada"
    assert "no gateway is there to confirm it" in text_of(done.text)
    assert house.services.incidents.find(made.id).acknowledged_by == "ada"
    shown = Browser(house.app).request("GET", link(house, "last_good", made))
    assert "triage is off already" in text_of(shown.text)
    assert "<form" not in shown.text
    back_on(house)


def test_a_form_of_another_site_cannot_use_a_link(house: Console) -> None:
    path = link(house, "acknowledge", incident(house))
    other = {"origin": "https://evil.example"}
    assert Browser(house.app).request("POST", path, headers=other).status_code == 403
    assert Browser(house.app).request("POST", path).status_code == 200


def test_whoever_may_not_stop_it_any_more_does_not_by_a_link_and_keeps_it(house: Console) -> None:
    path = link(house, "stop", incident(house), "vi")  # a viewer
    for _ in range(2):
        refused = Browser(house.app).request("POST", path)
        assert refused.status_code == 409
        assert "Vi Ewer may not stop triage" in text_of(refused.text)
    assert house.services.kill.desk.stand("triage").state == "on"


def test_what_is_over_is_said_to_be_over_and_the_link_is_not_spent(house: Console) -> None:
    path = link(house, "acknowledge", incident(house, state="resolved", resolved_by="engine", resolved_at=1.0))
    for method in ("GET", "POST", "POST"):
        assert "over already" in text_of(Browser(house.app).request(method, path).text)


@pytest.mark.parametrize("token", ["x", "%2e%2e", "a" * 3000])
def test_garbage_is_refused_in_the_words_of_every_refusal(house: Console, token: str) -> None:
    for method in ("GET", "POST"):
        page = Browser(house.app).request(method, f"/link/{token}")
        assert page.status_code == 410
        assert "was used, has expired or never was" in text_of(page.text)


def happening(made: Incident | None, **more: Any) -> dict[str, Any]:
    Numbers.last += 1
    agent = {
        "html_url": "https://acme.pagerduty.com/users/PLH1HKV", "id": "PLH1HKV", "type": "user_reference",
        "self": "https://api.pagerduty.com/users/PLH1HKV", "summary": "Bo Lee",
    }  # fmt: skip
    event = {
        "id": f"01DEN{Numbers.last}", "event_type": "incident.acknowledged", "resource_type": "incident",
        "occurred_at": "2026-11-02T18:45:22.169Z", "agent": agent, "client": None,
        "data": {"id": "PGR0VU2", "type": "incident", "status": "acknowledged", "number": 2,
                 "incident_key": None if made is None else made.id},
    }  # fmt: skip
    return {"event": event | more}


def tells(house: Console, body: bytes | dict[str, Any], signature: str | None = None) -> tuple[int, str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = signature or "v1=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    headers = {"x-pagerduty-signature": signed, "origin": f"http://{HOST}", "content-type": "application/json"}
    answer = Browser(house.app).request("POST", "/hooks/pagerduty", content=raw, headers=headers)
    return answer.status_code, answer.text.strip()


def test_an_acknowledgement_in_pagerduty_is_one_here_by_the_person_of_that_name(house: Console) -> None:
    made = incident(house)
    assert tells(house, happening(made)) == (200, "taken")
    found = house.services.incidents.find(made.id)
    assert (found.acknowledged_by, found.acknowledged_how) == ("bo", "pagerduty")


def test_the_same_event_twice_changes_nothing_the_second_time(house: Console) -> None:
    made = incident(house)
    body = happening(made)
    assert [tells(house, body), tells(house, body)] == [(200, "taken"), (200, "ignored")]


def test_a_resolution_in_pagerduty_ends_the_incident(house: Console) -> None:
    made = incident(house)
    assert tells(house, happening(made, event_type="incident.resolved")) == (200, "taken")
    assert house.services.incidents.find(made.id).resolved_by == "bo"


def test_what_a_machine_did_what_is_not_ours_and_other_events_are_ignored(house: Console) -> None:
    made = incident(house)
    machine = {"id": "PX", "type": "service_reference", "summary": "Roadworthy"}
    for body in (
        happening(made, agent=machine), happening(made, agent=None), happening(None),
        happening(made, event_type="incident.annotated"), happening(made, data={"incident_key": "inc_nobody"}),
    ):  # fmt: skip
        assert tells(house, body) == (200, "ignored")
    assert house.services.incidents.find(made.id).state == "open"


def test_one_good_signature_of_several_is_enough_and_none_is_refused(house: Console) -> None:
    raw = json.dumps(happening(incident(house))).encode()
    good = "v1=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    wrong = "v1=" + "0" * 64
    for bad in (wrong, "v2=" + good[3:], good[3:], "v1=", "v1=" * 50, good[:-1]):
        assert tells(house, raw, bad)[0] == 403
    assert tells(house, raw + b" ", good)[0] == 403
    assert tells(house, raw, f"{wrong}, {good}") == (200, "taken")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"event": 3}', b'{"messages": []}', b"\xff\xfe"])
def test_a_signed_body_that_is_no_webhook_is_malformed(house: Console, body: bytes) -> None:
    assert tells(house, body)[0] == 400


def test_nothing_is_taken_while_no_secret_is_set(house: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("D_SIGNING")
    raw = json.dumps(happening(incident(house))).encode()
    empty = "v1=" + hmac.new(b"", raw, hashlib.sha256).hexdigest()
    assert tells(house, raw, empty)[0] == 403


def test_a_user_of_pagerduty_is_ours_only_when_exactly_one_of_us_is_meant() -> None:
    people = {
        "ada": Person("ada", "Ada Lovelace", "ada@example.com"),
        "bo": Person("bo", "Bo Lee"),
        "bo2": Person("bo2", "Bo Lee"),
    }
    agent = pagerduty.Agent
    assert pagerduty.who(agent("P1", summary="ada  lovelace"), people) == "ada"
    assert pagerduty.who(agent("P1", summary="x", email="ADA@example.com"), people) == "ada"
    assert pagerduty.who(agent("P1", summary="Bo Lee"), people) == "pagerduty:Bo Lee"
    assert pagerduty.who(agent("P1"), people) == "pagerduty:P1"
