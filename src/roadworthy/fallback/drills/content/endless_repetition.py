"""A model that has lost its thread and says the same until its tokens are used up."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, check


async def fault(call: Exchange) -> None:
    await call.answer("We are looking into your order for you. " * 200)


DRILL = Drill(
    says="The model repeats one sentence over and over, once.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=check("repetition"),
    needs=("text",),
    wait=Wait(2),
    attempts=2,
)
