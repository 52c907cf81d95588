"""The admin API of escalations, messages and incidents: who may, what is shown, what a gateway asks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from roadworthy.inference_log import segments
from roadworthy.people import webhooks
from roadworthy.workflow.inference import Check, Escalation, Inference, Seal, new_inference_id

from .conftest import FILES, Install

DESK = "env:TEST_DESK_SECRET"
SETTINGS = FILES["roadworthy.yaml"] + (
    f"helpdesks:\n  desk: {{url: 'https://desk.example/hook', secret: '{DESK}'}}\n"
    "notify: {url: 'https://told.example/', secret: 'env:TEST_DESK_SECRET'}\n"
)
WORKFLOW = FILES["workflows/triage/workflow.yaml"].replace(
    "policy: {testers: [ada]}", "policy: {testers: [ada], escalation: {helpdesk: desk}}"
)


@pytest.fixture
def desk(install: Install, monkeypatch: pytest.MonkeyPatch) -> Install:
    monkeypatch.setenv("TEST_DESK_SECRET", "secret")
    install.apply(**{"roadworthy.yaml": SETTINGS, "workflows/triage/workflow.yaml": WORKFLOW})
    return install


def journal(install: Install, *lines: Any) -> None:
    name = segments.SegmentName("w0", int(install.clock.now * 1000), 1)
    fd = segments.create(install.control.folder.journal, name)
    for line in (*lines, Seal(install.clock.now, 1)):
        os.write(fd, segments.encode(line))
    os.close(fd)
    install.good("POST", "/v1/journal/flush")


def escalated(install: Install, number: int = 1, **more: Any) -> str:
    now = install.clock.now
    ident = new_inference_id(now, number)
    fields: dict[str, Any] = {
        "unit": "u-1", "messages": msgspec.Raw(b'[{"role":"user","content":"a parcel"}]'), "draft": "a draft",
        "holding": "soon", "key": "key_1",
    }  # fmt: skip
    journal(install, Escalation(ident, now, "default", "triage", "refused", now + 600, **{**fields, **more}))
    return ident


def test_a_list_shows_no_word_of_a_customer_or_a_model(desk: Install) -> None:
    ident = escalated(desk)
    (row,) = desk.good("GET", "/v1/escalations?workflow=triage")["items"]
    assert (row["id"], row["state"], row["helpdesk"]) == (ident, "queue", "desk")
    assert not {"messages", "draft", "answer", "holding"} & set(row)
    assert desk.call("GET", "/v1/escalations?workflow=none").status_code == 404


def test_reading_a_transcript_leaves_a_trace(desk: Install) -> None:
    ident = escalated(desk)
    row = desk.good("GET", f"/v1/escalations/{ident}")
    assert row["messages"] == [{"role": "user", "content": "a parcel"}]
    assert desk.audit()[-1]["action"] == "escalation.read"
    assert desk.audit()[-1]["actor"] == f"os:{os.geteuid()}"


def test_an_os_user_may_look_and_never_answers(desk: Install) -> None:
    ident = escalated(desk)
    for act in ("claim", "answer", "return", "cancel"):
        answer = desk.call("POST", f"/v1/escalations/{ident}/{act}", {"text": "x"} if act == "answer" else {})
        assert answer.status_code == 403, act
    assert desk.good("GET", "/v1/escalations")["items"][0]["state"] == "queue"


def test_a_person_of_the_team_claims_and_answers_and_one_of_another_team_is_denied(
    desk: Install, login: Callable[[str], str]
) -> None:
    ident = escalated(desk)
    ada = login("ada")
    assert desk.good("POST", f"/v1/escalations/{ident}/claim", {}, token=ada)["claimed_by"] == "ada"
    bo = login("bo")  # another team, but owner of the prompt
    assert desk.call("POST", f"/v1/escalations/{ident}/claim", {}, token=bo).status_code == 409
    done = desk.good("POST", f"/v1/escalations/{ident}/answer", {"text": "Tomorrow."}, token=ada)
    assert (done["state"], done["answer"]["by"]) == ("answered", "ada")
    again = desk.call("POST", f"/v1/escalations/{ident}/answer", {"text": "Never."}, token=ada)
    assert (again.status_code, again.json()["error"]["message"]) == (409, "it is answered already by ada")


def test_a_gateway_learns_the_answer_and_nothing_else(desk: Install, login: Callable[[str], str]) -> None:
    ident = escalated(desk)
    ada = login("ada")
    desk.good("POST", f"/v1/escalations/{ident}/answer", {"text": "Tomorrow."}, token=ada)
    told = desk.good("GET", f"/v1/escalations/{ident}/told")
    assert (told["status"], told["text"]) == ("answered", "Tomorrow.")
    assert not {"messages", "draft", "unit", "agent", "by"} & set(told)
    assert desk.call("GET", f"/v1/escalations/{ident}/told", token=ada).status_code == 403


def reply(install: Install, ident: str, body: bytes, headers: dict[str, str]) -> Any:
    import asyncio

    import httpx2

    async def go() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=install.control.app, client=(install.peer or "", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://control") as http:
            return await http.post(f"/v1/escalations/{ident}/reply", content=body, headers=headers)

    return asyncio.run(go())


def test_a_helpdesks_answer_is_verified_byte_by_byte(desk: Install) -> None:
    ident = escalated(desk)
    body = b'{ "answer": "Tomorrow.",  "agent": "Maria", "action": "edited" }'
    good = webhooks.headers("secret", "evt_1", desk.clock.now, body)
    bad = reply(desk, ident, body + b" ", good)
    assert (bad.status_code, bad.json()["error"]["code"]) == (401, "invalid_signature")
    done = reply(desk, ident, body, good)
    assert (done.status_code, done.json()) == (200, {"id": ident, "status": "answered"})
    assert reply(desk, ident, body, good).json() == {"id": ident, "status": "answered"}
    other = json.dumps({"answer": "Never.", "action": "sent"}).encode()
    late = reply(desk, ident, other, webhooks.headers("secret", "evt_2", desk.clock.now, other))
    assert late.status_code == 409
    assert desk.audit()[-1]["actor"] == "helpdesk:desk"


def test_what_was_told_about_an_inference_is_found_by_it(desk: Install) -> None:
    ident = new_inference_id(desk.clock.now, 7)
    check = Check("secrets", False, failure="unsafe")
    record = Inference(
        ident, desk.clock.now, "default", "triage", "canned", traffic="drill", drill="leak", checks=[check]
    )
    journal(desk, record)
    (incident,) = desk.good("GET", f"/v1/incidents?inference={ident}")["items"]
    assert (incident["kind"], incident["drill"], incident["state"]) == ("incident", "leak", "resolved")
    (told,) = desk.good("GET", f"/v1/deliveries?about={ident}")["items"]
    assert (told["destination"], told["drill"], told["state"]) == ("notify", True, "waiting")
    assert "body" not in told
    assert desk.good("GET", "/v1/incidents?open=1")["items"] == []
    assert desk.good("GET", f"/v1/incidents/{incident['id']}") == {**incident, "paging": []}
    assert desk.good("GET", "/v1/incidents?workflow=triage")["items"] == [incident]
    assert desk.call("GET", "/v1/incidents?workflow=none").status_code == 404
    assert desk.call("GET", "/v1/incidents?inference=zzz").status_code == 400


def test_what_is_as_usual_is_said_too_so_that_callers_can_count_on_every_field(desk: Install) -> None:
    ident = escalated(desk)
    desk.clock.now += 1
    at = desk.clock.now
    journal(desk, Inference(new_inference_id(at, 9), at, "default", "triage", "limited", failure="overspent"))
    (incident,) = desk.good("GET", "/v1/incidents")["items"]
    assert (incident["state"], incident["count"], incident["traffic"]) == ("open", 1, "live")
    row = desk.good("GET", f"/v1/escalations/{ident}")
    assert (row["state"], row["answer"], row["claimed_by"], row["closed_at"]) == ("queue", None, None, None)
    missing = desk.call("GET", "/v1/incidents/inc_none").json()["error"]["message"]
    assert missing == f"no incident or alert 'inc_none': known: {incident['id']}"


def test_an_incident_is_resolved_by_a_person_and_that_is_audited(desk: Install, login: Callable[[str], str]) -> None:
    record = Inference(
        new_inference_id(desk.clock.now, 8), desk.clock.now, "default", "triage", "limited", failure="overspent"
    )
    journal(desk, record)
    (incident,) = desk.good("GET", "/v1/incidents?open=true")["items"]
    path = f"/v1/incidents/{incident['id']}/resolve"
    assert desk.call("POST", path, {}).status_code == 403
    ada = login("ada")
    assert desk.good("POST", path, {"reason": "raised"}, token=ada)["resolved_by"] == "ada"
    assert desk.call("POST", path, {}, token=ada).status_code == 409
    assert "incident.resolve" in [row["action"] for row in desk.audit()]


def test_a_person_takes_an_incident_and_reports_an_answer_and_a_stranger_does_neither(
    desk: Install, login: Callable[[str], str]
) -> None:
    ident = new_inference_id(desk.clock.now, 8)
    journal(desk, Inference(ident, desk.clock.now, "default", "triage", "answered"))
    report = f"/v1/inferences/{ident}/report"
    assert desk.call("POST", report, {"reason": "it is wrong"}).status_code == 403
    ada, bo = login("ada"), login("bo")
    made = desk.good("POST", report, {"reason": "it is wrong"}, token=ada)
    assert (made["alert"], made["cls"], made["workflow"]) == ("reported", "notify", "triage")
    missing = desk.call("POST", "/v1/inferences/inf_none/report", {"reason": "x"}, token=ada)
    assert missing.status_code in (403, 404)
    take = f"/v1/incidents/{made['id']}/acknowledge"
    taken = desk.good("POST", take, token=ada)
    assert (taken["state"], taken["acknowledged_by"], taken["acknowledged_how"]) == ("acknowledged", "ada", "cli")
    assert desk.good("GET", "/v1/incidents?open=1")["items"][0]["id"] == made["id"]
    desk.good("POST", f"/v1/incidents/{made['id']}/resolve", {"reason": "mended"}, token=ada)
    assert desk.call("POST", take, token=ada).status_code == 409
    assert desk.call("POST", "/v1/incidents/inc_none/acknowledge", token=bo).status_code in (403, 404)


def test_a_dead_letter_is_listed_and_told_anew_by_whoever_runs_tools(desk: Install) -> None:
    escalated(desk)
    (waiting,) = desk.good("GET", "/v1/deliveries?state=waiting")["items"]
    again = desk.good("POST", f"/v1/deliveries/{waiting['id']}/retry")
    assert again["state"] == "waiting"
    assert desk.good("GET", "/v1/deliveries?state=dead") == {"items": [], "counts": {"waiting": 1}}
    assert desk.call("GET", "/v1/deliveries?state=lost").status_code == 400
    assert desk.call("POST", "/v1/deliveries/msg_none/retry").status_code == 404


def test_a_key_with_callbacks_says_its_secret_whenever_its_token_is_made(desk: Install) -> None:
    body = {"name": "shop", "callbacks": ["https://shop.example/answers"]}
    made = desk.good("POST", "/v1/keys", body)
    rotated = desk.good("POST", f"/v1/keys/{made['key']['id']}/rotate", {})
    assert made["callback_secret"].startswith("whsec_")
    assert rotated["callback_secret"] == made["callback_secret"]
    assert "callback_secret" not in desk.good("POST", "/v1/keys", {"name": "plain"})
    wrong = desk.call("POST", "/v1/keys", {"name": "x", "callbacks": ["ftp://x"]})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "callbacks")
    for url in ("http://127.0.0.1:9/answers", "http://shop.example/answers"):
        wrong = desk.call("POST", "/v1/keys", {"name": "x", "callbacks": [url]})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "callbacks"), url
        desk.good("POST", "/v1/keys", {"name": "x", "callbacks": [url], "callbacks_private": True})


def test_forgetting_a_user_prints_the_escalations_too(desk: Install) -> None:
    escalated(desk)
    done = desk.good("POST", "/v1/forget", {"unit": "u-1"})
    assert done["deleted"]["escalations"] == 2  # the escalation and the message to the helpdesk
    assert done["complete"]
    assert desk.good("GET", "/v1/escalations?all=1")["items"] == []


@pytest.mark.parametrize(
    "path",
    ["/v1/escalations?workflow=trage", "/v1/incidents?workflow=trage", "/v1/budgets?workflow=trage",
     "/v1/failures?workflow=trage", "/v1/explain?workflow=trage"],
)  # fmt: skip
def test_a_workflow_that_is_misspelt_is_named_with_the_one_that_was_meant(desk: Install, path: str) -> None:
    answer = desk.call("GET", path)
    said = answer.json()["error"]["message"]
    assert (answer.status_code, said) == (404, "no workflow 'trage': did you mean 'triage'?")
