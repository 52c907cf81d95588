"""Claims about enforcement in the serving path, asserted on the bytes that the upstream received."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import (
    NOW,
    SALT,
    TESTER,
    TOKEN,
    Bench,
    FakeUpstream,
    chat,
    completion,
    header,
    key,
    on_loop,
    release,
    said,
)

from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.tokens import sealed as permit_sealed
from roadworthy.evidence.receipt.model import Revocation
from roadworthy.evidence.receipt.tokens import RECEIPT, REVOCATION
from roadworthy.evidence.tokens import WAIVER
from roadworthy.gateway.admission.permits import PermitPorts
from roadworthy.gateway.admission.proofs import Memory, remembered
from roadworthy.gateway.snapshot import (
    SNAPSHOT_FORMAT,
    Endpoint,
    Later,
    Ramp,
    ServedWorkflow,
    Snapshot,
    SnapshotRefused,
    decode,
    encode,
)
from roadworthy.workflow.model import Bypass, Handling, Policy, Prompt, Release
from roadworthy.workflow.shares import RESOLUTION, position
from support.earning import DAY, SIGNER, proven, receipt, waiver

STRANGER = Ed25519Signer(b"x" * 32)
PROMPTS = {"new": "You are the new one.", "old": "You are the old one.", "unreleased": "You are nobody's."}


def made(name: str, **handling: Any) -> Release:
    """A release whose prompt tells in the upstream's bytes which one it is."""
    behaviour = {"prompt": Prompt("managed", PROMPTS[name])}
    digit = str(list(PROMPTS).index(name) + 1)
    return msgspec.structs.replace(
        release(behaviour=behaviour, handling=Handling(**handling)), digest="rel_" + digit * 64,
        behaviour_digest=digit * 64, handling_digest="f" * 64,
    )  # fmt: skip


NEW, OLD = made("new"), made("old")


def signed(*about: Release, signer: Ed25519Signer = SIGNER, **more: Any) -> list[str]:
    return [RECEIPT.sealed(receipt(each, NOW, **more), signer) for each in about]


def bench(folder: Path, ramp: Ramp | None = None, **more: Any) -> Bench:
    """``NEW`` behind ``ramp``, ``OLD`` before it; both have receipts unless told otherwise."""
    found = Bench(folder, served=NEW, upstream=more.pop("upstream", None), permits=more.pop("permits", None))
    publish(found, ramp, **more)
    return found


def publish(
    found: Bench, ramp: Ramp | None = None, *, memory: Memory | None = None, enforcement: Any = "enforce",
    released: Release | None = NEW, previous: Release | None = OLD, flow: dict[str, Any] | None = None,
    keys: Any = (), also: Any = (), **snapshot: Any,
) -> Snapshot:  # fmt: skip
    workflow = ServedWorkflow(
        "support", "default", enforcement, Policy(testers=["ann"]), ramp=ramp,
        release=None if released is None else released.digest,
        previous=None if previous is None else previous.digest, **(flow or {}),
    )  # fmt: skip
    releases = [each for each in (released, previous, *also) if each is not None]
    fields: dict[str, Any] = {
        "workflows": {"support": workflow},
        "releases": {each.digest: each for each in releases},
        "keys": dict([key(), key(TESTER, kind="tester", person="ann"), *keys]),
        "permit_keys": [SIGNER.public_key],
        "receipts": signed(*(each for each in (released, previous) if each is not None)),
        **snapshot,
    }
    found.load(earning=False, memory=memory, **fields)
    assert found.gateway.world is not None
    return found.gateway.world.snapshot


def asked(found: Bench) -> list[str]:
    """Which release's prompt the upstream received, call by call."""
    names = {text: name for name, text in PROMPTS.items()}
    return [names[sent.body["messages"][0]["content"]] for sent in found.upstream.sent]


def ask(found: Bench, user: str = "u1", token: str = TOKEN, **more: Any) -> Any:
    headers = [(b"x-roadworthy-user", user.encode()), *more.pop("headers", [])]
    return found.post(chat(**more), token=token, headers=headers)


def inside(share: float, user: str) -> bool:
    return position(SALT, "support", user) < round(share * RESOLUTION)


USERS = [f"user-{number}" for number in range(400)]


# --- shares


