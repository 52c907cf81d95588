"""The immutable picture of the world that a gateway serves from.

Control writes it (one JSON file, atomic rename, last good kept on disk); a gateway reads it and never asks a
database.  It holds the *names* of secrets, never secrets.  The format may skew by one version between the
process that writes and the one that reads: fields are only ever added, with defaults.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.kill_switch.model import State
from roadworthy.workflow.model import (
    ApiKey,
    Budget,
    Enforcement,
    Policy,
    Price,
    RedactionRule,
    Release,
    Target,
)

SNAPSHOT_FORMAT = 1


class Later(msgspec.Struct, frozen=True, gc=False):
    """What the evidence allows from an instant on, should control never be heard of again."""

    at: float
    share: float
    """Largest share of live traffic."""


class Ramp(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much of the live traffic a release gets, as control decided it from its rollout and its evidence."""

    share: float
    """In [0, 1]; 0: testers only."""
    stage: str = ""
    """Of its rollout, as people call it; ``frozen``: no rollout was begun."""
    epoch: int = 0
    """Sessions that began under an earlier one keep nothing."""
    drafts: bool = False
    """Live calls get a draft that only a person can send."""
    later: list[Later] = []
    """Rising instants at which evidence lapses; each share is below the one before."""


class ServedWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One workflow as the gateway sees it.

    A live user at position p (``workflow.shares``) gets ``release`` when p is inside ``ramp.share``, else ``previous``
    when p is inside ``previous_ramp.share``, else the bypass: under ``enforce``, and only what has a receipt.  Under
    ``observe`` everybody gets ``release`` (or the passthrough), and what would have happened is recorded.
    """

    name: str
    team: str
    enforcement: Enforcement
    policy: Policy
    release: str | None = None
    """Digest to serve; ``None``: passed through (``passthrough``) or, without that either, not served yet."""
    passthrough: str | None = None
    """Name of the target for calls of an adopted workflow without a release."""
    check_sources: dict[str, str] = {}
    """Python files of the release's own checks: path (``checks/tone.py``) → text."""
    ramp: Ramp | None = None
    """Of ``release``; ``None``: nobody decided one, which under ``enforce`` is testers only."""
    previous: str | None = None
    """Digest of the release before, for whoever is outside the ramp; ``None``: the bypass."""
    previous_ramp: Ramp | None = None
    """``None``: as far as its receipt allows."""
    previous_sources: dict[str, str] = {}
    """``check_sources`` of ``previous``."""
    pilot: float = 0.01
    """Share of a pilot: what a receipt that lapsed long ago, or could not decide, leaves."""
    published_at: dict[str, float] = {}
    """Behaviour digest → when an example set or scorer was published that its gate did not know."""
    critical: int = 0
    """Critical examples of its published set: with some, a ladder uses no other target than the ones that passed."""


class Stopped(msgspec.Struct, frozen=True, omit_defaults=True):
    """The kill switch of one workflow, or of all, as control tells it to gateways."""

    state: State
    seq: int = 0
    """Rises with every change; a gateway confirms it."""
    at: float = 0.0
    streams: Literal["drain", "cut"] = "drain"
    """What becomes of answers under way."""


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a target is reached now.  Local and simulated targets move with every start."""

    url: str
    """Base URL with version path, e.g. ``http://127.0.0.1:40313/v1`` or ``https://api.openai.com/v1``."""
    trusted: bool = False
    """Launched by this install: may be loopback without ``allow_private``."""


class Reserved(msgspec.Struct, frozen=True, omit_defaults=True):
    """Workflows of ours that only a drill's permit reaches (``workflow/reserved.py``): whoever goes through the
    workflows of a snapshot never meets them."""

    workflows: dict[str, ServedWorkflow]
    releases: dict[str, Release]
    targets: dict[str, Target]


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    format: int
    epoch: int
    """Fencing epoch of the control that wrote it."""
    seq: int
    """Rises by one with every publication of an epoch."""
    made_at: float
    workflows: dict[str, ServedWorkflow]
    releases: dict[str, Release]
    targets: dict[str, Target]
    endpoints: dict[str, Endpoint]
    """Target name → endpoint.  A target without one is down: ``unavailable``."""
    prices: dict[str, Price]
    """Target name → price.  A target without one has an unknown price."""
    keys: dict[str, ApiKey]
    """Hex HMAC of the token → key; revoked keys are left out."""
    model_prices: dict[str, dict[str, Price]] = {}
    """Name of a target that passes on whatever model is asked for → what the models of its provider cost.  A name
    that ends in ``*`` stands for all that begin so."""
    redaction: list[RedactionRule] = []
    disk_full: str = "bypass"
    proxy: str | None = None
    permit_keys: list[str] = []
    """Public keys, of which one must have signed a permit."""
    timezone: str = "UTC"
    """In whose calendar days and months budgets are counted."""
    team_budgets: dict[str, Budget] = {}
    code: dict[str, dict[str, str]] = {}
    """Hash → Python files (path → text) of the checks of releases that only a permit reaches."""
    receipts: list[str] = []
    """Sealed (``rwr-…``), of the behaviours of ``releases``."""
    revocations: list[str] = []
    """Sealed (``rwx-…``)."""
    waivers: list[str] = []
    """Sealed (``rww-…``) waivers of enforcement: without one ``observe`` is ``enforce``."""
    kill: dict[str, Stopped] = {}
    """Workflow or ``*`` → its switch as control knew it; those that are on and were never touched are left out."""
    reserved: Reserved | None = None
    """``None``: written by a control that knows of none."""


def frozen_name(target: str) -> str:
    """Name of a target as its release was frozen with it: one that was configured otherwise since is served beside its
    successor, as ``name@v3``."""
    return target.partition("@")[0]


class SnapshotRefused(Exception):
    """The file is not a snapshot that this gateway can serve; the last good one stays in force."""


_decoder = msgspec.json.Decoder(Snapshot)


def encode(snapshot: Snapshot) -> bytes:
    return msgspec.json.encode(snapshot)


def decode(data: bytes) -> Snapshot:
    """Parse and vet a snapshot.

    Raises ``SnapshotRefused`` for malformed data, for a format more than one version away, and for a
    workflow whose release or passthrough target the snapshot does not hold.
    """
    try:
        snapshot = _decoder.decode(data)
    except (ValueError, RecursionError) as error:  # msgspec's errors, and what is not UTF-8, are ValueErrors
        raise SnapshotRefused(f"not a snapshot: {error}") from error
    if abs(snapshot.format - SNAPSHOT_FORMAT) > 1:
        raise SnapshotRefused(
            f"snapshot format {snapshot.format} is too far from this gateway's {SNAPSHOT_FORMAT}: "
            "run the same version of Roadworthy for control and gateway"
        )
    for workflow in snapshot.workflows.values():
        for digest in (workflow.release, workflow.previous):
            if digest is not None and digest not in snapshot.releases:
                raise SnapshotRefused(f"workflow {workflow.name}: release {digest} is not in the snapshot")
        if workflow.passthrough is not None and workflow.passthrough not in snapshot.targets:
            raise SnapshotRefused(f"workflow {workflow.name}: target {workflow.passthrough} is not in the snapshot")
    return snapshot
