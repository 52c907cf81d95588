"""A provider that is there and never accepts."""

from roadworthy.fallback.drills.kit import Drill, Wait, clock

DRILL = Drill(
    says="The provider's address takes no connection and refuses none.",
    fault="deaf",
    failure="unavailable",
    guard=clock("connect"),
    needs=(),
    wait=Wait(3, connect=3),
    attempts=4,
)
