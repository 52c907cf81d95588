"""An answer that stops in its middle, on a connection that stays open."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, clock


async def fault(call: Exchange) -> None:
    if call.stream:
        await call.begin()
        for piece in call.pieces()[:2]:
            await call.say(piece)
    else:
        await call.head(200, length=2000)
        await call.write(b'{"id": "chatcmpl-1", "object": "chat.completion", "choices": [')
    await call.silence()


DRILL = Drill(
    says="The provider falls silent in the middle of its answer.",
    fault=fault,
    times=1,
    failure="slow",
    guard=clock("idle"),
    committed=True,
    wait=Wait(1, idle=1),
    attempts=2,
)
