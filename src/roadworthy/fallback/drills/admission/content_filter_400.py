"""A prompt that the provider's filter withholds: never a reason to ask a laxer model."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    error = {
        "message": "The response was filtered due to the prompt triggering our content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
    await call.reply(400, {"error": error})


DRILL = Drill(
    says="The provider answers 400: its content filter withheld the answer.",
    fault=fault,
    failure="refused",
    guard=rule("adapters.providers.refusals:failure_of"),
    wait=Wait(2),
    attempts=2,
)
