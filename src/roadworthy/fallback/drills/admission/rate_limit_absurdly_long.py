"""The provider's 429 with a Retry-After of a day: no customer waits so long."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.refuse(429, "Rate limit reached.", code="rate_limit_exceeded", headers={"retry-after": "86400"})


DRILL = Drill(
    says="The provider answers 429 to every call and asks for a day's patience.",
    fault=fault,
    retry_after=86400.0,
    failure="overlimit",
    guard=rule("fallback.rules:in_time"),
    needs=(),
    wait=Wait(2),
    attempts=2,
)
