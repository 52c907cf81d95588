"""Status 200 and nothing else."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.reply(200, b"")


DRILL = Drill(
    says="The provider answers 200 with an empty body.",
    fault=fault,
    failure="invalid",
    guard=step("invalid"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
