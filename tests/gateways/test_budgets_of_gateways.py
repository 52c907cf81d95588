"""One budget for all gateways: spent nearly whole wherever its user calls, and never over but by first calls."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fleet_support import Gateway, Install, Joined, all_current, configuration

from support.provider import Rehearsal

BUDGET = 0.5
"""Dollars a day and user."""
TOKENS = 10
CALL = 0.0102
"""Dollars that a call costs and reserves, at most."""
NEWCOMERS = 2
"""Workers of the gateway that joins."""
FIRST_CALLS = NEWCOMERS * CALL
"""The most by which all may overspend: each worker that joined grants a first call that it has no share for."""
POLICY = f"parameters: {{max_tokens: {TOKENS}}}\npolicy: {{budgets: {{user: {{day: {BUDGET}}}}}}}\n"


@dataclass
class Two:
    root: Path
    local: Install
    upstream: Rehearsal
    token: str

    @property
    def control(self) -> Path:
        return self.local.data / "run" / "control.sock"

    def spent(self, since: int) -> float:
        """By what the target sent."""
        return sum(0.001 * call["output"] for call in self.upstream.calls()[since:])

    def spend(self, user: str, *gateways: Gateway, calls: int) -> float:
        """Dollars that the gateways spend on a user who calls them in turn."""
        before = len(self.upstream.calls())
        for _ in range(calls):
            for gateway in gateways:
                assert gateway.chat(self.token, user=user).status_code in (200, 429)
            if self.spent(before) > BUDGET - CALL:
                break
        return self.spent(before)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    root = tmp_path_factory.mktemp("two")
    with Rehearsal(root / "upstream", {"output_tokens": TOKENS, "first_token": 0.01}) as upstream:
        config = configuration(root, upstream.url, POLICY, output_price=1000)
        with Install(root, config=config) as local:
            local.said("control ")
            local.freeze("triage")
            yield Two(root, local, upstream, local.key("app"))


def test_a_gateway_that_joins_has_what_is_left_and_no_budget_of_its_own(two: Two) -> None:
    before = two.spend("ada", two.local, calls=25)
    assert 0.2 < before < 0.3
    with Joined(two.root, two.control, "a", workers=NEWCOMERS) as a:
        a.said("gateway http")
        all_current(two.local)
        total = before + two.spend("ada", a, calls=200)
        for _ in range(20):
            a.chat(two.token, user="ada")
            two.local.chat(two.token, user="ada")
        assert 0.9 * BUDGET < total <= BUDGET + FIRST_CALLS


def test_a_user_of_both_spends_one_budget(two: Two) -> None:
    with Joined(two.root, two.control, "a", workers=NEWCOMERS) as a:
        a.said("gateway http")
        all_current(two.local)
        assert 0.9 * BUDGET < two.spend("bob", a, two.local, calls=150) <= BUDGET + FIRST_CALLS


def test_a_gateway_that_is_stopped_holds_nothing_back_and_gets_nothing_twice(two: Two) -> None:
    before = len(two.upstream.calls())
    with Joined(two.root, two.control, "a", workers=NEWCOMERS) as a:
        a.said("gateway http")
        all_current(two.local)
        for _ in range(4):
            a.chat(two.token, user="cyd")
        assert a.stop() == 0
    two.spend("cyd", two.local, calls=300)
    assert 0.9 * BUDGET < two.spent(before) <= BUDGET + FIRST_CALLS
    control = two.local.pid("control")
    assert control is not None
    os.kill(control, signal.SIGSTOP)  # nobody lends
    try:
        with Joined(two.root, two.control, "a", workers=NEWCOMERS) as again:
            again.said("gateway http")
            for _ in range(10):
                again.chat(two.token, user="cyd")
            assert two.spent(before) <= BUDGET + FIRST_CALLS
    finally:
        os.kill(control, signal.SIGCONT)
