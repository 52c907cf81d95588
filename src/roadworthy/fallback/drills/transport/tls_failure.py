"""Somebody in the provider's place whose certificate nobody vouches for."""

from roadworthy.fallback.drills.kit import Drill, Wait, rule

DRILL = Drill(
    says="The provider's certificate is not to be trusted.",
    fault="untrusted",
    failure="unavailable",
    guard=rule("http1.origin:default_tls"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
