"""The provider's 429 for as long as anybody asks: who goes on asking makes it worse."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.refuse(429, "Rate limit reached.", code="rate_limit_exceeded")


DRILL = Drill(
    says="The provider answers 429 to every call.",
    fault=fault,
    failure="overlimit",
    guard=rule("fallback.rules:_progress"),
    needs=(),
    wait=Wait(4),
    attempts=4,
)
