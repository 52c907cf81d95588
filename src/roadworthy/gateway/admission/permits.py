"""Calls that are no live traffic: a permit presented as the API key opens a *lane* of its own.

A lane shares nothing that could let one class of traffic change what another gets: it has its own slots, breakers,
limits, budgets and cache, and its own view of the snapshot in which one workflow is served by one release.  A drill's
view knows no endpoint but the ones that its permit puts on this machine, no secret, and an HTTP client that reaches
nothing else, so whatever a drill does, no provider hears of it.

Calls are counted exactly: with several workers a permit belongs to one of them (by its id) and the others pass its
calls on; when that worker is gone they are refused.  ``load`` permits are the exception, for what they measure is all
workers: each grants its part of the calls, rounded down.  Counts live in memory, so a permit issued before the worker
began is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from roadworthy.evidence.permit.model import LOCAL, Permit
from roadworthy.evidence.permit.rules import vet, worker_of
from roadworthy.evidence.permit.tokens import Forged, opened
from roadworthy.evidence.ports import Verifier
from roadworthy.fallback.drills.wires import spoken_to
from roadworthy.gateway.admission.peers import PeerGone, Peers
from roadworthy.gateway.answers.cache import AnswerCache
from roadworthy.gateway.call import Call
from roadworthy.gateway.counters import Counters
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.finish import Finisher
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.limits.purses import Purses
from roadworthy.gateway.limits.slots import Slots
from roadworthy.gateway.messages import Request, Response, StreamResponse
from roadworthy.gateway.ports import Clock, Upstream, WireFactory
from roadworthy.gateway.serve import Server
from roadworthy.gateway.snapshot import Endpoint, Snapshot, SnapshotRefused, frozen_name
from roadworthy.gateway.surfaces.model import Surface
from roadworthy.gateway.world import SecretLookup, ServedKey, World
from roadworthy.http1.origin import Origin
from roadworthy.workflow.inference import Failure, Inference, Outcome
from roadworthy.workflow.model import ApiKey, Budget, Bypass, Handling, Policy, Price, Release

MOST_LANES = 1000
KEPT_AFTER = 60.0
"""Seconds for which an expired permit is remembered: clocks of workers may differ."""
DRILL_SECRET = "drill"  # noqa: S105 - what a misbehaving server is shown instead of a key


class Substitute(Upstream, Protocol):
    """An HTTP client for the servers of one drill."""

    async def close(self) -> None: ...


class PermitPorts(msgspec.Struct, frozen=True):
    """What wiring gives: who verifies, and how a view is served."""

    verifier: Verifier
    wires: WireFactory
    secret: SecretLookup
    upstream: Upstream
    """For permits whose calls reach the real targets."""
    substitute: Callable[[Iterable[Origin]], Substitute]
    """A client that reaches the given origins, on loopback, and nothing else."""


class Lane:
    """What belongs to one permit.  ``server`` is ``None`` once every call of it has ended."""

    def __init__(self, permit: Permit, calls: int) -> None:
        self.permit = permit
        self.calls = calls
        """Most that this worker grants."""
        self.begun = 0
        self.ended = 0
        self.spent = 0.0
        """US dollars, as far as they are known."""
        self.slots: dict[str, Slots] = {}
        self.purses: Purses | None = None
        self.source: Snapshot | None = None
        """The snapshot of which ``world`` is a view."""
        self.world: World | None = None
        self.key: ServedKey | None = None
        self.server: Server | None = None
        self.upstream: Upstream | None = None
        self.finisher: Finisher | None = None
        self._closing: asyncio.Task[None] | None = None

    def recorded(self, record: Inference) -> None:
        """A call of it has ended."""
        self.ended += 1
        self.spent += record.cost_usd or 0.0
        if self.ended >= self.calls:
            self.shut()

    def shut(self) -> None:
        """Give everything back but the counts."""
        upstream, self.upstream, self.server, self.world, self.key = self.upstream, None, None, None, None
        self.purses = None
        if self.permit.traffic == "drill" and upstream is not None:
            close = getattr(upstream, "close", None)
            if close is not None:
                self._closing = asyncio.get_running_loop().create_task(close())


class LaneFinisher(Finisher):
    """Tells the lane of every record."""

    def __init__(
        self,
        lane: Lane,
        journal: Journal,
        counters: Counters,
        purses: Purses,
        cache: AnswerCache,
        clock: Clock,
        worker: str,
    ) -> None:
        super().__init__(journal, counters, purses, cache, clock, worker)
        self._lane = lane
        lane.finisher = self

    def record(
        self,
        call: Call,
        outcome: Outcome,
        *,
        status: int = 200,
        failure: Failure | None = None,
        code: str = "",
        response: bytes | None = None,
    ) -> Inference:
        record = super().record(call, outcome, status=status, failure=failure, code=code, response=response)
        self._lane.recorded(record)
        return record


MakeServer = Callable[[Lane, Upstream], tuple[Server, Purses]]
"""A server that shares the journal with all others and nothing else; it tells the lane of every record."""


class Permits:
    """The lanes of one worker."""

    def __init__(
        self,
        ports: PermitPorts | None,
        make_server: MakeServer,
        clock: Clock,
        *,
        worker: int = 0,
        workers: int = 1,
        peers: Peers | None = None,
        gateway: str = LOCAL,
    ) -> None:
        """``ports`` ``None``: no permit is good here."""
        self._gateway = gateway
        self._ports = ports
        self._make_server = make_server
        self._clock = clock
        self._worker = worker
        self._workers = workers
        self._peers = peers
        self._began = clock.now()
        self._lanes: dict[str, Lane] = {}

    async def serve(
        self, request: Request, headers: dict[bytes, bytes], token: bytes, surface: Surface, world: World
    ) -> Response | StreamResponse:
        """Answer a call under the permit in ``token``.  Raises ``Refused`` 401 or 403; fails closed."""
        if self._ports is None:
            raise Refused(401, "permit_invalid", "This gateway takes no permits.")
        snapshot = world.snapshot
        try:
            permit = opened(token, snapshot.permit_keys, self._ports.verifier)
        except Forged:
            raise Refused(401, "permit_invalid", "This permit was not signed by this install.") from None
        owner = self._owner(permit)
        if owner is not None and owner != self._worker and not request.internal and self._peers is not None:
            return await self._passed_on(self._peers, request, owner)
        lane = self._lane(permit)
        self._renew(lane, self._ports, snapshot)
        server, key, view = lane.server, lane.key, lane.world
        if server is None or key is None or view is None:
            raise _used_up(lane)
        lane.begun += 1
        return await server.serve(request, headers, key, surface, view)

    def cut(self) -> None:
        """Calls that end without an answer from now on were cut by us."""
        for lane in self._lanes.values():
            if lane.finisher is not None:
                lane.finisher.cutting = True

    def _owner(self, permit: Permit) -> int | None:
        """The worker that counts its calls; ``None``: all of them."""
        return None if permit.traffic == "load" else worker_of(permit.id, self._workers)

    async def _passed_on(self, peers: Peers, request: Request, owner: int) -> Response | StreamResponse:
        try:
            return await peers.forward(request, owner)
        except PeerGone as gone:
            raise Refused(
                503, "unavailable", f"The worker that counts this permit's calls is gone ({gone}). Ask for a new one.",
                failure="unavailable",
            ) from gone  # fmt: skip

    def _lane(self, permit: Permit) -> Lane:
        """Vet the permit and count what was used of it.  Raises ``Refused``."""
        now = self._clock.now()
        problem = vet(permit, now=now, began=self._began, gateway=self._gateway)
        if problem is not None:
            raise Refused(problem.status, problem.code, problem.message)
        lane = self._lanes.get(permit.id)
        if lane is None:
            self._forget(now)
            if len(self._lanes) >= MOST_LANES:
                raise Refused(503, "unavailable", f"{MOST_LANES} permits are in use already.")
            shared = permit.traffic == "load"
            lane = Lane(permit, permit.calls // self._workers if shared else permit.calls)
            self._lanes[permit.id] = lane
        if lane.begun >= lane.calls:
            raise _used_up(lane)
        if lane.spent >= permit.usd:
            raise Refused(403, "permit_used_up", f"This permit's {permit.usd:g} dollars are spent.")
        return lane

    def _forget(self, now: float) -> None:
        gone = [name for name, lane in self._lanes.items() if lane.permit.expires + KEPT_AFTER < now]
        for name in gone:
            self._lanes.pop(name).shut()

    def _renew(self, lane: Lane, ports: PermitPorts, snapshot: Snapshot) -> None:
        """Bring the lane's view up to date; a drill keeps to the snapshot that it began with.  Raises ``Refused``."""
        permit = lane.permit
        drill = permit.traffic == "drill"
        if lane.source is snapshot or (drill and lane.source is not None):
            return
        try:
            made = World(
                view(snapshot, permit),
                wires=ports.wires,
                secret=(lambda name: DRILL_SECRET) if drill else ports.secret,
                slots=lane.slots,
            )
        except SnapshotRefused as error:
            raise Refused(403, "permit_not_allowed", f"This permit cannot be served: {error}") from error
        if lane.upstream is None:
            lane.upstream = ports.substitute(made.private_origins) if drill else ports.upstream
            lane.server, lane.purses = self._make_server(lane, lane.upstream)
        assert lane.purses is not None
        lane.purses.follow(made)
        lane.source, lane.world, lane.key = snapshot, made, key_of(permit, made)