@on_loop
async def test_exactly_the_users_below_the_share_reach_the_release_and_others_the_one_before(
    tmp_path: Path,
) -> None:
    found = bench(tmp_path, Ramp(0.1, "10 %"))
    for user in USERS:
        await ask(found, user)
    assert asked(found) == ["new" if inside(0.1, user) else "old" for user in USERS]
    assert 20 < asked(found).count("new") < 60


@on_loop
async def test_nobody_leaves_the_release_as_the_share_widens(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(0.0, "testers"))
    before: set[str] = set()
    for share in (0.01, 0.1, 0.25, 0.5, 1.0):
        publish(found, Ramp(share, "stage"))
        found.upstream.sent.clear()
        for user in USERS:
            await ask(found, user)
        now = {user for user, served in zip(USERS, asked(found), strict=True) if served == "new"}
        assert before <= now
        before = now
    assert len(before) == len(USERS)


@on_loop
async def test_outside_the_share_and_without_a_release_before_the_app_reads_why(
    tmp_path: Path,
) -> None:
    found = bench(tmp_path, Ramp(0.1, "10 %"), previous=None)
    outside = next(user for user in USERS if not inside(0.1, user))
    answer = await ask(found, outside)
    assert (answer.status, said(answer)["error"]["code"]) == (503, "bypassed")
    assert "outside the 10 % of users" in said(answer)["error"]["message"]
    assert header(answer, b"x-should-retry") == b"false"
    assert header(answer, b"x-roadworthy-route") == b"bypass"
    assert header(answer, b"x-roadworthy-stage") == b"10 %"
    assert said(answer)["roadworthy"]["route"] == "bypass"
    assert found.upstream.sent == []
    record = found.record()
    assert (record.outcome, record.route, record.stage, record.failure) == ("bypassed", "bypass", "10 %", None)


@on_loop
async def test_a_bypassed_user_reads_the_workflows_own_bypass_also_as_a_stream(tmp_path: Path) -> None:
    told = made("new", bypass=Bypass("canned", "Call us."))
    found = bench(tmp_path, Ramp(0.0, "testers"), released=told, previous=None)
    answer = await ask(found)
    assert said(answer)["choices"][0]["message"]["content"] == "Call us."
    assert said(answer)["roadworthy"]["outcome"] == "bypassed"
    streamed = await ask(found, stream=True)
    assert b"Call us." in b"".join([piece async for piece in streamed.chunks])
    assert found.upstream.sent == []


@on_loop
async def test_the_record_says_route_stage_and_the_release_that_served(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(0.5, "50 %"))
    mine, other = (next(user for user in USERS if inside(0.5, user) is wanted) for wanted in (True, False))
    for user in (mine, other):
        answer = await ask(found, user)
        assert header(answer, b"x-roadworthy-stage") == b"50 %"
        assert said(answer)["roadworthy"]["stage"] == "50 %"
    first, second = found.records()
    assert (first.route, first.stage, first.digest) == ("release", "50 %", NEW.digest)
    assert (second.route, second.stage, second.digest) == ("previous", "50 %", OLD.digest)


@on_loop
async def test_a_call_without_a_user_is_drawn_anew_each_time_and_noted(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(0.5, "50 %"))
    found.gateway._server._ids = Drawn()
    for _ in range(200):
        await found.post()
    assert 60 < asked(found).count("new") < 140
    assert all(record.notes == ["unit_unknown"] for record in found.records())


class Drawn:
    """Random bits, the same in every run."""

    def __init__(self) -> None:
        self._random = random.Random(7)

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)


# --- receipts


@pytest.mark.parametrize("receipts", [
    [],
    signed(NEW, signer=STRANGER),
    [signed(NEW)[0][:-4] + "AAAA"],
    ["rwr-nonsense", ""],
    [WAIVER.sealed(waiver("support", NOW), SIGNER).replace("rww-", "rwr-")],
    signed(msgspec.structs.replace(NEW, workflow="another")),
    signed(msgspec.structs.replace(NEW, behaviour_digest="c" * 64)),
    signed(NEW, verdict="FAIL"),
], ids=["none", "stranger's", "spoilt", "nonsense", "a waiver", "another's", "another prompt's", "failed"])  # fmt: skip
@on_loop
async def test_without_a_receipt_that_control_signed_for_it_a_release_never_reaches_a_live_user(
    tmp_path: Path, receipts: list[str]
) -> None:
    found = bench(tmp_path, Ramp(1.0, "100 %"), receipts=receipts, previous=None)
    answer = await ask(found)
    assert (answer.status, said(answer)["error"]["code"]) == (503, "bypassed")
    assert found.upstream.sent == []
    publish(found, Ramp(1.0, "100 %"), receipts=[*receipts, *signed(OLD)])
    await ask(found)
    assert asked(found) == ["old"]


