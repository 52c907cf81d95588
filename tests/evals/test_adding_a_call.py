"""A failed live call becomes an example: redacted, with what would have been right, waiting in the pool."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from eval_bench import ADA, Bench

from roadworthy.adapters.signatures import Ed25519Verifier
from roadworthy.evals.pool import Pool
from roadworthy.evals.sealed import Sealed
from roadworthy.evals.service import Refused
from roadworthy.gateway.answers.redact import redactor
from roadworthy.operations.proving.capture import Capture, Ports
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.service import Unknown, Workflows


def call(**fields: Any) -> Inference:
    body = {"messages": [{"role": "user", "content": "Write to ada@example.com, please"}]}
    answer = {"choices": [{"message": {"content": '{"topic": "other"}'}, "finish_reason": "stop"}]}
    defaults: dict[str, Any] = {
        "id": "inf_01", "ts": 1.0, "team": "default", "workflow": "support", "outcome": "answered", "unit": "u-1",
        "unit_source": "header", "digest": "rel_1", "request": msgspec.Raw(msgspec.json.encode(body)),
        "response": msgspec.Raw(msgspec.json.encode(answer)),
    }  # fmt: skip
    return Inference(**{**defaults, **fields})


@pytest.fixture
def bench() -> Any:
    made = Bench()
    yield made
    made.close()


def taking(bench: Bench) -> tuple[Capture, Pool]:
    sealed = Sealed(bench.signer, Ed25519Verifier())
    pool = Pool(bench.state, bench.evals, sealed, clock=bench.clock, unit=lambda unit: f"usr_{unit[::-1]}")
    ports = Ports(
        log=None, redactor=lambda flow: redactor(["email"], []), unit=lambda unit: f"usr_{unit[::-1]}",  # type: ignore[arg-type]
        draft=lambda ident: None, clock=bench.clock,
    )  # fmt: skip
    return Capture(Workflows(bench.state, clock=bench.clock), pool, ports), pool


def test_it_waits_redacted_with_what_would_have_been_right_and_what_was_answered(bench: Bench) -> None:
    capture, pool = taking(bench)
    made, _ = capture.one(call(), ADA, expected={"topic": "account"}, critical=True)
    assert "ada@example.com" not in str(made.messages)
    assert (made.expected, made.critical, made.label, made.cluster) == ({"topic": "account"}, True, "inf_01", "usr_1-u")
    [waiting] = pool.look("support").items
    assert waiting.example == made
    [captured] = pool.captured("support")
    assert (captured.text, captured.inference) == ('{"topic": "other"}', "inf_01")
    assert ("evals.add", "done") in bench.audited()


def test_what_cannot_become_an_example_says_why(bench: Bench) -> None:
    capture, pool = taking(bench)
    with pytest.raises(Refused, match="the log holds no body of it"):
        capture.one(call(request=None), ADA, expected={})
    with pytest.raises(Refused, match="it is no chat, or too long"):
        capture.one(call(request=msgspec.Raw(b'{"input": "x"}')), ADA, expected={})
    with pytest.raises(Unknown):
        capture.one(call(workflow="gone"), ADA, expected={})
    assert pool.look("support").items == []
