"""An answer that met its token limit: half of it, or none of it where the model thought all of them away."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    if not call.stream:
        return await call.answer(call.text[: len(call.text) // 2], finish="length")
    await call.begin()
    await call.write(call.chunk({"role": "assistant", "content": "", "reasoning_content": "What did they mean?"}))
    await call.end("length")


DRILL = Drill(
    says="The provider ends its answer at the token limit.",
    fault=fault,
    failure="truncated",
    repeatable=False,
    guard=rule("gateway.verdict:judge_end"),
    wait=Wait(2),
    attempts=3,
)