@on_loop
async def test_the_release_before_is_served_only_with_a_receipt_of_its_own(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(0.0, "testers"), receipts=signed(NEW))
    assert said(await ask(found))["error"]["code"] == "bypassed"
    assert found.upstream.sent == []


@on_loop
async def test_a_revoked_receipt_stops_the_release_and_a_snapshot_without_the_revocation_does_not_bring_it_back(
    tmp_path: Path,
) -> None:
    taken = Revocation(id="rev_1", team="default", workflow="support", behaviour=NEW.behaviour_digest, person="ann",
                       reason="it swore", at=NOW - 60, epoch=1)  # fmt: skip
    found = bench(tmp_path, Ramp(1.0, "100 %"))
    await ask(found)
    snapshot = publish(found, Ramp(1.0, "100 %"), revocations=[REVOCATION.sealed(taken, SIGNER)])
    await ask(found)
    kept = remembered(snapshot, proven(snapshot))
    publish(found, Ramp(1.0, "100 %"), memory=kept)
    await ask(found)
    assert asked(found) == ["new", "old", "old"]
    publish(found, Ramp(1.0, "100 %"), memory=kept, receipts=signed(NEW, OLD, issued=NOW - 1))
    await ask(found)
    assert asked(found)[3:] == ["new"]  # a gate that passed afterwards


@on_loop
async def test_a_receipt_that_was_replaced_by_a_failed_one_does_not_come_back(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(1.0, "100 %"))
    failed = publish(found, Ramp(1.0, "100 %"), receipts=[*signed(NEW, verdict="FAIL", issued=NOW - 60), *signed(OLD)])
    await ask(found)
    publish(found, Ramp(1.0, "100 %"), memory=remembered(failed, proven(failed)))
    await ask(found)
    assert asked(found) == ["old", "old"]


@on_loop
async def test_with_control_dead_a_receipt_runs_out_and_leaves_the_pilot_share(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(1.0, "100 %"), flow={"pilot": 0.05})
    outside = next(user for user in USERS if not inside(0.05, user))
    within = next(user for user in USERS if inside(0.05, user))
    for days, served in ((0, "new"), (36, "new"), (50, "old")):  # 35 days and 14 of grace
        found.clock.time = NOW + days * DAY
        found.upstream.sent.clear()
        publish_old = signed(NEW) + signed(OLD, issued=found.clock.time - 60, expires=found.clock.time + DAY)
        if days == 50:  # the one before was gated again meanwhile; nobody publishes anything for the new one
            publish(found, Ramp(1.0, "100 %"), flow={"pilot": 0.05}, receipts=publish_old)
        await ask(found, outside)
        await ask(found, within)
        assert asked(found) == [served, "new"]


@on_loop
async def test_an_expired_receipt_does_not_raise_a_share(tmp_path: Path) -> None:
    """A ramp that somebody wrote into the snapshot is worth what the receipt allows."""
    long_ago = signed(NEW, issued=NOW - 80 * DAY, expires=NOW - 45 * DAY)
    found = bench(tmp_path, Ramp(1.0, "100 %"), receipts=long_ago, previous=None)
    for user in USERS:
        await ask(found, user)
    assert len(found.upstream.sent) == sum(inside(0.01, user) for user in USERS)


@on_loop
async def test_evidence_that_lapses_takes_the_share_with_it_at_its_instant(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(1.0, "100 %", later=[Later(NOW + 3600, 0.0)]))
    await ask(found)
    found.clock.time += 3600
    await ask(found)
    assert asked(found) == ["new", "old"]


# --- what callers may not choose


CLAIMS = [
    ("x-roadworthy-release", NEW.digest), ("x-roadworthy-digest", NEW.digest), ("x-roadworthy-class", "eval"),
    ("x-roadworthy-traffic", "tester"), ("x-roadworthy-route", "release"), ("x-roadworthy-stage", "100 %"),
    ("x-roadworthy-permit", "prm_0123456789abcdef"), ("x-roadworthy-tag-traffic", "eval"),
    ("x-roadworthy-enforcement", "observe"),
]  # fmt: skip


