"""Which side of a workflow a call gets: its release, the one before, the app as it was, or the bypass.  Pure.

A workflow's *flow* (what its ramp, its receipts and its people say) is turned into *sides* that hold until a known
instant, so that serving a call is one comparison of clocks and, where a share is neither 0 nor 1, one position.

Fails closed: a release without a receipt that holds now is for testers, whatever its ramp says, and a release without
a ramp is for testers, whatever its receipt says.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from roadworthy.evidence.receipt.model import Receipt, Revocation, Standing
from roadworthy.evidence.receipt.rules import Seen, holds_until, receipt_holds
from roadworthy.evidence.rules import GRACE
from roadworthy.gateway.snapshot import Later
from roadworthy.kill_switch.model import State
from roadworthy.workflow.inference import Route, TrafficClass
from roadworthy.workflow.shares import RESOLUTION, Pin

Serves = Literal["release", "previous", "passthrough"]
"""Whose target, texts and clocks a call gets; of a bypass, whose texts."""

FROZEN = "frozen"
"""Stage of a release whose ramp was not begun."""
_SHOWN = 12
"""Characters of a digest that a person reads."""


class Candidate(msgspec.Struct, frozen=True):
    """A release that a workflow may serve, and what speaks for it."""

    digest: str
    behaviour: str
    """Digest of the facet that a receipt is about."""
    share: float = 0.0
    """Of its ramp, in [0, 1]."""
    stage: str | None = None
    epoch: int = 0
    drafts: bool = False
    later: tuple[Later, ...] = ()
    receipt: Receipt | None = None
    """The newest that the gateway holds; its signature is good."""
    seen: Seen = (0, 0.0)
    outdated_at: float | None = None
    """When an example set or scorer was published that its gate did not know."""
    holding: bool = False
    """It declares what a caller reads whose call a human gets."""


class Flow(msgspec.Struct, frozen=True):
    """One workflow, as far as it decides who gets what."""

    workflow: str
    release: Candidate | None = None
    previous: Candidate | None = None
    observed: bool = False
    """Somebody signed for it: everybody is served as before, and what would have been done is recorded."""
    revocations: tuple[Revocation, ...] = ()
    pilot: float = 0.01
    grace: float = GRACE


class Side(msgspec.Struct, frozen=True):
    """What a call gets."""

    serves: Serves
    route: Route
    why: str = ""
    """Of a call that is bypassed: the reason, for the developer who reads it; empty: a model is asked."""
    code: str = "bypassed"
    """Of the error that a bypassed app reads."""
    stage: str | None = None
    """Of the ramp that decided."""
    would: str = ""
    """What enforcement would have done instead: ``bypassed: no receipt``."""
    kill: State | Literal[""] = ""
    """State of the kill switch that decided; empty: it was on."""
    drafted: bool = False
    """A human gets the answer as a draft, and the caller reads the holding answer."""


class Sides(msgspec.Struct, frozen=True):
    """Who gets which side, until an instant."""

    until: float
    """Unix seconds; ``inf``: until another snapshot."""
    share: int
    """Live users at positions below it get ``inside``."""
    inside: Side
    before_share: int
    """The others below this one get ``before``."""
    before: Side
    outside: Side
    tester: Side
    permit: Side
    """Calls under a permit, whose view of the world holds just what the permit names."""
    everybody: Side | None
    """The side of every live call, where the position changes nothing; ``None``: it does."""
    release: str | None = None
    previous: str | None = None
    epoch: int = 0
    """Of the ramp: sessions that began under another keep nothing."""
    pins: bool = False
    """Sessions keep their side."""


class Share(NamedTuple):
    """How much of the live traffic a release gets now, and what keeps it from more."""

    share: float
    until: float
    """When that may change."""
    word: str
    """For a record: ``no receipt``."""
    said: str
    """For a developer."""
    earned: bool
    """Its receipt allows more than testers."""


def share_of(flow: Flow, found: Candidate, now: float) -> Share:
    """The least of what its ramp, its evidence and its receipt allow."""
    share, until = min(max(found.share, 0.0), 1.0), math.inf
    name = f"release {found.digest[:_SHOWN]}"
    word, said = _outside(share, found, name)
    for later in found.later:
        if later.at > now:
            until = later.at
            break
        if later.share < share:
            share = max(later.share, 0.0)
            word, said = "its evidence lapsed", f"evidence of {name} lapsed, which leaves it {_percent(share)} of users"
    standing = receipt_holds(
        found.receipt, workflow=flow.workflow, behaviour=found.behaviour, now=now, seen=found.seen,
        revocations=flow.revocations, outdated_at=found.outdated_at, grace=flow.grace,
    )  # fmt: skip
    if found.receipt is not None:
        until = min(until, holds_until(found.receipt, now, outdated_at=found.outdated_at, grace=flow.grace))
    cap = {"full": 1.0, "pilot": min(max(flow.pilot, 0.0), 1.0), "testers": 0.0}[standing.grant]
    if cap < share or standing.grant == "testers":
        share = min(cap, share)
        word, said = _short_of_receipt(flow, found, standing, name)
    return Share(share, until, word, said, standing.grant != "testers")


def _outside(share: float, found: Candidate, name: str) -> tuple[str, str]:
    if share == 0.0 and found.stage in (None, FROZEN):
        return "no rollout", f"nobody has begun a rollout of {name}"
    stage = f" (stage '{found.stage}')" if found.stage else ""
    if share == 0.0:
        return "testers only", f"only testers get {name}{stage}"
    return (
        f"outside the share of {_percent(share)}",
        f"this user is outside the {_percent(share)} of users that get {name}{stage}",
    )


def _short_of_receipt(flow: Flow, found: Candidate, standing: Standing, name: str) -> tuple[str, str]:
    if found.receipt is None:
        return "no receipt", f"no eval gate has passed {name}, so only testers get it"
    if standing.grant == "pilot":
        share = _percent(flow.pilot)
        return f"outside the pilot share of {share}", f"this user is outside the pilot share of {share}: {standing.why}"
    if standing.age == "missing":  # a revocation's own words are for the people of the workflow
        return "its receipt does not hold", f"the receipt of {name} does not hold any more, so only testers get it"
    return "its eval gate did not pass", f"only testers get {name}: {standing.why}"


def sides_at(flow: Flow, now: float, force: State = "on") -> Sides:
    """Who gets what from ``now`` on, while the kill switch is in the state ``force``."""
    if force == "off":
        return _alike(_stopped(flow, "off", f"'{flow.workflow}' is switched off", route="off", code="ai_off"))
    if force == "guarded":
        return _guarded(flow, now)
    found = _observed(flow, now) if flow.observed else _enforced(flow, now)
    return _assisted(flow, found) if force == "assist" else found


def choose(sides: Sides, position: int, pin: Pin | None = None) -> Side:
    """The side of a live user at ``position``; ``pin``: the one on which the session began (``shares.side``)."""
    early = position < sides.before_share
    otherwise = sides.before if early else sides.outside
    if pin is not None and pin.epoch == sides.epoch and sides.share > 0:
        if pin.digest == sides.release:
            return sides.inside
        if pin.digest == (sides.previous if early else None):
            return otherwise
    return sides.inside if position < sides.share else otherwise


def beside(side: Side, workflow: str) -> Side:
    """The same for the calls of the other kind of an adopted app, which no release of it answers: passed on as before,
    but where the kill switch wants a release or a human."""
    if side.kill:
        said = f"'{workflow}' is in the state '{side.kill}', and no release of it answers such calls"
        return Side("passthrough", "bypass", f"{said}. Take the app's old path.", kill=side.kill)
    return Side("passthrough", "passthrough", would="bypassed: no release answers such calls")


def side_of(sides: Sides, traffic: TrafficClass, position: int, pin: Pin | None = None) -> Side:
    """The side of any call."""
    if traffic == "live":
        return sides.everybody or choose(sides, position, pin)
    return sides.tester if traffic == "tester" else sides.permit


def _enforced(flow: Flow, now: float) -> Sides:
    if flow.release is None:
        said = "it has no release, and without a waiver its calls are not passed on"
        return _alike(_bypassed(flow, said))
    mine = share_of(flow, flow.release, now)
    share, before_share, until, stage = _steps(mine.share), 0, mine.until, flow.release.stage
    said = mine.said
    if flow.previous is not None:
        older = share_of(flow, flow.previous, now)
        before_share, until = _steps(older.share), min(until, older.until)
        said += f"; of the one before it, {older.said}" if older.share < 1.0 else ""
    outside = _bypassed(flow, said, stage)
    if flow.release.drafts and mine.earned and flow.release.holding:
        outside = Side("release", "release", stage=stage, drafted=True)
    inside, before = Side("release", "release", stage=stage), Side("previous", "previous", stage=stage)
    return Sides(
        until=until, share=share, inside=inside, before_share=before_share, before=before, outside=outside,
        tester=Side("release", "release"), permit=Side("release", "release"),
        everybody=_everybody(share, inside, before_share, before, outside),
        release=flow.release.digest, previous=None if flow.previous is None else flow.previous.digest,
        epoch=flow.release.epoch, pins=True,
    )  # fmt: skip


def _observed(flow: Flow, now: float) -> Sides:
    """Everybody is served as before; what would have become of each call is said."""
    if flow.release is None:
        side = Side("passthrough", "passthrough")
        return _alike(msgspec.structs.replace(side, would="bypassed: no release"), side)
    found = _enforced(flow, now)
    word = share_of(flow, flow.release, now).word
    inside = Side("release", "release")
    before = Side("release", "release", would=f"previous: {word}")
    outside = Side("release", "release", would=f"bypassed: {word}")
    return msgspec.structs.replace(
        found, inside=inside, before=before, outside=outside, pins=False,
        everybody=_everybody(found.share, inside, found.before_share, before, outside),
    )  # fmt: skip


def _guarded(flow: Flow, now: float) -> Sides:
    """The release before takes everything, if its gate passed it.  Permits reach what they name: nobody reads that."""
    until = math.inf
    side = _stopped(flow, "guarded", f"'{flow.workflow}' is guarded, and no release before it has passed its eval gate")
    if flow.previous is not None:
        found = flow.previous
        standing = share_of(flow, msgspec.structs.replace(found, share=1.0, later=()), now)
        until = standing.until
        if standing.share == 1.0:
            side = Side("previous", "previous", kill="guarded")
    return msgspec.structs.replace(_alike(side), until=until, permit=Side("release", "release"))


def _assisted(flow: Flow, on: Sides) -> Sides:
    """A human gets every call that a model would have answered; whoever cannot be told so is bypassed."""

    def assisted(side: Side) -> Side:
        if side.why:
            return msgspec.structs.replace(side, kill="assist")
        found = flow.previous if side.serves == "previous" else flow.release
        if side.serves == "passthrough" or found is None or not found.holding:
            said = f"every call of '{flow.workflow}' goes to a human now, and it declares no holding answer"
            return _stopped(flow, "assist", said)
        return msgspec.structs.replace(side, kill="assist", drafted=True)

    inside, before, outside = assisted(on.inside), assisted(on.before), assisted(on.outside)
    return msgspec.structs.replace(
        on, inside=inside, before=before, outside=outside, tester=assisted(on.tester),
        everybody=None if on.everybody is None else assisted(on.everybody),
    )  # fmt: skip


def _alike(side: Side, other: Side | None = None) -> Sides:
    """Every live call, and every ``other`` one, gets the same."""
    other = other or side
    return Sides(math.inf, 0, side, 0, side, side, other, other, side)


def _everybody(share: int, inside: Side, before_share: int, before: Side, outside: Side) -> Side | None:
    if share >= RESOLUTION:
        return inside
    if share > 0:
        return None
    if before_share >= RESOLUTION:
        return before
    return outside if before_share == 0 else None


def _bypassed(flow: Flow, said: str, stage: str | None = None) -> Side:
    why = (
        f"'{flow.workflow}' does not answer this call: {said}. Take the app's old path; "
        f"'roadworthy ready {flow.workflow}' says what is missing."
    )
    return Side(_texts(flow), "bypass", why, stage=stage)


def _stopped(flow: Flow, kill: State, said: str, *, route: Route = "bypass", code: str = "bypassed") -> Side:
    return Side(_texts(flow), route, f"{said}. Take the app's old path.", code, kill=kill)


def _texts(flow: Flow) -> Serves:
    return "passthrough" if flow.release is None else "release"


def _steps(share: float) -> int:
    return round(share * RESOLUTION)


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
