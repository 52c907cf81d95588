"""Good JSON wrapped in prose, as chatty models do."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, setting


async def fault(call: Exchange) -> None:
    await call.answer(f"Sure! Here is the JSON:\n```json\n{call.text}\n```\nAnything else?")


DRILL = Drill(
    says="The provider wraps its JSON in prose.",
    fault=fault,
    failure=None,
    right=frozenset({"recovered"}),
    guard=setting("repair_json"),
    needs=("schema",),
    wait=Wait(1),
    attempts=1,
)
