"""The reserved workflows of the kill drill, as every snapshot holds them.

They serve like any other: a ladder with retries, a hedge, streams passed through.  Their one target has no endpoint;
a drill's permit says what stands for it.  Its breaker and limit never come between: what must end the attempts of a
stopped workflow is the kill switch alone.
"""

from __future__ import annotations

from typing import Final

from roadworthy.gateway.snapshot import Reserved, ServedWorkflow
from roadworthy.workflow.digest import release as release_of
from roadworthy.workflow.model import (
    DEFAULT_TEAM,
    Behaviour,
    Breaker,
    Canned,
    Clocks,
    Handling,
    Hedge,
    KillPolicy,
    Policy,
    Release,
    Step,
    Target,
    TargetIdentity,
    TargetLimits,
)
from roadworthy.workflow.reserved import DRILLED

TARGET: Final = "drill"
HEDGE_AFTER: Final = 0.15
"""Seconds without a first token after which a second attempt is made."""
BACKOFF: Final = 0.3
"""Seconds before the first retry; the others double it."""
RETRIES: Final = 3

_TARGET: Final = Target(
    TARGET, "openai", "drill", limits=TargetLimits(adaptive=False), breaker=Breaker(share=1.0, calls=1_000_000)
)
_BEHAVIOUR: Final = Behaviour("chat", None, TARGET, {TARGET: TargetIdentity("openai", "drill", "drill.invalid")})
_HANDLING: Final = Handling(
    ladder={
        "unavailable": [Step("retry", times=RETRIES, backoff=BACKOFF), Step("canned")],
        "slow": [Step("retry"), Step("canned")],
        "throttled": [Step("canned")],
    },
    canned=Canned("This is no answer of a model."),
    clocks=Clocks(connect=2.0, first_token=5.0, idle=5.0, total=10.0),
    deadline=15.0,
    hedge=Hedge(after=HEDGE_AFTER, share=1.0),
)


def _reserved() -> Reserved:
    releases = {name: release_of(name, _BEHAVIOUR, _HANDLING) for name in DRILLED}
    return Reserved(
        workflows={name: _served(name, releases[name]) for name in DRILLED},
        releases={release.digest: release for release in releases.values()},
        targets={TARGET: _TARGET},
    )


def _served(name: str, release: Release) -> ServedWorkflow:
    policy = Policy(kill=KillPolicy(streams=DRILLED[name]))
    return ServedWorkflow(name, DEFAULT_TEAM, "enforce", policy, release=release.digest)


RESERVED: Final = _reserved()