@on_loop
async def test_a_live_key_pins_no_digest_and_claims_no_class_whatever_it_sends(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(0.0, "testers"), previous=None)
    headers = [(name.encode(), value.encode()) for name, value in CLAIMS]
    bodies: list[dict[str, Any]] = [
        {"roadworthy": {"release": NEW.digest, "digest": NEW.digest, "traffic": "eval", "class": "tester"}},
        {"metadata": {"release": NEW.digest, "class": "tester"}},
        {"user": "ann"},
    ]
    for body in [{}, *bodies]:
        answer = await ask(found, headers=headers, **body)
        assert said(answer)["error"]["code"] == "bypassed"
    for model in (f"support@{NEW.digest}", f"support:{NEW.digest}", NEW.digest, "support@new"):
        answer = await ask(found, model=model)
        assert said(answer)["error"]["code"] == "model_not_found"
    assert found.upstream.sent == []
    assert {record.traffic for record in found.records()} == {"live"}


@on_loop
async def test_a_prompt_changed_in_the_app_reaches_no_model_but_of_a_tester(tmp_path: Path) -> None:
    held = msgspec.structs.replace(
        NEW, behaviour=msgspec.structs.replace(NEW.behaviour, prompt=Prompt("app", PROMPTS["new"]))
    )
    found = bench(tmp_path, Ramp(1.0, "100 %"), released=held)
    messages = [{"role": "system", "content": PROMPTS["unreleased"]}, {"role": "user", "content": "Hi"}]
    answer = await ask(found, messages=messages)
    assert said(answer)["error"]["code"] == "bypassed"
    assert found.upstream.sent == []
    assert found.record().notes == ["prompt_unreleased"]
    await ask(found, token=TESTER, messages=messages)
    assert asked(found) == ["unreleased"]


@on_loop
async def test_the_release_before_keeps_its_own_rules_for_what_a_caller_may_set(tmp_path: Path) -> None:
    free = msgspec.structs.replace(
        OLD, behaviour=msgspec.structs.replace(OLD.behaviour, caller_overrides=["temperature"])
    )
    found = bench(tmp_path, Ramp(0.5, "50 %"), previous=free)
    mine, other = (next(user for user in USERS if inside(0.5, user) is wanted) for wanted in (True, False))
    assert said(await ask(found, mine, temperature=1.5))["error"]["code"] == "override_refused"
    assert (await ask(found, other, temperature=1.5)).status == 200
    [sent] = found.upstream.sent
    assert sent.body["temperature"] == 1.5
    assert asked(found) == ["old"]


# --- testers and permits


@on_loop
async def test_a_tester_gets_the_release_without_a_receipt_and_outside_the_ramp(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(0.0, "testers"), receipts=[])
    answer = await ask(found, token=TESTER)
    assert header(answer, b"x-roadworthy-route") == b"release"
    assert asked(found) == ["new"]
    record = found.record()
    assert (record.traffic, record.route, record.stage, record.digest) == ("tester", "release", None, NEW.digest)


def permit(traffic: Any = "eval", **more: Any) -> str:
    fields: dict[str, Any] = {
        "id": "prm_0123456789abcdef", "workflow": "support", "digest": None, "traffic": traffic, "calls": 9,
        "usd": 100.0, "issued": NOW, "expires": NOW + 600, "by": "ann",
    }  # fmt: skip
    return permit_sealed(Permit(**{**fields, **more}), SIGNER)


def permitting(upstream: FakeUpstream) -> PermitPorts:
    return PermitPorts(Ed25519Verifier(), OpenAIWire, lambda name: "sk-up", upstream, lambda origins: upstream)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("traffic", ["eval", "load", "shadow"])
@on_loop
async def test_a_permit_reaches_its_digest_without_receipt_and_ramp_and_a_live_key_does_not(
    tmp_path: Path, traffic: str
) -> None:
    upstream = FakeUpstream()
    upstream.will(completion())
    unreleased = made("unreleased")
    found = bench(
        tmp_path, Ramp(0.0, "testers"), receipts=[], also=[unreleased], upstream=upstream, permits=permitting(upstream)
    )
    for digest in (unreleased.digest, OLD.digest, None):
        answer = await found.post(token=permit(traffic, id=f"prm_{digest}", digest=digest))
        assert answer.status == 200, said(answer)
    assert asked(found) == ["unreleased", "old", "new"]
    assert {record.traffic for record in found.records()} == {traffic}
    assert said(await ask(found))["error"]["code"] == "bypassed"


