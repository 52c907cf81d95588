"""The demo's phones take what Roadworthy signed, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx2
import pytest

from roadworthy.cli.demo.pager import Pager
from roadworthy.people import webhooks

BODY = json.dumps({"type": "page.trigger", "data": {"incident": "inc_1", "line": "a test"}}).encode()


@pytest.fixture
def pager() -> Iterator[Pager]:
    made = Pager()
    made.start()
    yield made
    made.stop()


def told(pager: Pager, secret: str) -> int:
    headers = webhooks.headers(secret, "msg_1", time.time(), BODY)
    return httpx2.post(f"http://{pager.address}/mia", content=BODY, headers=headers, trust_env=False).status_code


def test_a_phone_shows_its_own_page(pager: Pager) -> None:
    (secret,) = pager.secret.values()
    assert told(pager, secret) == 204
    shown = pager.page("mia", "inc_1", 0.0)
    assert shown is not None
    assert shown["line"] == "a test"
    assert pager.page("tom", "inc_1", 0.0) is None
    assert pager.page("mia", "inc_2", 0.0) is None


def test_what_is_not_signed_with_its_secret_is_not_taken(pager: Pager) -> None:
    assert told(pager, "somebody else's secret") == 401
    assert pager.got("mia") == []
