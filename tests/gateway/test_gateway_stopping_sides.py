"""Claims about who gets what while a workflow is guarded, in drafts, or called under a permit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from gateway_live import Live
from gateway_support import (
    NOW,
    TESTER,
    TOKEN,
    Bench,
    FakeUpstream,
    completion,
    header,
    key,
    managed,
    on_loop,
    release,
    said,
)
from stopping_support import stop

from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.adapters.signatures import Ed25519Verifier
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.evidence.receipt.tokens import RECEIPT
from roadworthy.gateway.admission.permits import PermitPorts
from roadworthy.gateway.snapshot import Ramp, ServedWorkflow, Stopped
from roadworthy.gateway.stopping.model import KillNews
from roadworthy.operations.stops.kill_words import reads
from roadworthy.workflow.inference import Escalation
from roadworthy.workflow.model import Bypass, Canned, EscalationPolicy, Handling, Policy, Release
from support.earning import SIGNER, receipt

HOLDING = "A person will answer you shortly."


def named(name: str, **handling: Any) -> Release:
    """A release whose prompt tells which one it is."""
    made = release(behaviour={"prompt": managed(name)}, handling=Handling(holding=Canned(HOLDING), **handling))
    digit = {"old": "1", "new": "2"}[name]
    return msgspec.structs.replace(made, digest="rel_" + digit * 64, behaviour_digest=digit * 64)


OLD, NEW = named("old"), named("new")


def bench(
    folder: Path, *, ramp: Ramp, previous: Release | None = OLD, passed: tuple[Release, ...] = (OLD, NEW)
) -> Bench:
    made = Bench(folder)
    policy = Policy(testers=["ann"], escalation=EscalationPolicy(capacity=3))
    flow = ServedWorkflow(
        "support", "default", "enforce", policy, NEW.digest, ramp=ramp, previous=previous.digest if previous else None
    )
    made.load(
        earning=False, workflows={"support": flow}, releases={each.digest: each for each in (OLD, NEW)},
        keys=dict([key(), key(TESTER, kind="tester", person="ann")]), permit_keys=[SIGNER.public_key],
        receipts=[RECEIPT.sealed(receipt(each, NOW), SIGNER) for each in passed],
    )  # fmt: skip
    return made


def asked(made: Bench) -> list[str]:
    return [sent.body["messages"][0]["content"] for sent in made.upstream.sent]


@pytest.mark.parametrize("token", [TOKEN, TESTER])
def test_guarded_serves_the_release_before_to_everybody(tmp_path: Path, token: str) -> None:
    @on_loop
    async def run() -> None:
        made = bench(tmp_path, ramp=Ramp(1.0, "100 %"))
        await stop(made, "guarded")
        answer = await made.post(token=token)
        assert (answer.status, header(answer, b"x-roadworthy-route")) == (200, b"previous")
        assert asked(made) == ["old"]
        assert (made.record().digest, made.record().kill) == (OLD.digest, "guarded")

    run()


@on_loop
async def test_guarded_is_the_bypass_where_the_release_before_never_passed(tmp_path: Path) -> None:
    made = bench(tmp_path, ramp=Ramp(1.0, "100 %"), passed=(NEW,))
    await stop(made, "guarded")
    answer = await made.post()
    assert (answer.status, header(answer, b"x-roadworthy-route")) == (503, b"bypass")
    assert "eval gate" in said(answer)["error"]["message"]
    assert asked(made) == []
    assert (made.record().outcome, made.record().kill) == ("bypassed", "guarded")


@pytest.mark.parametrize("state", ["guarded", "assist", "off"])
def test_whoever_stops_it_is_told_the_code_that_callers_then_read(tmp_path: Path, state: Any) -> None:
    @on_loop
    async def run() -> None:
        made = Bench(tmp_path, served=release(handling=Handling()))
        assert made.gateway.world is not None
        told = reads(made.gateway.world.snapshot, "support", state)
        await stop(made, state)
        answer = await made.post()
        assert answer.status == 503
        assert f"503 with the code {said(answer)['error']['code']}," in told

    run()


@on_loop
async def test_at_drafts_every_message_gets_a_draft_that_only_a_person_sends(tmp_path: Path) -> None:
    made = bench(tmp_path, ramp=Ramp(0.0, "drafts", drafts=True), previous=None)
    made.upstream.will(completion("A draft."))
    answer = await made.post()
    assert said(answer)["choices"][0]["message"]["content"] == HOLDING
    assert asked(made) == ["new"]
    [line] = [line for line in made.lines() if isinstance(line, Escalation)]
    assert (line.draft, line.digest) == ("A draft.", NEW.digest)
    record = made.record()
    assert (record.outcome, record.stage, record.kill) == ("escalated", "drafts", "")


@on_loop
async def test_at_drafts_a_full_queue_is_the_bypass_and_asks_nobody(tmp_path: Path) -> None:
    made = bench(tmp_path, ramp=Ramp(0.0, "drafts", drafts=True), previous=None)
    statuses = [(await made.post()).status for _ in range(5)]
    assert statuses == [200, 200, 200, 503, 503]
    assert len(asked(made)) == 3
    last = made.records()[-1]
    assert (last.outcome, last.route, last.kill, last.code) == ("bypassed", "bypass", "", "bypassed")


# --- permits


def permitted(folder: Path, **handling: Any) -> Bench:
    upstream: Any = FakeUpstream()
    ports = PermitPorts(Ed25519Verifier(), OpenAIWire, lambda name: "sk", upstream, lambda origins: upstream)
    return Bench(folder, served=release(handling=Handling(**handling)), permits=ports, upstream=upstream)


def token(traffic: Any = "eval", issued: float = NOW, **more: Any) -> str:
    made = Permit(
        id=f"prm_{int(issued * 1000) % 10**16:016x}", workflow="support", digest=None, traffic=traffic, calls=5,
        usd=9.0, issued=issued, expires=NOW + 600, by="ann", **more,
    )  # fmt: skip
    return sealed(made, SIGNER)


@pytest.mark.parametrize("traffic", ["eval", "load", "shadow"])
def test_off_stops_permits_too_and_gives_none_of_them_a_text_or_the_old_path(tmp_path: Path, traffic: str) -> None:
    @on_loop
    async def run() -> None:
        made = permitted(tmp_path, bypass=Bypass("canned", text="We are back at nine."))
        await stop(made)
        answer = await made.post(token=token(traffic))
        assert (answer.status, said(answer)["error"]["code"]) == (503, "ai_off")
        assert made.upstream.sent == []
        assert made.record().route == "off"

    run()


@on_loop
async def test_an_eval_permit_issued_after_the_kill_is_served_and_no_other_class_is(tmp_path: Path) -> None:
    made = permitted(tmp_path)
    await stop(made)
    made.clock.time += 10.0
    assert (await made.post(token=token("eval", NOW + 5))).status == 200
    assert (await made.post(token=token("shadow", NOW + 6))).status == 503
    made.gateway.board.look("file", {"*": "off"})  # stopped again, by somebody else
    assert (await made.post(token=token("eval", NOW + 5))).status == 503
    assert len(made.upstream.sent) == 1


@pytest.mark.parametrize("state", ["guarded", "assist"])
def test_what_is_about_readers_leaves_permits_alone(tmp_path: Path, state: str) -> None:
    @on_loop
    async def run() -> None:
        made = permitted(tmp_path, holding=Canned(HOLDING))
        await stop(made, state)
        answer = await made.post(token=token())
        assert said(answer)["choices"][0]["message"]["content"] == "Hello"

    run()


# --- the official client


def test_the_openai_client_reads_the_holding_answer_whole_and_as_a_stream(tmp_path: Path) -> None:
    served = release(handling=Handling(holding=Canned(HOLDING)))
    with (
        Live(tmp_path, served=served) as live,
        openai.OpenAI(base_url=f"http://127.0.0.1:{live.port}/v1", api_key=TOKEN, max_retries=0) as client,
    ):
        live.upstream.cases["hi"] = [completion("A draft.")]
        live.on_loop(lambda: live.bench.gateway.board.hear(KillNews(1, NOW, {"support": Stopped("assist", 1)})))
        whole = client.chat.completions.create(model="support", messages=[{"role": "user", "content": "hi"}])
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == (HOLDING, "stop")
        assert whole.roadworthy["escalation"]["id"] == whole.roadworthy["inference"]  # type: ignore[attr-defined]
        chunks = client.chat.completions.create(
            model="support", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == HOLDING
        live.on_loop(lambda: live.bench.gateway.board.hear(KillNews(1, NOW, {"support": Stopped("off", 2)})))
        with pytest.raises(openai.InternalServerError) as off:
            client.chat.completions.create(model="support", messages=[{"role": "user", "content": "hi"}])
        assert off.value.code == "ai_off"
        assert [record.outcome for record in live.records()] == ["escalated", "escalated", "bypassed"]
        assert len(live.upstream.sent) == 2
