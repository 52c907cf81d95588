"""One control and three gateways, all real processes: one install for its callers, and nothing lost when parts die."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fleet_support import Install, Joined, all_current, configuration

from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.worker.trust import Trust
from support.provider import Rehearsal
from support.up import roadworthy
from support.waiting import until


@dataclass
class Three:
    """The local gateway with control, and two that joined it."""

    local: Install
    a: Joined
    b: Joined
    upstream: Rehearsal
    token: str

    @property
    def joined(self) -> tuple[Joined, Joined]:
        return self.a, self.b

    def items(self) -> dict[str, dict[str, Any]]:
        return {item["name"]: item for item in self.local.admin("GET", "/v1/gateways")["items"]}

    def record(self, inference: str) -> dict[str, Any]:
        return self.local.record(inference)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    root = tmp_path_factory.mktemp("three")
    with (
        Rehearsal(root / "upstream", {"output_tokens": 10}) as upstream,
        Install(root, config=configuration(root, upstream.url)) as local,
    ):
        local.said("control ")
        control = local.data / "run" / "control.sock"
        with Joined(root, control, "a") as a:
            a.said("gateway http")  # so that it is the first to join, and its workers have the lower numbers
            with Joined(root, control, "b") as b:
                b.said("gateway http")
                local.freeze("triage")
                token = local.key("app")
                all_current(local)
                yield Three(local, a, b, upstream, token)


def hang(gateway: Joined, token: str) -> None:
    """A call that its gateway does not live to answer."""
    with contextlib.suppress(httpx2.TransportError):
        gateway.chat(token, "[[fault slow first_token=30]]")


def test_a_key_made_at_control_works_at_every_gateway(three: Three) -> None:
    for gateway in three.joined:
        gateway.serves(three.token)


def test_the_records_of_all_gateways_are_in_one_log_under_worker_names_of_their_own(three: Three) -> None:
    workers = set()
    for gateway in (three.local, *three.joined):
        answer = gateway.chat(three.token)
        workers.add(int(three.record(answer.headers["x-request-id"])["worker"].removeprefix("w")) // 1000)
    assert workers == {0, 1, 2}


def test_a_change_reaches_every_gateway(three: Three) -> None:
    revoked = three.local.admin("POST", "/v1/keys", {"name": "short"})
    all_current(three.local)
    for gateway in three.joined:
        assert gateway.chat(revoked["token"]).status_code == 200
    three.local.admin("POST", f"/v1/keys/{revoked['key']['id']}/revoke")
    all_current(three.local)
    for gateway in three.joined:
        assert gateway.chat(revoked["token"]).status_code == 401


def test_every_gateway_is_listed_with_its_workers_snapshot_and_lag(three: Three) -> None:
    items = three.items()
    assert {name: item["workers"] for name, item in items.items()} == {"local": 1, "a": 2, "b": 2}
    assert all(item["answering"] == item["workers"] and not item["stale"] for item in items.values())


def test_a_user_stands_at_the_same_place_at_every_gateway_and_nobody_else_may_read_the_keys(three: Three) -> None:
    key = (three.local.data / "hmac.key").read_bytes()
    for gateway in three.joined:
        assert (gateway.data / "hmac.key").read_bytes() == key
        assert gateway.data.stat().st_mode & 0o077 == 0
        assert (gateway.data / "hmac.key").stat().st_mode & 0o077 == 0
        assert not (gateway.data / "signing.key").exists()
        assert DataFolder(gateway.data).public_keys() == DataFolder(three.local.data).public_keys()
        assert Trust(DataFolder(gateway.data)).salt == Trust(DataFolder(three.local.data)).salt


def test_each_gateway_has_metrics_of_its_own_workers(three: Three) -> None:
    assert set(three.a.metric("worker_up")) == {'worker="w1000"', 'worker="w1001"'}
    assert set(three.b.metric("worker_up")) == {'worker="w2000"', 'worker="w2001"'}


def test_the_install_counts_what_each_gateway_owes_the_log(three: Three) -> None:
    assert three.local.metric("gateway_up") == {f'gateway="{name}"': 1 for name in ("local", "a", "b")}
    until(lambda: set(three.local.metric("gateway_lag_bytes").values()) == {0}, "shipped journals")


def test_status_and_doctor_name_every_gateway(three: Three) -> None:
    status = roadworthy("status", "--data", str(three.local.data)).stdout
    assert re.search(
        r"^gateway   a: 2 of 2 workers at 127\.0\.0\.1:\d+, snapshot \d+\.\d+, heard", status, re.MULTILINE
    )
    doctor = roadworthy("doctor", "--data", str(three.local.data)).stdout
    assert re.search(r"gateway b: 2 of 2 workers ready", doctor)


def test_control_killed_and_restarted_under_load_fails_no_call_and_loses_none(three: Three) -> None:
    before = len(three.upstream.calls())
    over = threading.Event()
    served: list[str] = []
    refused: list[str] = []

    def call_on(gateway: Joined) -> None:
        while not over.is_set():
            answer = gateway.chat(three.token)
            (served if answer.status_code == 200 else refused).append(answer.headers["x-request-id"])

    threads = [threading.Thread(target=call_on, args=(gateway,)) for gateway in three.joined]
    for thread in threads:
        thread.start()
    until(lambda: len(served) > 20, "calls under way")
    old = three.local.pid("control")
    assert old is not None
    os.kill(old, signal.SIGKILL)
    three.local.other_pid("control", old)
    made = len(served)
    until(lambda: len(served) > made + 40, "calls after the kill")
    over.set()
    for thread in threads:
        thread.join()
    assert refused == []
    until(lambda: set(served) <= three.local.logged(), "every call in the log")
    assert len(three.upstream.calls()) - before == len(served)


def test_a_gateway_killed_whole_is_told_as_lost_and_shipped_after_its_restart(three: Three, tmp_path: Path) -> None:
    control = three.local.data / "run" / "control.sock"
    with Joined(tmp_path, control, "c", workers=1) as c:
        c.said("gateway http")
        c.serves(three.token)
        slow = threading.Thread(target=hang, args=(c, three.token))
        slow.start()
        until(c.under_way, "call under way")
        c.kill_all()
        slow.join()
    lost = until(lambda: [item for item in three.local.records() if item.get("failure") == "gateway_lost"], "lost call")
    assert {item["worker"] for item in lost} == {"w3000"}
    items = three.items()
    assert items["c"]["answering"] == 0
    with Joined(tmp_path, control, "c", workers=1) as again:
        again.said("gateway http")
        answer = again.chat(three.token)
        assert three.record(answer.headers["x-request-id"])["worker"] == "w3000"
        assert again.stop() == 0
    assert three.items()["c"]["ended_at"] is not None
    until(lambda: not list((tmp_path / "c" / "data" / "journal").glob("*/*.jsonl")), "empty journal")
    three.local.admin("POST", "/v1/gateways/remove", {"name": "c"})
    assert "c" not in three.items()


def test_a_gateway_that_starts_while_control_is_dead_serves_what_it_had(three: Three, tmp_path: Path) -> None:
    control = three.local.data / "run" / "control.sock"
    with Joined(tmp_path, control, "d", workers=1) as first:
        first.said("gateway http")
    old = three.local.pid("control")
    assert old is not None
    os.kill(old, signal.SIGSTOP)
    try:
        with Joined(tmp_path, control, "d", workers=1) as again:
            again.serves(three.token)
    finally:
        os.kill(old, signal.SIGCONT)


def test_names_are_one_gateways_alone_and_folders_too(three: Three, tmp_path: Path) -> None:
    control = three.local.data / "run" / "control.sock"
    taken = Joined(tmp_path, control, "a")
    assert taken.process.wait(20) == 2
    assert "choose another name" in taken.log.read_text()
    for place, says in ((three.local.data, "give the gateway a folder"), (three.a.data, "--name a")):
        own = Joined(tmp_path, control, "x", data=place)
        assert own.process.wait(20) == 2
        assert says in own.log.read_text()
    nowhere = Joined(tmp_path, tmp_path / "control.sock", "x")
    assert nowhere.process.wait(20) == 2
    assert "no such socket" in nowhere.log.read_text()
