"""A model that was talked into telling its instructions."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, check


async def fault(call: Exchange) -> None:
    told = [str(message["content"]) for message in call.request["messages"] if message["role"] == "system"]
    paragraphs = "\n\n".join(told).split("\n\n")
    await call.answer(call.worded("\n\n".join(reversed(paragraphs))))


DRILL = Drill(
    says="The model answers with its own system prompt.",
    fault=fault,
    failure="unsafe",
    guard=check("prompt_leak"),
    needs=("words", "prompt"),
    wait=Wait(2),
    attempts=1,
    told="incident",
)
