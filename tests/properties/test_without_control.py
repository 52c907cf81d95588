"""The gateway serves what it was last told, with control dead and the databases gone or damaged; nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from property_install import configuration, question, started

from support.up import Up
from support.waiting import until

DATABASES = ("state.db", "log.db")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with Up(tmp_path, config=configuration(tmp_path)) as running:
        yield started(running)


def ask(up: Up, token: str, user: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}", "x-roadworthy-user": user}
    return httpx2.post(
        f"{up.base_url}/chat/completions", json=question("Hello"), headers=headers, timeout=20, trust_env=False
    )


def move(data: Path, names: dict[str, str]) -> None:
    """Rename databases with what SQLite keeps beside them."""
    for old, new in names.items():
        for suffix in ("", "-wal", "-shm"):
            if (data / (old + suffix)).exists():
                (data / (old + suffix)).rename(data / (new + suffix))


def kill_control(up: Up) -> None:
    control = up.pid("control")
    assert control is not None
    os.kill(control, signal.SIGKILL)


def log_of(up: Up) -> set[str]:
    try:
        return {record["id"] for record in up.records()}
    except (httpx2.TransportError, FileNotFoundError):
        return set()


def test_a_gateway_serves_on_when_control_is_dead_and_its_databases_are_gone(up: Up) -> None:
    token = up.key("app")
    before = (up.data / "snapshot" / "current.json").read_bytes()
    move(up.data, {name: f"{name}.away" for name in DATABASES})
    kill_control(up)
    said = up.said(f"control: {up.data / 'state.db'}: is gone", patience=20)
    assert "put it back or restore a backup" in said
    served = [ask(up, token, f"u-{number}") for number in range(20)]
    assert {answer.status_code for answer in served} == {200}
    assert {answer.json()["roadworthy"]["outcome"] for answer in served} == {"answered"}
    assert (up.data / "snapshot" / "current.json").read_bytes() == before
    assert not any((up.data / name).exists() for name in DATABASES)
    move(up.data, {f"{name}.away": name for name in DATABASES})
    wanted = {answer.headers["x-request-id"] for answer in served}
    until(lambda: wanted <= log_of(up), "log with every call")
    assert ask(up, token, "u-0").status_code == 200


@pytest.mark.parametrize("name", DATABASES)
def test_a_damaged_database_stops_control_and_nothing_else(up: Up, name: str) -> None:
    token = up.key("app")
    move(up.data, {name: f"{name}.away"})
    (up.data / name).write_bytes(b"not a database at all " * 500)
    kill_control(up)
    up.said("control: ", patience=20)
    served = [ask(up, token, f"u-{number}") for number in range(5)]
    assert {answer.json()["roadworthy"]["outcome"] for answer in served} == {"answered"}
    (up.data / name).unlink()
    move(up.data, {f"{name}.away": name})
    wanted = {answer.headers["x-request-id"] for answer in served}
    until(lambda: wanted <= log_of(up), "log with every call")


def test_a_log_that_is_lost_for_good_is_begun_anew_on_request(up: Up) -> None:
    token = up.key("app")
    first = ask(up, token, "u-1")
    until(lambda: first.headers["x-request-id"] in log_of(up), "shipped call")
    move(up.data, {"log.db": "log.db.away"})
    kill_control(up)
    assert f"`touch {up.data / 'log.db'}`" in up.said(f"control: {up.data / 'log.db'}: is gone", patience=20)
    second = ask(up, token, "u-1")
    (up.data / "log.db").touch()
    until(lambda: second.headers["x-request-id"] in log_of(up), "call in the new log")
