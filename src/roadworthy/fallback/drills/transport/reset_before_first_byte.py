"""A connection that breaks before a byte of the answer came."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    call.reset()


DRILL = Drill(
    says="The provider breaks the connection once before it answers.",
    fault=fault,
    times=1,
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(2),
    attempts=2,
)
