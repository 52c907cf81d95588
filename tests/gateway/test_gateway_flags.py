"""Claims about feature flags, by the shapes of the OpenFeature Remote Evaluation Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from gateway_support import TESTER, Bench, header, on_loop, release
from stopping_support import stop

from roadworthy.gateway.messages import Response
from roadworthy.gateway.snapshot import Ramp, ServedWorkflow
from roadworthy.workflow.model import Canned, Handling, Policy

FLAGS = "/ofrep/v1/evaluate/flags"


def ramped(tmp_path: Path, share: float, **more: Any) -> Bench:
    bench = Bench(tmp_path)
    flow = ServedWorkflow("support", "default", "enforce", Policy(testers=["ann"]), release().digest)
    assert bench.gateway.world is not None
    keys = bench.gateway.world.snapshot.keys
    bench.load(
        workflows={"support": msgspec.structs.replace(flow, ramp=Ramp(share, "10 %", 3), **more)},
        releases={release().digest: release()}, keys=keys,
    )  # fmt: skip
    return bench


async def ask(bench: Bench, name: str = "", user: str | None = "u-1", **more: Any) -> tuple[int, Any]:
    body = {"context": {} if user is None else {"targetingKey": user, "plan": "gold"}}
    answer = await bench.post(more.pop("body", body), path=f"{FLAGS}/{name}" if name else FLAGS, **more)
    assert isinstance(answer, Response)
    return answer.status, msgspec.json.decode(answer.body) if answer.body else None


@on_loop
async def test_a_flag_is_a_workflow_and_says_whether_its_ai_is_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert await ask(bench, "support") == (
        200,
        {
            "key": "support", "value": True, "reason": "STATIC", "variant": "release",
            "metadata": {"state": "on", "route": "release", "release": release().digest},
        },
    )  # fmt: skip
    assert bench.lines() == []
    assert bench.gateway.counters.in_flight == 0


@on_loop
async def test_off_is_false_from_the_acknowledgement_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await stop(bench)
    status, flag = await ask(bench, "support")
    assert (status, flag["value"], flag["reason"], flag["variant"]) == (200, False, "DISABLED", "off")
    assert flag["metadata"] == {"state": "off", "route": "off"}
    await stop(bench, "on", 2)
    assert (await ask(bench, "support"))[1]["value"] is True


@on_loop
async def test_under_assist_callers_are_answered_and_guarded_without_a_release_before_is_false(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(holding=Canned("Soon."))))
    await stop(bench, "assist")
    flag = (await ask(bench, "support"))[1]
    assert (flag["value"], flag["metadata"]["state"]) == (True, "assist")
    await stop(bench, "guarded", 2)
    flag = (await ask(bench, "support"))[1]
    assert (flag["value"], flag["reason"], flag["metadata"]["state"]) == (False, "DISABLED", "guarded")


@on_loop
async def test_inside_a_ramp_a_flag_says_what_the_same_users_call_gets(tmp_path: Path) -> None:
    bench = ramped(tmp_path, 0.5)
    values = {}
    for number in range(40):
        user = f"user-{number}"
        flag = (await ask(bench, "support", user))[1]
        answer = await bench.post(headers=[(b"x-roadworthy-user", user.encode())])
        assert flag["value"] == (answer.status == 200)
        assert flag["variant"] == (header(answer, b"x-roadworthy-route") or b"").decode()
        assert (flag["reason"], flag["metadata"]["stage"]) == ("SPLIT", "10 %")
        values[user] = flag["value"]
    assert set(values.values()) == {True, False}


@on_loop
async def test_a_ramp_needs_a_user_and_a_tester_is_in(tmp_path: Path) -> None:
    bench = ramped(tmp_path, 0.5)
    status, fault = await ask(bench, "support", None)
    assert (status, fault["key"], fault["errorCode"]) == (400, "support", "TARGETING_KEY_MISSING")
    assert "targetingKey" in fault["errorDetails"]
    flag = (await ask(bench, "support", None, token=TESTER))[1]
    assert (flag["value"], flag["reason"]) == (True, "TARGETING_MATCH")


@on_loop
async def test_a_tester_key_knows_no_flag_of_a_workflow_that_its_person_does_not_test(tmp_path: Path) -> None:
    bench = ramped(tmp_path, 0.1, policy=Policy(testers=["zoe"]))
    status, fault = await ask(bench, "support", token=TESTER)
    assert (status, fault["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert "support" not in fault["errorDetails"]
    assert (await ask(bench, token=TESTER))[1] == {"flags": []}
    assert (await bench.post(token=TESTER)).status == 403


@on_loop
async def test_a_workflow_that_nothing_can_serve_is_off(tmp_path: Path) -> None:
    bench = ramped(tmp_path, 1.0, release=None, enforcement="observe")
    assert (await bench.post()).status == 503
    assert (await ask(bench, "support"))[1]["value"] is False


@on_loop
async def test_all_flags_of_a_key_come_with_an_etag_that_changes_when_they_do(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    answer = await bench.post({"context": {"targetingKey": "u"}}, path=FLAGS)
    assert isinstance(answer, Response)
    assert [flag["key"] for flag in msgspec.json.decode(answer.body)["flags"]] == ["support"]
    etag = header(answer, b"etag")
    assert etag is not None
    for known in (etag, b'"other", W/' + etag):
        same = await bench.post({"context": {"targetingKey": "u"}}, path=FLAGS, headers=[(b"if-none-match", known)])
        assert isinstance(same, Response)
        assert (same.status, same.body, header(same, b"etag")) == (304, b"", etag)
    await stop(bench)
    changed = await bench.post({"context": {"targetingKey": "u"}}, path=FLAGS, headers=[(b"if-none-match", etag)])
    assert changed.status == 200


@on_loop
async def test_faults_have_the_protocols_shapes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert (await ask(bench, "nothing"))[0] == 404
    assert (await ask(bench, "nothing"))[1]["errorCode"] == "FLAG_NOT_FOUND"
    for bad in (b"{no", b"[]", b'{"x":' + b"[" * 100_000):
        assert (await ask(bench, "support", body=bad))[1]["errorCode"] == "PARSE_ERROR"
    for bad in ({"context": 1}, {"context": {"targetingKey": 1}}, b'{"context": {"targetingKey": "\xff"}}'):
        status, fault = await ask(bench, "support", body=bad)
        assert (status, fault["errorCode"]) == (400, "INVALID_CONTEXT")
    status, fault = await ask(bench, body=b"[]")
    assert (status, set(fault)) == (400, {"errorCode", "errorDetails"})
    assert (await bench.post({}, path=FLAGS, token="rw-" + "z" * 40)).status == 401
    assert (await bench.get(FLAGS)).status == 405
    assert (await bench.get(f"{FLAGS}/support")).status == 405


@on_loop
async def test_a_name_with_escapes_is_read_and_a_body_may_be_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert (await ask(bench, "suppor%74", body=b""))[1]["key"] == "support"
