"""What a snapshot is made of, gathered: state in one transaction, and what others hold, by callables that wiring fills.

Rule: what is missing, forged or not what its digest says is left out, and nothing is served by it.  What the evidence
allows is computed anew only after something was audited, or at an instant at which it falls by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from roadworthy.gateway.snapshot import Stopped
from roadworthy.operations.proofs import Proven
from roadworthy.operations.snapshot import Allowed, Picture, unresolved
from roadworthy.readiness.model import Published
from roadworthy.rollout.model import Rollout
from roadworthy.workflow.digest import release as release_made_of
from roadworthy.workflow.model import FrozenRelease
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
    rollouts: Callable[[], Mapping[str, Rollout]] = dict
    allows: Allows = allows_nothing
    published: Callable[[str], Published | None] = lambda workflow: None
    kill: Callable[[], Mapping[str, Stopped]] = dict
    wanted: Callable[[], Collection[str]] = tuple
    """Digests of releases to which a permit is under way."""


Allowing = dict[tuple[str, str], Allowed]


@dataclass
class _Kept:
    """Answers that hold until something is audited or an instant is reached."""

    mark: object = None
    proven: Proven = field(default_factory=Proven)
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    allowing: Allowing = field(default_factory=dict)
    until: float = 0.0


class Gatherer:
    """Not thread-safe: its publisher holds a lock."""

    def __init__(self, state: State, sources: Sources) -> None:
        self._state = state
        self._sources = sources
        self._kept = _Kept()
        self._genuine: dict[str, FrozenRelease] = {}
        self.mark: object = None
        """Changes with every audited change."""

    def changed(self, now: float) -> bool:
        """Was anything audited since, or has the evidence fallen by itself?"""
        with self._state.read() as tx:
            return _mark(tx) != self.mark or now >= self._kept.until

    def picture(self, now: float) -> Picture:
        """Reads older configurations only while a release names a target that the newer ones do not hold."""
        sources = self._sources
        with self._state.read() as tx:
            mark, applied = _mark(tx), tx.applied()
        flows = {} if applied is None else applied.configuration.workflows
        if mark != self._kept.mark or now >= self._kept.until:
            self._kept = self._look(mark, flows, now)
        rollouts = self._kept.rollouts
        with self._state.read() as tx:
            candidates = tx.candidates()
            wanted = {*candidates.values(), *tx.newest().values(), *sources.wanted()}
            for rollout in rollouts.values():
                wanted |= {digest for digest in (rollout.digest, rollout.predecessor) if digest is not None}
            releases, spurious = self._releases(tx, wanted)
            keys = tx.keys()
            declared = tx.configurations(limit=1)
        self.mark = mark
        picture = Picture(
            configurations=[] if applied is None else [applied, *declared[1:]],
            releases=releases,
            candidates=candidates,
            keys=keys,
            rollouts=rollouts,
            allowing={about: self._allows(about, now) for about in _ramped(flows, rollouts, candidates)},
            proven=self._kept.proven,
            published={name: each for name in flows if (each := sources.published(name)) is not None},
            kill=dict(sources.kill()),
            spurious=spurious,
        )
        return self._resolved(picture)

    def _look(self, mark: object, workflows: Collection[str], now: float) -> _Kept:
        proven = self._sources.proven(workflows)
        until = min((waiver.over for waiver, _ in proven.waivers if waiver.over > now), default=float("inf"))
        return _Kept(mark, proven, dict(self._sources.rollouts()), {}, until)

    def _allows(self, about: tuple[str, str], now: float) -> Allowed:
        kept = self._kept
        if about not in kept.allowing:
            found = self._sources.allows(*about, now)
            kept.allowing[about] = found
            kept.until = min([kept.until, *(at for at, _ in found.falls)])
        return kept.allowing[about]

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


def _mark(tx: Transaction) -> object:
    last = tx.last_audit()
    return None if last is None else (last.seq, last.hash)


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
