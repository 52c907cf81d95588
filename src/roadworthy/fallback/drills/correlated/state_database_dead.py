"""The state database is garbage under a control that runs, and a worker dies."""

from roadworthy.fallback.drills.kit import CLEAN, Copy, Drill, Seen, Wait, rule


async def scene(copy: Copy) -> Seen:
    await copy.lose_state()
    await copy.kill_gateway()
    return await copy.ask()


DRILL = Drill(
    says="The state database is overwritten with garbage, and then the worker is killed.",
    scene=scene,
    failure=None,
    right=CLEAN,
    guard=rule("wiring.gateway:SnapshotFile.load"),
    wait=Wait(2),
    attempts=1,
)
