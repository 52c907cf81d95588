"""Nobody listens at the provider's address."""

from roadworthy.fallback.drills.kit import Drill, Wait, step

DRILL = Drill(
    says="The provider's address refuses connections.",
    fault="closed",
    failure="unavailable",
    guard=step("unavailable"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
