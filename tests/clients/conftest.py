"""One process tree for all of the client's claims: two workers, control, two simulated targets, the local model."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from support.provider import Exchange, Recorder, Sent, completion
from support.up import Up
from support.waiting import until, write_files

from .client_service import RELEASED, SIMULATED, Service, files


def good(sent: Sent, exchange: Exchange) -> None:
    exchange.whole(completion())


@pytest.fixture(scope="package")  # not of the session: idle until its end it would take a core for half a minute
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("c")  # short: the path of a Unix socket has at most 107 bytes
    with (
        Recorder(good) as recorder,
        Up(
            root, config=write_files(root / "config", files(recorder.url)), workers=2, env={"WIRE_KEY": "sk-wire"}
        ) as up,
    ):
        up.ready(*SIMULATED)
        up.freeze(*RELEASED)
        up.prove(*RELEASED)
        yield Service(up, recorder, up.key("app"))


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    """The install, idle again after every test."""
    running.recorder.answer = good
    running.recorder.sent.clear()
    yield running
    until(running.up.idle, "end of every call and slot")


@pytest.fixture(scope="package")
def one_client(running: Service) -> Iterator[openai.OpenAI]:
    with running.client() as made:
        yield made


@pytest.fixture
def client(service: Service, one_client: openai.OpenAI) -> openai.OpenAI:
    return one_client