@on_loop
async def test_the_check_code_of_a_release_that_only_a_permit_reaches_is_at_the_gateway(tmp_path: Path) -> None:
    behaviour = msgspec.structs.replace(made("unreleased").behaviour, checks={"tone": "hash-of-it"})
    checked = msgspec.structs.replace(made("unreleased"), behaviour=behaviour)
    files = {"checks/tone.py": "def check(text, context): ..."}
    found = bench(tmp_path, Ramp(1.0), also=[checked], code={"hash-of-it": files, "of nobody": files})
    assert found.gateway.world is not None
    assert found.gateway.world.check_sources() == {"default": {"hash-of-it": files}}


# --- observe


@on_loop
async def test_observe_serves_everybody_and_records_what_would_have_been_done(tmp_path: Path) -> None:
    waivers = [WAIVER.sealed(waiver("support", NOW), SIGNER)]
    found = bench(tmp_path, Ramp(0.1, "10 %"), enforcement="observe", waivers=waivers)
    outside = next(user for user in USERS if not inside(0.1, user))
    within = next(user for user in USERS if inside(0.1, user))
    answer = await ask(found, outside)
    assert header(answer, b"x-roadworthy-would") == b"previous: outside the share of 10 %"
    assert said(answer)["roadworthy"]["would"] == "previous: outside the share of 10 %"
    await ask(found, within)
    publish(found, Ramp(0.1, "10 %"), enforcement="observe", waivers=waivers, receipts=[])
    await ask(found, within)
    assert asked(found) == ["new", "new", "new"]
    assert [record.would for record in found.records()] == [
        "previous: outside the share of 10 %", "", "bypassed: no receipt",
    ]  # fmt: skip
    assert {record.route for record in found.records()} == {"release"}


@on_loop
async def test_a_lapsed_pilot_is_served_as_before(tmp_path: Path) -> None:
    over = [WAIVER.sealed(waiver("support", NOW, starts=NOW - 40 * DAY, ends=NOW - 10 * DAY), SIGNER)]
    found = bench(tmp_path, enforcement="observe", waivers=over, receipts=[])
    await ask(found)
    assert asked(found) == ["new"]
    assert found.record().would == "bypassed: no receipt"


@pytest.mark.parametrize("waivers", [
    [], [WAIVER.sealed(waiver("support", NOW), STRANGER)], [WAIVER.sealed(waiver("another", NOW), SIGNER)],
    [WAIVER.sealed(waiver("support", NOW, item=6), SIGNER)],
], ids=["none", "of a stranger", "of another workflow", "of one item"])  # fmt: skip
@on_loop
async def test_observe_for_which_nobody_signed_is_enforce(tmp_path: Path, waivers: list[str]) -> None:
    found = bench(tmp_path, enforcement="observe", waivers=waivers, receipts=[])
    assert said(await ask(found))["error"]["code"] == "bypassed"
    publish(found, released=None, previous=None, enforcement="observe", waivers=waivers, flow={"passthrough": "main"})
    assert said(await ask(found))["error"]["code"] == "bypassed"
    assert found.upstream.sent == []


@on_loop
async def test_an_observed_passthrough_says_what_enforcement_would_do_and_an_enforced_one_is_bypassed(
    tmp_path: Path,
) -> None:
    waivers = [WAIVER.sealed(waiver("support", NOW), SIGNER)]
    flow = {"passthrough": "main"}
    found = bench(tmp_path)
    publish(found, released=None, previous=None, enforcement="observe", waivers=waivers, flow=flow)
    assert (await ask(found)).status == 200
    publish(found, released=None, previous=None, flow=flow, waivers=waivers)
    answer = await ask(found)
    assert "no release" in said(answer)["error"]["message"]
    served, bypassed = found.records()
    assert (served.route, served.would) == ("passthrough", "bypassed: no release")
    assert (bypassed.route, bypassed.digest) == ("bypass", None)
    assert len(found.upstream.sent) == 1


