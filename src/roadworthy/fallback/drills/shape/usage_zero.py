"""An answer that is said to have taken no tokens: nothing costs nothing."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider reports a usage of zero.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("adapters.providers.openai_shape:tokens_of"),
    needs=(),
    wait=Wait(1),
    attempts=1,
)
