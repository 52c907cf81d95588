"""A key that may not do what it is used for."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.refuse(403, "Your project does not have access to this model.", code="model_not_allowed")


DRILL = Drill(
    says="The provider answers 403: our key may not use this model.",
    fault=fault,
    failure="misconfigured",
    guard=step("misconfigured"),
    needs=("chat",),
    wait=Wait(2),
    attempts=2,
    told="alert",
)
