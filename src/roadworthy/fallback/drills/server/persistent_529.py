"""A provider that is overloaded and says so with a status of its own."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.refuse(529, "Overloaded")


DRILL = Drill(
    says="The provider answers 529, a status of its own, to every call.",
    fault=fault,
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
