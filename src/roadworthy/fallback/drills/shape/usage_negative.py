"""A usage below zero: a budget that believed it would grow."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer(usage={"prompt_tokens": -20, "completion_tokens": -10, "total_tokens": -30})
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider reports a negative usage.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("adapters.providers.openai_shape:tokens_of"),
    needs=(),
    wait=Wait(1),
    attempts=1,
)
