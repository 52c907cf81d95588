"""A model that declines, and says so in the field made for it."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.answer(message={"content": None, "refusal": "I'm sorry, I can't help with that."})


DRILL = Drill(
    says="The model refuses to answer.",
    fault=fault,
    failure="refused",
    guard=step("refused"),
    wait=Wait(2),
    attempts=1,
)
