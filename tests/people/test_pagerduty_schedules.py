"""The reader of PagerDuty's schedules against a server that answers as its REST API v2 does, on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from roadworthy.adapters.oncall.pagerduty import PagerDuty
from roadworthy.adapters.outbound import Outbound
from roadworthy.people.oncall.schedules import ScheduleUnreadable
from roadworthy.workflow.calendars import Entry
from roadworthy.workflow.rotation import PagerDutySchedule

SINCE, UNTIL = 1_793_606_400.0, 1_794_211_200.0  # 2026-11-02 and a week later, 08:00 UTC


def user(ident: str, name: str) -> dict[str, Any]:
    """A reference, as schedules have it: without the mail address."""
    return {
        "id": ident, "type": "user_reference", "summary": name, "self": f"https://api.pagerduty.com/users/{ident}",
        "html_url": f"https://example.pagerduty.com/users/{ident}",
    }  # fmt: skip


SCHEDULE = {
    "schedule": {
        "id": "PI7DH85", "type": "schedule", "summary": "Daily Engineering Rotation", "time_zone": "UTC",
        "self": "https://api.pagerduty.com/schedules/PI7DH85", "description": "x", "escalation_policies": [],
        "schedule_layers": [], "users": [user("PXPGF42", "Ada Berg")],
        "final_schedule": {
            "name": "Final Schedule", "rendered_coverage_percentage": 100.0,
            "rendered_schedule_entries": [
                {"start": "2026-11-05T08:00:00Z", "end": "2026-11-09T08:00:00Z", "user": user("PAM4FGS", "Bo Lind")},
                {"start": "2026-11-02T09:00:00+01:00", "end": "2026-11-05T08:00:00Z", "user": user("PXPGF42", "Ada")},
            ],
        },
        "overrides_subschedule": {"name": "Overrides", "rendered_schedule_entries": []},
    }
}  # fmt: skip


class Vendor:
    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.tokens: list[str] = []
        self.fails: list[tuple[int, dict[str, str]]] = []
        """Answers to give first."""
        self.body: bytes | None = None
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: found[0] for name, found in parse_qs(parts.query).items()}
                vendor.asked.append((parts.path, query))
                vendor.tokens.append(self.headers["authorization"])
                status, headers = vendor.fails.pop(0) if vendor.fails else (200, {})
                body = vendor.answer(parts.path, query) if status == 200 else b'{"error":{"message":"No"}}'
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = PagerDutySchedule(
            "PI7DH85", "env:PD", f"http://127.0.0.1:{self.server.server_port}", allow_private=True
        )
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str, query: dict[str, str]) -> bytes:
        if self.body is not None:
            return self.body
        if not path.endswith("/users"):
            return json.dumps(SCHEDULE).encode()
        first = query["offset"] == "0"
        ident, name, mail = ("PXPGF42", "Ada Berg", "ada@example.com") if first else ("PAM4FGS", "Bo Lind", "bo@example.com")  # fmt: skip  # noqa: E501
        full = user(ident, name) | {"type": "user", "name": name, "email": mail, "time_zone": "UTC", "role": "user"}
        return json.dumps({"users": [full], "limit": 100, "offset": int(query["offset"]), "more": first}).encode()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.server.shutdown()
    made.server.server_close()


def read(place: PagerDutySchedule, waited: list[float] | None = None) -> list[Entry]:
    async def sleep(seconds: float) -> None:
        (waited if waited is not None else []).append(seconds)

    async def go() -> list[Entry]:
        outbound = Outbound()
        try:
            return await PagerDuty(outbound, sleep=sleep).read(place, "y_NbAkKc66ryYTWUXYEu", SINCE, UNTIL)
        finally:
            await outbound.close()

    return asyncio.run(go())


def test_the_final_schedule_is_read_and_people_are_known_by_mail_page_after_page(vendor: Vendor) -> None:
    assert read(vendor.place) == [
        Entry(SINCE, SINCE + 3 * 86_400.0, ("ada@example.com",), "Ada"),
        Entry(SINCE + 3 * 86_400.0, UNTIL, ("bo@example.com",), "Bo Lind"),
    ]
    paths = [path for path, _ in vendor.asked]
    assert paths == ["/schedules/PI7DH85", "/schedules/PI7DH85/users", "/schedules/PI7DH85/users"]
    span = {"since": "2026-11-02T08:00:00Z", "until": "2026-11-09T08:00:00Z"}
    assert vendor.asked[0][1] == {**span, "time_zone": "UTC"}
    assert set(vendor.tokens) == {"Token token=y_NbAkKc66ryYTWUXYEu"}


def test_it_waits_as_long_as_it_is_told_and_tries_again_when_the_vendor_is_down(vendor: Vendor) -> None:
    vendor.fails = [(429, {"ratelimit-reset": "7"}), (503, {})]
    waited: list[float] = []
    assert len(read(vendor.place, waited)) == 2
    assert waited == [7.0, 2.0]


@pytest.mark.parametrize(
    ("fails", "said", "calls"),
    [
        ([(401, {})], "env:PD must hold an API key", 1),
        ([(404, {})], "no such schedule", 1),
        ([(502, {})] * 3, "answered 502", 3),
        ([(429, {"ratelimit-reset": "3600"})], "answered 429", 1),
    ],
)
def test_what_it_answers_becomes_words_that_never_hold_the_key(
    vendor: Vendor, fails: list[tuple[int, dict[str, str]]], said: str, calls: int
) -> None:
    vendor.fails = list(fails)
    with pytest.raises(ScheduleUnreadable, match=said) as refused:
        read(vendor.place)
    assert "y_NbAkKc66ryYTWUXYEu" not in str(refused.value)
    assert len(vendor.asked) == calls


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"schedule": {"final_schedule": {"rendered_schedule_entries": [{"start": 5}]}}}'])  # fmt: skip  # noqa: E501
def test_an_answer_that_is_not_its_own_is_refused(vendor: Vendor, body: bytes) -> None:
    vendor.body = body
    with pytest.raises(ScheduleUnreadable, match="not PagerDuty's"):
        read(vendor.place)


def test_a_private_address_is_reached_only_where_somebody_said_so(vendor: Vendor) -> None:
    with pytest.raises(ScheduleUnreadable, match="allow_private"):
        read(PagerDutySchedule("PI7DH85", "env:PD", vendor.place.url))
    assert vendor.asked == []
