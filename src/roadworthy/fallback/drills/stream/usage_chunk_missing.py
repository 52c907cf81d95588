"""A stream that does not say what it cost: unknown is not nothing."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    for piece in call.pieces():
        await call.say(piece)
    await call.end(usage=None)
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider leaves the usage chunk out of its stream.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("gateway.limits.pricing:charge_estimate"),
    asked="stream",
    wait=Wait(1),
    attempts=1,
)
