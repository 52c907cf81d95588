"""The provider's 429 that does not say when to come again: our own backoff decides."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.refuse(429, "Too many requests.", code="rate_limit_exceeded")


DRILL = Drill(
    says="The provider answers 429 twice without a Retry-After and is well again.",
    fault=fault,
    times=2,
    failure="overlimit",
    guard=step("overlimit"),
    needs=(),
    wait=Wait(4),
    attempts=3,
)
