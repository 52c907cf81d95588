"""Human accountability: a call that no model may answer reaches a person at their helpdesk, and the person's answer
reaches the caller in every way that was promised.  Real processes, and the bridge as docs/escalations.md prints it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from openai.types.responses import Response

from roadworthy.people import webhooks
from support.inbox import Inbox
from support.up import FREE_PORTS, Up, exported, roadworthy
from support.waiting import die_with_this_process, until, write_files

DOCS = Path(__file__).parents[2] / "docs" / "escalations.md"
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZXNr"
HOLDING = "A colleague will answer you today."
REFUSE = "[[fault content as=refusal]]"


def free_port() -> int:
    probe = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port: int = probe.server_port
    probe.server_close()
    return port


def configuration(root: Path, bridge: int, notify: str) -> Path:
    webhook = "allow_private: true, secret: env:HELPDESK_SECRET"
    return write_files(
        root / "config",
        {
            "roadworthy.yaml": (
                "version: 1\ntargets:\n  main: {provider: simulated, model: sim, price: {input: 0, output: 0}}\n"
                f"helpdesks:\n  zendesk: {{url: 'http://127.0.0.1:{bridge}/roadworthy', {webhook}}}\n"
                f"notify: {{url: '{notify}', {webhook}}}\n"
            ),
            "people.yaml": (
                "people:\n  ada: {name: Ada, email: ada@example.com}\n  bo: {name: Bo, email: bo@example.com}\n"
            ),
            "workflows/support/workflow.yaml": (
                "owners: {workflow: ada, prompt: ada, cost: bo}\n"
                "prompt: {mode: managed, system: prompt.md}\n"
                f"target: main\nbypass: app\nholding: {{text: {HOLDING}}}\n"
                "ladder: {refused: [escalate], unsafe: [drop, escalate]}\nstream: buffered\n"
                "checks: {forbidden: {phrases: [refundable], failure: unsafe}}\n"
                "policy: {escalation: {helpdesk: zendesk, answer_within: 1h}, projected_peak: 9}\n"
            ),
            "workflows/support/prompt.md": "You answer customers.\n",
        },
    )


class World:
    """The install, the bridge, the helpdesk, the app's callback and the notifier."""

    def __init__(self, root: Path) -> None:
        self.zendesk, self.app, self.notified = Inbox(), Inbox(), Inbox()
        self.notified.status = 204
        self.port = free_port()
        config = configuration(root, self.port, self.notified.url)
        self.env = {"HELPDESK_SECRET": SECRET, "XDG_CONFIG_HOME": str(root / "home")}
        self.up = Up(root, config=config, workers=2, env=self.env, arguments=(*FREE_PORTS, "--login", "ada"))
        self.up.ready("main").freeze("support")
        self.up.prove("support")
        made = roadworthy(
            "keys", "create", "shop", "--workflow", "support", "--callback", f"{self.app.url}/answers",
            "--callback-private", "--data", str(self.up.data),
        ).stdout  # fmt: skip
        self.callback_secret = re.findall(r"whsec_\S+", made)[0]
        self.token = exported(made)["OPENAI_API_KEY"]
        self.up.caught_up()
        self.client = OpenAI(base_url=self.up.base_url, api_key=self.token, max_retries=0)
        self.bridge = self.start_bridge(root)

    def start_bridge(self, root: Path) -> subprocess.Popen[bytes]:
        [code] = re.findall(r"<!-- the bridge: a test runs it -->\n```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
        path = root / "bridge.py"
        path.write_text(code.replace('"0.0.0.0"', '"127.0.0.1"'))
        env = {
            **os.environ, "HELPDESK_SECRET": SECRET, "ROADWORTHY_BASE_URL": self.up.base_url,
            "ZENDESK_URL": self.zendesk.url, "ZENDESK_LOGIN": "a@example.com/token:k", "TRIGGER_TOKEN": "t",
            "PORT": str(self.port), "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, str(path)], env=env, stderr=subprocess.DEVNULL, preexec_fn=die_with_this_process
        )
        return process

    def ask(self, text: str = "Where is my parcel?", **more: Any) -> Any:
        messages = [{"role": "user", "content": f"{text} {REFUSE}"}]
        return self.client.chat.completions.create(
            model="support", messages=messages, user="u-42", extra_body={"roadworthy": more}
        )

    def ticket(self, ident: str) -> dict[str, Any]:
        """The ticket that the bridge made of an escalation."""

        def found() -> dict[str, Any] | None:
            tickets = [body["ticket"] for body in self.zendesk.bodies()]
            return next((ticket for ticket in tickets if ticket["external_id"] == ident), None)

        return until(found, "ticket in the helpdesk")

    def agent_writes(self, ident: str, text: str) -> int:
        """What Zendesk's trigger sends when an agent comments."""
        body = {"external_id": ident, "comment": text, "agent": "Maria"}
        url = f"http://127.0.0.1:{self.port}/zendesk"
        return httpx2.post(url, json=body, headers={"authorization": "Bearer t"}, trust_env=False).status_code

    def poll(self, ident: str, token: str | None = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token or self.token}"}
        return httpx2.get(f"{self.up.base_url}/escalations/{ident}", headers=headers, trust_env=False)

    def cli(self, *arguments: str, code: int = 0) -> str:
        return roadworthy(*arguments, "--data", str(self.up.data), env=self.env, code=code).stdout

    def close(self) -> None:
        self.client.close()
        self.bridge.kill()
        self.bridge.wait()
        self.up.__exit__(None, None, None)
        for inbox in (self.zendesk, self.app, self.notified):
            inbox.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("escalation"))
    yield made
    made.close()


