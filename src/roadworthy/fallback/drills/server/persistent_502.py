"""A load balancer with nobody behind it."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    await call.reply(502, "upstream connect error or disconnect/reset before headers", kind="text/plain")


DRILL = Drill(
    says="The provider's load balancer answers 502 to every call, in plain text.",
    fault=fault,
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
