"""A provider that has said everything and leaves the connection hanging."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    for piece in call.pieces():
        await call.say(piece)
    for made in call.ending():
        await call.write(made)
    call.sent.good, call.sent.text = True, call.text
    await call.silence(30)


DRILL = Drill(
    says="The provider ends its stream with [DONE] and does not end the body.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("gateway.streaming.live:LiveStream._close_soon"),
    asked="stream",
    needs=("stream",),
    wait=Wait(1),
    attempts=1,
)
