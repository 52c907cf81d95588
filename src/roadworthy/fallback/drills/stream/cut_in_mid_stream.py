"""A stream that breaks off after half of the answer."""

from roadworthy.fallback.drills.kit import Drill, Exchange, setting


async def fault(call: Exchange) -> None:
    await call.begin()
    for piece in call.pieces()[:2]:
        await call.say(piece)
    call.cut()


DRILL = Drill(
    says="The provider closes the connection in the middle of a stream.",
    fault=fault,
    times=1,
    failure="truncated",
    guard=setting("continuation"),
    right=frozenset({"recovered"}),
    asked="stream",
    committed=True,
    needs=("text", "stream", "continuation"),
    attempts=2,
)
