"""A connection that breaks when the answer was promised."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.head(
        200, length=None if call.stream else 500, kind="text/event-stream" if call.stream else "application/json"
    )
    await call.silence(0.05)
    call.reset()


DRILL = Drill(
    says="The provider sends the headers of its answer once and breaks the connection.",
    fault=fault,
    times=1,
    failure="truncated",
    guard=step("truncated"),
    wait=Wait(2),
    attempts=2,
)
