"""JSON that is well formed and of another shape than the schema asks for."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer('{"unexpected": true}')


DRILL = Drill(
    says="The provider answers with JSON that violates the schema.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=rule("gateway.checks.structure:SchemaCheck.faults"),
    needs=("schema",),
    wait=Wait(2),
    attempts=3,
)
