"""The doctor: each thing that keeps an install from working is found, with its mend."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from roadworthy.adapters.kill_files import FileKillStore
from roadworthy.cli.context import Work
from roadworthy.cli.doctor.checks import examine
from roadworthy.cli.doctor.model import Finding, NotReached, Reached, World
from roadworthy.cli.doctor.world import reach, secret
from roadworthy.cli.main import root
from roadworthy.gateway.snapshot import Endpoint, ServedWorkflow, Snapshot
from roadworthy.kill_switch.service import Kills
from roadworthy.wiring.fleet.gateways import Known
from roadworthy.wiring.folders.data_folder import DataFolder, create_folder
from roadworthy.workflow.model import Policy, Target

NOW = 1_795_080_600.0


def snapshot(**facts: object) -> Snapshot:
    given: dict[str, object] = {
        "format": 1, "epoch": 1, "seq": 1, "made_at": NOW - 60, "releases": {}, "prices": {}, "keys": {},
        "workflows": {"hello": ServedWorkflow("hello", "default", "enforce", Policy(), passthrough="main")},
        "targets": {"main": Target("main", "openai", "small-1", "https://api.example/v1", "env:KEY")},
        "endpoints": {"main": Endpoint("https://api.example/v1")},
    }  # fmt: skip
    return Snapshot(**{**given, **facts})  # type: ignore[arg-type]


@pytest.fixture
def well(tmp_path: Path) -> World:
    """A world in which nothing is wrong."""
    folder = create_folder(tmp_path / "data")
    (folder.run / "worker-0.sock").touch()
    return World(
        data=folder.root,
        environ={"KEY": "sk-1"},
        clock=lambda: NOW,
        snapshot=snapshot(),
        snapshot_error="",
        listens={"listen": "127.0.0.1:8400", "metrics": "127.0.0.1:8401"},
        free=lambda path: (50_000_000_000, 100_000_000_000),
        reach=lambda url, proxy, headers, private: Reached(200, NOW),
        answers=lambda address: True,
        healthy=lambda sock, path: True,
        gateways=[],
        lock_holder=lambda path: 7,
        secret=lambda name: secret(name, {"KEY": "sk-1"}),
    )


def wrong(world: World) -> list[Finding]:
    return [finding for finding in examine(world) if finding.verdict in ("FAIL", "warn")]


def unreachable(kind: str) -> object:
    def reach(url: str, proxy: str | None, headers: Mapping[str, str], private: bool) -> Reached:
        raise NotReached(kind, f"{kind}: no")

    return reach


@pytest.fixture
def joined(tmp_path: Path) -> Known:
    """A gateway beside it, with both of its workers."""
    folder = DataFolder(tmp_path / "b")
    folder.run.mkdir(parents=True)
    for index in range(2):
        folder.worker_socket(index).touch()
    return Known("b", str(folder.root), 1000, 2, "127.0.0.1:8410", seen_at=NOW - 1)


def test_every_gateway_that_joined_is_looked_at(well: World, joined: Known) -> None:
    with_it = dataclasses.replace(well, gateways=[joined])
    assert wrong(with_it) == []
    dead = dataclasses.replace(with_it, lock_holder=lambda path: None if path.parent.name == "b" else 7)
    [found] = wrong(dead)
    assert (found.check, found.verdict) == ("gateway b", "FAIL")
    assert "roadworthy gateways --remove b" in found.mend
    lame = dataclasses.replace(with_it, healthy=lambda sock, path: not sock.match("*/b/run/worker-1.sock"))
    assert [found.found for found in wrong(lame)] == ["1 of 2 workers ready at 127.0.0.1:8410"]


def test_a_gateway_that_control_does_not_hear_is_a_warning_and_one_that_was_stopped_is_none(
    well: World, joined: Known
) -> None:
    silent = dataclasses.replace(well, gateways=[msgspec.structs.replace(joined, seen_at=NOW - 60)])
    assert [(found.check, found.verdict) for found in wrong(silent)] == [("gateway b", "warn")]
    stopped = msgspec.structs.replace(joined, seen_at=NOW - 9000, ended_at=NOW - 9000)
    assert wrong(dataclasses.replace(well, gateways=[stopped])) == []


def test_a_sound_install_has_no_finding(well: World) -> None:
    assert wrong(well) == []


@pytest.mark.parametrize(
    ("change", "check", "mend"),
    [
        ({"free": lambda path: (50_000_000, 100_000_000_000)}, "disk", "free some space"),
        ({"clock": lambda: 1_000_000_000.0}, "clock", "timedatectl"),
        ({"snapshot": snapshot(made_at=NOW + 3600)}, "clock", "timedatectl"),
        ({"snapshot": None}, "snapshot", "roadworthy apply"),
        ({"snapshot": None, "snapshot_error": "damaged"}, "snapshot", "same version"),
        ({"healthy": lambda sock, path: path != "/healthz"}, "control", "stop pid 7"),
        ({"healthy": lambda sock, path: path != "/readyz"}, "gateway", "roadworthy status"),
        ({"lock_holder": lambda path: None}, "port (listen)", "set `listen`"),
        ({"answers": lambda address: False}, "port (listen)", "roadworthy up"),
        ({"snapshot": snapshot(proxy="http://proxy:3128"), "answers": lambda a: a != "proxy:3128"}, "proxy", "proxy"),
        ({"secret": lambda name: secret(name, {})}, "target main: key", "export KEY="),
        ({"reach": unreachable("dns")}, "target main", "getent hosts api.example"),
        ({"reach": unreachable("tls")}, "target main", "trust store"),
        ({"reach": unreachable("forbidden")}, "target main", "allow_private: true"),
        ({"reach": unreachable("timeout")}, "target main", "firewall"),
        ({"reach": unreachable("proxy")}, "target main", "let the proxy allow"),
        ({"reach": lambda *a: Reached(401, None)}, "target main", "valid key"),
        ({"reach": lambda *a: Reached(200, NOW - 300)}, "clock", "timedatectl"),
    ],
)
def test_what_is_wrong_fails_with_its_mend(well: World, change: dict[str, object], check: str, mend: str) -> None:
    found = [finding for finding in wrong(dataclasses.replace(well, **change)) if finding.verdict == "FAIL"]  # type: ignore[arg-type]
    assert check in [finding.check for finding in found]
    assert mend in next(finding.mend for finding in found if finding.check == check)


@pytest.mark.parametrize(
    ("key", "detail"),
    [
        ("AKID:hunter2", None),
        ("ABSKexample", None),
        ("AKID:", "holds no secret access key"),
        ('{"access_key_id": "AKID"}', "holds no secret access key"),
    ],
)
def test_a_key_of_bedrock_is_looked_at_and_never_sent(well: World, key: str, detail: str | None) -> None:
    sent: list[Mapping[str, str]] = []

    def reach(url: str, proxy: str | None, headers: Mapping[str, str], private: bool) -> Reached:
        sent.append(headers)
        return Reached(403, NOW)

    url = "https://bedrock-runtime.eu-central-1.amazonaws.com"
    world = dataclasses.replace(
        well,
        snapshot=snapshot(
            targets={"main": Target("main", "bedrock", "amazon.nova-lite-v1:0", url, "env:KEY")},
            endpoints={"main": Endpoint(url)},
        ),
        reach=reach,
        secret=lambda name: key,
    )
    found = wrong(world)
    if detail is None:
        assert (found, sent) == ([], [{}])
    else:
        assert [finding.check for finding in found] == ["target main: key"]
        assert detail in found[0].found


def test_a_folder_that_others_can_read_fails(well: World) -> None:
    well.data.chmod(0o755)
    (well.data / "hmac.key").chmod(0o644)
    mends = [finding.mend for finding in wrong(well)]
    assert f"chmod 700 {well.data}" in mends
    assert f"chmod 600 {well.data / 'hmac.key'}" in mends


def test_a_signing_key_that_others_can_read_fails(well: World) -> None:
    key = well.data / "signing.key"
    key.write_bytes(b"s" * 32)
    key.chmod(0o640)
    assert [finding.check for finding in wrong(well)] == ["signing key"]
    key.chmod(0o600)
    assert wrong(well) == []


def test_every_failure_names_a_mend(well: World, tmp_path: Path) -> None:
    broken = dataclasses.replace(
        well, data=tmp_path / "none", snapshot=None, answers=lambda a: False, healthy=lambda s, p: False,
        free=lambda p: (0, 1), clock=lambda: 0.0,
    )  # fmt: skip
    for finding in examine(broken):
        assert finding.verdict != "FAIL" or finding.mend


def test_a_proxy_in_the_environment_that_is_not_configured_is_said(well: World) -> None:
    found = wrong(dataclasses.replace(well, environ={"HTTPS_PROXY": "http://p:1"}))
    assert [(finding.check, finding.verdict) for finding in found] == [("proxy", "warn")]


class _Models(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("authorization")))
        self.send_response(401)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Models)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_is_asked_for_its_models_with_the_gateways_client(endpoint: str) -> None:
    found = reach(endpoint, None, {"authorization": "Bearer sk-1"}, True)
    assert found.status == 401
    assert found.date is not None
    assert _Models.seen[-1] == ("/v1/models", "Bearer sk-1")


def test_the_guard_of_the_gateway_holds_for_the_doctor(endpoint: str) -> None:
    before = len(_Models.seen)
    with pytest.raises(NotReached) as caught:
        reach(endpoint, None, {}, False)
    assert caught.value.kind == "forbidden"
    assert len(_Models.seen) == before


def test_a_closed_port_is_refused_and_a_bad_key_is_no_crash() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        with pytest.raises(NotReached) as caught:
            reach(url, None, {}, True)
    assert caught.value.kind == "refused"
    with pytest.raises(NotReached) as caught:
        reach(url, None, {"authorization": "Bearer a\nb"}, True)
    assert caught.value.kind == "protocol"


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" sk-2\n")
    assert secret("env:A", {"A": "sk-1"}) == "sk-1"
    assert secret(f"file:{tmp_path / 'key'}", {}) == "sk-2"
    for name in ("env:B", f"file:{tmp_path / 'none'}"):
        with pytest.raises(LookupError):
            secret(name, {})


def test_doctor_runs_on_a_machine_with_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["--data", str(tmp_path / "none"), "doctor", "--json"], obj=Work(environ={}))
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert not found["good"]
    assert {f["check"] for f in found["findings"] if f["verdict"] == "FAIL"} >= {"data folder", "snapshot"}


def test_what_is_stopped_on_purpose_is_said_also_with_control_dead(well: World) -> None:
    Kills(FileKillStore(well.data), clock=lambda: NOW).press("hello", "off", "ada", "refunds")
    (well.data / "KILL").touch()
    found = {(finding.found, finding.mend) for finding in wrong(well)}
    assert found == {
        ("hello is off, by ada: refunds", "if it may go on: roadworthy restore hello"),
        (f"{well.data}/KILL stops *", f"if it may go on: rm {well.data}/KILL"),
    }
