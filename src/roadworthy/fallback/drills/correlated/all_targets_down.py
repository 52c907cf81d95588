"""Every provider is down at once."""

from roadworthy.fallback.drills.kit import Copy, Drill, Exchange, Seen, Wait, step


async def down(call: Exchange) -> None:
    await call.refuse(503, "Everything is on fire.")


async def scene(copy: Copy) -> Seen:
    copy.targets(down)
    return await copy.ask()


DRILL = Drill(
    says="Every target answers 503.",
    scene=scene,
    everywhere=True,
    failure="unavailable",
    guard=step("unavailable"),
    wait=Wait(5),
    attempts=6,
)
