"""The provider's 429 with a Retry-After that is a date, on a clock that is an hour slow."""

import time
from email.utils import formatdate

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    now = time.time() - 3600
    headers = {"date": formatdate(now, usegmt=True), "retry-after": formatdate(now + 1, usegmt=True)}
    await call.refuse(429, "Rate limit reached.", code="rate_limit_exceeded", headers=headers)


DRILL = Drill(
    says="The provider answers 429 once and names the instant, by its own slow clock, at which to come again.",
    fault=fault,
    times=1,
    retry_after=1.0,
    failure="overlimit",
    guard=rule("adapters.providers.refusals:_date"),
    needs=(),
    wait=Wait(3),
    attempts=2,
)
