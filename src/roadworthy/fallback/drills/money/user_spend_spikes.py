"""One user who spends faster than all others."""

from roadworthy.fallback.drills.kit import Budget, Budgets, Conditions, Drill, Exchange, Price, Wait, budget


async def fault(call: Exchange) -> None:
    await call.good()


DRILL = Drill(
    says="Every call costs a dollar, and one user calls three times on a day for which two and a half are granted.",
    fault=fault,
    failure="overspent",
    right=frozenset({"limited", "canned", "cached", "escalated"}),
    guard=budget("user"),
    needs=(),
    wait=Wait(1),
    attempts=1,
    told="alert",
    role="cost",
    noted="budget:user:day",
    conditions=Conditions(price=Price(0.0, 0.0, per_request=1.0), budgets=Budgets(user=Budget(day=2.5))),
    before=2,
)
