"""One 500, then a healthy provider."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.refuse(500, "The server had an error while processing your request.")


DRILL = Drill(
    says="The provider answers 500 once and is well again.",
    fault=fault,
    times=1,
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(2),
    attempts=2,
)
