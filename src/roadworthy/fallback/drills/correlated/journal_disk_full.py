"""The disk under the journal is full; what was held back for this hour is given to it."""

from roadworthy.fallback.drills.kit import CLEAN, Copy, Drill, Seen, Wait, rule


async def scene(copy: Copy) -> Seen:
    await copy.fill_journal()
    return await copy.ask()


DRILL = Drill(
    says="The disk that holds the journal is full.",
    scene=scene,
    failure=None,
    right=CLEAN,
    guard=rule("gateway.journal:_Reserve.give_back"),
    wait=Wait(2),
    attempts=1,
)
