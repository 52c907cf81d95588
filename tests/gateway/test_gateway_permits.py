"""Claims about permits at the gateway: what they open, what they never reach, and when they end."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import Bench, FakeUpstream, completion, on_loop, release, said

from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.rules import vet
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.gateway.admission.permits import DRILL_SECRET, PermitPorts
from roadworthy.gateway.messages import Request
from roadworthy.http1.errors import AddressForbidden
from roadworthy.http1.messages import Clocks
from roadworthy.http1.origin import Origin
from roadworthy.wiring.worker.lanes import Loopback
from roadworthy.workflow.model import Budget, Budgets, Bypass, Canned, CheckSpec, Handling, Policy, Step

SIGNER = Ed25519Signer(b"s" * 32)
NOW = 1_700_000_000.0
"""The fake clock's beginning."""
MAIN = "http://127.0.0.1:4001/v1"


class Lanes:
    """What wiring would give, with an upstream of the drill's own that keeps what it was sent."""

    def __init__(self) -> None:
        self.real = FakeUpstream()
        self.real.will(completion())
        self.drilled = FakeUpstream()
        self.drilled.will(completion("From the drill"))
        self.origins: list[frozenset[Origin]] = []
        self.closed = 0

    def substitute(self, origins: Any) -> Any:
        self.origins.append(frozenset(origins))
        lanes = self

        async def close() -> None:
            lanes.closed += 1

        self.drilled.close = close  # type: ignore[attr-defined]
        return self.drilled

    def ports(self) -> PermitPorts:
        return PermitPorts(Ed25519Verifier(), OpenAIWire, lambda name: "sk-real", self.real, self.substitute)


def bench(folder: Path, lanes: Lanes, **more: Any) -> Bench:
    snapshot = {"permit_keys": [SIGNER.public_key], **more.pop("snapshot", {})}
    return Bench(folder, permits=lanes.ports(), upstream=lanes.real, snapshot=snapshot, **more)


def permit(**changes: Any) -> Permit:
    fields: dict[str, Any] = {
        "id": "prm_0123456789abcdef", "workflow": "support", "digest": None, "traffic": "drill", "calls": 2,
        "usd": 100.0, "issued": NOW, "expires": NOW + 600, "by": "ann", "fault": "refusal",
        "substitutes": {"main": MAIN},
    }  # fmt: skip
    return Permit(**{**fields, **changes})


def token(**changes: Any) -> str:
    return sealed(permit(**changes), SIGNER)


def code(answer: Any) -> tuple[int, str]:
    return answer.status, said(answer)["error"]["code"]


@on_loop
async def test_a_drills_calls_reach_its_own_server_and_no_provider_and_carry_no_secret(tmp_path: Path) -> None:
    lanes = Lanes()
    served = bench(tmp_path, lanes)
    answer = await served.post(token=token())
    assert said(answer)["choices"][0]["message"]["content"] == "From the drill"
    [sent] = lanes.drilled.sent
    assert sent.origin == Origin.from_url(MAIN)
    assert b"authorization: Bearer " + DRILL_SECRET.encode() in sent.head.replace(b"Authorization", b"authorization")
    assert b"sk-" not in sent.head + sent.raw
    assert lanes.origins == [frozenset({Origin.from_url(MAIN)})]
    assert served.upstream.sent == []


@on_loop
async def test_its_records_say_permit_class_and_fault_and_its_numbers_are_not_pooled(tmp_path: Path) -> None:
    served = bench(tmp_path, Lanes())
    await served.post(token=token())
    await served.post()
    drilled, live = served.records()
    assert (drilled.traffic, drilled.permit, drilled.drill) == ("drill", "prm_0123456789abcdef", "refusal")
    assert (drilled.key, live.traffic, live.permit) == ("prm_0123456789abcdef", "live", "")
    report = served.gateway.report()
    assert {(row.traffic, row.count) for row in report.inferences} == {("drill", 1), ("live", 1)}
    [sums] = report.workflows
    assert sums.latency.count == 1
    assert sum(row.count for row in report.attempts) == 1


