"""A provider that is overloaded for as long as anybody asks."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.refuse(503, "The engine is currently overloaded, please try again later.")


DRILL = Drill(
    says="The provider answers 503 to every call.",
    fault=fault,
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
