"""An answer in which nobody says anything."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer(choices=[])


DRILL = Drill(
    says="The provider's answer has no choices.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=rule("gateway.verdict:judge"),
    asked="whole",
    wires=("chat",),
    wait=Wait(2),
    attempts=2,
)
