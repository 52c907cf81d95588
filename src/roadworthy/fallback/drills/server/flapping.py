"""A provider that is down and up and down again: every other call fails."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    if call.number % 2:
        await call.refuse(503, "The engine is currently overloaded, please try again later.")
    else:
        await call.good()


DRILL = Drill(
    says="The provider fails every other call.",
    fault=fault,
    failure="unavailable",
    guard=step("unavailable"),
    right=frozenset({"recovered"}),
    needs=(),
    wait=Wait(2),
    attempts=2,
    before=2,
)
