"""The install of the journeys: a workflow for each, so that none disturbs another."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import yaml

from roadworthy.evidence.kinds import DAY
from roadworthy.inference_log.model import Batch
from roadworthy.rollout.model import Stage
from roadworthy.wiring.composition import Control
from roadworthy.workflow.inference import Attempt, Inference, Tokens, new_inference_id
from roadworthy.workflow.service import Actor
from support.proven import Prover

ZONE = ZoneInfo("Europe/Berlin")
EVIL = "<img src=x onerror=\"window.hacked='{0}'\"><script>window.hacked='{0}';alert('{0}')</script>"
"""Markup that would leave a mark, with the name of where it stands."""
SECRET = "a secret of the bridge, long enough"

PEOPLE = f"""\
people:
  ada: {{name: Ada Lovelace, email: ada@example.com, pages: [bridge]}}
  bo: {{name: Bo Lee, email: bo@example.com, pages: [office]}}
  ola: {{name: Ola Nordmann, email: ola@example.com, roles: [operator], pages: [office]}}
  otto: {{name: Otto Operator, email: otto@example.com, roles: [operator], pages: [office]}}
  olga: {{name: Olga Operator, email: olga@example.com, roles: [operator], pages: [office]}}
  agnes: {{name: Agnes Grey, email: agnes@example.com, roles: [agent], pages: [office]}}
  sam: {{name: Sam Score, email: sam@example.com, roles: [scorer], pages: [office]}}
  vi: {{name: Vi Ewer, email: vi@example.com, roles: [viewer], pages: [office]}}
  eve: {{name: {json.dumps(EVIL.format("name"))}, email: eve@example.com, roles: [viewer], pages: [office]}}
on_call:
  default: {{members: [ada], handoff: monday 09:00, start: 2026-01-05, catch_all: bo}}
"""

FLOW = """\
description: Sorts customer messages and drafts a reply.
owners: {workflow: ada, prompt: bo, cost: ada}
enforcement: observe
prompt: {mode: managed, system: prompt.md}
target: main
deadline: 20s
ladder:
  unavailable: [target: spare, canned]
  invalid: [repair, escalate]
  refused: [escalate]
canned: {text: Thank you for your message. A colleague will answer within one working day.}
holding: {text: Thank you. A colleague is looking at your message and answers today.}
bypass: app
rubric: rubric.md
policy: {testers: [ada, bo], redact: [email]}
"""
RUBRIC = """\
# Is the answer right?

## good = 1
It answers the question in a friendly way.
> We send it again tomorrow.

## poor = 0
It does not answer, or is rude.
> No.
"""
PROMPT = "You answer customers of a shop in one sentence.\n"
POLICY = "policy: {testers: [ada, bo], redact: [email]}"


def roadworthy_yaml(bridge: str) -> str:
    return f"""\
version: 1
timezone: {ZONE.key}
targets:
  main: {{provider: simulated, model: sim-1, price: {{input: 1, output: 2, per: 1M}}}}
  spare: {{provider: simulated, model: sim-2, price: {{input: 1, output: 2, per: 1M}}}}
  down: {{provider: simulated, model: sim-4, simulation: down.yaml, price: {{input: 1, output: 2, per: 1M}}}}
  hostile: {{provider: simulated, model: sim-3, simulation: hostile.yaml, price: {{input: 1, output: 2, per: 1M}}}}
channels:
  bridge: {{kind: webhook, url: "{bridge}/page", secret: env:BRIDGE_SECRET, allow_private: true}}
  office: {{kind: webhook, url: "{bridge}/office", secret: env:BRIDGE_SECRET, allow_private: true}}
