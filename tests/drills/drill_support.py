"""Drills in one process: a gateway core with its real client in front of misbehaving servers on loopback.

``run(drill, case)`` drills one release; ``weakened`` takes the guard away that a drill names.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import importlib
import inspect
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from roadworthy.adapters.providers.registry import wire_for
from roadworthy.adapters.providers.simulated_answer import example
from roadworthy.fallback.drills import reading, rules
from roadworthy.fallback.drills.asking import good_answer, nonce_of, question
from roadworthy.fallback.drills.catalogue import CATALOGUE, Row
from roadworthy.fallback.drills.listener import FaultServer, targets_of
from roadworthy.fallback.drills.model import Drill, Expected, Guard, Miss, Role, Seen, Told
from roadworthy.formats.model import Format
from roadworthy.gateway.admission.permits import priced_at
from roadworthy.gateway.core import Gateway
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.messages import Request, Response
from roadworthy.gateway.snapshot import SNAPSHOT_FORMAT, Endpoint, ServedWorkflow, Snapshot
from roadworthy.gateway.world import World
from roadworthy.http1 import origin
from roadworthy.http1.client import Client
from roadworthy.http1.guard import AddressGuard
from roadworthy.inference_log import segments
from roadworthy.operations.notices import notices
from roadworthy.wiring.gateway import SystemClock, SystemIds
from roadworthy.workflow.check_options import span_of
from roadworthy.workflow.inference import FAILURES, Inference
from roadworthy.workflow.model import (
    ApiKey,
    Behaviour,
    Budgets,
    CacheSpec,
    Canned,
    Capabilities,
    CheckKind,
    CheckSpec,
    Clocks,
    Handling,
    Ladder,
    Policy,
    Price,
    Prompt,
    ProviderKind,
    Release,
    Step,
    Target,
    TargetIdentity,
)
from roadworthy.workflow.simulation import Seeded
from support.earning import earned, proven

HMAC_KEY = b"k" * 32
TOKEN = "rw-" + "d" * 40
OPEN = 1000.0
"""Seconds of a clock that was taken away."""
AT_ONCE = 16
STALL = 0.1
"""Seconds for which a busy machine may stop the loop; the clocks of the drills under way run on meanwhile."""
TRIES = 12
PATIENCE = 0.5
"""Seconds after the deadline at which the customer of a hung call leaves."""

CLOCKS = Clocks(connect=0.3, first_token=0.4, idle=0.4, total=1.4)
DEADLINE = 2.0

LADDER: Ladder = {
    "unavailable": [Step("retry", times=2, backoff=0.01), Step("target", target="backup"), Step("canned")],
    "overlimit": [Step("retry", times=2, backoff=0.01), Step("target", target="backup"), Step("canned")],
    "slow": [Step("retry", times=1, backoff=0.01), Step("canned")],
    "truncated": [Step("retry", times=1, backoff=0.01), Step("canned")],
    "throttled": [Step("retry", times=1, backoff=0.01), Step("canned")],
    "invalid": [Step("repair", times=1), Step("canned")],
    "refused": [Step("canned")],
    "unsafe": [Step("drop"), Step("canned")],
    "overspent": [Step("canned")],
    "misconfigured": [Step("canned")],
}
SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string", "enum": ["refund", "later"]}},
    "required": ["topic"],
    "additionalProperties": False,
}
WORDED = {
    "type": "object",
    "properties": {**SCHEMA["properties"], "reply": {"type": "string", "minLength": 20, "maxLength": 160}},
    "required": ["topic", "reply"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}]
CANNED = Canned(
    "We will write to you about your order as soon as one of our people has looked at it. Most customers hear from us "
    "within a working day, and you need not do anything until then.",
    {"topic": "later"},
)
IDENTITIES = {name: TargetIdentity("openai", f"{name}-model", f"{name}.test") for name in ("main", "backup")}
CHECKS: dict[CheckKind, CheckSpec] = {
    "language": CheckSpec("language", "invalid", options={"allowed": ["en"]}),
    "refusal": CheckSpec("refusal", "refused"),
    "repetition": CheckSpec("repetition", "invalid"),
    "forbidden": CheckSpec("forbidden", "unsafe", options={"patterns": ["full refund within an hour"]}),
    "personal_data": CheckSpec("personal_data", "unsafe"),
    "secrets": CheckSpec("secrets", "unsafe"),
    "prompt_leak": CheckSpec("prompt_leak", "unsafe"),
    "markup": CheckSpec("markup", "unsafe"),
    "garbage": CheckSpec("garbage", "invalid"),
}
SPANS: dict[CheckKind, CheckSpec] = {kind: spec for kind, spec in CHECKS.items() if span_of(spec) is not None}
"""Those that a window can do."""
PROMPT = Prompt("managed", "You answer customers of a shop that sells lamps.", canary=True)
WORDED_HANDLING = {
    "checks": CHECKS,
    "stream": "buffered",
    "repair_json": True,
    "canned": Canned("We will write to you.", {"topic": "later", "reply": "We will write to you about your order."}),
}
CONTENT: frozenset[Row] = frozenset({"content"})


class Case(msgspec.Struct, frozen=True):
    """A release that declares every guard of its kind, and the policy beside it."""

    name: str
    release: Release
    policy: Policy = Policy(budgets=Budgets(inference=1.0))
    rows: frozenset[Row] = frozenset(CATALOGUE)
    """Whose drills it is for."""
    wire: Format = "chat"
    """What its targets speak."""

    def __repr__(self) -> str:
        return self.name


def release(name: str, *, handling: dict[str, Any] | None = None, **behaviour: Any) -> Release:
    made = Behaviour(**{"kind": "chat", "prompt": None, "target": "main", "targets": IDENTITIES, **behaviour})
    around = Handling(
        **{"ladder": LADDER, "canned": CANNED, "clocks": CLOCKS, "deadline": DEADLINE, **(handling or {})}
    )
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Release(name, f"rel_{digest}", "b" * 64, "h" * 64, made, around)


CASES = {
    "text": Case(
        "text",
        release(
            "text",
            prompt=PROMPT,
            handling={
                "checks": {"garbage": CHECKS["garbage"]},
                "continuation": 1,
                "stream": "windowed",
                "window": 20,
                "cache": CacheSpec(),
            },
        ),
    ),
    "checked": Case(
        "checked", release("checked", prompt=PROMPT, handling={"checks": CHECKS, "stream": "buffered"}), rows=CONTENT
    ),
    "windowed": Case(
        "windowed",
        release("windowed", prompt=PROMPT, handling={"checks": SPANS, "stream": "windowed", "window": 400}),
        rows=CONTENT,
    ),
    "short": Case(
        "short",
        release(
            "short",
            handling={
                "checks": {"brief": CheckSpec("length", "invalid", options={"max_chars": 20_000})},
                "stream": "buffered",
            },
        ),
        rows=CONTENT,
    ),
    "relayed": Case("relayed", release("relayed", handling={"continuation": 1})),
    "json": Case("json", release("json", schema=SCHEMA, handling={"stream": "buffered", "repair_json": True})),
    "worded": Case(
        "worded",
        release("worded", schema=WORDED, prompt=PROMPT, handling=WORDED_HANDLING),
        rows=CONTENT,
    ),
    "tools": Case("tools", release("tools", tools=TOOLS, handling={"stream": "buffered"})),
    "embeddings": Case("embeddings", release("embeddings", kind="embeddings", handling={"canned": None})),
}
"""Free text of which little is held back; with every check, whole; with those that a window can do; of bounded length;
free text relayed as it comes; JSON; JSON that says something, with checks of what; tool calls; embeddings."""

EMBEDDING_LADDER: Ladder = {
    failure: [Step("retry", times=2, backoff=0.01), Step("target", target="backup")]
    for failure in ("unavailable", "overlimit", "slow", "truncated", "invalid", "throttled")
}
CASES["embeddings"] = msgspec.structs.replace(
    CASES["embeddings"],
    release=msgspec.structs.replace(
        CASES["embeddings"].release,
        handling=msgspec.structs.replace(CASES["embeddings"].release.handling, ladder=EMBEDDING_LADDER),
    ),
)

Key = tuple[str, str, bool]
"""Drill, case, streamed."""


def applicable(drill: Drill, wire: Format = "chat") -> list[tuple[Case, bool]]:
    """Every case in which the drill means something for targets that speak ``wire``, whole and streamed."""
    return [
        (msgspec.structs.replace(case, wire=wire), stream)
        for case, stream in itertools.product(CASES.values(), (False, True))
        if drill.row in case.rows
        and not rules.not_applicable(drill, case.release, case.policy, stream=stream, wire=wire)
    ]


def weakened(case: Case, guard: Guard) -> Case:
    """The case without the guard.  A ``rule`` is taken away by ``without_rule`` instead."""
    handling = case.release.handling
    if guard.kind == "step":
        ladder = {**handling.ladder, guard.name: []}
        handling = msgspec.structs.replace(handling, ladder=ladder)
    elif guard.kind == "check":
        checks = {name: spec for name, spec in handling.checks.items() if spec.kind != guard.name}
        handling = msgspec.structs.replace(handling, checks=checks)
    elif guard.kind == "clock":
        clocks = msgspec.structs.replace(handling.clocks, **{guard.name: OPEN, "total": OPEN})
        handling = msgspec.structs.replace(handling, clocks=clocks)
    elif guard.kind == "setting":
        default = getattr(Handling(), guard.name)
        handling = msgspec.structs.replace(handling, **{guard.name: default})
    elif guard.kind == "budget":
        budgets = msgspec.structs.replace(case.policy.budgets, **{guard.name: getattr(Budgets(), guard.name)})
        return msgspec.structs.replace(case, policy=msgspec.structs.replace(case.policy, budgets=budgets))
    return msgspec.structs.replace(case, release=msgspec.structs.replace(case.release, handling=handling))


def unbound(drill: Drill) -> Drill:
    """The drill without the budget of its own that it proves."""
    budgets = drill.conditions.budgets
    if drill.guard.kind != "budget" or budgets is None:
        return drill
    none = {drill.guard.name: getattr(Budgets(), drill.guard.name)}
    conditions = msgspec.structs.replace(drill.conditions, budgets=msgspec.structs.replace(budgets, **none))
    return msgspec.structs.replace(drill, conditions=conditions)


@contextmanager
def without_rule(guard: Guard, instead: Callable[[Any], Any]) -> Iterator[None]:
    """Replace a function of ours wherever it was imported to.  ``instead``: the original → what stands for it."""
    module_name, _, path = guard.name.partition(":")
    module = importlib.import_module(f"roadworthy.{module_name}")
    owner_path, _, name = path.rpartition(".")
    owner = getattr(module, owner_path) if owner_path else module
    original = inspect.getattr_static(owner, name)
    replacement = instead(original)
    places = [owner]
    if not owner_path:
        places += [
            found
            for found in list(sys.modules.values())
            if found is not module
            and getattr(found, "__name__", "").startswith("roadworthy")
            and getattr(found, name, None) is original
        ]
    with ExitStack() as restore:
        for place in places:
            setattr(place, name, replacement)
            restore.callback(setattr, place, name, original)
        yield


_PROMISED: dict[Key, Expected] = {}


def promised(drill: Drill, case: Case, stream: bool) -> Expected:
    """What must follow, as worked out while no rule of ours was taken away."""
    key = (drill.name, case.name, stream)
    if key not in _PROMISED:
        _PROMISED[key] = rules.expected(drill, case.release, stream=stream, continues=True)
    return _PROMISED[key]


def heard(record: Inference) -> tuple[Told, Role]:
    """What a person must be told because of this record, by the rule that the control process goes by."""
    found = list(notices(record))
    first = next((notice for notice in found if notice.kind == "incident"), found[0] if found else None)
    return ("none", "workflow") if first is None else (first.kind, first.role)


class Ran(msgspec.Struct):
    """One drilled call."""

    seen: Seen
    misses: list[Miss]
    leaks: dict[str, int]


async def run(drill: Drill, intact: Case, stream: bool, served: Case, folder: Path) -> Ran:
    """Drill ``served`` and score it by what ``intact`` promises."""
    nonce = nonce_of(int.from_bytes(hashlib.sha256(f"{drill.name}{intact.name}{stream}".encode()).digest()[:8], "big"))
    servers = [
        FaultServer(drill, good_answer(served.release, target, _example), target, nonce, faulty=faulty)
        for target, faulty in targets_of(drill, "main", ["backup"]).items()
    ]
    urls = dict(zip(("main", "backup"), [await server.start() for server in servers], strict=True))
    journal = Journal(folder, "w0", now=time.time, reserve_bytes=0)
    guard = AddressGuard(resolve=_resolved)
    tls = origin.default_tls() if drill.fault == "untrusted" else None  # read before clocks run, as a worker has it
    client = Client(guard=guard, tls=tls)
    gateway = Gateway(upstream=client, journal=journal, clock=SystemClock(), ids=SystemIds(), hmac_key=HMAC_KEY)
    made = earned(_snapshot(drill, served, urls), time.time())
    gateway.world = World(made, wires=wire_for, secret=lambda name: "sk", slots=gateway.slots, proofs=proven(made))
    guard.allow(gateway.world.private_origins)
    must = promised(drill, intact, stream)
    try:
        async with asyncio.timeout((must.deadline + PATIENCE) * (drill.before + 1)):
            for _ in range(drill.before):
                await _call(gateway, served, stream)
            seen = await _call(gateway, served, stream)
    except TimeoutError:
        seen = Seen(
            stream=stream,
            status=0,
            text="",
            finished=False,
            seconds=must.deadline + PATIENCE,
            outcome=None,
            failure=None,
        )
    finally:
        leaks = {
            "in flight": gateway.counters.in_flight,
            "slots": sum(slots.taken for slots in gateway.slots.values()),
            "connections in use": client.in_use,
        }
        await client.close()
        await asyncio.to_thread(journal.close)  # it syncs; where the disk is slow, other drills' clocks run meanwhile
        for server in servers:
            await server.stop()
    record = _records(folder).get(seen.inference)
    seen = reading.with_record(seen, record)
    seen.sent = [sent for server in servers for sent in server.sent]
    if record is not None:
        seen.traffic = "drill"  # the key of these calls is no permit; tests/gateway/test_gateway_permits.py has those
        seen.told, seen.role = heard(record)
    return Ran(seen, rules.score(drill, must, seen), leaks)


async def run_all(wanted: list[tuple[Drill, Case, bool, Case]], root: Path) -> list[Ran]:
    """All of them, a few at a time.  One during which the loop stood still measured the machine, and is run again."""
    root.mkdir(exist_ok=True)
    busy = asyncio.Semaphore(AT_ONCE)
    numbers = itertools.count()
    stalls: list[float] = []

    async def one(drill: Drill, intact: Case, stream: bool, served: Case) -> Ran:
        for _ in range(TRIES):
            async with busy:
                began = time.monotonic()
                ran = await run(drill, intact, stream, served, root / str(next(numbers)))
            if not stalls or stalls[-1] < began:
                break
        return ran

    watch = asyncio.create_task(_note_stalls(stalls))
    try:
        return await asyncio.gather(*(one(*each) for each in wanted))
    finally:
        watch.cancel()


async def _note_stalls(stalls: list[float]) -> None:
    """Add the time at which the loop went on after it had stood still."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.01)
        if time.monotonic() - began > STALL:
            stalls.append(time.monotonic())


