"""A model that promises what the workflow's own rules forbid."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, check


async def fault(call: Exchange) -> None:
    await call.answer(call.worded(call.breaking["forbidden"]))


DRILL = Drill(
    says="The model promises what the workflow's policy forbids.",
    fault=fault,
    failure="unsafe",
    guard=check("forbidden"),
    needs=("words",),
    wait=Wait(2),
    attempts=1,
    told="incident",
)
