"""What evidence, a person's word and a waiver must be to be taken, how they age, and what stands.  Pure.

Every refusal says what was found and what would make it acceptable.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from roadworthy.evidence.kinds import (
    DAY,
    INSTALL,
    KINDS,
    Acceptance,
    Attestation,
    Facet,
    FailureCatalogue,
    Forecast,
    Kind,
)
from roadworthy.evidence.model import Accepted, Age, Evidence, Waiver
from roadworthy.workflow.problems import did_you_mean

CLOCK_SKEW = 5.0
"""Seconds that evidence may come from the future."""
WORD_LIFE = 30 * DAY
"""Longest that a person's word holds."""
WORD_CAP = 0.10
"""Largest share of traffic on a person's word."""
LONGEST_WAIVER = 30 * DAY
LONGEST_REASON = 500
"""Characters."""
GRACE = 14 * DAY
"""Seconds that what has lapsed still keeps an earned share; ``LONGEST_GRACE`` at most."""
LONGEST_GRACE = 30 * DAY
SOON = 7 * DAY
"""Warned before it lapses."""

Bindings = Mapping[Facet, str]
"""What evidence about a release binds to: its two digests, the workflow's name, this install."""


class Refused(ValueError):
    """It is not taken; the message says why and what would be."""


def bindings(behaviour: str, handling: str, workflow: str) -> dict[Facet, str]:
    """Of a release: its two facet digests and the workflow's name."""
    return {"behaviour": behaviour, "handling": handling, "workflow": workflow, "install": INSTALL}


def binding(kind: str, known: Bindings) -> dict[Facet, str]:
    """What evidence of this kind about such a release binds to."""
    return {facet: known[facet] for facet in KINDS[kind].about}


def matches(evidence: Evidence, known: Bindings) -> bool:
    """Is it about this very release, workflow and install?"""
    row = KINDS.get(evidence.kind)
    return row is not None and evidence.bound == {facet: known[facet] for facet in row.about}


# --- age


def age(lapses_at: float, now: float, grace: float = GRACE) -> Age:
    """``grace``: seconds after the lapse in which an earned share is kept."""
    if now < lapses_at:
        return "fresh"
    return "stale" if now < lapses_at + min(grace, LONGEST_GRACE) else "lapsed"


def lapses_soon(lapses_at: float, now: float, life: float = 2 * SOON) -> bool:
    """``life``: seconds that such evidence holds; what is renewed every week is not always about to lapse."""
    return now < lapses_at <= now + min(SOON, life / 2)


def life(kind: str, *, word_only: bool = False, policy: float | None = None) -> float:
    """Seconds that new evidence of a kind holds.  Policy and a mere word can only shorten it."""
    longest = min(KINDS[kind].life, WORD_LIFE) if word_only else KINDS[kind].life
    return longest if policy is None else min(longest, policy)


# --- what is taken


def read(raw: bytes) -> Evidence:
    """Evidence as somebody sent it.  Raises ``Refused``, which names the field."""
    try:
        return msgspec.json.decode(raw, type=Evidence)
    except msgspec.ValidationError as error:
        unknown = _unknown_kind(raw)
        raise Refused(unknown or f"the evidence does not fit its schema: {error}") from error
    except msgspec.DecodeError as error:
        raise Refused(f"the evidence is no JSON: {error}; send one JSON object") from error


def admit(evidence: Evidence, known: Iterable[Bindings], now: float) -> None:
    """May it be kept?  ``known``: the releases that there are.  Raises ``Refused``."""
    row = KINDS.get(evidence.kind)
    if row is None:
        raise Refused(f"there is no kind of evidence '{evidence.kind}'; {did_you_mean(evidence.kind, KINDS)}")
    _check_schema(evidence)
    _check_words(evidence, row)
    _check_facets(evidence, row, known)
    _check_dates(evidence, row, now)
    for accepted in evidence.accepted:
        if not evidence.made_at - CLOCK_SKEW <= accepted.at <= now + CLOCK_SKEW:
            raise Refused(
                f"it says that {accepted.by} accepted it at {accepted.at:.0f}, before it was made or in the future; "
                "accept it anew: roadworthy accept"
            )


