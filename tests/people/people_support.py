"""An install of people in memory or in SQLite, on a clock of its own."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.operations.escalating.shapes import completion, fits
from roadworthy.people.escalation.model import Escalation
from roadworthy.people.escalation.service import Queue
from roadworthy.people.incident.service import Incidents
from roadworthy.people.outbox.model import Delivery, Sent
from roadworthy.people.outbox.service import Outbox, Place
from roadworthy.workflow import inference
from roadworthy.workflow.model import (
    ApiKey,
    Behaviour,
    Configuration,
    EscalationPolicy,
    FrozenRelease,
    Handling,
    Owners,
    Person,
    Policy,
    Release,
    Settings,
    Webhook,
    Workflow,
)
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.service import Actor

NOON = 1_793_620_800.0
SECRETS = {"env:DESK": "whsec_" + "c2VjcmV0LW9mLXRoZS1kZXNr", "env:NOTIFY": "told"}
ADA, BO, EVE = Actor("ada"), Actor("bo"), Actor("eve")


def ident(number: int) -> str:
    return f"inf_{number:032x}"


def line(number: int = 1, **more: Any) -> inference.Escalation:
    fields: dict[str, Any] = {
        "inference": ident(number), "ts": NOON, "team": "default", "workflow": "support", "failure": "refused",
        "answer_by": NOON + 3600.0, "unit": "u-1", "key": "key_1", "detail": "the model refused",
        "messages": msgspec.Raw(b'[{"role":"user","content":"Where is my parcel?"}]'), "draft": "I cannot say.",
        "holding": "A colleague will answer.",
    }  # fmt: skip
    return inference.Escalation(**{**fields, **more})


def escalation(number: int = 1, **more: Any) -> Escalation:
    fields: dict[str, Any] = {
        "id": ident(number), "team": "default", "workflow": "support", "opened_at": NOON,
        "answer_by": NOON + 3600.0, "unit": "u-1", "seq": number,
    }  # fmt: skip
    return Escalation(**{**fields, **more})


def delivery(number: int = 1, **more: Any) -> Delivery:
    fields: dict[str, Any] = {
        "id": f"msg_{number}", "team": "default", "kind": "notice", "destination": "notify", "body": "{}",
        "created_at": NOON + number, "due_at": NOON + number,
    }  # fmt: skip
    return Delivery(**{**fields, **more})


def configuration(*, helpdesk: str | None = "desk", notify: bool = True) -> Configuration:
    return Configuration(
        Settings(
            helpdesks={"desk": Webhook("https://desk.example/hook", "env:DESK")},
            notify=Webhook("https://told.example/", "env:NOTIFY") if notify else None,
        ),
        {},
        {
            "ada": Person("ada", "Ada", email="ada@example.com"),
            "bo": Person("bo", "Bo"),
            "eve": Person("eve", "Eve", team="other"),
        },
        {
            "support": Workflow(
                "support", "default", Owners("ada", "ada", "bo"), "enforce",
                policy=Policy(escalation=EscalationPolicy(helpdesk=helpdesk)),
            )
        },
    )  # fmt: skip


SCHEMA = {"type": "object", "properties": {"reply": {"type": "string"}}, "required": ["reply"]}
RELEASE = FrozenRelease(
    Release("support", "rel_1", "b", "h", Behaviour("chat", None, "main", {}, schema=SCHEMA), Handling()),
    "default", 1, NOON, "ada",
)  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Desk:
    """State, services and a clock; what is sent ends as ``will`` says."""

    def __init__(self, *, helpdesk: str | None = "desk", notify: bool = True, keys: tuple[ApiKey, ...] = ()) -> None:
        self.clock = Clock()
        self.state = MemoryState()
        with self.state.write() as tx:
            configured = configuration(helpdesk=helpdesk, notify=notify)
            tx.add_configuration(AppliedConfiguration(1, NOON, "ada", {}, configured))
            tx.add_release(RELEASE)
            for key in keys:
                tx.put_key(key)
        ids = itertools.count(1)

        def new_id(prefix: str) -> str:
            return f"{prefix}{next(ids)}"

        self.queue = Queue(
            self.state, clock=self.clock, answer_url=lambda name: f"http://gateway/v1/escalations/{name}/answer",
            completion=completion, fits=fits, secret=SECRETS.get, new_id=new_id,
        )  # fmt: skip
        self.incidents = Incidents(self.state, clock=self.clock, new_id=new_id)
        self.outbox = Outbox(
            self.state, clock=self.clock, secret=SECRETS.get, hmac_key=b"k" * 32, jitter=lambda: 0.5, new_id=new_id
        )
        self.sent: list[tuple[Place, dict[str, str], bytes]] = []
        self.will: list[Sent] = [Sent(200)]

    async def send(self, place: Place, headers: dict[str, str], body: bytes) -> Sent:
        self.sent.append((place, headers, body))
        return self.will.pop(0) if len(self.will) > 1 else self.will[0]

    async def close(self) -> None:
        pass

    def open(self, *lines: inference.Escalation) -> int:
        with self.state.write() as tx:
            return self.queue.open(tx, lines)

    def messages(self) -> list[dict[str, Any]]:
        """What waits or was sent, oldest first."""
        with self.state.read() as tx:
            return [msgspec.json.decode(row.body) for row in reversed(tx.deliveries(limit=100))]

    def actions(self) -> list[tuple[str, str, str]]:
        with self.state.read() as tx:
            return [(record.actor, record.action, record.outcome) for record in tx.audit()]
