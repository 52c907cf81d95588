"""Listening, and saying why not."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from roadworthy.wiring.processes.sockets import CannotListen, bound, listen_tcp, listen_unix, parse_address


@pytest.mark.parametrize(
    ("text", "found"), [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:8400", ("::1", 8400)), ("a.b:1", ("a.b", 1))]
)
def test_addresses_are_read(text: str, found: tuple[str, int]) -> None:
    assert parse_address(text, "--listen") == found


@pytest.mark.parametrize("text", ["8400", ":8400", "host:", "host:http", "host:70000", ""])
def test_what_is_no_address_is_named_with_its_option(text: str) -> None:
    with pytest.raises(CannotListen, match=r"--listen: found .*expected HOST:PORT"):
        parse_address(text, "--listen")


def test_a_port_in_use_says_so() -> None:
    first = listen_tcp("127.0.0.1:0", "--listen")
    with first, pytest.raises(CannotListen, match="another process listens there"):
        listen_tcp(bound(first), "--listen")


def test_a_unix_socket_is_private_and_replaces_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    listen_unix(path).close()
    with listen_unix(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_path_too_long_for_a_socket_is_said_with_its_length(tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match="a socket path may have 107"):
        listen_unix(tmp_path / ("x" * 120))
