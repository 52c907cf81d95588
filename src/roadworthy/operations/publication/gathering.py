"""What a snapshot is made of, gathered: state in one transaction, and what others hold, by callables that wiring fills.

Rule: what is missing, forged or not what its digest says is left out, and nothing is served by it.  What is known of a
workflow is read anew only after something was audited that may be about it, or at an instant at which its evidence
falls by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, Protocol

import msgspec

from roadworthy.gateway.snapshot import Stopped
from roadworthy.operations.publication.proofs import Proven
from roadworthy.operations.publication.snapshot import Allowed, Picture, unresolved
from roadworthy.readiness.model import Published
from roadworthy.rollout.model import Rollout
from roadworthy.workflow.audit import AuditRecord
from roadworthy.workflow.digest import release as release_made_of
from roadworthy.workflow.model import Configuration, FrozenRelease, Workflow
from roadworthy.workflow.ports import State, Transaction


class Allows(Protocol):
    def __call__(self, workflow: str, digest: str, now: float) -> Allowed:
        """What the evidence allows a release of a workflow.  Fails closed: nothing."""
        ...


def allows_nothing(workflow: str, digest: str, now: float) -> Allowed:
    return Allowed()


@dataclass(frozen=True)
class Sources:
    """What is asked for besides state; left out, nothing is proven and nobody is ramped."""

    proven: Callable[[Collection[str]], Proven] = lambda workflows: Proven()
    rollout: Callable[[str], Rollout | None] = lambda workflow: None
    allows: Allows = allows_nothing
    published: Callable[[str], Published | None] = lambda workflow: None
    kill: Callable[[], Mapping[str, Stopped]] = dict
    wanted: Callable[[], Collection[str]] = tuple
    """Digests of releases to which a permit is under way."""
    drafts: Callable[[], Collection[FrozenRelease]] = tuple
    """Releases that are tried before anybody froze them: a permit reaches them, and nobody else."""


APART: Final = ("key/", "person/", "escalation/", "delivery/", "incident/")
"""Beginnings of audited targets that say nothing about releases.  A gateway is none: a stop was never drilled on one
that joins."""
MOST = 1000
"""Audit records that are gone through; after more of them everything is read anew."""


@dataclass
class _Known:
    """What is known of one workflow, until something is audited about it or its evidence falls."""

    rollout: Rollout | None
    published: Published | None
    allowed: dict[str, Allowed] = field(default_factory=dict)
    until: float = inf


class Gatherer:
    """Not thread-safe: its publisher holds a lock."""

    def __init__(self, state: State, sources: Sources) -> None:
        self._state = state
        self._sources = sources
        self._mark: AuditRecord | None = None
        """The newest audit record that was taken into account."""
        self._known: dict[str, _Known] = {}
        self._proven = Proven()
        self._configuration: Configuration | None = None
        self._genuine: dict[str, FrozenRelease] = {}

    def changed(self, now: float) -> bool:
        """Was anything audited since, or has the evidence fallen by itself?"""
        with self._state.read() as tx:
            last = tx.last_audit()
        return last != self._mark or now >= self._until()

    def picture(self, now: float) -> Picture:
        """Reads older configurations only while a release names a target that the newer ones do not hold."""
        with self._state.read() as tx:
            last, applied = tx.last_audit(), tx.applied()
            since = tx.audit(after=0 if self._mark is None else self._mark.seq, limit=MOST) if last else ()
        flows: Mapping[str, Workflow] = {} if applied is None else applied.configuration.workflows
        self._forget(last, since, None if applied is None else applied.configuration, now)
        rollouts: dict[str, Rollout] = {}
        for name in flows:
            if name not in self._known:
                self._known[name] = _Known(self._sources.rollout(name), self._sources.published(name))
            rollout = self._known[name].rollout
            if rollout is not None:
                rollouts[name] = rollout
        with self._state.read() as tx:
            candidates, keys, declared = tx.candidates(), tx.keys(), tx.configurations(limit=1)
            wanted = {*candidates.values(), *tx.newest().values(), *self._sources.wanted()}
            for rollout in rollouts.values():
                wanted |= {digest for digest in (rollout.digest, rollout.predecessor) if digest is not None}
            releases, spurious = self._releases(tx, wanted)
        for draft in self._sources.drafts():
            if _is_genuine(draft.release.digest, draft):
                releases.setdefault(draft.release.digest, draft)
        picture = Picture(
            configurations=[] if applied is None else [applied, *declared[1:]],
            releases=releases,
            candidates=candidates,
            keys=keys,
            rollouts=rollouts,
            allowing={about: self._allows(*about, now) for about in _ramped(flows, rollouts, candidates)},
            proven=self._proven,
            published={name: each for name in flows if (each := self._known[name].published) is not None},
            kill=dict(self._sources.kill()),
            spurious=spurious,
        )
        return self._resolved(picture)

    def _until(self) -> float:
        return min((known.until for known in self._known.values()), default=inf)

    def _forget(
        self, last: AuditRecord | None, since: Sequence[AuditRecord], configuration: Configuration | None, now: float
    ) -> None:
        """Let go of what the audited changes, or the time, may have made untrue."""
        if last == self._mark and now < self._until():
            return
        about = _about(since, self._configuration, configuration)
        whole = about is None or len(since) >= MOST or (self._mark is not None and (last is None or since == ()))
        for name, known in list(self._known.items()):
            if whole or about is None or name in about or now >= known.until:
                del self._known[name]
        self._mark, self._configuration = last, configuration
        self._proven = self._sources.proven(() if configuration is None else configuration.workflows)

    def _allows(self, workflow: str, digest: str, now: float) -> Allowed:
        known = self._known[workflow]
        if digest not in known.allowed:
            found = self._sources.allows(workflow, digest, now)
            known.allowed[digest] = found
            known.until = min([known.until, *(at for at, _ in found.falls)])
        return known.allowed[digest]

    def _releases(self, tx: Transaction, digests: Collection[str]) -> tuple[dict[str, FrozenRelease], list[str]]:
        """(by digest, those whose content is not what the digest says: somebody wrote into the database)."""
        found: dict[str, FrozenRelease] = {}
        spurious: list[str] = []
        for digest in sorted(digests):
            frozen = tx.release(digest)
            if frozen is None:
                continue
            if self._genuine.get(digest) == frozen or _is_genuine(digest, frozen):
                found[digest] = frozen
            else:
                spurious.append(f"{frozen.release.workflow} {digest[:16]}")
        self._genuine = found
        return found, spurious

    def _resolved(self, picture: Picture) -> Picture:
        limit = 8
        while picture.configurations and unresolved(picture):
            with self._state.read() as tx:
                older = tx.configurations(limit=limit)
            if len(older) > 1:
                configurations = [picture.configurations[0], *older[1:]]
                picture = msgspec.structs.replace(picture, configurations=configurations)
            if len(older) < limit:
                break
            limit *= 8
        return picture


def _about(since: Sequence[AuditRecord], before: Configuration | None, after: Configuration | None) -> set[str] | None:
    """Workflows that these records may be about; ``None``: any."""
    found: set[str] = set()
    for record in since:
        kind, _, name = record.target.partition("/")
        if record.target == "configuration" and before is not None and after is not None:
            if before.targets != after.targets:
                return None
            found |= {flow for flow, each in after.workflows.items() if before.workflows.get(flow) != each}
        elif kind in ("workflow", "rollout"):
            found.add(name)
        elif not record.target.startswith(APART):
            return None
    return found


def _ramped(
    workflows: Collection[str], rollouts: Mapping[str, Rollout], candidates: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """(workflow, digest) of every release that may be given live traffic."""
    for name in workflows:
        rollout = rollouts.get(name)
        digests = (candidates.get(name),) if rollout is None else (rollout.digest, rollout.predecessor)
        yield from ((name, digest) for digest in digests if digest is not None)


def _is_genuine(digest: str, frozen: FrozenRelease) -> bool:
    release = frozen.release
    made = release_made_of(release.workflow, release.behaviour, release.handling)
    return release == made and made.digest == digest
