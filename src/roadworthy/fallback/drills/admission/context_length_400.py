"""A request that is longer than the model can read: its caller must know, nobody else can mend it."""

from roadworthy.fallback.drills.kit import MENDED, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    message = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    await call.refuse(400, message, code="context_length_exceeded")


DRILL = Drill(
    says="The provider answers 400: the request is longer than the model can read.",
    fault=fault,
    failure="context_length",
    guard=rule("adapters.providers.refusals:failure_of"),
    right=MENDED | {"error"},
    needs=(),
    wait=Wait(2),
    attempts=2,
)
