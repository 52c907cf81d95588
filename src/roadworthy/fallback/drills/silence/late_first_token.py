"""A provider that shows signs of life at once and its first word far too late."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, clock


async def fault(call: Exchange) -> None:
    await call.head(200, kind="text/event-stream" if call.stream else "application/json")
    while True:
        await call.write(b": keep-alive\n\n" if call.stream else b"\n")
        await call.silence(call.beat)


DRILL = Drill(
    says="The provider keeps a call alive with comments and empty lines, and its first token does not come.",
    fault=fault,
    times=1,
    failure="slow",
    guard=clock("first_token"),
    wait=Wait(1, total=1),
    attempts=2,
    needs=(),
)