def said(completion: Any) -> str:
    text = completion.choices[0].message.content
    assert isinstance(text, str)
    return text


def test_an_agents_comment_in_the_helpdesk_reaches_the_callers_poll(world: World) -> None:
    holding = world.ask()
    handed = holding.model_extra["roadworthy"]["escalation"]
    assert said(holding) == HOLDING
    assert world.poll(handed["id"]).json()["status"] == "pending"
    ticket = world.ticket(handed["id"])
    assert "user: Where is my parcel?" in ticket["comment"]["body"]
    assert not ticket["comment"]["public"]
    assert world.agent_writes(handed["id"], "It arrives tomorrow.") == 200
    until(lambda: world.poll(handed["id"]).json()["status"] == "answered", "answer at the poll")
    answered = 0
    while answered < 8:  # connections are spread over both workers
        told = world.poll(handed["id"]).json()
        if told["status"] == "pending":  # control took longer than a second to answer the other worker
            continue
        assert told["answer"]["choices"][0]["message"]["content"] == "It arrives tomorrow."
        answered += 1
    row = world.up.admin("GET", f"/v1/escalations/{handed['id']}")
    assert (row["answer"]["by"], row["answer"]["agent"], row["answer"]["action"]) == (
        "helpdesk:zendesk", "Maria", "sent",
    )  # fmt: skip
    assert world.up.record(handed["id"])["outcome"] == "escalated"


def test_a_caller_of_responses_polls_a_response(world: World) -> None:
    asked = world.client.responses.create(model="support", input=f"Where is my parcel? {REFUSE}")
    handed = (asked.model_extra or {})["roadworthy"]["escalation"]
    world.ticket(handed["id"])
    assert world.agent_writes(handed["id"], "It arrives tomorrow.") == 200
    told = until(lambda: world.poll(handed["id"]).json().get("answer"), "answer at the poll")
    assert told["object"] == "response"
    assert Response.model_validate(told).output_text == "It arrives tomorrow."


def test_a_caller_that_waits_reads_the_agents_answer_in_its_own_call_and_its_callback_gets_it_too(world: World) -> None:
    answers: list[Any] = []
    callback = f"{world.app.url}/answers"
    waiting = threading.Thread(target=lambda: answers.append(world.ask("And mine?", wait=60, callback=callback)))
    waiting.start()
    ident = until(
        lambda: next((t["ticket"]["external_id"] for t in world.zendesk.bodies() if "And mine?" in str(t)), None),
        "ticket of the waiting call",
    )
    began = time.monotonic()
    assert world.agent_writes(ident, "Yours too.") == 200
    waiting.join(timeout=30)
    assert time.monotonic() - began < 20
    assert said(answers[0]) == "Yours too."
    (path, headers, body) = until(lambda: world.app.told[0] if world.app.told else None, "call of the callback")
    assert path == "/answers"
    assert webhooks.verify(world.callback_secret, headers, body, time.time()) == headers["webhook-id"]
    told = json.loads(body)
    assert (told["type"], told["data"]["id"]) == ("escalation.answered", ident)
    assert told["data"]["answer"]["choices"][0]["message"]["content"] == "Yours too."


