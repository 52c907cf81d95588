"""A prompt that the provider's filter withholds: never a reason to ask a laxer model."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    message = "The response was filtered due to the prompt triggering our content management policy."
    inner = {"code": "ResponsibleAIPolicyViolation"}
    await call.refuse(400, message, code="content_filter", type=None, param="prompt", innererror=inner)


DRILL = Drill(
    says="The provider answers 400: its content filter withheld the answer.",
    fault=fault,
    failure="refused",
    guard=rule("adapters.providers.refusals:failure_of"),
    wait=Wait(2),
    attempts=2,
)
