"""A control that has lost its place writes a snapshot from before everything was set up."""

from roadworthy.fallback.drills.kit import CLEAN, Copy, Drill, Seen, Wait, rule


async def scene(copy: Copy) -> Seen:
    await copy.go_back()
    return await copy.ask()


DRILL = Drill(
    says="A snapshot is written that is older than the one in force and knows no workflow.",
    scene=scene,
    failure=None,
    right=CLEAN,
    guard=rule("gateway.admission.proofs:outdated"),
    wait=Wait(2),
    attempts=1,
)