async def _call(gateway: Gateway, case: Case, stream: bool) -> Seen:
    body = msgspec.json.encode(question(case.release, stream=stream, user="drill"))
    path = "/v1/embeddings" if case.release.behaviour.kind == "embeddings" else "/v1/chat/completions"
    headers = [(b"authorization", b"Bearer " + TOKEN.encode()), (b"content-type", b"application/json")]
    began = time.monotonic()
    answer = await gateway.handle(Request("POST", path, "", headers, body, "127.0.0.1"))
    told = {name.decode(): value.decode() for name, value in answer.headers}
    if isinstance(answer, Response):
        read = reading.streamed if stream else reading.whole
        return read(answer.status, told, answer.body, time.monotonic() - began)
    data = b"".join([piece async for piece in answer.chunks])
    return reading.streamed(answer.status, told, data, time.monotonic() - began)


async def _resolved(host: str, port: int) -> list[str]:
    """Nobody outside is asked: every target is an address but the one whose name is dead."""
    raise OSError(f"{host} is not known")


def _example(schema: Any) -> Any:
    return example(schema, Seeded(1))


def _snapshot(drill: Drill, case: Case, urls: dict[str, str]) -> Snapshot:
    made = case.release
    provider: ProviderKind = "anthropic" if case.wire == "messages" else "openai"
    able = Capabilities(prefill="native", surfaces=["responses"] if case.wire == "responses" else None)
    digest = hmac.digest(HMAC_KEY, TOKEN.encode(), "sha256").hex()
    budgets = drill.conditions.budgets
    policy = case.policy if budgets is None else msgspec.structs.replace(case.policy, budgets=budgets)
    return Snapshot(
        format=SNAPSHOT_FORMAT, epoch=1, seq=1, made_at=1.0,
        workflows={made.workflow: ServedWorkflow(made.workflow, "default", "enforce", policy, release=made.digest)},
        releases={made.digest: made},
        targets={
            name: Target(name, provider, f"{name}-model", capabilities=able) for name in urls
        },
        endpoints={name: Endpoint(url, trusted=True) for name, url in urls.items()},
        prices=_prices(drill, made, urls),
        keys={digest: ApiKey("key_" + digest[:12], digest, "drill", "default", ["*"])},
    )  # fmt: skip


def _prices(drill: Drill, made: Release, urls: dict[str, str]) -> dict[str, Price]:
    if drill.conditions.unpriced:
        return {}
    if drill.conditions.price is not None:
        return priced_at(drill.conditions.price, made)
    return dict.fromkeys(urls, Price(input=1e-6, output=2e-6))


def _records(folder: Path) -> dict[str, Inference]:
    lines = [
        line.value
        for name in segments.segments(folder)
        for line in segments.scan(name.path(folder), read_bytes=1 << 28).lines
    ]
    return {line.id: line for line in lines if isinstance(line, Inference)}


assert set(LADDER) <= set(FAILURES)
