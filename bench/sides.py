"""What enforcement costs a call: ``python bench/sides.py``.

Times the decision which side of a workflow a call gets, on one core, for every kind of share.
"""

from __future__ import annotations

import time
from typing import cast

from roadworthy.evidence.receipt.model import Receipt
from roadworthy.gateway.admission.routing import Router
from roadworthy.gateway.admission.sessions import Sessions
from roadworthy.gateway.admission.sides import Candidate, Flow
from roadworthy.gateway.call import Call, Trace
from roadworthy.gateway.messages import Request
from roadworthy.gateway.world import ServedKey, Serving
from roadworthy.workflow.model import ApiKey
from roadworthy.workflow.shares import Places

ROUNDS = 100_000
DAY = 86_400.0


def candidate(digest: str, share: float, now: float) -> Candidate:
    passed = Receipt(
        id="rcp", team="default", workflow="support", behaviour=digest, verdict="PASS", floors_met=True, evidence="evd",
        run="run", epoch=1, issued=now - DAY, expires=now + 30 * DAY,
    )  # fmt: skip
    return Candidate(digest, digest, share, "stage", 1, receipt=passed)


def measure(share: float, *, observed: bool = False, sessions: bool = False) -> float:
    """Nanoseconds a call, every call another user's."""
    now = time.time()
    flow = Flow("support", candidate("new", share, now), candidate("old", 1.0, now), observed=observed)
    router = Router(flow, cast(Serving, None), {}, Places("salt", "support"), Sessions())
    key = ServedKey(ApiKey("key_1", "h", "web", "default", ["*"]), {})
    request, trace = Request("POST", "/", "", [], b"", ""), Trace(None, 1)
    calls = []
    for number in range(ROUNDS):
        call = Call("inf_" + "0" * 32, now, 0.0, request, key, trace)
        call.unit = f"user-{number}"
        call.session = f"session-{number % 10_000}" if sessions else None
        calls.append(call)
    begin = time.process_time_ns()
    for call in calls:
        router.side(call)
    return (time.process_time_ns() - begin) / ROUNDS


def main() -> None:
    for name, share, observed, sessions in (
        ("100 %", 1.0, False, False),
        ("testers only", 0.0, False, False),
        ("10 %", 0.1, False, False),
        ("10 %, in a session", 0.1, False, True),
        ("10 %, observed", 0.1, True, False),
    ):
        best = min(measure(share, observed=observed, sessions=sessions) for _ in range(5))
        print(f"{name:<24} {best:7.0f} ns a call")


if __name__ == "__main__":
    main()
