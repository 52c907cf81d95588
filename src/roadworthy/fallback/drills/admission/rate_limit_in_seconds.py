"""The provider's 429 with a Retry-After that can be waited for."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.refuse(429, "Rate limit reached.", code="rate_limit_exceeded", headers={"retry-after": "1"})


DRILL = Drill(
    says="The provider answers 429 once and asks for a second's patience.",
    fault=fault,
    times=1,
    retry_after=1.0,
    failure="overlimit",
    guard=step("overlimit"),
    needs=(),
    wait=Wait(3),
    attempts=2,
)
