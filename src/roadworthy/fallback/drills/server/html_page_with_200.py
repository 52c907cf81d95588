"""A page for people where a program asked, from something between us and the model."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    page = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Please sign in</h1></body></html>"
    await call.reply(200, page, kind="text/html; charset=utf-8")


DRILL = Drill(
    says="Something before the provider answers 200 with an HTML page.",
    fault=fault,
    failure="invalid",
    guard=step("invalid"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