@on_loop
async def test_embeddings_beside_the_chats_of_an_observed_app_pass_and_say_what_would_be(tmp_path: Path) -> None:
    waivers = [WAIVER.sealed(waiver("support", NOW), SIGNER)]
    found = bench(tmp_path, Ramp(1.0), enforcement="observe", waivers=waivers, flow={"passthrough": "main"})
    found.upstream.will(b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1]}],"model":"m"}')
    body = {"model": "support", "input": "Hi"}
    answer = await found.post(body, path="/v1/embeddings")
    assert answer.status == 200, said(answer)
    assert (found.record().route, found.record().would) == ("passthrough", "bypassed: no release answers such calls")
    publish(found, Ramp(1.0), flow={"passthrough": "main"})
    refused = await found.post(body, path="/v1/embeddings")
    assert (refused.status, len(found.upstream.sent)) == (400, 1)


# --- sessions


@on_loop
async def test_a_session_keeps_its_side_as_the_share_widens_and_loses_it_with_a_rollback(tmp_path: Path) -> None:
    user = next(user for user in USERS if inside(0.5, user) and not inside(0.1, user))
    found = bench(tmp_path, Ramp(0.1, "10 %", epoch=1))

    async def served(session: str) -> str:
        await ask(found, user, headers=[(b"x-roadworthy-session", session.encode())])
        return asked(found)[-1]

    assert await served("s1") == "old"
    for share in (0.5, 1.0):
        publish(found, Ramp(share, "wider", epoch=1))
        assert await served("s1") == "old", "it began there"
        assert await served(f"fresh at {share}") == "new"
    publish(found, Ramp(0.5, "after a rollback", epoch=2))
    assert await served("s1") == "new"


@on_loop
async def test_a_session_that_was_silent_for_an_hour_is_over(tmp_path: Path) -> None:
    user = next(user for user in USERS if inside(0.5, user) and not inside(0.1, user))
    found = bench(tmp_path, Ramp(0.1, "10 %", epoch=1))
    session = [(b"x-roadworthy-session", b"s1")]
    await ask(found, user, headers=session)
    publish(found, Ramp(0.5, "50 %", epoch=1))
    found.clock.time += 3601
    await ask(found, user, headers=session)
    assert asked(found) == ["old", "new"]


@on_loop
async def test_no_session_stays_above_a_share_that_fell_for_longer_than_an_hour(tmp_path: Path) -> None:
    """Nobody keeps what the evidence does not allow any more by never being silent."""
    user = next(user for user in USERS if inside(0.5, user) and not inside(0.1, user))
    found = bench(tmp_path, Ramp(0.5, "50 %", epoch=1))
    session = [(b"x-roadworthy-session", b"s1")]
    await ask(found, user, headers=session)
    publish(found, Ramp(0.1, "its evidence lapsed", epoch=1))
    for _ in range(4):
        found.clock.time += 1500
        await ask(found, user, headers=session)
    assert asked(found) == ["new", "new", "new", "old", "old"]


@on_loop
async def test_a_session_on_the_release_ends_when_its_share_is_taken_away(tmp_path: Path) -> None:
    user = next(user for user in USERS if inside(0.1, user))
    found = bench(tmp_path, Ramp(0.1, "10 %", epoch=1))
    session = [(b"x-roadworthy-session", b"s1")]
    await ask(found, user, headers=session)
    publish(found, Ramp(0.0, "testers", epoch=1))
    await ask(found, user, headers=session)
    assert asked(found) == ["new", "old"]


# --- the kill switch


@on_loop
async def test_guarded_sends_everybody_to_the_release_before_and_without_one_to_the_bypass(tmp_path: Path) -> None:
    found = bench(tmp_path, Ramp(1.0, "100 %"))
    found.gateway.board.look("file", {"support": "guarded"})
    await ask(found)
    await ask(found, token=TESTER)
    assert asked(found) == ["old", "old"]
    publish(found, Ramp(1.0, "100 %"), previous=None)
    answer = await ask(found)
    assert (answer.status, said(answer)["roadworthy"]["route"]) == (503, "bypass")
    assert [record.kill for record in found.records()] == ["guarded"] * 3


def test_a_snapshot_whose_release_before_is_missing_is_refused() -> None:
    flow = ServedWorkflow("support", "default", "enforce", Policy(), NEW.digest, previous=OLD.digest)
    found = Snapshot(
        SNAPSHOT_FORMAT, 1, 1, 1.0, {"support": flow}, {NEW.digest: NEW}, {}, {"main": Endpoint("http://m")}, {}, {}
    )
    with pytest.raises(SnapshotRefused, match=OLD.digest):
        decode(encode(found))