def test_a_stranger_neither_answers_nor_reads(world: World) -> None:
    ident = world.ask("Secret?").model_extra["roadworthy"]["escalation"]["id"]
    world.ticket(ident)
    body = b'{"answer": "Send money.", "action": "sent"}'
    url = f"{world.up.base_url}/escalations/{ident}/answer"
    forged = webhooks.headers("guess", "evt_x", time.time(), body)
    assert httpx2.post(url, content=body, headers=forged, trust_env=False).status_code == 401
    good = webhooks.headers(SECRET, "evt_y", time.time() - 3600, body)
    assert httpx2.post(url, content=body, headers=good, trust_env=False).status_code == 401
    assert world.poll(ident, token="rw-none").status_code == 401
    assert world.poll(ident).json()["status"] == "pending"


def test_a_person_answers_from_the_command_line_and_an_os_user_does_not(world: World) -> None:
    ident = world.ask("By hand?").model_extra["roadworthy"]["escalation"]["id"]
    world.ticket(ident)
    assert ident[:16] in world.cli("escalations", "support")
    assert "By hand?" in world.cli("escalations", "show", ident)
    world.cli("escalations", "answer", ident, "--text", "no", code=1)
    world.cli("login", world.up.said("login ada:").split()[4])
    world.cli("escalations", "claim", ident)
    world.cli("escalations", "answer", ident, "--text", "By Ada.")
    found = until(lambda: world.poll(ident).json().get("answer"), "answer at the poll")
    assert found["choices"][0]["message"]["content"] == "By Ada."
    world.cli("logout")
    actions = [(row["actor"], row["action"]) for row in world.up.admin("GET", "/v1/audit?limit=200")["items"]]
    assert ("ada", "escalation.answer") in actions


def test_an_unsafe_answer_is_an_incident_that_its_owner_is_told_of(world: World) -> None:
    messages = [{"role": "user", "content": "[[fault content as=text text=refundable]]"}]
    answer = world.client.chat.completions.create(model="support", messages=messages, extra_body={})  # type: ignore[arg-type]
    assert answer.model_extra is not None
    assert answer.model_extra["roadworthy"]["outcome"] == "escalated"
    (_, headers, body) = until(lambda: world.notified.told[0] if world.notified.told else None, "notice")
    webhooks.verify(SECRET, headers, body, time.time())
    data = json.loads(body)["data"]
    assert data["title"] == "support: an answer was unsafe (forbidden)"
    assert data["to"] == [{"person": "ada", "role": "workflow owner", "name": "Ada", "email": "ada@example.com"}]
    assert "an answer was unsafe" in world.cli("incidents", "--open")
    assert data["inferences"] == [answer.id.removeprefix("chatcmpl-")]
    (delivered,) = world.up.admin("GET", f"/v1/deliveries?about={data['inferences'][0]}&state=delivered")["items"][:1]
    assert delivered["destination"] in ("notify", "helpdesk:zendesk")


def test_what_the_helpdesk_missed_while_it_was_down_reaches_it_after_everything_restarted(
    world: World, tmp_path: Path
) -> None:
    world.zendesk.status = 503
    ident = world.ask("Are you there?").model_extra["roadworthy"]["escalation"]["id"]
    until(lambda: ident in str(world.zendesk.bodies()), "first try")
    control = world.up.pid("control")
    assert control is not None
    os.kill(control, 9)
    world.zendesk.status = 201
    before = len(world.zendesk.told)
    until(lambda: ident in str(world.zendesk.bodies()[before:]), "another try, by the next control", patience=40)
    assert world.poll(ident).json()["status"] == "pending"
