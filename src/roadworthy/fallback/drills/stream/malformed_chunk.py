"""A chunk that cannot be read: who skips it serves an answer with a hole."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    for at, piece in enumerate(call.pieces()):
        whole = call.chunk({"content": piece})
        await call.write(whole if at != 2 else whole.replace(b'"delta"', b'"del\x00', 1))
    await call.end()


DRILL = Drill(
    says="The provider garbles a chunk in the middle of its stream.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=rule("adapters.providers.openai:OpenAIEvents._chunk"),
    asked="stream",
    committed=True,
    wait=Wait(2),
    attempts=2,
)
