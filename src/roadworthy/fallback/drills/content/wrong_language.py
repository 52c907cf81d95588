"""A model that falls into another language than the workflow speaks."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, check


async def fault(call: Exchange) -> None:
    await call.answer(call.worded(call.breaking["language"]))


DRILL = Drill(
    says="The model answers once in a language that the workflow does not allow.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=check("language"),
    needs=("words",),
    wait=Wait(2),
    attempts=2,
)
