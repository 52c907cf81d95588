"""Claims about how scorers ask: under a permit at the gateway, guarded outside, without keys inside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evals.scorers.base import Asking, Case, Mark
from roadworthy.evals.scorers.embedding import Embedding
from roadworthy.evals.scorers.http import Http
from roadworthy.evals.scorers.judge import RubricJudge
from roadworthy.evals.scorers.python import Python
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.tokens import opened
from roadworthy.operations.proving import scoring
from roadworthy.operations.proving.scoring import Scoring, ScoringPorts
from roadworthy.wiring.worker.user_checks import launch_checks
from roadworthy.workflow.digest import release_of
from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.model import FrozenRelease

CASE = Case("Thank you.", expected_text="Thanks!", messages=[{"role": "user", "content": "Say thanks."}])
SIGNER = Ed25519Signer(b"s" * 32)
NOW = 1_000_000.0
OWNERS = "owners: {workflow: ada, prompt: ada, cost: ada}\ntarget: main\nbypass: app\n"
TARGET = "  main: {provider: openai, model: m, key: env:K, price: {input: 1, output: 1}}\n"
FILES = {
    "roadworthy.yaml": f"version: 1\ntargets:\n{TARGET}",
    "people.yaml": "people:\n  ada: {name: Ada, email: a@example.com}\n",
    "workflows/judge/workflow.yaml": f"{OWNERS}prompt: {{mode: managed, system: prompt.md}}\n",
    "workflows/judge/prompt.md": "You judge.\n",
    "workflows/embed/workflow.yaml": f"{OWNERS}kind: embeddings\n",
}
GOOD = json.dumps({"reason": "so", "value": "good"})


def frozen(workflow: str) -> FrozenRelease:
    configuration = read_configuration(FILES).configuration
    assert configuration is not None
    return FrozenRelease(release_of(configuration.workflows[workflow]), "default", 1, 0.0, "ada")


FROZEN = {name: frozen(name) for name in ("judge", "embed")}
JUDGE = RubricJudge(
    workflow="judge", behaviour=FROZEN["judge"].release.behaviour_digest, rubric="r", values={"good": 1.0, "bad": 0.0}
)
EMBED = Embedding(workflow="embed", behaviour=FROZEN["embed"].release.behaviour_digest)

Answer = tuple[int, Any]
"""(status, JSON)"""


class Server:
    """Answers HTTP on loopback as it is told, and keeps what it heard."""

    def __init__(self, answer: Callable[[str, Any], Answer]) -> None:
        self.answer = answer
        self.heard: list[tuple[str, dict[str, str], Any]] = []
        self.port = 0

    @property
    def permits(self) -> list[Permit]:
        tokens = [headers["authorization"].removeprefix("Bearer ") for _, headers, _ in self.heard]
        return [opened(token.encode(), [SIGNER.public_key], Ed25519Verifier()) for token in tokens]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in asked[1:]) if name}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        path = asked[0].split(" ")[1]
        self.heard.append((path, headers, body))
        status, found = self.answer(path, body)
        text = found if isinstance(found, bytes) else json.dumps(found).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\nlocation: /other\r\n\r\n"
            % (status, len(text))
            + text
        )
        writer.close()


@asynccontextmanager
async def asked(answer: Callable[[str, Any], Answer], usd: float = 1.0) -> AsyncIterator[tuple[Scoring, Server]]:
    server = Server(answer)
    running = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = running.sockets[0].getsockname()[1]
    ports = ScoringPorts(
        signer=SIGNER, base_url=lambda: f"http://127.0.0.1:{server.port}/v1", newest=FROZEN.get, launch=launch_checks,
        secret={"env:KEY": "s3cret", "env:BAD": "a\nb"}.get, clock=lambda: NOW,
    )  # fmt: skip
    async with running, Scoring(ports, by="ada", usd=usd) as made:
        yield made, server


def gateway(text: str = GOOD, *, outcome: str = "answered", usd: float | None = 0.01) -> Callable[[str, Any], Answer]:
    body = {
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "roadworthy": {"outcome": outcome, "cost_usd": usd, "failure": None},
    }
    return lambda path, asked: (200, body)


def run(answer: Callable[[str, Any], Answer], scorer: Asking, case: Case = CASE) -> tuple[Mark, Server]:
    async def once() -> tuple[Mark, Server]:
        async with asked(answer) as (asker, server):
            return await asker.mark(scorer, case), server

    return asyncio.run(once())


def test_a_judge_is_called_as_a_workflow_under_an_eval_permit_for_its_release() -> None:
    mark, server = run(gateway(), JUDGE)
    assert mark == Mark(1.0, label="good", reason="so", usd=0.01)
    ((path, _, body),) = server.heard
    assert (path, body["model"], body["messages"][-1]["role"]) == ("/v1/chat/completions", "judge", "user")
    (permit,) = server.permits
    assert (permit.workflow, permit.digest, permit.traffic, permit.by, permit.usd) == (
        "judge", FROZEN["judge"].release.digest, "eval", "ada", 1.0,
    )  # fmt: skip


def test_only_what_the_judges_own_model_wrote_is_a_judgement() -> None:
    for outcome in ("canned", "escalated", "cached", "blocked"):
        mark, _ = run(gateway(outcome=outcome), JUDGE)
        assert (mark.value, mark.usd) == (None, 0.01)
        assert outcome in mark.broke


def test_only_whom_nobody_could_reach_is_asked_again() -> None:
    """A judge that makes nothing of an answer would make nothing of it tomorrow, and a run must end."""
    body = {"error": {"code": "x"}, "roadworthy": {"outcome": "error", "failure": "slow"}}
    assert run(lambda path, asked: (503, body), JUDGE)[0].again
    truncated = {**body, "roadworthy": {"outcome": "error", "failure": "truncated"}}
    assert not run(lambda path, asked: (503, truncated), JUDGE)[0].again
    assert not run(gateway("no JSON"), JUDGE)[0].again


def test_an_unknown_cost_stays_unknown() -> None:
    assert run(gateway(usd=None), JUDGE)[0].usd is None


def test_a_judge_that_was_frozen_anew_is_another_judge_and_is_not_asked() -> None:
    other = RubricJudge(workflow="judge", behaviour="beh_old", rubric="r", values={"good": 1.0, "bad": 0.0})
    mark, server = run(gateway(), other)
    assert "frozen anew" in mark.broke
    assert mark.again
    assert server.heard == []
    gone = RubricJudge(workflow="gone", behaviour="b", rubric="r", values={"good": 1.0, "bad": 0.0})
    assert "no frozen release" in run(gateway(), gone)[0].broke
    wrong = Embedding(workflow="judge", behaviour=JUDGE.behaviour)
    assert "answers with chat" in run(gateway(), wrong)[0].broke


def test_vectors_are_put_in_the_order_of_their_texts() -> None:
    def answer(path: str, body: Any) -> Answer:
        data = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 1.0]}]
        return 200, {"data": data, "roadworthy": {"cost_usd": 0.002}}

    mark, server = run(answer, EMBED)
    assert mark.value == pytest.approx(0.5**0.5)
    assert mark.usd == 0.002
    assert server.heard[0][2]["input"] == ["Thank you.", "Thanks!"]
    assert "without 2 vectors" in run(lambda path, body: (200, {"data": []}), EMBED)[0].broke


def test_when_the_dollars_are_spent_nothing_more_is_asked_and_nothing_is_nought() -> None:
    marks: list[Mark] = []

    async def kept(key: int, mark: Mark) -> None:
        marks.append(mark)

    async def several() -> int:
        async with asked(gateway(usd=0.01), usd=0.03) as (asker, server):
            await asker.marks([(at, JUDGE, CASE) for at in range(10)], kept, at_once=1)
            return len(server.heard)

    assert asyncio.run(several()) == 3
    assert [mark.value for mark in marks] == [1.0] * 3 + [None] * 7
    assert "dollars for scoring are spent" in marks[-1].broke


def test_a_permit_that_is_used_up_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "CHUNK", 2)

    async def several() -> int:
        async with asked(gateway()) as (asker, server):
            for _ in range(5):
                assert (await asker.mark(JUDGE, CASE)).value == 1
            return len({permit.id for permit in server.permits})

    assert asyncio.run(several()) == 3


def test_a_gateway_that_refuses_the_permit_for_good_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "REACHING", 0.0)
    refused = (403, {"error": {"code": "permit_not_allowed", "message": "no"}})
    mark, _ = run(lambda path, body: refused, JUDGE)
    assert mark.value is None
    assert "permit_not_allowed" in mark.broke


# --- endpoints


def at(server: Server, **options: Any) -> Http:
    return Http(http=f"http://127.0.0.1:{server.port}/score", **options)


def with_endpoint(answer: Callable[[str, Any], Answer], use: Callable[[Scoring, Server], Awaitable[Any]]) -> Any:
    async def once() -> Any:
        async with asked(answer) as (asker, server):
            return await use(asker, server)

    return asyncio.run(once())


def test_an_endpoint_is_sent_the_answer_and_its_context_with_its_key() -> None:
    async def use(asker: Scoring, server: Server) -> None:
        mark = await asker.mark(at(server, allow_private=True, key="env:KEY"), CASE)
        assert mark == Mark(0.5, reason="meh")
        ((path, headers, body),) = server.heard
        assert (path, headers["authorization"]) == ("/score", "Bearer s3cret")
        assert (body["text"], body["context"]["expected_text"]) == ("Thank you.", "Thanks!")

    with_endpoint(lambda path, body: (200, {"value": 0.5, "reason": "meh"}), use)


def test_an_address_on_this_machine_is_not_called_unless_the_workflow_says_so() -> None:
    async def use(asker: Scoring, server: Server) -> None:
        assert (await asker.mark(at(server, allow_private=True), CASE)).value == 1
        mark = await asker.mark(at(server), CASE)  # one scorer's permission is not another's
        assert mark.value is None
        assert "AddressForbidden" in mark.broke
        assert len(server.heard) == 1

    with_endpoint(lambda path, body: (200, True), use)


@pytest.mark.parametrize(
    ("answer", "says"),
    [((302, True), "status 302"), ((500, True), "status 500"), ((200, b"yes"), "not JSON"), ((200, 7), "answered 7")],
)
def test_what_an_endpoint_says_that_is_no_score_has_no_value(answer: Answer, says: str) -> None:
    async def use(asker: Scoring, server: Server) -> None:
        mark = await asker.mark(at(server, allow_private=True), CASE)
        assert mark.value is None
        assert says in mark.broke
        assert len(server.heard) == 1  # a redirect is not followed

    with_endpoint(lambda path, body: answer, use)


@pytest.mark.parametrize(("key", "says"), [("env:NONE", "is not set"), ("env:BAD", "no header can carry")])
def test_a_key_that_cannot_be_sent_is_said_and_never_shown(key: str, says: str) -> None:
    async def use(asker: Scoring, server: Server) -> None:
        mark = await asker.mark(at(server, allow_private=True, key=key), CASE)
        assert says in mark.broke
        assert server.heard == []

    with_endpoint(lambda path, body: (200, True), use)


# --- functions

SOURCES = {
    "scorers/tone.py": "import os\nfrom scorers.words import RUDE\n\n\ndef score(answer, context):\n"
    "    return {'value': float(RUDE not in answer), 'reason': f\"{context['expected_text']} {len(os.environ)}\"}\n\n\n"
    "def slow(answer, context):\n    while True:\n        pass\n\n\ndef broken(answer, context):\n    return 1 / 0\n",
    "scorers/words.py": "RUDE = 'darn'\n",
}


def test_a_function_runs_in_one_warm_process_without_keys_and_a_slow_one_costs_only_itself() -> None:
    def made(function: str, timeout: float = 10.0) -> Python:
        return Python(python=f"scorers.tone:{function}", sources=SOURCES, timeout=timeout)

    async def use(asker: Scoring, server: Server) -> None:
        kind = await asker.mark(made("score"), CASE)
        rude = await asker.mark(made("score"), Case("darn", expected_text="x"))
        assert (kind.value, rude.value) == (1, 0)
        assert int(kind.reason.split()[-1]) <= 3  # PATH and LANG and what Python adds; no key
        assert "ZeroDivisionError" in (await asker.mark(made("broken"), CASE)).broke
        late = await asker.mark(made("slow", 0.2), CASE)
        assert (late.value, "was not done in 0.2 s" in late.broke) == (None, True)

    with_endpoint(lambda path, body: (200, True), use)
