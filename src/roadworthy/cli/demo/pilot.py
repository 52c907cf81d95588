"""The demo's pilot: who of many customers reaches the AI, what is refused, and what an edited prompt changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import msgspec

from roadworthy.cli.admin import Refused
from roadworthy.cli.demo.proving import Checklist, checklist
from roadworthy.cli.demo.system import OWNER, WORKFLOW, System
from roadworthy.cli.demo.traffic import Met, ask, crowd
from roadworthy.cli.errors import CliError
from roadworthy.workflow.shares import inside, position, salt_of

STAGE, SHARE = "1 %", 0.01
MORE = "10 %"
EDIT = 'Answer like this: {"topic": "other", "urgency": "low", "reply": "We are on it."}'
"""Meant to make replies short; the small model copies the topic as well."""
LAST_LINE = "other: everything else"

Done = Callable[[], None]


class Crowd(msgspec.Struct, frozen=True):
    """What so many customers got, each of whom called once."""

    users: int
    reached: list[str]
    """Users whom a model answered."""
    routes: dict[str, int]
    reads: str
    """What the app of everybody else reads."""
    inferences: list[str]
    tag: str
    """Under which they are in the log."""


class Pilot(msgspec.Struct, frozen=True):
    before: Crowd
    """Enforced, and no evidence yet."""
    after: Crowd
    stage: str
    refused: str
    """Why the next stage is not to be had."""


class Edited(msgspec.Struct, frozen=True):
    """An edited prompt that was frozen, and what became of it."""

    number: int
    digest: str
    user: str
    before: str
    """An inference of that user before the edit."""
    after: str
    """... and the same question after it."""
    tokens: int
    """Of the prompt that the model received after it, as the model counted."""
    ready: Checklist


def customers(count: int) -> list[str]:
    return [f"customer-{number:05}" for number in range(1, count + 1)]


def enforce(system: System) -> None:
    """One line of the workflow's file, applied by its author; stricter acts at once."""
    system.edit("workflow.yaml", "enforcement: observe", "enforcement: enforce")
    system.apply()
    system.await_served(lambda snapshot: snapshot["workflows"][WORKFLOW]["enforcement"] == "enforce")


def call(system: System, token: str, users: list[str], tag: str, done: Done = lambda: None) -> Crowd:
    met = crowd(system.url, token, users, tag, done)
    others = Counter(each.read for each in met if each.route != "release")
    return Crowd(
        users=len(met),
        reached=[each.user for each in met if each.route == "release"],
        routes=dict(Counter(each.route for each in met)),
        reads=others.most_common(1)[0][0] if others else "",
        inferences=[each.inference for each in met],
        tag=tag,
    )


def begin(system: System, release: int) -> None:
    """The owner begins the ramp at its first live stage.  Raises ``CliError`` when the evidence does not allow it."""
    order = {"workflow": WORKFLOW, "release": str(release), "stage": STAGE, "reason": "pilot of the demo"}
    stand = system.person(OWNER).post("/v1/rollouts", order)
    if stand["share"] != SHARE:
        raise CliError(f"the ramp began at {100 * stand['share']:g} %, expected {STAGE}")
    system.await_served(lambda snapshot: (snapshot["workflows"][WORKFLOW].get("ramp") or {}).get("share") == SHARE)


def ask_for_more(system: System) -> str:
    """The owner asks for the next stage now; returns why not."""
    try:
        system.person(OWNER).post(f"/v1/rollouts/{WORKFLOW}/approve", {"stage": MORE})
    except Refused as refused:
        return str(refused)
    raise CliError(f"the ramp went on to {MORE} on the evidence of a pilot")


def within(system: System, users: list[str]) -> list[str]:
    """Those inside the pilot's share, computed anew from the install's key: a hash of salt, workflow and user."""
    salt = salt_of((system.place.data / "hmac.key").read_bytes())
    return [user for user in users if inside(position(salt, WORKFLOW, user), SHARE)]


def edit(system: System, token: str, told: Crowd, user: str, tag: str) -> Edited:
    """Edit the prompt, freeze it, and let a customer who is inside ask again."""
    before = told.inferences[customers(told.users).index(user)]
    system.edit("prompt.md", LAST_LINE, f"{LAST_LINE}\n{EDIT}")
    frozen = system.freeze_edited("an example, so that replies are short")
    with httpx2.Client(timeout=120.0, trust_env=False) as client:
        met: Met = ask(client, system.url, token, user, tag)
    system.admin.post("/v1/journal/flush")
    return Edited(
        number=frozen["number"],
        digest=frozen["digest"],
        user=user,
        before=before,
        after=met.inference,
        tokens=received(system, met.inference),
        ready=checklist(system, frozen["number"]),
    )


def inference(system: System, ident: str) -> dict[str, Any]:
    found: dict[str, Any] = system.admin.get(f"/v1/inferences/{ident}")["inference"]
    return found


def received(system: System, ident: str) -> int:
    """Tokens of the prompt that the model received, as the model itself counted them."""
    return int(inference(system, ident)["response"]["usage"]["prompt_tokens"])
