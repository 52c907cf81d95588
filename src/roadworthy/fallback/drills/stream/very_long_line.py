"""A line without an end: what is kept of it must be bounded."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule

MEGABYTES = 6


async def fault(call: Exchange) -> None:
    await call.begin()
    first, *rest = call.pieces()
    await call.say(first)
    await call.write(b'data: {"type": "ping", "padding": "')
    for _ in range(MEGABYTES):
        await call.write(b" " * (1 << 20))
    await call.write(b'", "choices": []}\n\n')
    for piece in rest:
        await call.say(piece)
    await call.end()


DRILL = Drill(
    says="The provider sends a line of megabytes in the middle of its stream.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=rule("adapters.providers.common:split_events"),
    asked="stream",
    committed=True,
    wait=Wait(2),
    attempts=2,
)
