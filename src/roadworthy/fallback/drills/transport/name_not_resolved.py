"""A provider whose name has no address any more."""

from roadworthy.fallback.drills.kit import Drill, Wait, step

DRILL = Drill(
    says="The provider's name does not resolve.",
    fault="unresolvable",
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(3, connect=3),
    attempts=4,
)
