"""State → snapshot: the pure rule of what gateways are told.

Joins the configuration in force, the releases, the keys and the endpoints of launched targets.  A served release
keeps the exact models that it was frozen with: when a target was changed in the configuration since, the release is
given the target as it was (named ``main@v3`` after the configuration version that held it) until it is frozen anew.

Who gets a release: under ``enforce`` the share that its ramp has reached and its evidence allows, and nobody without a
ramp; under ``observe`` everybody gets the candidate.  What the evidence will allow later goes along (``Ramp.later``),
so that a share falls in time with control dead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from roadworthy.gateway.ports import ANY_MODEL
from roadworthy.gateway.snapshot import (
    SNAPSHOT_FORMAT,
    Endpoint,
    Later,
    Ramp,
    ServedWorkflow,
    Snapshot,
    Stopped,
)
from roadworthy.operations.drills.drill_workflows import RESERVED
from roadworthy.operations.publication.proofs import Proven
from roadworthy.readiness.model import Published
from roadworthy.readiness.rules import PILOT_SHARE
from roadworthy.rollout.model import DRAFTS, Rollout
from roadworthy.workflow.check_options import python_hash, python_sources
from roadworthy.workflow.draft import target_identity
from roadworthy.workflow.model import (
    ApiKey,
    CheckSpec,
    FrozenRelease,
    Handling,
    Hedge,
    Price,
    Release,
    Step,
    Target,
    TargetIdentity,
    Workflow,
)
from roadworthy.workflow.ports import AppliedConfiguration

T = TypeVar("T", Step, Hedge, CheckSpec)

PriceOf = Callable[[Target], Price | None]
ModelPricesOf = Callable[[Target], dict[str, Price]]
"""What every model of the target's provider costs."""


class Allowed(msgspec.Struct, frozen=True):
    """What the evidence allows one release."""

    share: float = 0.0
    """Of live traffic, now."""
    falls: Sequence[tuple[float, float]] = ()
    """(instant, share from then on): what comes by itself."""
    pilot: float = PILOT_SHARE


class Picture(msgspec.Struct, frozen=True):
    """What a snapshot is made of."""

    configurations: Sequence[AppliedConfiguration]
    """Newest first; the first is in force.  Empty before the first apply.  Older ones only as far as needed."""
    releases: Mapping[str, FrozenRelease]
    """By digest: all that live users, testers or permits may reach."""
    candidates: Mapping[str, str]
    """Workflow → digest."""
    keys: Sequence[ApiKey]
    rollouts: Mapping[str, Rollout] = {}
    """Workflow → its ramp, also one that is over."""
    allowing: Mapping[tuple[str, str], Allowed] = {}
    """(workflow, digest) → what the evidence allows; nothing, where it is missing."""
    proven: Proven = Proven()
    published: Mapping[str, Published] = {}
    """Workflow → the example set and scorers in force."""
    kill: Mapping[str, Stopped] = {}
    spurious: Sequence[str] = ()
    """Releases that are left out, for their content is not what their digest says."""


class Built(msgspec.Struct, frozen=True):
    snapshot: Snapshot
    warnings: list[str]
    """What is served otherwise than the configuration reads, for ``status``."""


def build(
    picture: Picture,
    launched: Mapping[str, str],
    price_of: PriceOf,
    *,
    epoch: int,
    seq: int,
    now: float,
    model_prices_of: ModelPricesOf = lambda target: {},
    permit_keys: Sequence[str] = (),
) -> Built:
    """``launched`` maps the names of local and simulated targets to their URLs now."""
    if not picture.configurations:
        return Built(_empty(epoch, seq, now), [])
    configuration = picture.configurations[0].configuration
    targets = dict(configuration.targets)
    releases: dict[str, Release] = {}
    warnings = [f"release {each} is not what its digest says and is left out" for each in picture.spurious]
    for frozen in picture.releases.values():
        if frozen.release.workflow not in configuration.workflows:
            continue
        release, pinned, missing = _pin(frozen.release, picture.configurations)
        releases[release.digest] = release
        targets.update(pinned)
        warnings += _pin_warnings(frozen.release.workflow, frozen.number, pinned, missing)
    workflows = {workflow.name: _served(workflow, picture) for workflow in configuration.workflows.values()}
    snapshot = Snapshot(
        format=SNAPSHOT_FORMAT,
        epoch=epoch,
        seq=seq,
        made_at=now,
        workflows=workflows,
        releases=releases,
        targets=targets,
        endpoints=_endpoints(targets.values(), launched),
        prices={name: price for name, target in targets.items() if (price := price_of(target))},
        model_prices={
            name: listed
            for name, target in targets.items()
            if target.model == ANY_MODEL and target.price is None and (listed := model_prices_of(target))
        },
        keys=_keys(picture.keys, now),
        redaction=list(configuration.settings.redaction),
        disk_full=configuration.settings.disk_full,
        proxy=configuration.settings.proxy,
        permit_keys=list(permit_keys),
        timezone=configuration.settings.timezone,
        team_budgets=configuration.settings.team_budgets,
        code=_code(releases.values(), workflows.values(), picture.configurations),
        receipts=_receipts(picture.proven, releases.values()),
        revocations=picture.proven.revocations,
        waivers=[token for waiver, token in picture.proven.waivers if waiver.workflow in workflows],
        kill=dict(picture.kill),
        reserved=RESERVED,
    )
    return Built(snapshot, warnings)


