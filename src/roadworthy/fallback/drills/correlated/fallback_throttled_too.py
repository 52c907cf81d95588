"""The first target is down and everybody flees to the second one, which is throttled."""

from roadworthy.fallback.drills.kit import Copy, Drill, Exchange, Seen, Wait, step


async def down(call: Exchange) -> None:
    await call.refuse(503, "Everything is on fire.")


async def throttled(call: Exchange) -> None:
    await call.refuse(429, "Rate limit reached.", code="rate_limit_exceeded", headers={"retry-after": "3600"})


async def scene(copy: Copy) -> Seen:
    copy.targets(down)
    copy.targets(throttled, copy.others)
    return await copy.ask()


DRILL = Drill(
    says="The first target answers 503, and the others answer 429 and want an hour's patience.",
    scene=scene,
    everywhere=True,
    failure="unavailable",
    elsewhere="overlimit",
    guard=step("overlimit"),
    needs=("chat", "fallback"),
    wait=Wait(5),
    attempts=6,
)
