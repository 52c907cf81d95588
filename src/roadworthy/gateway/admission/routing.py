"""A workflow's flow at work: the side of each call, in the least time.

While the position of a user changes nothing, a call costs a look at the clock (which somebody may also have set back).
Where a share is neither 0 nor 1 it costs a hash, and another one for a call that names its session.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from roadworthy.gateway.admission.idempotency import Standing
from roadworthy.gateway.admission.proofs import Proofs
from roadworthy.gateway.admission.sessions import Sessions, tag_of
from roadworthy.gateway.admission.sides import Candidate, Flow, Serves, Side, Sides, choose, sides_at
from roadworthy.gateway.snapshot import Ramp, ServedWorkflow, Snapshot
from roadworthy.kill_switch.model import State
from roadworthy.workflow.inference import TrafficClass
from roadworthy.workflow.shares import RESOLUTION, Pin, Places

if TYPE_CHECKING:
    from roadworthy.gateway.call import Call
    from roadworthy.gateway.world import Serving

UNIT_UNKNOWN = "unit_unknown"
"""Note on a call whose user nobody named, so that its side was drawn by lot."""


def flow_of(served: ServedWorkflow, snapshot: Snapshot, proofs: Proofs) -> Flow:
    """What decides who gets what of a workflow (``as_held``)."""

    def candidate(digest: str | None, ramp: Ramp) -> Candidate | None:
        release = snapshot.releases.get(digest or "")
        if release is None:
            return None
        behaviour = release.behaviour_digest
        return Candidate(
            release.digest, behaviour, ramp.share, ramp.stage or None, ramp.epoch, ramp.drafts, tuple(ramp.later),
            proofs.receipt(served.name, behaviour), proofs.seen_of(served.name, behaviour),
            served.published_at.get(behaviour), release.handling.holding is not None,
        )  # fmt: skip

    return Flow(
        served.name,
        candidate(served.release, served.ramp or Ramp(0.0)),
        candidate(served.previous, served.previous_ramp or Ramp(1.0)) if served.previous != served.release else None,
        observed=served.enforcement == "observe",
        revocations=tuple(each for each in proofs.revocations if each.workflow == served.name),
        pilot=served.pilot,
        grace=served.policy.grace,
    )


def as_held(served: ServedWorkflow, proofs: Proofs) -> ServedWorkflow:
    """The workflow with the enforcement that holds: ``observe`` for which nobody signed is ``enforce``."""
    if served.enforcement == "enforce" or served.name in proofs.waived:
        return served
    return msgspec.structs.replace(served, enforcement="enforce")


class Router:
    """Of one workflow, in one world."""

    __slots__ = ("_flow", "_forced", "_inside", "_pins", "_places", "_sessions", "_sides", "_since", "main", "servings")

    def __init__(
        self,
        flow: Flow,
        main: Serving,
        servings: Mapping[Serves, Serving],
        places: Places,
        sessions: Sessions | None,
    ) -> None:
        """``servings``: what there is, ``main`` among it; ``sessions`` ``None``: none keeps its side."""
        self.main = main
        self.servings = servings
        self._flow = flow
        self._places = places
        self._sessions = sessions
        self._pins: dict[int, Pin] = {}
        self._inside = 0
        """Tag of sessions on the release."""
        self._forced: dict[State, Sides] = {}
        self._sides = sides_at(flow, 0.0)
        self._since = math.inf
        """When ``_sides`` was worked out: never, so it is with the first call."""

    def side(self, call: Call, force: State = "on") -> Side:
        """What a call gets.  ``force``: the state of the kill switch for it."""
        sides, now = self._sides, call.ts
        if not self._since <= now < sides.until:
            sides = self._renewed(now)
        if force != "on":
            sides = self._under(force, now)
        if call.traffic == "live":
            return sides.everybody or self._placed(call, sides)
        return sides.tester if call.traffic == "tester" else sides.permit

    def foretold(self, unit: str | None, traffic: TrafficClass, now: float, force: State = "on") -> Side | None:
        """What a call of a user would get; ``None``: that depends on the user, and nobody is named."""
        sides = self._sides if self._since <= now < self._sides.until else self._renewed(now)
        if force != "on":
            sides = self._under(force, now)
        if traffic == "tester":
            return sides.tester
        if sides.everybody is not None:
            return sides.everybody
        return None if unit is None else choose(sides, self._places.of(unit))

    def standing(self, unit: str | None, traffic: TrafficClass, now: float, force: State = "on") -> Standing:
        """What an answer depends on that is kept for a repeated call."""
        side = self.foretold(unit, traffic, now, force)
        if side is None:  # by lot: one of these
            return self._sides.release, self._sides.previous
        return side.route, side.kill, self.servings[side.serves].digest

    def _renewed(self, now: float) -> Sides:
        sides = sides_at(self._flow, now)
        if sides.pins and sides.share >= RESOLUTION and self._sessions is not None:
            parted = self._sessions.parted_until(self._flow.workflow)
            if parted > now:  # sessions are under way that began on another side
                sides = msgspec.structs.replace(sides, everybody=None, until=min(sides.until, parted))
        self._inside = tag_of(Pin(sides.release, sides.epoch))
        self._pins = {
            tag_of(pin): pin for pin in (Pin(digest, sides.epoch) for digest in (sides.release, sides.previous, None))
        }
        self._sides, self._since = sides, now
        self._forced.clear()
        return sides

    def _under(self, force: State, now: float) -> Sides:
        sides = self._forced.get(force)
        if sides is None or now >= sides.until:
            sides = self._forced[force] = sides_at(self._flow, now, force)
        return sides

    def _placed(self, call: Call, sides: Sides) -> Side:
        unit = call.unit
        if unit is None:
            call.notes = [UNIT_UNKNOWN]
            return choose(sides, int(call.id[-8:], 16) * RESOLUTION >> 32)
        position = self._places.of(unit)
        if call.session is None or self._sessions is None or not sides.pins:
            return choose(sides, position)
        return self._kept(self._sessions, call.session, unit, position, sides, call.ts)

    def _kept(self, sessions: Sessions, session: str, unit: str, position: int, sides: Sides, now: float) -> Side:
        """The side on which the session began.  Where the share has fallen below its user, it ends within the hour."""
        key = self._places.mark(unit, session)
        fading = self._inside if position >= sides.share else 0
        pin = self._pins.get(sessions.find(key, now, fading))
        side = choose(sides, position, pin)
        digest = sides.release if side is sides.inside else sides.previous if side is sides.before else None
        if pin is None or pin.digest != digest:
            sessions.keep(key, tag_of(Pin(digest, sides.epoch)), now)
        if sides.share < RESOLUTION:
            sessions.parted(self._flow.workflow, now)
        return side
