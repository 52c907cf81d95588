"""Whoever belongs to one team learns and changes nothing of another, whatever page is asked with whatever id."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from roadworthy.console.app import Page
from roadworthy.console.routes import PAGES
from roadworthy.inference_log import segments
from roadworthy.operations.keys import KeySpec
from roadworthy.workflow.inference import Escalation, Inference, Seal, new_inference_id
from roadworthy.workflow.service import Actor
from support.console import FILES, HOST, Browser, Console, text_of

SECRET = re.compile(r"hush|HUSH|777\.50|u-hidden")
"""Names, texts and figures of the other team."""
NAMED = re.compile(r'(?:hx-get|name="back" value|name="next" value)="[^"]*"|value="hush"|workflow.hush')
"""The address that was asked for, and what was typed into a field, which a page repeats."""
ON_CALL = (
    "on_call:\n  default: {members: [ada], start: 2026-11-16, catch_all: ada}\n"
    "  hush: {members: [sky], start: 2026-11-16, catch_all: sky}\n"
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The team ``other`` has a workflow, a call that waits for a person, an incident, a key, a budget, a rotation."""
    flow = FILES["workflows/triage/workflow.yaml"]
    theirs = (
        re.sub(r": (ada|bo)\b", ": sky", flow)
        .replace("cost: sky", "cost: sky, on_call: hush")
        .replace("[ada]}", "[sky], budgets: {workflow: {month: 333}}}")
    )
    files = {
        **FILES,
        "roadworthy.yaml": FILES["roadworthy.yaml"] + "budgets: {other: {month: 777.5}}\n",
        "people.yaml": FILES["people.yaml"].replace("Ada Lovelace,", "Ada Lovelace, roles: [admin],")
        + "  oz: {name: Oz Operator, email: oz@example.com, roles: [owner]}\n"
        + "  wim: {name: Wim, email: wim@example.com, team: third}\n" + ON_CALL,
        "workflows/hush/workflow.yaml": f"team: other\n{theirs}",
        "workflows/hush/prompt.md": "HUSH\n",
        "workflows/also/workflow.yaml": flow,
        "workflows/also/prompt.md": "You are kind.\n",
    }  # fmt: skip
    made = Console(tmp_path_factory.mktemp("two"), files)
    made.control.workflows.freeze("hush", Actor("sky"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def theirs(two: Console) -> dict[str, str]:
    """Name of a field in a path → the id of something of theirs."""
    call = waiting(two, "hush", "other", "u-hidden", "HUSH")
    key = two.services.keys.create(KeySpec("hush-app", ["hush"]), Actor("ada")).key
    incident = two.services.incidents.report(call, "hush", "other", Actor("sky"), "HUSH")
    shift = two.services.on_duty.on_call.override(
        "hush", "sky", two.clock.now + 10, two.clock.now + 9000, Actor("sky"), "HUSH"
    )
    return {
        "call": call, "key": key.id, "incident": incident.id, "rotation": "hush", "override": shift.id,
        "workflow": "hush",
    }  # fmt: skip


def waiting(two: Console, workflow: str, team: str, unit: str, said: str) -> str:
    """A call that a person must answer."""
    now, number = two.clock(), int.from_bytes(os.urandom(5))
    ident = new_inference_id(now, number)
    messages = msgspec.json.encode([{"role": "user", "content": said}])
    request = msgspec.Raw(b'{"messages":' + messages + b"}")
    call = Inference(ident, now, team, workflow, "escalated", "release", unit=unit, request=request)
    more: dict[str, Any] = {"unit": unit, "messages": msgspec.Raw(messages), "draft": said}
    line = Escalation(ident, now, team, workflow, "refused", now + 3600, **more)
    name = segments.SegmentName("w0", int(now * 1000) + number % 99991, 1)
    fd = segments.create(two.control.folder.journal, name)
    for each in (line, call, Seal(now, 2)):
        os.write(fd, segments.encode(each))
    os.close(fd)
    two.control.shipper.ship()
    return ident


def path_of(page: Page, theirs: dict[str, str]) -> str:
    ident = theirs["key"] if page.path.startswith("/settings/keys") else theirs["call"]
    path = page.path.replace("{id}", ident)
    for name, value in theirs.items():
        path = path.replace(f"{{{name}}}", value)
    return re.sub(r"\{[^}]+\}", "x", path)


def test_no_page_shows_anything_of_another_team(two: Console, theirs: dict[str, str]) -> None:
    browser = two.browser("oz")
    for page in [each for each in PAGES if each.method == "GET" and each.permission != "anyone"]:
        for asked in ("", "?workflow=hush&q=unit+u-hidden") if page.anywhere else ("",):
            answer = browser.request("GET", path_of(page, theirs) + asked)
            if answer.status_code == 200:
                told = answer.text.replace("workflow=hush", "").replace("u-hidden", "") if asked else answer.text
                found = SECRET.findall(NAMED.sub("", told))
                assert not found, (page.path, asked, found, text_of(answer.text))


def test_no_form_changes_anything_of_another_team(two: Console, theirs: dict[str, str]) -> None:
    browser = two.browser("oz")
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get("/settings"))
    assert found is not None
    fields = {
        "csrf": found.group(1), "workflow": "hush", "team": "other", "where": "workflow:hush", "role": "admin",
        "person": "oz", "email": "e@example.com", "rotation": "hush", "until": "tomorrow", "to": "off", "sure": "1",
        "reason": "x", "text": "x", "name": "x", "item": "3", "month": "2026-11", "fault": "slow", "purpose": "check",
    }  # fmt: skip
    before = len(two.audit())
    for page in [each for each in PAGES if each.method == "POST" and each.permission != "anyone"]:
        if page.path.startswith(("/settings/password", "/settings/sessions", "/settings/theme")):
            continue
        answer = browser.request("POST", path_of(page, theirs), data=fields)
        assert answer.status_code in (303, 403, 404), (page.path, answer.status_code)
    done = [line for line in two.audit()[before:] if not line.endswith(" denied")]
    assert done == []
    assert two.services.kill.desk.stand("hush").state == "on"
    assert two.services.escalations.find(theirs["call"]).state == "queue"
    assert two.services.incidents.find(theirs["incident"]).state == "open"


def test_whoever_holds_a_role_on_one_workflow_reads_nothing_of_the_user_on_another(two: Console) -> None:
    """The history beside an escalation comes from the whole team; it is read with the permission of each workflow."""
    from roadworthy.people.roles import Grant

    waiting(two, "also", "default", "u-both", "ELSEWHERE")
    two.clock.now += 60.0
    here = waiting(two, "triage", "default", "u-both", "here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two.clock, "now", two.clock.now + 1)
        two.services.accounts.grant(Grant("wim", "agent", workflow="triage"), Actor("ada"))
        two.services.accounts.grant(Grant("sky", "agent", team="default"), Actor("ada"))
        assert "ELSEWHERE" in two.browser("sky").get(f"/inbox/{here}")
        assert "ELSEWHERE" not in two.browser("wim").get(f"/inbox/{here}")
        two.services.accounts.revoke(Grant("sky", "agent", team="default"), Actor("ada"))


@pytest.mark.parametrize("role", [None, "vi"])
def test_a_form_that_is_no_form_is_refused_in_words(two: Console, role: str | None) -> None:
    browser: Browser = two.browser(role)
    for kind, body in {
        "multipart/form-data; boundary=b": b'--b\r\ncontent-disposition: form-data; name="x',
        "multipart/form-data": b"x",
        "application/x-www-form-urlencoded": b"csrf=%C3%A9",
        "application/json": b'{"csrf": 1}',
    }.items():
        answer = browser.request("POST", "/logout", content=body, headers={"content-type": kind})
        assert answer.status_code in (303, 400, 403), (kind, answer.status_code)


def test_what_a_stranger_posts_is_not_read(two: Console) -> None:
    many = b"a=" + b"x" * 300_000
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert two.browser().request("POST", "/settings/theme", content=many, headers=kind).status_code == 303
    assert two.browser().request("POST", "/login", content=many, headers=kind).status_code == 413
    assert two.browser("vi").request("POST", "/settings/theme", content=many, headers=kind).status_code == 403


def test_two_hosts_in_one_request_are_none(two: Console) -> None:
    for hosts in ([HOST, "evil.example"], ["evil.example", HOST]):
        headers: Any = [("host", each) for each in hosts]
        assert asked(two, headers) == 421


def asked(two: Console, headers: list[tuple[str, str]]) -> int:
    """Status of a GET of the login page with exactly these headers."""
    import asyncio

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/login", "query_string": b"", "root_path": "", "scheme": "http",
        "http_version": "1.1", "server": ("127.0.0.1", 8402), "client": ("127.0.0.1", 5000),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }  # fmt: skip
    asyncio.run(two.app(scope, receive, send))
    return int(sent[0]["status"])
