"""Whose fault it is, as far as counts can tell: provider, our release, the traffic, Roadworthy, or unknown.  Pure.

Rules are asked in order and the first that has evidence answers.  Ours come first where the evidence is about us, for
the sake of honesty; a change of ours beats the provider only when nobody else on the same target suffers.  Nothing here
reads a text that a model, a caller or a provider wrote: only our own words for failures, and HTTP statuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from roadworthy.people.incident.model import Fault

MOST: Final = 0.5
"""Share of the bad calls that one cause must explain."""
FEW: Final = 0.2
"""Share of a target's attempts below which another workflow does not suffer with us."""
SURGE: Final = 2.0
"""Times the usual volume, at least, before traffic is the cause."""
STALE: Final = 60.0
"""Seconds that our own journal may lag."""
SLOW_OURSELVES: Final = 0.5
"""Seconds of overhead (p95) that no provider explains."""

PROVIDERS: Final = frozenset({"unavailable", "slow", "overlimit", "misconfigured", "truncated"})
CHECKS: Final = frozenset({"invalid", "refused", "unsafe"})
CALLERS: Final = frozenset({"bad_request", "context_length", "throttled"})
OURS: Final = frozenset({"gateway_lost"})


class Change(msgspec.Struct, frozen=True):
    """Something that a person or the engine changed."""

    at: float
    what: str
    """In words: ``release 7 at 10 %, by ada``."""
    serving: bool = True
    """Can it change what is served?  A resolved incident cannot."""


class Neighbour(msgspec.Struct, frozen=True):
    """Another workflow on the target that fails most."""

    workflow: str
    down: int
    attempts: int


class FaultFacts(msgspec.Struct, frozen=True):
    """What is known of the bad calls of a workflow."""

    bad: int = 0
    failures: Mapping[str, int] = {}
    """Failure → bad calls."""
    statuses: Mapping[int, int] = {}
    """HTTP status → failed attempts; 0: no answer at all."""
    target: str = ""
    """That failed most."""
    provider: str = ""
    """Of it."""
    neighbours: tuple[Neighbour, ...] = ()
    began: float | None = None
    changes: tuple[Change, ...] = ()
    """Of this workflow or the install, in the hour before it began."""
    per_minute: float = 0.0
    usual: float = 0.0
    """Calls a minute on the day before; 0: unknown."""
    overhead: float = 0.0
    """Seconds (p95) in which no attempt was under way, of the bad calls."""
    lag: float = 0.0
    """Seconds that our journal is behind."""
    internal: int = 0
    """Bad calls that ended with an error of our own."""


def decide(facts: FaultFacts) -> Fault:
    """The first rule that has evidence."""
    for rule in RULES:
        found = rule(facts)
        if found is not None:
            return found
    if not facts.bad:
        return Fault("unknown", "no bad call of the last minutes is in the log yet")
    return Fault("unknown", f"{_kinds(facts.failures)} among {facts.bad} bad calls point to nobody alone")


def _roadworthy(facts: FaultFacts) -> Fault | None:
    ours = facts.internal + _of(facts, OURS)
    if facts.bad and ours >= MOST * facts.bad:
        return Fault("roadworthy", f"{ours} of {facts.bad} bad calls ended inside Roadworthy: a worker died or erred")
    if facts.bad and facts.overhead >= SLOW_OURSELVES and not _of(facts, PROVIDERS):
        return Fault("roadworthy", f"calls spent {facts.overhead:.1f} s (p95) in Roadworthy and none was failed by a "
                     "target")  # fmt: skip
    if facts.lag >= STALE and not facts.bad:
        return Fault("roadworthy", f"our own journal is {facts.lag:.0f} s behind, so this is seen late")
    return None