def _served(workflow: Workflow, picture: Picture) -> ServedWorkflow:
    """One workflow: its release, the one before it, and how much of the traffic each of them gets."""
    rollout = picture.rollouts.get(workflow.name) if workflow.enforcement == "enforce" else None
    candidate = picture.candidates.get(workflow.name, "")
    frozen = picture.releases.get(candidate if rollout is None else rollout.digest)
    before = None if rollout is None else picture.releases.get(rollout.predecessor or "")
    digests = [each.release.digest for each in (frozen, before) if each is not None]
    allowed = [picture.allowing.get((workflow.name, digest), Allowed()) for digest in digests]
    return ServedWorkflow(
        name=workflow.name,
        team=workflow.team,
        enforcement=workflow.enforcement,
        policy=workflow.policy,
        release=None if frozen is None else frozen.release.digest,
        passthrough=workflow.passthrough,
        check_sources=_sources_of(frozen, picture),
        ramp=None if frozen is None else _ramp(rollout, allowed[0]),
        previous=None if before is None else before.release.digest,
        previous_ramp=None if before is None else Ramp(allowed[-1].share, "previous", later=_later(1.0, allowed[-1])),
        previous_sources=_sources_of(before, picture),
        pilot=min([PILOT_SHARE if not allowed else allowed[0].pilot, 1.0]),
        published_at=_outdated(workflow.name, picture),
        critical=0 if (examples := picture.published.get(workflow.name)) is None else examples.critical,
    )


def _ramp(rollout: Rollout | None, allowed: Allowed) -> Ramp:
    """Never above what the evidence allows, whatever the ramp was told when it was last looked at."""
    if rollout is None:
        return Ramp(0.0, "frozen")
    share = min(rollout.share, allowed.share)
    drafts = rollout.state in ("ramping", "held") and rollout.stage.name == DRAFTS.name
    return Ramp(share, rollout.stage.name, rollout.epoch, drafts, _later(share, allowed))


def _later(share: float, allowed: Allowed) -> list[Later]:
    out: list[Later] = []
    for at, top in allowed.falls:
        if top < (out[-1].share if out else min(share, allowed.share)):
            out.append(Later(at, top))
    return out


def _receipts(proven: Proven, releases: Iterable[Release]) -> list[str]:
    wanted = {(release.workflow, release.behaviour_digest) for release in releases}
    return [token for about, (_, token) in sorted(proven.receipts.items()) if about in wanted]


def _outdated(workflow: str, picture: Picture) -> dict[str, float]:
    """Behaviour → when something was published that its gate did not know."""
    published = picture.published.get(workflow)
    if published is None:
        return {}
    return {
        receipt.behaviour: published.at
        for (name, _), (receipt, _) in sorted(picture.proven.receipts.items())
        if name == workflow and not published.covers(receipt.set_version, receipt.scorers)
    }


def _sources_of(frozen: FrozenRelease | None, picture: Picture) -> dict[str, str]:
    return {} if frozen is None else _sources(frozen.release, picture.configurations) or {}


