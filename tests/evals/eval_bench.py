"""An install in memory with a gateway on loopback that answers as it is told."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evals.examples import set_of
from roadworthy.evals.importing import Columns
from roadworthy.evals.model import Example
from roadworthy.evals.scorers.base import Mark
from roadworthy.evals.service import Evals
from roadworthy.evidence.permit.tokens import opened
from roadworthy.evidence.service import Ledger
from roadworthy.gateway.snapshot import ServedWorkflow, Snapshot
from roadworthy.operations.proving.eval_runs import EvalRuns, Order, Status
from roadworthy.operations.proving.evals import Gate, Ports
from roadworthy.workflow.digest import release
from roadworthy.workflow.model import (
    Behaviour,
    Configuration,
    EvalPlan,
    FrozenRelease,
    GatePolicy,
    Handling,
    Ladder,
    Owners,
    Policy,
    Price,
    Prompt,
    Settings,
    Step,
    TargetIdentity,
    Workflow,
)
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.service import Actor, Workflows

NOW = 1_760_000_000.0
ADA, UID = Actor("ada", "os:1000"), Actor("os:1000")
TOPICS = ("delivery", "return", "product", "payment", "account", "other")
RUBRIC = "The topic is the one that a colleague would expect.\n"


def rows(n: int = 60) -> str:
    """The right topic stands in the message, so that a gateway may answer as well as it likes."""
    found = [{"id": f"m{at}", "message": f"{at}: about {TOPICS[at % 6]}", "topic": TOPICS[at % 6]} for at in range(n)]
    return "\n".join(map(json.dumps, found))


def right(message: str) -> str:
    return json.dumps({"topic": message.split()[-1]})


class Gateway:
    """Answers chat calls: ``says(message)`` gives the text, or (status, headers, body) whole."""

    def __init__(self, key: str) -> None:
        self.key = key
        """Public one, of whoever signs permits."""
        self.says: Callable[[str], Any] = right
        self.elsewhere: Callable[[str], Any] = right
        """What the other target of the ladder says, for a permit that names it."""
        self.targets: list[str] = []
        """What the permits named, call by call."""
        self.release = ""
        """Digest that its answers name."""
        self.model = "m-2026"
        self.seen: list[str] = []
        self.tokens: set[str] = set()
        bench = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                message = body["messages"][-1]["content"]
                bench.seen.append(message)
                token = self.headers["authorization"]
                bench.tokens.add(token)
                permit = opened(token.removeprefix("Bearer ").encode(), [bench.key], Ed25519Verifier())
                bench.targets.append(permit.target)
                say = bench.elsewhere if permit.target else bench.says
                found = say(message)
                status, more, answer = found if isinstance(found, tuple) else bench.answer(found)
                raw = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**more, "content-length": str(len(raw))}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(BrokenPipeError):  # a run that was stopped has hung up
                    self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answer(self, text: str, outcome: str = "answered", **more: Any) -> tuple[int, dict[str, str], dict[str, Any]]:
        headers = {"x-request-id": f"inf_{len(self.seen)}", "x-roadworthy-release": self.release}
        told = {"outcome": outcome, "cost_usd": 0.001, **more}
        choices = [{"message": {"content": text}, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 30, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 10}}
        return 200, headers, {"model": self.model, "choices": choices, "usage": usage, "roadworthy": told}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


LADDER: Ladder = {"unavailable": [Step("target", target="backup")]}


class Asked:
    """Stands for everybody whom scorers ask: ``Bench.judges(case)`` says what they say."""

    def __init__(self, bench: Bench, usd: float) -> None:
        self._bench = bench
        self.usd = usd

    async def __aenter__(self) -> Asked:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def marks(self, jobs: Any, kept: Any, at_once: int = 4) -> None:
        for key, scorer, case in jobs:
            self._bench.judged.append(scorer.name)
            await kept(key, self._bench.judges(case))


class Bench:
    def __init__(self, **gate: Any) -> None:
        self.state = MemoryState()
        self.signer = Ed25519Signer(b"s" * 32)
        self.gateway = Gateway(self.signer.public_key)
        self.now = NOW
        self.monotonic = 0.0
        self.judges: Callable[[Any], Mark] = lambda case: Mark(1.0, usd=0.001)
        self.judged: list[str] = []
        self.published = 0
        self.served: str | None = None
        """Digest of the release that gateways serve."""
        self.policy = Policy(gate=GatePolicy(**{"floors": {"valid_json": 0.9, "topic": 0.8}, **gate}))
        self.version = 0
        self.apply()
        self.freeze("You sort messages.")
        self.ledger = Ledger(self.state, self.signer, Ed25519Verifier(), clock=self.clock)
        self.evals = Evals(self.state, self.signer, Ed25519Verifier(), clock=self.clock)
        ports = Ports(
            signer=self.signer, base_url=lambda: self.gateway.url, snapshot=self.snapshot, publish=self.publish,
            epoch=lambda: 7, clock=self.clock,
        )  # fmt: skip
        workflows = Workflows(self.state, clock=self.clock)
        self.gate = Gate(self.state, workflows, self.evals, self.ledger, ports)
        self.runs = EvalRuns(self.gate, self.scoring, monotonic=lambda: self.monotonic)

    def clock(self) -> float:
        return self.now

    def scoring(self, by: str, usd: float) -> Any:
        """Whom asking scorers ask."""
        return Asked(self, usd)

    def publish(self) -> None:
        self.published += 1

    def apply(self, rubric: str | None = RUBRIC, evals: EvalPlan | None = None) -> None:
        self.version += 1
        flow = Workflow(
            "support", "default", Owners("ada", "bo", "cy"), "enforce", policy=self.policy, rubric=rubric,
            evals=evals or EvalPlan(),
        )  # fmt: skip
        configuration = Configuration(Settings(), {}, {}, {"support": flow})
        with self.state.write() as tx:
            tx.add_configuration(AppliedConfiguration(self.version, self.now, "ada", {}, configuration))

    def freeze(self, prompt: str) -> FrozenRelease:
        behaviour = Behaviour(
            "chat", Prompt("managed", prompt), "main",
            {name: TargetIdentity("openai", name, "h") for name in ("main", "backup")},
            schema={"type": "object", "required": ["topic"]},
        )  # fmt: skip
        with self.state.write() as tx:
            number = len(tx.releases("support")) + 1
            frozen = FrozenRelease(
                release("support", behaviour, Handling(deadline=2.0, ladder=LADDER)), "default", number, self.now, "ada"
            )
            tx.add_release(frozen)
        self.gateway.release = frozen.release.digest
        return frozen

    def snapshot(self) -> Snapshot:
        served = ServedWorkflow("support", "default", "enforce", self.policy, release=self.served)
        price = dict.fromkeys(("main", "backup"), Price(1e-6, 2e-6))
        with self.state.read() as tx:
            releases = {each.release.digest: each.release for each in tx.releases("support")}
        return Snapshot(1, 1, 1, self.now, {"support": served}, releases, {}, {}, price, {})

    def ready(self, n: int = 60) -> Bench:
        """With examples, and a rubric that its owner signed."""
        self.evals.publish("support", rows(n), Columns(expect=["topic"]), ADA, "rows.jsonl")
        self.evals.sign("support", ADA)
        return self

    def publish_items(self, items: list[Example]) -> None:
        """A set with what no file says."""
        with self.state.write() as tx:
            applied = tx.applied()
            assert applied is not None
            self.evals.publishing(tx, applied.configuration.workflows["support"], set_of(items), ADA)

    def marked(self, *, critical: int = 0) -> Bench:
        """The set in force with its first examples critical."""
        items = self.evals.current("support").examples.items
        self.now += 1
        self.publish_items([msgspec.structs.replace(each, critical=at < critical) for at, each in enumerate(items)])
        return self

    def run(self, release: str = "", **more: Any) -> Status:
        """A run from its start to its end."""
        self.now += 1
        return self.ended(self.runs.start(Order("support", release, **more), ADA))

    def ended(self, status: Status) -> Status:
        end = time.monotonic() + 20
        while status.state == "running" and time.monotonic() < end:
            time.sleep(0.005)
            status = self.runs.look(status.run.id)
        assert status.state != "running"
        return status

    def receipts(self) -> list[Any]:
        return self.ledger.known("support").receipts

    def audited(self) -> list[tuple[str, str]]:
        with self.state.read() as tx:
            return [(record.action, record.outcome) for record in tx.audit()]

    def tampered(self, **rows: Any) -> None:
        """Somebody writes into the database: tables of evals, replaced whole."""
        with self.state.write() as tx:
            for name, value in rows.items():
                setattr(tx._trials_change, name, value)

    def close(self) -> None:
        self.gateway.close()


def plain(status: Status) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(status)
    return made