def _traffic(facts: FaultFacts) -> Fault | None:
    theirs = _of(facts, CALLERS)
    if facts.bad and theirs >= MOST * facts.bad:
        return Fault("traffic", f"{theirs} of {facts.bad} bad calls asked for what cannot be served "
                     f"({_kinds(facts.failures)})")  # fmt: skip
    limited = facts.failures.get("overlimit", 0)
    if _surges(facts) and facts.bad and limited >= MOST * facts.bad:
        return Fault(
            "traffic",
            f"{facts.per_minute:.0f} calls a minute, {facts.per_minute / facts.usual:.1f} times the usual, and the "
            f"provider's limit refused {limited} of {facts.bad} bad calls",
        )
    return None


def _release(facts: FaultFacts) -> Fault | None:
    """What our own checks refused, or a change of ours just before."""
    checked = _of(facts, CHECKS)
    change = _change(facts)
    if facts.bad and checked >= MOST * facts.bad:
        after = f", after {change.what}" if change is not None else ""
        return Fault("release", f"our own checks refused {checked} of {facts.bad} bad answers "
                     f"({_kinds(facts.failures, CHECKS)}){after}")  # fmt: skip
    refused = facts.failures.get("misconfigured", 0)
    if change is not None and facts.bad and refused >= MOST * facts.bad:
        return Fault("release", f"{facts.target or 'the target'} refuses us ({_codes(facts.statuses)}) since "
                     f"{change.what}")  # fmt: skip
    return None


def _provider(facts: FaultFacts) -> Fault | None:
    theirs = _of(facts, PROVIDERS)
    if not facts.bad or theirs < MOST * facts.bad:
        return None
    said = f"{theirs} of {facts.bad} bad calls: {facts.target or 'the target'} {_codes(facts.statuses)}"
    suffer = [one for one in facts.neighbours if one.attempts and one.down > FEW * one.attempts]
    if suffer:
        named = ", ".join(f"{one.workflow} ({one.down} of {one.attempts})" for one in suffer[:2])
        return Fault("provider", f"{said}; {named} on the same target {'fails' if len(suffer) == 1 else 'fail'} too")
    well = [one for one in facts.neighbours if one.attempts]
    change = _change(facts)
    if change is not None and well:
        return Fault("release", f"{said}, but {well[0].workflow} on the same target is well, and {change.what} came "
                     "just before")  # fmt: skip
    if change is not None:
        return Fault("provider", f"{said}; no other workflow uses it to compare, and {change.what} came just before")
    return Fault("provider", f"{said}; we changed nothing in the hour before")


def _late(facts: FaultFacts) -> Fault | None:
    """A change just before is the likeliest of the rest."""
    change = _change(facts)
    if change is None or not facts.bad:
        return None
    return Fault("release", f"it began within the hour after {change.what}")


RULES: Final[tuple[Callable[[FaultFacts], Fault | None], ...]] = (_roadworthy, _traffic, _release, _provider, _late)


def _change(facts: FaultFacts) -> Change | None:
    """The last one that can change what is served, before it began."""
    return next((one for one in sorted(facts.changes, key=lambda one: -one.at) if one.serving), None)


def _surges(facts: FaultFacts) -> bool:
    return facts.usual > 0 and facts.per_minute >= SURGE * facts.usual


def _of(facts: FaultFacts, kinds: frozenset[str]) -> int:
    return sum(count for name, count in facts.failures.items() if name in kinds)


def _kinds(failures: Mapping[str, int], among: frozenset[str] | None = None) -> str:
    held = {name: count for name, count in failures.items() if among is None or name in among}
    most = sorted(held.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in most) or "nothing named"


def _codes(statuses: Mapping[int, int]) -> str:
    """``gave no answer (26×) and answered 504 (12×)``."""
    most = sorted(statuses.items(), key=lambda item: (-item[1], item[0]))[:3]
    if not most:
        return "failed"
    answered = ", ".join(f"{code} ({count}×)" for code, count in most if code)
    silent = next((f"gave no answer ({count}×)" for code, count in most if not code), "")
    return " and ".join(part for part in (silent, f"answered {answered}" if answered else "") if part)
