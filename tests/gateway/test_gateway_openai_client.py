"""Claims held by the official OpenAI client, two worker processes and the rehearsal target."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from gateway_support import TOKEN, managed, release
from gateway_workers import Workers
from pydantic import BaseModel

from roadworthy.adapters.providers.simulated_answer import WORDS
from roadworthy.http1.client import Client
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.wiring.folders.data_folder import create_folder
from roadworthy.workflow.inference import Inference, InferenceStart
from roadworthy.workflow.model import Canned, Handling, InputSpec, Step, TargetIdentity

MAIN = {"main": TargetIdentity("openai", "main-model", "127.0.0.1")}
SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string"}},
    "required": ["topic"],
    "additionalProperties": False,
}
NO_LADDER: dict[Any, list[Step]] = {failure: [] for failure in ("unavailable", "slow", "truncated", "invalid")}


class Topic(BaseModel):
    topic: str


class Simulated:
    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "ledger.jsonl"
        port_file = folder / "port"
        command = [sys.executable, "-m", "roadworthy.adapters.providers.simulated"]
        self.process = subprocess.Popen([*command, "--port-file", str(port_file), "--ledger", str(self.ledger)])
        deadline = time.monotonic() + 20
        while not (port_file.exists() and port_file.read_text().strip()):
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{int(port_file.read_text())}/v1"

    def calls(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.ledger.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    target = Simulated(tmp_path_factory.mktemp("simulated"))
    yield target
    target.process.terminate()
    target.process.wait(10)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, simulated: Simulated) -> Iterator[Workers]:
    served = {
        "support": release("support", handling=Handling(ladder=NO_LADDER)),
        "going": release("going", handling=Handling(ladder=NO_LADDER, continuation=1)),
        "kept": release("kept", handling=Handling(canned=Canned("We will write to you."))),
        "triage": release(
            "triage",
            behaviour={"prompt": managed("Name the topic of {{ text }}", text=InputSpec()), "schema": SCHEMA},
            handling=Handling(stream="buffered", canned=Canned("Not now.")),
        ),
        "vectors": release("vectors", behaviour={"kind": "embeddings", "targets": MAIN}),
    }
    # a short path: sun_path has 107 bytes
    group = Workers(create_folder(tmp_path_factory.mktemp("d")), simulated.url, workers=2, served=served)
    yield group
    group.end()


@pytest.fixture
def client(workers: Workers) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{workers.port}/v1", api_key=TOKEN, max_retries=2) as made:
        yield made


def ask(text: str = "Hello") -> list[Any]:
    return [{"role": "user", "content": text}]


def test_chat_is_answered_and_found_in_the_journal(client: openai.OpenAI, workers: Workers) -> None:
    answer = client.chat.completions.create(model="support", messages=ask(), user="u-42")
    assert answer.choices[0].message.content
    told = answer.model_extra["roadworthy"] if answer.model_extra else {}
    assert told["outcome"] == "answered"
    [record] = [line for line in workers.lines() if isinstance(line, Inference) and line.id == told["inference"]]
    assert (record.unit, record.unit_source) == ("u-42", "user")
    assert answer.usage is not None
    assert record.tokens.output == answer.usage.completion_tokens
    assert answer._request_id == record.id


def test_streams_arrive_in_pieces_with_usage(client: openai.OpenAI) -> None:
    pieces = list(
        client.chat.completions.create(
            model="support", messages=ask(), stream=True, stream_options={"include_usage": True}
        )
    )
    text = [piece.choices[0].delta.content for piece in pieces if piece.choices and piece.choices[0].delta.content]
    assert len(text) > 3
    assert pieces[-1].usage is not None
    assert pieces[-1].model_extra is not None
    assert pieces[-1].model_extra["roadworthy"]["outcome"] == "answered"


def test_parse_never_raises(client: openai.OpenAI) -> None:
    good = client.chat.completions.parse(
        model="triage", messages=ask("x"), extra_body={"roadworthy": {"inputs": {"text": "bill"}}}
    )
    assert good.model_extra is not None
    refused = client.chat.completions.parse(
        model="triage",
        messages=ask("[[fault content as=schema_violation]]"),
        extra_body={"roadworthy": {"inputs": {"text": "bill"}}},
    )
    assert refused.model_extra is not None
    assert refused.model_extra["roadworthy"]["outcome"] == "canned"
    assert refused.choices[0].message.parsed is None
    assert refused.choices[0].message.refusal == "Not now."


def test_parse_with_the_callers_own_schema_reads_a_canned_refusal(client: openai.OpenAI, workers: Workers) -> None:
    release_open = release("kept", behaviour={"caller_overrides": ["response_format"]}, handling=Handling(
        canned=Canned("We will write to you.")))  # fmt: skip
    served = {**workers.served, "kept": release_open}
    workers.served = served
    workers.publish(seq=2)
    workers.until(lambda: all(workers.counters(number)["snapshot_seq"] == 2 for number in (0, 1)))
    found = client.chat.completions.parse(
        model="kept", messages=ask("[[fault status code=500]]"), response_format=Topic
    )
    assert found.choices[0].message.parsed is None
    assert found.choices[0].message.refusal == "We will write to you."


def test_tool_calls_pass(client: openai.OpenAI, workers: Workers) -> None:
    tool: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="support", messages=ask(), tools=[tool])
    assert caught.value.code == "override_refused"
    assert caught.value.param == "tools"


def test_embeddings_are_served(client: openai.OpenAI) -> None:
    found = client.embeddings.create(model="vectors", input=["a", "b"])
    assert len(found.data) == 2
    assert len(found.data[0].embedding) > 1


def test_models_lists_the_workflows_of_the_key(client: openai.OpenAI) -> None:
    assert sorted(model.id for model in client.models.list()) == ["going", "kept", "support", "triage", "vectors"]


@pytest.mark.parametrize(
    ("call", "error", "code"),
    [
        ({"model": "nobody"}, openai.NotFoundError, "model_not_found"),
        ({"extra_body": {"n": "two"}}, openai.BadRequestError, "invalid_type"),
        ({"messages": ask("[[fault status code=503]]")}, openai.InternalServerError, "unavailable"),
        ({"messages": ask("[[fault status code=401]]")}, openai.InternalServerError, "misconfigured"),
        ({"messages": ask("[[fault status code=400 error=context_length]]")}, openai.BadRequestError,
         "context_length_exceeded"),
        ({"messages": ask("[[fault body as=html]]")}, openai.InternalServerError, "invalid"),
        ({"messages": ask("[[fault cut]]")}, openai.InternalServerError, "truncated"),
        ({"messages": ask("[[fault finish reason=length]]")}, openai.InternalServerError, "truncated"),
    ],
)  # fmt: skip
def test_errors_are_the_clients_own_classes_and_never_retried_by_it(
    client: openai.OpenAI, simulated: Simulated, call: dict[str, Any], error: type[openai.APIStatusError], code: str
) -> None:
    before = len(simulated.calls())
    with pytest.raises(error) as caught:
        client.chat.completions.create(**{"model": "support", "messages": ask(), **call})
    assert caught.value.code == code
    assert len(simulated.calls()) - before <= 1


def test_a_wrong_key_is_an_authentication_error(workers: Workers) -> None:
    with (
        openai.OpenAI(base_url=f"http://127.0.0.1:{workers.port}/v1", api_key="rw-wrong") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"


def test_a_broken_stream_raises_in_the_client(client: openai.OpenAI) -> None:
    for fault in ("cut", "error_event", "reset at=mid_body"):
        stream = client.chat.completions.create(model="support", messages=ask(f"[[fault {fault}]]"), stream=True)
        with pytest.raises(openai.APIError):
            list(stream)


@pytest.mark.parametrize("fault", ["cut", "reset at=mid_body", "error_event"])
def test_a_stream_that_breaks_in_the_middle_arrives_whole_and_marked(client: openai.OpenAI, fault: str) -> None:
    with client.chat.completions.stream(model="going", messages=ask(f"[[fault {fault} times=1]]")) as stream:
        told = [event.chunk.model_extra for event in stream if event.type == "chunk"]
        final = stream.get_final_completion()
    text = final.choices[0].message.content or ""
    assert len(text.split()) == 40
    assert text.lower() in ("".join(WORDS) * 3).lower()
    assert final.choices[0].finish_reason == "stop"
    marks = [extra["roadworthy"] for extra in told if extra and "roadworthy" in extra]
    [seam] = marks[-1]["seams"]
    assert marks[0] == {"note": "continued", "seam": seam["at"]}
    assert 0 < seam["at"] < len(text)
    assert (marks[-1]["outcome"], marks[-1]["notes"]) == ("recovered", ["continued"])


def test_a_client_that_hangs_up_leaves_no_slot_taken(client: openai.OpenAI, workers: Workers) -> None:
    stream = client.chat.completions.create(model="support", messages=ask("[[fault stall seconds=20s]]"), stream=True)
    next(iter(stream))
    stream.close()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3, max_retries=0).chat.completions.create(
            model="support", messages=ask("[[fault stall at=before_first_byte seconds=20s]]")
        )
    workers.until(lambda: all(_idle(workers.counters(number)) for number in (0, 1)))
    outcomes = [line.outcome for line in workers.lines() if isinstance(line, Inference)]
    assert outcomes.count("abandoned") == 2


def _idle(report: dict[str, Any]) -> bool:
    return report["in_flight"] == 0 and not any(report["target_slots"].values())


def test_an_idempotency_key_finds_its_owner_among_workers(client: openai.OpenAI, simulated: Simulated) -> None:
    before = len(simulated.calls())
    for number in range(6):
        answers = [
            client.chat.completions.create(
                model="support", messages=ask(f"order {number}"), extra_headers={"Idempotency-Key": f"order-{number}"}
            )
            for _ in range(4)
        ]
        assert len({answer._request_id for answer in answers}) == 1
        told = [
            list(
                client.chat.completions.create(
                    model="support",
                    messages=ask(f"told {number}"),
                    stream=True,
                    extra_headers={"Idempotency-Key": f"told-{number}"},
                )
            )
            for _ in range(2)
        ]
        texts = ["".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) for pieces in told]
        assert texts[0] == texts[1] != ""
    assert len(simulated.calls()) - before == 12


def test_many_calls_at_once_equal_the_targets_own_ledger(workers: Workers, simulated: Simulated) -> None:
    calls, concurrent = 1000, 100
    before_sent = len(simulated.calls())
    before = {line.id for line in workers.lines() if isinstance(line, Inference)}

    async def load() -> list[int]:
        client = Client(guard=AddressGuard(allowed=[origin := Origin.from_url(f"http://127.0.0.1:{workers.port}")]))
        sent = head(
            b"POST", b"/v1/chat/completions", origin,
            [(b"authorization", b"Bearer " + TOKEN.encode()), (b"content-type", b"application/json")],
        )  # fmt: skip
        clocks = Clocks(20, 20, 20, 20)
        gate = asyncio.Semaphore(concurrent)

        async def one(number: int) -> int:
            body = {"model": "support", "messages": ask(f"call {number}"), "stream": number % 3 == 0}
            async with gate:
                return (await client.fetch(origin, sent, msgspec.json.encode(body), clocks)).status

        statuses = await asyncio.gather(*(one(number) for number in range(calls)))
        await client.close()
        return statuses

    assert set(asyncio.run(load())) == {200}
    lines = workers.lines()
    records = [line for line in lines if isinstance(line, Inference) and line.id not in before]
    ledger = simulated.calls()[before_sent:]
    assert len(records) == len(ledger) == calls
    assert len({record.id for record in records}) == calls
    starts = {line.id for line in lines if isinstance(line, InferenceStart)}
    assert {record.id for record in records} <= starts
    assert sum(record.tokens.output for record in records) == sum(call.get("output", 0) for call in ledger)
    spent = sum(
        0.001 * (call.get("input", 0)) + 0.002 * call.get("output", 0) for call in ledger
    )  # cached tokens are part of the input and priced like it
    assert sum(record.cost_usd or 0.0 for record in records) == pytest.approx(spent)
    assert all(_idle(workers.counters(number)) for number in (0, 1))
    assert sum(workers.counters(number)["journal"]["dropped"] for number in (0, 1)) == 0
