"""A load balancer whose patience with the model is over."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.reply(504, "upstream request timeout", kind="text/plain")


DRILL = Drill(
    says="The provider's load balancer answers 504 to every call, in plain text.",
    fault=fault,
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