def _pin(
    release: Release, configurations: Sequence[AppliedConfiguration]
) -> tuple[Release, dict[str, Target], list[str]]:
    """The release with each target renamed that changed since, those targets, and the names that nothing holds."""
    names: dict[str, str] = {}
    pinned: dict[str, Target] = {}
    missing: list[str] = []
    for name, wanted in release.behaviour.targets.items():
        held = _newest_with(name, wanted, configurations)
        if held is None:
            missing.append(name)
            names[name] = f"{name}@gone"
        elif held is not configurations[0]:
            names[name] = f"{name}@v{held.version}"
            target = held.configuration.targets[name]
            pinned[names[name]] = msgspec.structs.replace(target, name=names[name])
    if not names:
        return release, {}, []
    behaviour = msgspec.structs.replace(
        release.behaviour,
        target=names.get(release.behaviour.target, release.behaviour.target),
        targets={names.get(name, name): wanted for name, wanted in release.behaviour.targets.items()},
    )
    handling = _renamed(release.handling, names)
    return msgspec.structs.replace(release, behaviour=behaviour, handling=handling), pinned, missing


def _sources(release: Release, configurations: Sequence[AppliedConfiguration]) -> dict[str, str] | None:
    """The Python files that the release's own checks were frozen with; ``None``: no configuration holds them."""
    hashes = set(release.behaviour.checks.values())
    if not hashes:
        return {}
    for applied in configurations:
        sources = python_sources(applied.files, release.workflow)
        if python_hash(sources) in hashes:
            return sources
    return None


def _code(
    releases: Iterable[Release], served: Iterable[ServedWorkflow], configurations: Sequence[AppliedConfiguration]
) -> dict[str, dict[str, str]]:
    """Python files of the checks of releases that only a permit reaches, by their hash."""
    elsewhere = {digest for flow in served for digest in (flow.release, flow.previous)}
    held = [_sources(release, configurations) for release in releases if release.digest not in elsewhere]
    return {python_hash(sources): sources for sources in held if sources}


def _newest_with(
    name: str, wanted: TargetIdentity, configurations: Sequence[AppliedConfiguration]
) -> AppliedConfiguration | None:
    for applied in configurations:
        target = applied.configuration.targets.get(name)
        if target is not None and target_identity(target) == wanted:
            return applied
    return None


def _renamed(handling: Handling, names: Mapping[str, str]) -> Handling:
    """Handling that names the pinned targets: in the ladder, in the hedge and in checks that call one."""

    def named(part: T) -> T:
        if part.target is None or part.target not in names:
            return part
        return msgspec.structs.replace(part, target=names[part.target])

    return msgspec.structs.replace(
        handling,
        ladder={failure: [named(step) for step in steps] for failure, steps in handling.ladder.items()},
        hedge=None if handling.hedge is None else named(handling.hedge),
        checks={name: named(spec) for name, spec in handling.checks.items()},
    )


def _pin_warnings(workflow: str, number: int, pinned: Mapping[str, Target], missing: Sequence[str]) -> list[str]:
    said = [
        f"workflow {workflow}: release {number} still calls {target.model} (target {name}), as it was frozen; "
        f"`roadworthy freeze {workflow}` takes the target as configured now"
        for name, target in pinned.items()
    ]
    said += [
        f"workflow {workflow}: release {number} was frozen with a target {name} that no applied configuration holds "
        f"any more, so its calls are unavailable; configure it as before, or `roadworthy freeze {workflow}`"
        for name in missing
    ]
    return said


def _endpoints(targets: Iterable[Target], launched: Mapping[str, str]) -> dict[str, Endpoint]:
    endpoints: dict[str, Endpoint] = {}
    for target in targets:
        if target.endpoint is not None:
            endpoints[target.name] = Endpoint(url=target.endpoint)
        elif target.name in launched:
            endpoints[target.name] = Endpoint(url=launched[target.name], trusted=True)
    return endpoints


def _keys(keys: Iterable[ApiKey], now: float) -> dict[str, ApiKey]:
    return {
        key.hash: key for key in keys if key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
    }


def _empty(epoch: int, seq: int, now: float) -> Snapshot:
    return Snapshot(
        format=SNAPSHOT_FORMAT,
        epoch=epoch,
        seq=seq,
        made_at=now,
        workflows={},
        releases={},
        targets={},
        endpoints={},
        prices={},
        keys={},
        reserved=RESERVED,
    )


def unresolved(picture: Picture) -> bool:
    """Does a release name a target, or hold code, that no configuration of the picture has as it was frozen?"""
    return any(
        _sources(frozen.release, picture.configurations) is None
        or any(
            _newest_with(name, wanted, picture.configurations) is None
            for name, wanted in frozen.release.behaviour.targets.items()
        )
        for frozen in picture.releases.values()
    )
