"""Shadow calls: what is repeated, as whom, under which permit, and at which cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from ramp_world import DAY, NOON, PIA, REL_1, World

from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.tokens import opened
from roadworthy.inference_log.model import Batch
from roadworthy.operations.ramps.shadow import MOST, Ports, Shadowing, again, sampled
from roadworthy.rollout.service import Order
from roadworthy.workflow.model import Policy, RolloutPolicy, ShadowPolicy, Workflow
from support.evidence import TestSigner, TestVerifier

POLICY = Policy(testers=["pia"], rollout=RolloutPolicy(shadow=ShadowPolicy(share=1.0, usd_per_day=0.5)))
BODY = msgspec.Raw(b'{"model":"support","stream":true,"messages":[{"role":"user","content":"Where is it?"}],"seed":3}')


class Listener:
    """A gateway that takes everything, and remembers it."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.heads: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.port = 0

    async def serve(self, act: Callable[[], Any]) -> Any:
        server = await asyncio.start_server(self._one, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            return await act()
        finally:
            server.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                writer.close()
                return
            lines = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
            self.heads.append(head)
            self.bodies.append(msgspec.json.decode(await reader.readexactly(int(lines["content-length"]))))
            writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 2\r\n\r\n{{}}".encode())


@pytest.fixture
def world() -> World:
    made = World(policy=POLICY)
    made.rollouts.start(Order("support"), PIA)
    return made


def shadowing(world: World, gateway: Listener) -> Shadowing:
    def workflows() -> dict[str, Workflow]:
        with world.state.read() as tx:
            return dict(tx.applied().configuration.workflows)

    def release(digest: str) -> Any:
        with world.state.read() as tx:
            return tx.release(digest)

    return Shadowing(
        Ports(
            store=world.log, ramps=world.rollouts.all, workflows=workflows, release=release, signer=TestSigner(),
            base_url=lambda: f"http://127.0.0.1:{gateway.port}/v1", zone=lambda: ZoneInfo("UTC"), clock=world.clock,
        )
    )  # fmt: skip


def rounds(world: World, gateway: Listener, then: Callable[[], None], n: int = 1) -> list[int]:
    """A first round, which looks at nothing; ``then``; and ``n`` more, a minute apart."""
    made = shadowing(world, gateway)

    async def act() -> list[int]:
        found = [await made.round()]
        then()
        for _ in range(n):
            world.clock.now += 60
            found.append(await made.round())
        return found

    found: list[int] = asyncio.run(gateway.serve(act))
    return found


def live(world: World, n: int = 1, **fields: Any) -> None:
    at = world.clock.now + 1
    world.log.ship(Batch(ends=[world.call(at, **{"request": BODY, "digest": None, **fields}) for _ in range(n)]))


def test_a_live_call_is_repeated_once_with_the_release_that_ramps(world: World) -> None:
    gateway = Listener()
    assert rounds(world, gateway, lambda: live(world, unit="u-7"), n=3) == [0, 1, 0, 0]
    [head], [body] = gateway.heads, gateway.bodies
    assert body == {"model": "support", "messages": [{"role": "user", "content": "Where is it?"}], "seed": 3}
    assert "x-roadworthy-user: u-7" in head.lower()
    assert head.startswith("POST /v1/chat/completions ")
    token = next(line for line in head.splitlines() if line.lower().startswith("authorization")).split()[-1]
    permit: Permit = opened(token.encode(), ["k1"], TestVerifier())
    assert (permit.workflow, permit.digest, permit.traffic, permit.calls) == ("support", REL_1, "shadow", 1)
    assert permit.usd == 0.5


def test_what_is_not_live_has_no_body_or_was_killed_is_not_repeated(world: World) -> None:
    def calls() -> None:
        live(world, traffic="tester")
        live(world, request=None, bodies_dropped="policy")
        live(world, kill="off", outcome="bypassed")
        live(world, request=msgspec.Raw(b"[1]"))

    gateway = Listener()
    assert rounds(world, gateway, calls) == [0, 0]
    assert gateway.heads == []


def test_a_day_costs_at_most_what_policy_says(world: World) -> None:
    gateway = Listener()

    def calls() -> None:
        live(world)
        live(world, traffic="shadow", cost_usd=0.6, request=None)

    assert rounds(world, gateway, calls) == [0, 0]
    world.clock.now += DAY
    assert rounds(world, gateway, lambda: live(world)) == [0, 1], "the next day has its own dollars"


def test_calls_whose_cost_nobody_knows_do_not_get_round_the_days_dollars(world: World) -> None:
    gateway = Listener()

    def unpriced() -> None:
        live(world)
        live(world, 3, traffic="shadow", cost_usd=None, request=None)

    assert rounds(world, gateway, unpriced) == [0, 0]
    world.clock.now += DAY

    def some() -> None:
        live(world)
        live(world, 3, traffic="shadow", cost_usd=0.1, request=None)
        live(world, 3, traffic="shadow", cost_usd=None, request=None)

    assert rounds(world, gateway, some) == [0, 0], "six calls at ten cents"


def test_a_busy_minute_repeats_the_newest_and_no_more_than_a_round_takes(world: World) -> None:
    gateway = Listener()
    assert rounds(world, gateway, lambda: live(world, MOST + 10)) == [0, MOST]


def test_a_ramp_that_is_held_or_over_has_no_shadow(world: World) -> None:
    world.rollouts.hold("support", PIA)
    assert rounds(world, Listener(), lambda: live(world)) == [0, 0]


def test_a_gateway_that_refuses_the_permit_is_asked_once(world: World) -> None:
    gateway = Listener(403)
    assert rounds(world, gateway, lambda: live(world, 5)) == [0, 1]


def test_a_gateway_that_is_not_there_harms_nobody(world: World) -> None:
    gateway = Listener()
    made = shadowing(world, gateway)

    async def act() -> int:
        gateway.port = 1
        await made.round()
        live(world)
        world.clock.now += 60
        return await made.round()

    assert asyncio.run(act()) == 0


def test_only_a_ramp_that_asked_for_it_has_a_shadow() -> None:
    plain = World()
    plain.rollouts.start(Order("support"), PIA)
    assert rounds(plain, Listener(), lambda: live(plain)) == [0, 0]
    asked = World()
    asked.rollouts.start(Order("support", shadow=True), PIA)
    kept = asked.rollouts.found("support").kept
    assert kept is not None
    assert kept.shadow


def test_a_user_whose_name_is_no_header_is_not_named(world: World) -> None:
    gateway = Listener()
    assert rounds(world, gateway, lambda: live(world, unit="a\r\nx-evil: 1")) == [0, 1]
    assert "x-roadworthy-user" not in gateway.heads[0].lower()


def test_the_sample_is_a_share_of_the_ids() -> None:
    world = World()
    ids = [world.call(NOON).id[:-8] + f"{n * 429_497:08x}" for n in range(10_000)]
    assert sum(sampled(ident, 0.05) for ident in ids) == pytest.approx(500, abs=5)
    assert not sampled("odd", 1.0)
    assert again(world.call(NOON), "support") is None
