"""An answer that the provider's filter took back."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer(message={"content": None, "tool_calls": None}, finish="content_filter")


DRILL = Drill(
    says="The provider's content filter withholds the answer that it has begun.",
    fault=fault,
    failure="refused",
    guard=rule("gateway.verdict:judge_end"),
    wait=Wait(2),
    attempts=2,
)
