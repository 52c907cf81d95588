"""A provider that is broken for as long as anybody asks."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.refuse(500, "The server had an error while processing your request. Sorry about that!")


DRILL = Drill(
    says="The provider answers 500 to every call.",
    fault=fault,
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
