"""PagerDuty and Apprise: what they are sent, and what their answers mean."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from paging_support import NOON

from roadworthy.adapters.notify.apprise import AppriseSender
from roadworthy.adapters.notify.pagerduty import PagerDutySender
from roadworthy.adapters.outbound import Outbound
from roadworthy.people.outbox.model import Sent
from roadworthy.people.outbox.places import AppriseUrl, EventsPlace
from roadworthy.people.paging.model import Button, Message

KEY = "e93facc04764012d7bfb002500d5d1a6"
PAGE = Message(
    "trigger", "inc_1", "ada", "Ada", "support: 38 of 52 customers got the holding text",
    [("Who is affected", "38 customers"), ("Whose fault", "the provider")],
    [Button("Open the incident", "https://console.example.com/incidents/inc_1"), Button("Nowhere", "/incidents")],
    "support", NOON,
)  # fmt: skip


class Service:
    """Whatever answers; speaks PagerDuty's documented shapes unless told otherwise."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.answer: tuple[int, dict[str, Any] | bytes, dict[str, str]] | None = None
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                service.got.append((self.path, body))
                fine = {"status": "success", "message": "Event processed", "dedup_key": body.get("dedup_key", "")}
                status, said, headers = service.answer or (202, fine, {})
                raw = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(raw)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


def pages(service: Service, *messages: Message, allow_private: bool = True) -> list[Sent]:
    async def go() -> list[Sent]:
        outbound = Outbound()
        sender = PagerDutySender(outbound)
        try:
            place = EventsPlace(f"http://{service.place}", KEY, allow_private)
            return [await sender.send(place, message) for message in messages]
        finally:
            await outbound.close()

    return asyncio.run(go())


def notified(url: str, message: Message = PAGE) -> Sent:
    async def go() -> Sent:
        sender = AppriseSender(patience=5.0)
        try:
            return await sender.send(AppriseUrl(url), message)
        finally:
            sender.close()

    return asyncio.run(go())


def test_pagerduty_is_triggered_under_the_incidents_id_with_all_that_a_page_says(service: Service) -> None:
    [sent] = pages(service, PAGE)
    [(path, event)] = service.got
    assert (path, sent.error, sent.said) == ("/v2/enqueue", "", "202 by PagerDuty, dedup key inc_1")
    assert event == {
        "routing_key": KEY, "event_action": "trigger", "dedup_key": "inc_1", "client": "Roadworthy",
        "client_url": "https://console.example.com/incidents/inc_1",
        "links": [{"href": "https://console.example.com/incidents/inc_1", "text": "Open the incident"}],
        "payload": {
            "summary": PAGE.line, "source": "support", "severity": "critical", "timestamp": "2026-11-02T12:00:00Z",
            "component": "support", "class": "page",
            "custom_details": {"paged": "Ada", "Who is affected": "38 customers", "Whose fault": "the provider"},
        },
    }  # fmt: skip


@pytest.mark.parametrize("signal", ["acknowledge", "resolve"])
def test_pagerduty_is_told_the_end_under_the_same_key(service: Service, signal: Any) -> None:
    pages(service, Message(signal, "inc_1", "ada", "Ada", "line"))
    [(_, event)] = service.got
    assert (event["event_action"], event["dedup_key"], "payload" in event) == (signal, "inc_1", False)


def test_a_wrong_routing_key_is_never_sent_again_and_never_shown(service: Service) -> None:
    errors = [f"'routing_key' {KEY} is incorrect (should be 32 characters)"]
    service.answer = (400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors}, {})
    [sent] = pages(service, PAGE)
    assert (sent.status, sent.final) == (400, True)
    assert "Event object is invalid" in sent.error
    assert KEY not in sent.error


@pytest.mark.parametrize("status", [429, 500, 503])
def test_pagerduty_is_asked_again_when_it_is_busy_or_broken(service: Service, status: int) -> None:
    service.answer = (status, b"<html>", {"retry-after": "7"})
    [sent] = pages(service, PAGE)
    assert (sent.final, sent.retry_after, sent.error) == (False, 7.0, f"PagerDuty answered {status}")


def test_pagerduty_is_not_looked_for_on_a_private_network_unless_that_is_meant(service: Service) -> None:
    [sent] = pages(service, PAGE, allow_private=False)
    assert "not public" in sent.error
    assert service.got == []


def test_a_test_page_wakes_nobody_by_its_severity(service: Service) -> None:
    pages(service, Message("trigger", "inc_1", "ada", "Ada", "a test", workflow="support", test=True))
    [(_, event)] = service.got
    assert event["payload"]["severity"] == "info"
    assert event["payload"]["summary"] == "TEST: a test"


def test_apprise_takes_the_line_whose_fault_and_the_addresses(service: Service) -> None:
    service.answer = (200, {}, {})
    sent = notified(f"json://{service.place}/room")
    [(path, body)] = service.got
    assert (path, sent.status, sent.error) == ("/room", 200, "")
    assert "says that it has it" in sent.said
    assert body["title"] == PAGE.line
    assert body["message"].splitlines() == [
        "38 customers", "the provider", "Open the incident: https://console.example.com/incidents/inc_1"
    ]  # fmt: skip


def test_what_apprise_cannot_deliver_is_said_without_its_url(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.answer = (500, {}, {})
    with caplog.at_level(logging.DEBUG):
        sent = notified(f"json://user:s3cret@{service.place}/s3cret")
    assert "did not take it" in sent.error
    assert not sent.final
    assert "s3cret" not in sent.error + caplog.text


def test_a_url_that_apprise_does_not_know_is_refused_for_good() -> None:
    sent = notified("carrier-pigeon://s3cret")
    assert sent.final
    assert "s3cret" not in sent.error
