"""A bad answer that was paid for, and no money left for another one."""

from roadworthy.fallback.drills.kit import Budgets, Conditions, Drill, Exchange, Price, Wait, budget


async def fault(call: Exchange) -> None:
    await call.answer(message={"content": None, "tool_calls": None})


DRILL = Drill(
    says="The provider charges a dollar for an answer without content, and the call may cost one and a half.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=budget("inference"),
    wait=Wait(1),
    attempts=1,
    told="alert",
    role="cost",
    noted="budget:inference",
    conditions=Conditions(price=Price(0.0, 0.0, per_request=1.0), budgets=Budgets(inference=1.5)),
)
