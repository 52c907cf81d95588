"""The sender: what a receiver or a network does becomes a word, and nothing is reached that may not be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from roadworthy.adapters.notify.webhook import WebhookSender
from roadworthy.people.outbox.model import Sent
from roadworthy.people.outbox.service import Place


class Receiver:
    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: tuple[int, dict[str, str]] = (200, {})
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                status, headers = receiver.answer
                self.send_response(status)
                for name, value in {"content-length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def send(*places: Place, sender: WebhookSender | None = None) -> list[Sent]:
    async def go() -> list[Sent]:
        made = sender or WebhookSender()
        try:
            return [await made.send(place, {"content-type": "application/json"}, b"{}") for place in places]
        finally:
            await made.close()

    return asyncio.run(go())


def test_a_message_arrives_as_it_is_at_the_path_and_query_of_its_url(receiver: Receiver) -> None:
    [sent] = send(Place(f"{receiver.url}/a/b?c=d#e", "s", allow_private=True))
    [(path, headers, body)] = receiver.got
    assert (sent, path, body) == (Sent(200), "/a/b?c=d", b"{}")
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [301, 302, 400, 404, 410, 429, 500, 503])
def test_everything_but_a_2xx_is_a_failure_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = (status, {"location": f"{receiver.url}/elsewhere"})
    [sent] = send(Place(receiver.url, "s", allow_private=True))
    assert (sent.status, sent.error) == (status, f"it answered {status}")
    assert [path for path, _, _ in receiver.got] == ["/"]


@pytest.mark.parametrize(
    ("asked", "date", "seconds"),
    [
        ("7", "", 7.0),
        ("Mon, 23 Nov 2026 08:00:30 GMT", "Mon, 23 Nov 2026 08:00:00 GMT", 30.0),
        ("Mon, 23 Nov 2026 07:00:00 GMT", "Mon, 23 Nov 2026 08:00:00 GMT", 0.0),
        ("soon", "", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    receiver: Receiver, asked: str, date: str, seconds: float | None
) -> None:
    from roadworthy.adapters.notify.webhook import _retry_after

    headers = [(b"retry-after", asked.encode()), (b"date", date.encode())]
    assert _retry_after(headers) == seconds


def test_a_private_address_is_reached_only_where_it_was_declared_so(receiver: Receiver) -> None:
    [refused, allowed, refused_again] = send(
        Place(receiver.url, "s"), Place(receiver.url, "s", allow_private=True), Place(receiver.url, "s")
    )
    assert "loopback" in refused.error
    assert "set allow_private where the URL is declared" in refused.error
    assert (allowed, refused_again) == (Sent(200), refused)
    assert len(receiver.got) == 1


def test_a_public_name_that_turns_private_is_refused_after_resolution(receiver: Receiver) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    port = receiver.server.server_port
    [sent] = send(Place(f"http://hooks.example.com:{port}/", "s"), sender=WebhookSender(resolve=resolve))
    assert "loopback" in sent.error
    assert receiver.got == []


def test_a_cloud_metadata_service_is_never_reached_through_a_name() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["169.254.169.254"]

    [sent] = send(Place("http://hooks.example.com/", "s", allow_private=True), sender=WebhookSender(resolve=resolve))
    assert "metadata" in sent.error


def test_nobody_listening_and_a_url_that_is_none_are_words_not_exceptions(receiver: Receiver) -> None:
    closed = Receiver()
    closed.server.shutdown()
    closed.server.server_close()
    [dead, none] = send(Place(closed.url, "s", allow_private=True), Place("ftp://x", "s"))
    assert dead.error.startswith("Refused: ")
    assert "expected http:// or https://" in none.error
