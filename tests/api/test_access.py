"""Default deny: every route says what it needs, and who is not known gets nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from roadworthy.api.access import OS_USER, PERSON, Permission
from roadworthy.api.app import Call, Endpoint, make_app
from roadworthy.api.routes import ENDPOINTS
from roadworthy.operations.services import Services
from roadworthy.workflow.audit import AuditRecord, Which

from .conftest import Install

SECURED = [endpoint for endpoint in ENDPOINTS if endpoint.permission != "anyone"]


@pytest.fixture(scope="module")
def denying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """One install for all the calls that are denied: each leaves a line of the audit trail and nothing else."""
    made = Install(tmp_path_factory.mktemp("denying"))
    made.apply()
    yield made
    made.control.close()


def filled(endpoint: Endpoint) -> str:
    return endpoint.path.replace("{id}", "x").replace("{name}", "x")


def test_every_route_declares_a_permission_that_exists() -> None:
    assert {endpoint.permission for endpoint in ENDPOINTS} <= set(get_args(Permission))


def test_only_health_login_and_logout_are_open() -> None:
    open_ones = {endpoint.path for endpoint in ENDPOINTS if endpoint.permission == "anyone"}
    assert open_ones == {"/healthz", "/v1/login", "/v1/logout"}


def test_what_changes_state_is_never_a_read() -> None:
    for endpoint in ENDPOINTS:
        if endpoint.publishes:
            assert endpoint.permission not in ("anyone", "read"), endpoint.path
        if endpoint.method == "POST" and endpoint.permission == "read":
            assert endpoint.path in (
                "/v1/check",
                "/v1/evals/plan",
                "/v1/evals/calibrations/plan",
                "/v1/evals/capture/plan",
                "/v1/oncall/read",
                "/v1/loads/plan",
                "/v1/rollouts/prospect",
                "/v1/finance/reconcile",
            ), endpoint.path


def test_an_os_user_never_approves_never_answers_a_customer_never_scores_and_lets_nobody_in() -> None:
    assert {"approve", "answer", "score", "people"} == PERSON - OS_USER


DECIDES = {
    "/v1/approve", "/v1/backup/accept", "/v1/evals/pool/publish", "/v1/evals/sign", "/v1/evidence/accept",
    "/v1/evidence/attest",
    "/v1/evidence/import", "/v1/evidence/revoke", "/v1/finance/close",
    "/v1/finance/correct", "/v1/kill/restore", "/v1/reviews/{workflow}/decide", "/v1/reviews/{workflow}/sign",
    "/v1/oncall/override", "/v1/oncall/override/{id}/take-back",
    "/v1/rollouts", "/v1/rollouts/{workflow}/approve",
    "/v1/rollouts/{workflow}/resume", "/v1/rollouts/{workflow}/unlock", "/v1/waivers", "/v1/waivers/end",
}  # fmt: skip
"""What lets a workflow have more, or takes somebody's word: a named person's."""


def test_everything_that_lets_a_workflow_have_more_is_a_persons() -> None:
    assert {each.path for each in ENDPOINTS if each.permission == "approve"} == DECIDES


def newest(install: Install, count: int = 1) -> list[AuditRecord]:
    """Of the audit trail; the last is the newest."""
    with install.control.state.read() as tx:
        return list(reversed(tx.trail(Which(), limit=count)))


@pytest.mark.parametrize(
    "endpoint",
    [each for each in ENDPOINTS if each.permission in PERSON - OS_USER],
    ids=lambda endpoint: f"{endpoint.method} {endpoint.path}",
)
def test_an_os_user_is_refused_and_audited_wherever_a_person_decides(denying: Install, endpoint: Endpoint) -> None:
    path = filled(endpoint).replace("{workflow}", "triage")
    [before] = newest(denying)
    refused = denying.call(endpoint.method, path, {"workflow": "triage", "reason": "because"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
    *_, last, record = newest(denying, 2)
    assert last == before
    said = (record.actor, record.outcome, record.action)
    assert said == (denying.peer, "denied", f"{endpoint.method} {endpoint.path}")


def test_only_the_gateways_own_user_speaks_for_a_gateway() -> None:
    assert {"gateway"} == OS_USER - PERSON


@pytest.mark.parametrize("endpoint", SECURED, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_no_route_serves_a_caller_whom_nobody_vouches_for(denying: Install, endpoint: Endpoint) -> None:
    answer = denying.call(endpoint.method, filled(endpoint), {}, peer=None)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("endpoint", SECURED, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_no_route_serves_another_user_of_the_machine(denying: Install, endpoint: Endpoint) -> None:
    answer = denying.call(endpoint.method, filled(endpoint), {}, peer="os:4242")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


def test_a_denied_caller_is_audited_before_the_body_is_read(install: Install) -> None:
    assert install.call("POST", "/v1/apply", content=b"not json", peer="os:4242").status_code == 403
    (record,) = install.audit()
    assert (record["actor"], record["outcome"], record["action"]) == ("os:4242", "denied", "POST /v1/apply")


def test_a_route_that_needs_a_person_denies_the_os_user_and_says_how_to_log_in(
    applied: Install, login: Callable[[str], str]
) -> None:
    def accept(services: Services, call: Call) -> object:
        return {"by": call.actor.id}

    services = applied.control._services(applied.control.folder.hmac_key())
    applied.control.app = make_app(services, [Endpoint("POST", "/v1/accept", "approve", accept)])
    denied = applied.call("POST", "/v1/accept")
    assert denied.status_code == 403
    assert "roadworthy login" in denied.json()["error"]["message"]
    applied.control.app = make_app(services, [*ENDPOINTS, Endpoint("POST", "/v1/accept", "approve", accept)])
    assert applied.good("POST", "/v1/accept", token=login("ada")) == {"by": "ada"}


def test_a_session_token_that_is_none_is_refused_even_from_the_owner_of_the_socket(install: Install) -> None:
    answer = install.call("GET", "/v1/status", token="rws-wrong")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_session")


def test_what_a_person_does_is_recorded_as_theirs(applied: Install, login: Callable[[str], str]) -> None:
    applied.good("POST", "/v1/freeze", {"workflow": "triage"}, token=login("ada"))
    record = applied.audit()[-1]
    assert (record["actor"], record["on_behalf_of"]) == ("ada", f"os:{os.geteuid()}")


def test_the_kernel_says_who_is_at_the_socket_and_the_caller_cannot(tmp_path: Path) -> None:
    """A real socket: ``X-Forwarded-For`` and the like change nothing."""
    code = """
import asyncio, sys
from starlette.responses import PlainTextResponse
from roadworthy.wiring.processes.http_server import server
from roadworthy.wiring.processes.sockets import listen_unix
from pathlib import Path
async def app(scope, receive, send):
    await PlainTextResponse(str(scope["client"][0]))(scope, receive, send)
listener = listen_unix(Path(sys.argv[1]))
print("ready", flush=True)
asyncio.run(server(app).serve(sockets=[listener]))
"""
    path = tmp_path / "s.sock"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nHost: c\r\nX-Forwarded-For: os:4242\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.endswith(f"os:{os.geteuid()}".encode())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
