"""The demo's people: whoever is on call acknowledges a page, an agent answers a customer, the owner is told of both."""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

import httpx2
import msgspec

from roadworthy.cli.demo.browsing import Browser
from roadworthy.cli.demo.system import AGENT, OWNER, WORKFLOW, System
from roadworthy.cli.demo.traffic import Reply, ask
from roadworthy.cli.errors import CliError

PATIENCE = 30.0
"""Seconds in which a message must be there, and evidence made of it."""
ACKNOWLEDGE = "I'm on it"
"""The label of the link that acknowledges a page."""
REPLY = "I am looking into your payment now and will write again today. Jo"


class Paged(msgspec.Struct, frozen=True):
    """A test page, and who acknowledged it."""

    incident: str
    person: str
    line: str
    """What the phone shows first."""
    seconds: float
    evidence: str


class Alerted(msgspec.Struct, frozen=True):
    """A test of the cost alert, and what took it."""

    incident: str
    title: str
    """As it was told."""
    evidence: str


class Answered(msgspec.Struct, frozen=True):
    """People instead of the AI, for two customers."""

    read: str
    """What both read at once."""
    answered: str
    """The inference that the agent answered."""
    by: str
    waits: str
    """The inference that nobody has answered."""
    reported: str
    """Id of the incident that the agent's report of another answer opened."""
    why: str


def page(system: System) -> Paged:
    """Have the owner send a test page, and press the link on the phone of whoever is on call.

    Raises ``CliError`` when the phone stays silent or the link does nothing.
    """
    began = time.monotonic()
    test = system.person(OWNER).post("/v1/oncall/test", {"workflow": WORKFLOW})
    incident, person = str(test["incident"]), str(test["page"]["person"])
    shown = system.pager.page(person, incident, PATIENCE)
    if shown is None:
        raise CliError(f"the phone of {person} got no page within {PATIENCE:.0f} s")
    link = next((urlsplit(each["url"]).path for each in shown["links"] if each["label"] == ACKNOWLEDGE), "")
    with Browser(system.console) as phone:
        done = phone.press(link)
    if done.status_code != 200:
        raise CliError(f"the link on the phone of {person} answered {done.status_code}")
    took = time.monotonic() - began
    return Paged(incident, person, str(shown["line"]), took, evidence_of(system, "on_call_page", incident))


def alert(system: System) -> Alerted:
    """Send a cost alert as a test.  Raises ``CliError`` when it did not arrive."""
    done = system.person(OWNER).post("/v1/budgets/test-alert", {"workflow": WORKFLOW})
    found = next((each for each in system.pager.got("notify") if each["data"].get("id") == done["incident"]), None)
    if found is None:
        raise CliError(f"the test alert did not arrive: {'; '.join(done['ways'])}")
    return Alerted(str(done["incident"]), str(found["data"]["title"]), str(done["evidence"]["id"]))


def evidence_of(system: System, kind: str, run: str) -> str:
    """Id of the evidence that a run has made, once it is there.  Raises ``CliError`` when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while True:
        known = system.admin.get("/v1/evidence", {"workflow": WORKFLOW})["items"]
        made = next((each for each in known if each["kind"] == kind and each["run"] == run), None)
        if made is not None:
            return str(made["id"])
        if time.monotonic() > deadline:
            raise CliError(f"{run} made no evidence of {kind} within {PATIENCE:.0f} s")
        time.sleep(0.2)


def answer(system: System, token: str, users: list[str], tag: str, replies: list[Reply]) -> Answered:
    """Let people answer (assist): two of ``users`` call, the agent answers one of them, the other waits.  The agent
    also reports one of ``replies``."""
    owner, agent = system.person(OWNER), system.person(AGENT)
    owner.post("/v1/kill", {"workflow": WORKFLOW, "to": "assist", "reason": "people answer for a while"})
    with httpx2.Client(timeout=120.0, trust_env=False) as client:
        first, second = (ask(client, system.url, token, user, tag) for user in (users * 2)[:2])
    system.admin.post("/v1/journal/flush")
    agent.post(f"/v1/escalations/{first.inference}/claim")
    written = json.dumps({"topic": "delivery", "urgency": "normal", "reply": REPLY})
    agent.post(f"/v1/escalations/{first.inference}/answer", {"text": written, "add_example": True})
    owner.post("/v1/kill/restore", {"workflow": WORKFLOW, "reason": "enough people answered"})
    owner.post(f"/v1/rollouts/{WORKFLOW}/resume", {"reason": "restored"})
    wrong = next((reply for reply in replies if topic(reply) != reply.message.topic), replies[0])
    why = f"The topic is said to be {topic(wrong)}; to me it is {wrong.message.topic}."
    reported = agent.post(f"/v1/inferences/{wrong.inference}/report", {"reason": why})
    return Answered(first.read, first.inference, AGENT, second.inference, str(reported["id"]), why)


def topic(reply: Reply) -> str:
    """What a model made of a message; empty: nothing that can be read."""
    try:
        found = json.loads(reply.text)
    except ValueError:
        return ""
    return str(found.get("topic", "")) if isinstance(found, dict) else ""
