"""A model that was retired, or whose name was mistyped."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    model = call.request.get("model")
    await call.refuse(
        404, f"The model `{model}` does not exist or you do not have access to it.", code="model_not_found"
    )


DRILL = Drill(
    says="The provider answers 404: it knows no such model.",
    fault=fault,
    failure="misconfigured",
    guard=rule("adapters.providers.refusals:failure_of"),
    needs=(),
    wait=Wait(2),
    attempts=2,
    told="alert",
)
