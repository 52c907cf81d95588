"""A kept connection that the provider closes at the very moment in which we use it."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    if call.kept:
        call.cut()
    else:
        await call.good()


DRILL = Drill(
    says="The provider closes a kept connection just when a call is sent on it.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("http1.client:unheard"),
    needs=(),
    wait=Wait(1),
    attempts=1,
    before=1,
)