def _used_up(lane: Lane) -> Refused:
    return Refused(403, "permit_used_up", f"This permit's {lane.permit.calls} calls are used up.")


def view(snapshot: Snapshot, permit: Permit) -> Snapshot:
    """The snapshot as a permit sees it: one workflow, its release enforced.  Raises ``Refused`` 403."""
    reserved = snapshot.reserved
    if reserved is not None and permit.workflow in reserved.workflows and permit.traffic == "drill":
        snapshot = msgspec.structs.replace(
            snapshot, workflows=reserved.workflows, releases=reserved.releases, targets=reserved.targets
        )
    served = snapshot.workflows.get(permit.workflow)
    if served is None:
        raise Refused(403, "permit_not_allowed", f"There is no workflow '{permit.workflow[:100]}' here (any more).")
    digest = permit.digest or served.release
    release = snapshot.releases.get(digest or "")
    if release is None:
        raise Refused(
            403, "permit_not_allowed", f"Release {digest or 'none'} of '{served.name}' is not at this gateway."
        )
    if release.workflow != served.name:
        raise Refused(403, "permit_not_allowed", f"Release {digest} is none of '{served.name}'.")
    targets, endpoints, prices, listed = snapshot.targets, snapshot.endpoints, snapshot.prices, snapshot.model_prices
    if permit.traffic == "drill":
        targets = {name: spoken_to(target) for name, target in snapshot.targets.items()}
        endpoints = {name: Endpoint(url, trusted=True) for name, url in permit.substitutes.items() if name in targets}
        release = msgspec.structs.replace(release, handling=isolated(release.handling))
        if permit.unpriced:
            prices, listed = {}, {}
        elif permit.price is not None:
            prices = priced_at(permit.price, release)
    if permit.target:
        release = _asking(release, permit.target)
    workflow = msgspec.structs.replace(
        served, enforcement="enforce", release=release.digest, passthrough=None, previous=None,
        policy=_policy(served.policy, permit), critical=0,
    )  # fmt: skip
    return msgspec.structs.replace(
        snapshot,
        workflows={served.name: workflow},
        releases={release.digest: release},
        targets=targets,
        endpoints=endpoints,
        prices=prices,
        model_prices=listed,
        team_budgets={},
        keys={},
    )


