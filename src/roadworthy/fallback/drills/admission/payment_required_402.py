"""A bill that nobody paid."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.refuse(402, "Insufficient balance.", code="insufficient_balance")


DRILL = Drill(
    says="The provider answers 402 until its bill is paid.",
    fault=fault,
    failure="misconfigured",
    guard=step("misconfigured"),
    needs=("chat",),
    wait=Wait(2),
    attempts=2,
    told="alert",
)
