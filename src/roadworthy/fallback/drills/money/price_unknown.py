"""A model that nobody knows the price of: its cost is unknown, which is not nothing."""

from roadworthy.fallback.drills.kit import CLEAN, Conditions, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.good()


DRILL = Drill(
    says="The provider answers, and nobody knows what its model costs.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("cost.rules:settle"),
    needs=(),
    wait=Wait(1),
    attempts=1,
    told="alert",
    role="cost",
    conditions=Conditions(unpriced=True),
)