@on_loop
async def test_a_target_that_the_drill_does_not_stand_for_is_down(tmp_path: Path) -> None:
    ladder = {"unavailable": [Step("target", target="backup"), Step("canned")]}
    handling = Handling(ladder=ladder, canned=Canned("We will write."))
    identities = release().behaviour.targets
    behaviour = {"targets": {"main": identities["main"], "backup": identities["main"]}}
    lanes = Lanes()
    served = bench(tmp_path, lanes, served=release(behaviour=behaviour, handling=handling))
    lanes.drilled.will((503, [], b"{}"))
    answer = await served.post(token=token())
    assert said(answer)["roadworthy"]["outcome"] == "canned"
    assert {sent.origin for sent in lanes.drilled.sent} == {Origin.from_url(MAIN)}
    assert served.upstream.sent == []


@on_loop
async def test_a_permit_of_another_gateway_is_refused_here(tmp_path: Path) -> None:
    served = bench(tmp_path, Lanes())
    assert code(await served.post(token=token(gateway="east"))) == (403, "permit_not_allowed")
    assert served.upstream.sent == []


def test_a_permit_is_good_at_the_gateway_that_it_names_and_replayed_at_another_it_is_not() -> None:
    for name, elsewhere in (("local", "east"), ("east", "local"), ("east", "west")):
        made = permit(gateway=name)
        assert vet(made, now=NOW, began=NOW, gateway=name) is None
        refused = vet(made, now=NOW, began=NOW, gateway=elsewhere)
        assert refused is not None
        assert refused.status == 403


@on_loop
async def test_another_class_reaches_the_real_target_with_its_secret(tmp_path: Path) -> None:
    lanes = Lanes()
    served = bench(tmp_path, lanes)
    answer = await served.post(token=token(traffic="eval", fault="", substitutes={}))
    assert answer.status == 200
    assert lanes.drilled.sent == []
    [sent] = served.upstream.sent
    assert b"Bearer sk-real" in sent.head
    assert served.record().traffic == "eval"


@on_loop
async def test_calls_are_counted_and_a_replay_beyond_them_is_refused(tmp_path: Path) -> None:
    lanes = Lanes()
    served = bench(tmp_path, lanes)
    answers = await asyncio.gather(*(served.post(token=token()) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 403, 403, 403]
    assert code(await served.post(token=token())) == (403, "permit_used_up")
    assert len(lanes.drilled.sent) == 2
    await asyncio.sleep(0)
    assert lanes.closed == 1  # what the lane held was given back with its last call


@on_loop
async def test_dollars_are_counted_and_nothing_is_called_once_they_are_spent(tmp_path: Path) -> None:
    lanes = Lanes()
    served = bench(tmp_path, lanes)
    cheap = token(calls=50, usd=0.000001)
    first = await served.post(token=cheap)
    assert (first.status, said(first)["error"]["code"]) == (429, "overspent")  # the reserve alone is more than it has
    assert lanes.drilled.sent == []
    answers = [await served.post(token=token(id="prm_1", calls=9, usd=2.05)) for _ in range(9)]
    assert [answer.status for answer in answers] == [200] * 2 + [429] * 7  # 2 cents a call; 2.01 dollars are reserved


@on_loop
@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: sealed(permit(), Ed25519Signer(b"x" * 32)), (401, "permit_invalid")),
        (lambda: "rwp-nonsense", (401, "permit_invalid")),
        (lambda: "rwp-" + "a" * 9000, (401, "permit_invalid")),
        (lambda: token(expires=NOW), (401, "permit_expired")),
        (lambda: token(issued=NOW - 60, expires=NOW + 60), (401, "permit_expired")),
        (lambda: token(workflow="other"), (403, "permit_not_allowed")),
        (lambda: token(digest="rel_" + "9" * 64), (403, "permit_not_allowed")),
        (lambda: token(traffic="eval"), (403, "permit_not_allowed")),
        (lambda: token(substitutes={"main": "http://10.0.0.1:80/v1"}), (403, "permit_not_allowed")),
        (lambda: token(substitutes={"main": "https://api.openai.com:443/v1"}), (403, "permit_not_allowed")),
    ],
)
async def test_a_permit_that_is_not_good_opens_nothing(tmp_path: Path, made: Any, expected: tuple[int, str]) -> None:
    lanes = Lanes()
    served = bench(tmp_path, lanes)
    assert code(await served.post(token=made())) == expected
    assert lanes.drilled.sent == served.upstream.sent == []
    assert served.records() == []
    assert served.taken() == 0


