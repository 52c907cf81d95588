"""An answer that does not say what it cost: unknown is not nothing."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer(usage=None)
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider reports no usage.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("gateway.limits.pricing:charge_estimate"),
    needs=(),
    wait=Wait(1),
    attempts=1,
)