def _unknown_kind(raw: bytes) -> str:
    found: Any = msgspec.json.decode(raw)
    figures = found.get("figures") if isinstance(found, dict) else None
    kind = figures.get("kind") if isinstance(figures, dict) else None
    if kind in KINDS or kind == "attestation":
        return ""
    if not isinstance(kind, str):
        return f"the evidence does not say what it is; name its kind in figures.kind: {', '.join(KINDS)}"
    return f"there is no kind of evidence '{kind[:60]}'; {did_you_mean(kind[:60], KINDS)}"


def _check_schema(evidence: Evidence) -> None:
    """What our own code built obeys the ranges too: msgspec checks them only where it decodes."""
    plain = msgspec.to_builtins(evidence)
    infinite = _not_finite(plain, "")
    if infinite:
        raise Refused(f"{infinite} is not a finite number; leave out what was not measured")
    try:
        msgspec.convert(plain, Evidence)
    except msgspec.ValidationError as error:
        raise Refused(f"the evidence does not fit the schema of '{evidence.kind}': {error}") from error


def _not_finite(value: Any, path: str) -> str:
    if isinstance(value, float):
        return "" if math.isfinite(value) else path.lstrip(".")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next((found for key, item in items if (found := _not_finite(item, f"{path}.{key}"))), "")


def _check_words(evidence: Evidence, row: Kind) -> None:
    if isinstance(evidence.figures, Attestation):
        if not row.by_word:
            raise Refused(f"a person's word is never enough for '{evidence.kind}'; only the {row.title} itself is")
        if evidence.mode != "live" or evidence.run:
            raise Refused("a person's word has no run and no mode; leave both out, or send what the run saw")
        if evidence.by.startswith("os:") or not evidence.by:
            raise Refused("a word needs a named person behind it; sign in with roadworthy login")
    elif isinstance(evidence.figures, Acceptance):
        if evidence.by != evidence.figures.person or evidence.by.startswith("os:"):
            raise Refused(
                f"{evidence.by or 'nobody'} cannot accept a role for {evidence.figures.person}; "
                f"{evidence.figures.person} signs in with roadworthy login and runs roadworthy accept"
            )
    elif not evidence.run:
        raise Refused(f"evidence of kind '{evidence.kind}' must come from a run; name its id in 'run', or attest it")


def _check_facets(evidence: Evidence, row: Kind, known: Iterable[Bindings]) -> None:
    wanted = " and ".join(row.about)
    if set(evidence.bound) != set(row.about):
        found = " and ".join(sorted(evidence.bound)) or "nothing"
        raise Refused(f"a {row.title} is about {wanted}, and this is bound to {found}; bind it to {wanted}, no more")
    if "install" not in row.about and not evidence.workflow:
        raise Refused(f"a {row.title} is about a workflow, and none is named; name it in 'workflow'")
    if not any(matches(evidence, release) for release in known):
        found = ", ".join(f"{facet} {digest[:20]}" for facet, digest in evidence.bound.items())
        raise Refused(
            f"nothing here is {found}; bind it to {wanted} of what exists: roadworthy releases {evidence.workflow}"
        )
    if "workflow" in evidence.bound and evidence.bound["workflow"] != evidence.workflow:
        raise Refused(f"it names workflow '{evidence.workflow}' and is bound to '{evidence.bound['workflow']}'; agree")


def _check_dates(evidence: Evidence, row: Kind, now: float) -> None:
    if evidence.made_at > now + CLOCK_SKEW:
        ahead = _span(evidence.made_at - now)
        raise Refused(f"it was made {ahead} in the future; compare the clocks, or run the {row.title} again")
    if evidence.lapses_at <= evidence.made_at:
        raise Refused("it lapses before it was made; let it hold for a while after 'made_at'")
    longest = life(evidence.kind, word_only=evidence.word_only)
    if evidence.lapses_at > evidence.made_at + longest + CLOCK_SKEW:
        says = "somebody's word" if evidence.word_only else f"a {row.title}"
        raise Refused(
            f"{says} holds for {longest / DAY:.0f} days at most; let it lapse by {evidence.made_at + longest:.0f}"
        )
    if evidence.lapses_at <= now:
        raise Refused(f"it lapsed {_span(now - evidence.lapses_at)} ago; run the {row.title} again")