def _asking(release: Release, target: str) -> Release:
    """The release with one of its targets in the place of the first, and no other to turn to.  Raises ``Refused``."""
    behaviour, handling = release.behaviour, release.handling
    found = next((name for name in behaviour.targets if frozen_name(name) == target), None)
    if found is None:
        raise Refused(403, "permit_not_allowed", f"Release {release.digest} names no target '{target[:100]}'.")
    ladder = {failure: [step for step in steps if step.kind != "target"] for failure, steps in handling.ladder.items()}
    return msgspec.structs.replace(
        release, behaviour=msgspec.structs.replace(behaviour, target=found),
        handling=msgspec.structs.replace(handling, ladder=ladder, hedge=None, cache=None),
    )  # fmt: skip


def _policy(policy: Policy, permit: Permit) -> Policy:
    """The permit's own budget stands for the key's and the team's; nobody else's calls count against it."""
    budgets = msgspec.structs.replace(permit.budgets or policy.budgets, key=Budget(month=permit.usd))
    return msgspec.structs.replace(policy, budgets=budgets, requests_per_minute_per_key=None)


def priced_at(price: Price, release: Release) -> dict[str, Price]:
    """Every target of the release costs ``price``; one that only checks ask costs nothing."""
    asked = {spec.target for spec in release.handling.checks.values()} - {release.behaviour.target}
    return {name: Price(0.0, 0.0) if name in asked else price for name in release.behaviour.targets}


def isolated(handling: Handling) -> Handling:
    """Nothing of a drill reaches the app's old path or an endpoint of the user's: what asks there is left out."""
    checks = {name: spec for name, spec in handling.checks.items() if spec.kind != "http"}
    bypass = Bypass() if handling.bypass.kind == "http" else handling.bypass
    if bypass is handling.bypass and len(checks) == len(handling.checks):
        return handling
    return msgspec.structs.replace(handling, checks=checks, bypass=bypass)


def key_of(permit: Permit, world: World) -> ServedKey:
    """The permit in the place of a key."""
    team = world.workflows[permit.workflow].team
    key = ApiKey(permit.id, "", f"{permit.traffic} by {permit.by}", team, [permit.workflow])
    served = ServedKey(key, world.workflows)
    served.traffic = permit.traffic
    served.permit = permit.id
    served.issued = permit.issued
    served.drill = permit.fault
    return served
