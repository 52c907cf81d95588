"""An answer that was finished and says nothing: it must not pass for one."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer(message={"content": None})


DRILL = Drill(
    says="The provider's answer has null for its content.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=rule("gateway.verdict:judge_end"),
    needs=("text",),
    wait=Wait(2),
    attempts=2,
)