def _span(seconds: float) -> str:
    """``45 s``, ``90 min``, ``20 h``, ``3.5 days``."""
    for unit, size in (("days", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def check_reason(what: str, reason: str) -> None:
    """Raises ``Refused``."""
    if not reason.strip():
        raise Refused(f"{what} needs a reason that others can read; give one with --reason")
    if len(reason) > LONGEST_REASON:
        raise Refused(f"the reason has {len(reason):,} characters; {LONGEST_REASON} are the most: shorten it")


# --- waivers


def admit_waiver(waiver: Waiver, items: Iterable[int], never: Iterable[int], now: float) -> None:
    """May it be kept?  ``items``: what numbers there are; ``never``: those that nobody waives.  Raises ``Refused``."""
    if waiver.item is not None and waiver.item not in (known := set(items)):
        raise Refused(f"there is no item {waiver.item}; items go from {min(known)} to {max(known)}")
    if waiver.item in set(never):
        raise Refused(f"item {waiver.item} is never waived: only a run can show it; roadworthy ready names the command")
    if not waiver.person or waiver.person.startswith("os:"):
        raise Refused("a waiver needs a named person; sign in with roadworthy login")
    check_reason("a waiver", waiver.reason)
    if waiver.starts > now + CLOCK_SKEW:
        raise Refused("a waiver starts now, not later; make it when it is needed")
    if waiver.ends <= now:
        raise Refused("it would be over already; give an end in the future, at most 30 days away")
    if waiver.ends > now + LONGEST_WAIVER:
        days = (waiver.ends - now) / DAY
        raise Refused(f"it would last {days:.1f} days; 30 are the most, and its owner may renew it then")


# --- what stands


def acceptance(evidence: Evidence, history: Sequence[Evidence], person: str) -> Accepted | None:
    """Who accepted it: its own acceptance by ``person``, or an earlier one that it stays inside.

    A forecast stays accepted while spend and forecast stay inside the accepted one and prices are unchanged; a
    catalogue while its text is unchanged.  Everything else is accepted anew.
    """
    role = KINDS[evidence.kind].accepted_by
    for candidate in [evidence, *sorted(history, key=lambda each: -each.made_at)]:
        accepted = next((a for a in candidate.accepted if a.by == person and a.role == role), None)
        earlier = candidate is evidence or (candidate.made_at <= evidence.made_at and _inside(evidence, candidate))
        if accepted is not None and earlier:
            return accepted
    return None


def _inside(new: Evidence, accepted: Evidence) -> bool:
    if new.kind != accepted.kind or new.bound != accepted.bound:
        return False
    a, b = accepted.figures, new.figures
    if isinstance(a, Forecast) and isinstance(b, Forecast):
        most = a.most
        return (
            b.prices == a.prices
            and b.unit <= most.unit
            and b.month_five <= most.month_five
            and max(b.month_peak, b.month_spent) <= most.month_peak
        )
    return isinstance(a, FailureCatalogue) and isinstance(b, FailureCatalogue) and a.content == b.content


def superseded(evidence: Sequence[Evidence]) -> dict[str, str]:
    """Id → id of the newer evidence of the same kind, facets and (for an acceptance) role.  What is superseded is kept:
    an hour's load test goes on counting beside a later minute's, and a failure until it is passed."""
    newest: dict[tuple[Any, ...], Evidence] = {}
    out: dict[str, str] = {}
    for each in sorted(evidence, key=lambda e: (e.made_at, e.id)):
        key = (each.kind, tuple(sorted(each.bound.items())), getattr(each.figures, "role", ""))
        before = newest.get(key)
        if before is not None:
            out[before.id] = each.id
        newest[key] = each
    return out
