"""A provider that takes the call and says nothing for two minutes."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, clock


async def fault(call: Exchange) -> None:
    await call.silence(120)


DRILL = Drill(
    says="The provider accepts a call and stays silent for two minutes.",
    fault=fault,
    times=1,
    failure="slow",
    guard=clock("first_token"),
    wait=Wait(1, total=1),
    attempts=2,
    needs=(),
)
