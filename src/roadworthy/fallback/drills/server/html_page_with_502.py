"""An error page for people, from something between us and the model."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    page = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
    await call.reply(502, page, kind="text/html")


DRILL = Drill(
    says="Something before the provider answers 502 with an HTML page.",
    fault=fault,
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
