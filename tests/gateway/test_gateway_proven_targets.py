"""Claims about a ladder's other targets: an eval reaches each alone, and live calls only those that have passed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import PRICE, Bench, FakeUpstream, completion, on_loop, release, said, target

from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.adapters.signatures import Ed25519Verifier
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.rules import vet
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.evidence.receipt.tokens import RECEIPT
from roadworthy.gateway.admission.permits import PermitPorts
from roadworthy.gateway.snapshot import SNAPSHOT_FORMAT, Endpoint, Ramp, ServedWorkflow, Snapshot
from roadworthy.workflow.model import Canned, Handling, Hedge, Ladder, Policy, Release, Step, TargetIdentity
from support.earning import SIGNER, receipt

NOW = 1_700_000_000.0
DOWN: Any = (503, [], b"{}")


def two_targets(**handling: Any) -> Release:
    named = {name: TargetIdentity("openai", f"{name}-model", f"{name}.test") for name in ("main", "backup")}
    ladder: Ladder = {"unavailable": [Step("target", target="backup"), Step("canned")]}
    return release(
        behaviour={"targets": named}, handling=Handling(ladder=ladder, canned=Canned("Later."), **handling)
    )  # fmt: skip


def bench(folder: Path, *, critical: int, passed: list[str] | None, served: Release | None = None) -> Bench:
    """``passed``: targets that its receipt names; ``None``: it has no receipt."""
    served = served or two_targets()
    upstream: Any = FakeUpstream()
    ports = PermitPorts(Ed25519Verifier(), OpenAIWire, lambda name: "sk-up", upstream, lambda origins: upstream)
    made = Bench(folder, served=served, upstream=upstream, permits=ports)
    flow = ServedWorkflow(
        "support", "default", "enforce", Policy(testers=["ann"]), release=served.digest, ramp=Ramp(1.0),
        critical=critical,
    )  # fmt: skip
    names = ("main", "backup")
    proof = [] if passed is None else [RECEIPT.sealed(receipt(served, NOW, targets=passed), SIGNER)]
    made.serve(Snapshot(
        SNAPSHOT_FORMAT, 1, 1, 1.0, {"support": flow}, {served.digest: served},
        {name: target(name) for name in names}, {name: Endpoint(f"http://{name}.test/v1") for name in names},
        dict.fromkeys(names, PRICE), made.gateway.world.snapshot.keys if made.gateway.world else {},
        permit_keys=[SIGNER.public_key], receipts=proof,
    ))  # fmt: skip
    return made


def asked(made: Bench) -> list[str]:
    return [str(sent.origin) for sent in made.upstream.sent]


@pytest.mark.parametrize(
    ("critical", "passed", "backup"),
    [
        (0, [], True),  # no critical examples: every target of the ladder
        (3, ["backup"], True),
        (3, [], False),
    ],
)
@on_loop
async def test_a_ladder_uses_a_target_only_if_it_passed_the_critical_examples(
    tmp_path: Path, critical: int, passed: list[str], backup: bool
) -> None:
    made = bench(tmp_path, critical=critical, passed=passed)
    made.upstream.will(DOWN, completion("From the backup"))
    answer = said(await made.post())
    assert any("backup" in origin for origin in asked(made)) is backup
    assert answer["roadworthy"]["outcome"] == ("recovered" if backup else "canned")
    assert any("main" in origin for origin in asked(made)), "the first target is never barred"


@on_loop
async def test_a_hedge_goes_to_no_target_that_has_not_passed(tmp_path: Path) -> None:
    made = bench(tmp_path, critical=1, passed=[], served=two_targets(hedge=Hedge(0.001, "backup")))
    serving = made.gateway.world.workflows["support"]  # type: ignore[union-attr]
    assert serving.reachable == {"main"}


def permit(**changes: Any) -> Permit:
    fields: dict[str, Any] = {
        "id": "prm_0123456789abcdef", "workflow": "support", "digest": None, "traffic": "eval", "calls": 5,
        "usd": 10.0, "issued": NOW, "expires": NOW + 600, "by": "ada",
    }  # fmt: skip
    return Permit(**{**fields, **changes})


@on_loop
async def test_an_eval_reaches_the_target_that_its_permit_names_and_no_other(tmp_path: Path) -> None:
    made = bench(tmp_path, critical=3, passed=None)
    made.upstream.will(completion("From the backup"))
    answer = said(await made.post(token=sealed(permit(target="backup"), SIGNER)))
    assert (answer["roadworthy"]["target"], answer["roadworthy"]["outcome"]) == ("backup", "answered")
    assert all("backup" in origin for origin in asked(made))
    made.upstream.will(DOWN)
    await made.post(token=sealed(permit(target="backup", id="prm_1123456789abcdef"), SIGNER))
    assert all("backup" in origin for origin in asked(made)), "its failures go to no other target"


@on_loop
async def test_a_target_that_the_release_does_not_name_is_refused(tmp_path: Path) -> None:
    made = bench(tmp_path, critical=0, passed=[])
    answer = await made.post(token=sealed(permit(target="elsewhere"), SIGNER))
    assert (answer.status, said(answer)["error"]["code"]) == (403, "permit_not_allowed")
    assert made.upstream.sent == []


@on_loop
async def test_a_target_that_changed_since_is_reached_under_the_name_that_it_was_frozen_with(tmp_path: Path) -> None:
    pinned = two_targets()
    targets = {"main": pinned.behaviour.targets["main"], "backup@v3": pinned.behaviour.targets["backup"]}
    pinned = msgspec.structs.replace(pinned, behaviour=msgspec.structs.replace(pinned.behaviour, targets=targets))
    made = bench(tmp_path, critical=2, passed=["backup"], served=pinned)
    assert made.gateway.world.workflows["support"].unproven(["backup"]) == frozenset()  # type: ignore[union-attr]
    assert made.gateway.world.workflows["support"].unproven([]) == {"backup@v3"}  # type: ignore[union-attr]


def test_only_an_eval_may_name_a_target() -> None:
    for traffic in ("load", "shadow", "drill"):
        problem = vet(permit(traffic=traffic, target="backup"), now=NOW, began=NOW)
        assert problem is not None
        assert problem.code == "permit_not_allowed"