@on_loop
async def test_the_models_list_takes_no_permit(tmp_path: Path) -> None:
    served = bench(tmp_path, Lanes())
    assert code(await served.get("/v1/models", token=token())) == (403, "permit_not_allowed")


@on_loop
async def test_a_permit_calls_its_own_workflow_only(tmp_path: Path) -> None:
    served = bench(tmp_path, Lanes())
    answer = await served.post({"model": "elsewhere", "messages": [{"role": "user", "content": "Hi"}]}, token=token())
    assert answer.status == 404


@on_loop
async def test_a_release_that_is_not_served_is_reached_by_its_digest(tmp_path: Path) -> None:
    other = msgspec.structs.replace(release("support"), digest="rel_" + "7" * 64)
    served = bench(tmp_path, Lanes(), releases=[other])
    await served.post(token=token(digest=other.digest))
    assert served.record().digest == other.digest


@on_loop
async def test_what_a_drill_does_to_its_breakers_and_budgets_nobody_else_feels(tmp_path: Path) -> None:
    lanes = Lanes()
    budgets = Budgets(workflow=Budget(day=1000.0))
    served = bench(tmp_path, lanes, policy=Policy(budgets=budgets))
    lanes.drilled.will((503, [], b"{}"))
    drilled = token(calls=100, usd=1e6)
    for _ in range(30):
        await served.post(token=drilled)
    assert (await served.post()).status == 200
    assert all(slots.breaker.state == "closed" for slots in served.gateway.slots.values())


@on_loop
async def test_a_drill_reaches_neither_the_old_path_nor_an_endpoint_of_a_check(tmp_path: Path) -> None:
    lanes = Lanes()
    vendor = CheckSpec("http", "unsafe", options={"http": "https://vendor.test/judge"})
    handling = Handling(
        bypass=Bypass("http", url="https://old.test/path"), checks={"vendor": vendor}, stream="buffered"
    )
    served = bench(tmp_path, lanes, served=release(handling=handling))
    answer = await served.post(token=token())
    assert said(answer)["roadworthy"]["outcome"] == "answered"
    assert {sent.origin for sent in lanes.drilled.sent} == {Origin.from_url(MAIN)}
    assert lanes.origins == [frozenset({Origin.from_url(MAIN)})]
    assert served.record().checks == []


@on_loop
async def test_with_several_workers_one_of_them_counts(tmp_path: Path) -> None:
    benches: list[Bench] = []

    class Neighbours:
        async def forward(self, request: Request, worker: int) -> Any:
            return await benches[worker].gateway.handle(msgspec.structs.replace(request, internal=True))

    lanes = [Lanes(), Lanes()]
    benches += [
        bench(tmp_path / str(number), lane, worker=number, workers=2, peers=Neighbours())
        for number, lane in enumerate(lanes)
    ]
    made = token(calls=3)
    answers = [await benches[number % 2].post(token=made) for number in range(8)]
    assert [answer.status for answer in answers].count(200) == 3
    assert sorted(len(side.drilled.sent) for side in lanes) == [0, 3]


@on_loop
async def test_load_is_shared_between_the_workers(tmp_path: Path) -> None:
    served = bench(tmp_path, Lanes(), worker=1, workers=4, peers=object())
    made = token(traffic="load", calls=11, fault="", substitutes={})
    answers = [await served.post(token=made) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 403, 403, 403]


@on_loop
async def test_a_drills_client_reaches_its_own_servers_and_nothing_else() -> None:
    client = Loopback()([Origin.from_url("http://fault.invalid:9/v1")])
    clocks = Clocks(1.0, 1.0, 1.0, 1.0)
    with pytest.raises(AddressForbidden):
        await client.fetch(Origin.from_url("https://api.openai.com/v1"), b"", b"", clocks, max_body=1)
    with contextlib.suppress(OSError):
        await client.close()
