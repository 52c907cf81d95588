"""Control is dead, and a worker dies as well: its successor has nobody to ask what to serve."""

from roadworthy.fallback.drills.kit import CLEAN, Copy, Drill, Seen, Wait, rule


async def scene(copy: Copy) -> Seen:
    await copy.kill_control()
    await copy.kill_gateway()
    return await copy.ask()


DRILL = Drill(
    says="Control is killed, and then the worker: a new one begins with the snapshot on disk.",
    scene=scene,
    failure=None,
    right=CLEAN,
    guard=rule("wiring.gateway:SnapshotFile.load"),
    wait=Wait(2),
    attempts=1,
)
