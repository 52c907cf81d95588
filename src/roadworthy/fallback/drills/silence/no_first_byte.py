"""A provider that takes the call and says nothing for two minutes."""

from roadworthy.fallback.drills.kit import DEADLINE, Drill, Exchange, clock


async def fault(call: Exchange) -> None:
    await call.silence(120)


DRILL = Drill(
    says="The provider accepts the call and stays silent for two minutes.",
    fault=fault,
    failure="slow",
    guard=clock("total"),
    wait=DEADLINE,
    attempts=3,
    asked="whole",
    needs=(),
)
