"""A call of a tool with arguments that cannot be read."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer("{look it up, please}")


DRILL = Drill(
    says="The model calls a tool with arguments that are not JSON.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=rule("gateway.checks.structure:ToolCheck.faults"),
    wires=("chat", "responses"),  # Messages tells them as an object
    needs=("tools",),
    wait=Wait(2),
    attempts=3,
)
