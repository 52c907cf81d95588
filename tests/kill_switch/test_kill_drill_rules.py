"""What a press of the kill drill has shown, from what the upstream counted and the callers read."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from roadworthy.evidence.kinds import KillDrill
from roadworthy.kill_switch.drill.model import MARK, At, Attempt, Lane, Press, Streamed
from roadworthy.kill_switch.drill.rules import AT_ITS_END, figures, shown
from roadworthy.kill_switch.drill.upstream import Upstream
from roadworthy.readiness.judging import kill_drill_judged
from roadworthy.workflow.files import read_configuration

AT = 1_000.0
LANES = [Lane(0, "local", "w", "", ""), Lane(1, "local", "w", "", ""), Lane(2, "b", "w", "", "")]


def press(
    streams: str = "drain",
    took: dict[str, float] | None = None,
    attempts: list[Attempt] | None = None,
    ended: list[Streamed] | None = None,
    without: list[str] | None = None,
) -> Press:
    confirmed = {"local": 0.01, "b": 0.02} if took is None else took
    way = "cut" if streams == "cut" else "drain"
    return shown("w", way, AT, confirmed, ["local", "b"], LANES, attempts or [], ended or [], without or [])


def verdict(*presses: Press, missing: tuple[str, ...] = ()) -> tuple[str, str]:
    judged = kill_drill_judged(figures(presses, missing), {})
    return judged.verdict, judged.figure


def test_an_attempt_after_the_acknowledgement_of_its_gateway_is_late() -> None:
    late = press(attempts=[Attempt(0, AT - 0.5), Attempt(1, AT + 0.011), Attempt(2, AT + 0.011)])
    assert late.gateways["local"] == At(0.01, last=late.gateways["local"].last, late=1, attempts=1)
    assert late.gateways["b"].late == 0
    assert verdict(late) == ("FAIL", "attempts after the acknowledgement: 1")


def test_what_is_sent_between_order_and_acknowledgement_counts_into_the_time_to_off() -> None:
    seen = press(took={"local": 0.5, "b": 0.02}, attempts=[Attempt(0, AT + 0.3), Attempt(2, AT + 0.015)])
    assert (seen.gateways["local"].off, seen.gateways["b"].off) == (0.5, 0.02)
    assert verdict(seen)[0] == "PASS"


def test_a_gateway_that_never_confirmed_is_named_and_decides_nothing() -> None:
    assert verdict(press(took={"local": 0.01})) == ("INSUFFICIENT", "never confirmed: b")
    assert verdict(press(), press(took={"local": 0.01}), press()) == ("INSUFFICIENT", "never confirmed: b")
    assert verdict(press(), missing=("c",)) == ("INSUFFICIENT", "never confirmed: c")


def test_a_gateway_that_no_call_came_through_decides_nothing() -> None:
    assert verdict(press(without=["b"])) == ("INSUFFICIENT", "no call came through: b")


def test_more_than_a_minute_to_off_is_a_failure_even_where_another_never_confirmed() -> None:
    assert verdict(press(took={"local": 61.0}))[0] == "FAIL"


def test_streams_under_way_finish_where_they_are_drained() -> None:
    ends = [
        Streamed(0, AT - 1, AT + 1.5, "finished"),
        Streamed(0, AT - 2, AT - 0.1, "finished"),  # was over before
        Streamed(2, AT - 1, AT + 0.1, "error event"),
    ]
    seen = press("drain", ended=ends)
    assert (seen.gateways["local"].drained, seen.gateways["b"].broken) == (1, 1)
    assert verdict(seen) == ("FAIL", "streams under way that ended otherwise than was declared: 1")


def test_streams_under_way_end_with_an_error_event_where_they_are_cut() -> None:
    ends = [
        Streamed(0, AT - 1, AT + 0.05, "error event"),
        Streamed(1, AT - 1.9, AT + 0.01 + AT_ITS_END / 2, "finished"),  # it was at its end anyway
        Streamed(2, AT - 1, AT + 0.1, "error event"),
    ]
    seen = press("cut", ended=ends)
    assert (seen.gateways["local"].cut, seen.gateways["local"].drained, seen.gateways["b"].cut) == (1, 1, 1)
    assert verdict(seen)[0] == "PASS"
    went_on = press("cut", ended=[Streamed(0, AT - 1, AT + 0.02 + AT_ITS_END, "finished")])
    vanished = press("cut", ended=[Streamed(0, AT - 1, AT + 0.02, "broken")])
    assert [went_on.gateways["local"].broken, vanished.gateways["local"].broken] == [1, 1]


def test_figures_hold_the_slowest_of_each_gateway_and_the_median_of_all() -> None:
    made = figures([press(took={"local": 0.1, "b": 0.2}), press(took={"local": 0.3, "b": 0.1})])
    assert made == KillDrill(gateways={"b": 0.2, "local": 0.3}, p50=0.15000000000000002, max=0.3, late_attempts=0,
                             presses=2)  # fmt: skip


def test_a_gateway_that_joined_since_asks_for_a_new_drill_from_then_on() -> None:
    judged = kill_drill_judged(figures([press()]), {"local": 1.0, "b": 2.0, "c": 77.0})
    assert (judged.verdict, judged.until) == ("PASS", 77.0)


def test_a_request_is_stamped_when_it_came_and_not_when_it_was_read() -> None:
    """The upstream process may be busy: it must not make an attempt look late.

    Linux begins to stamp a moment after the first socket asked for it, so the first tries may have no stamp.
    """

    async def counted() -> tuple[list[Attempt], float]:
        found: list[Attempt] = []
        upstream = Upstream(found.append)
        port = upstream.start()
        body = b'{"messages":[{"content":"%bwhole"}]}' % MARK.encode()
        with socket.create_connection(("127.0.0.1", port)) as caller:  # blocks the loop: nothing is read meanwhile
            caller.sendall(b"POST /7/v1/x HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            time.sleep(0.05)
            reading = time.time()
            while not found:
                await asyncio.sleep(0)
        upstream.close()
        return found, reading

    for _ in range(40):
        found, reading = asyncio.run(counted())
        assert [each.lane for each in found] == [7]
        if found[0].at < reading:
            return
    pytest.fail("nothing was stamped when it came")


def test_no_configuration_may_take_a_name_of_the_drills() -> None:
    for name, why in (
        ("kill", "`roadworthy drill kill` is a command of its own"),
        ("roadworthy-drill", "a name that Roadworthy does not use itself"),
        ("roadworthy-drill-cut", "a name that Roadworthy does not use itself"),
    ):
        found = read_configuration({"roadworthy.yaml": "version: 1\n", f"workflows/{name}/workflow.yaml": "{}\n"})
        said = [str(problem) for problem in found.problems]
        assert found.configuration is None
        assert any(f"the folder name '{name}'" in text and why in text and "rename the folder" in text for text in said)
