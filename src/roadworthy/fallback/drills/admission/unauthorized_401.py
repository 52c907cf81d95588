"""A key that the provider does not know: asking again changes nothing, somebody must be told."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.refuse(401, "Incorrect API key provided.", code="invalid_api_key")


DRILL = Drill(
    says="The provider answers 401 to our key.",
    fault=fault,
    failure="misconfigured",
    guard=rule("adapters.providers.refusals:failure_of"),
    needs=(),
    wait=Wait(2),
    attempts=2,
    told="alert",
)