"""


def files(bridge: str) -> dict[str, str]:
    """Name → text.  ``bridge``: URL of who takes the pages."""
    escalating = FLOW.replace("unavailable: [target: spare, canned]", "unavailable: [escalate]")
    flows = {
        "refunds": FLOW,
        "invoices": FLOW,
        "letters": FLOW,
        "returns": escalating,
        "complaints": FLOW,
        "orders": FLOW.replace("observe", "enforce").replace("[email]}", "[email], projected_peak: 10}"),
        "parcels": FLOW.replace("target: main", "target: down").replace("[target: spare, canned]", "[canned]"),
        "greetings": escalating,
        "farewells": escalating.replace("observe", "enforce").replace("[email]}", "[email], projected_peak: 10}"),
        "hostile": _hostile(),
    }
    found = {"roadworthy.yaml": roadworthy_yaml(bridge), "people.yaml": PEOPLE}
    for name, text in flows.items():
        found[f"workflows/{name}/workflow.yaml"] = text
        found[f"workflows/{name}/prompt.md"] = PROMPT if name != "hostile" else PROMPT + EVIL.format("prompt") + "\n"
        found[f"workflows/{name}/rubric.md"] = RUBRIC
    found["hostile.yaml"] = msgspec.json.encode({"answers": [EVIL.format("output")]}).decode()
    found["down.yaml"] = '{"faults": [{"fault": "status", "code": 503}]}'
    return found


def _hostile() -> str:
    flow = yaml.safe_load(FLOW)
    flow["ladder"]["unavailable"] = ["escalate"]
    flow |= {"target": "hostile", "description": EVIL.format("description")}
    flow["canned"]["text"] += EVIL.format("canned")
    flow["holding"]["text"] += EVIL.format("holding")
    return str(yaml.safe_dump(flow))


def at_two(back: int, now: float) -> datetime:
    """Two in the afternoon, in the house's zone, so many days back."""
    day = datetime.fromtimestamp(now, ZONE) - timedelta(days=back)
    return day.replace(hour=14, minute=0, second=0, microsecond=0)


def call(workflow: str, at: float, asked: str, said: str, number: int, **more: Any) -> Inference:
    """One that a model answered."""
    request = {"model": workflow, "messages": [{"role": "user", "content": asked}]}
    message = {"role": "assistant", "content": said}
    response = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    fields: dict[str, Any] = {
        "id": new_inference_id(at, 7_000_000 + number), "ts": at, "team": "default", "workflow": workflow,
        "outcome": "answered", "unit": f"u-{number}", "unit_source": "header", "target": "main", "key": "key_app",
        "model_asked": workflow, "model_answered": "simulated:sim-1", "latency": 0.8, "first_token": 0.3,
        "attempts": [Attempt(target="main", ended=0.8, status=200, model_asked="sim-1", first_token=0.3)],
        "tokens": Tokens(input=40, output=25), "cost_usd": 0.00009,
        "request": msgspec.Raw(msgspec.json.encode(request)), "response": msgspec.Raw(msgspec.json.encode(response)),
    }  # fmt: skip
    return Inference(**{**fields, **more})


def prepare(control: Control) -> None:
    """A call of two in the afternoon, a release that waits for approval, one that everybody gets, ten answers."""
    now, bo = control.clock(), Actor("bo")
    frozen = {name: control.workflows.freeze(name, bo).release for name in _workflows(control)}
    prover = Prover(control.folder, control.state, now)
    prover.everybody("farewells")
    prover.items("orders")
    prover.receipt("orders")
    prover.ramp("orders", 0.25, further=[Stage("50 %", 0.5)], entered=now - 3 * DAY)
    inside, outside = {"digest": frozen["orders"].release.digest}, {"route": "bypass", "outcome": "bypassed"}
    orders = [
        call("orders", now - 60 - number, "Where is it?", "It is on its way.", number, stage="25 %",
             **(outside if number % 4 else inside))
        for number in range(600)
    ]  # fmt: skip
    when = at_two(2, now).timestamp()
    asked, said = "Can I return a lamp that I have lit once?", "Yes: within thirty days, lit or not."
    tuesday = [call("refunds", when + 125, asked, said, 42), call("refunds", when + 130, "Hello?", "Hello!", 43),
               call("refunds", when + 7200, "And now?", "Still yes.", 44, unit="u-42")]  # fmt: skip
    control.store.ship(Batch(ends=[*orders, *tuesday]))
    control.store.rollup(now)


def _workflows(control: Control) -> list[str]:
    applied = control.workflows.configuration()
    assert applied is not None
    return list(applied.configuration.workflows)
