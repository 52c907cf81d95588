"""Which way is looser: for every field that says how much a workflow may do, the stricter of two values.

``Terms`` are what the workflow's owner has agreed to.  What is configured acts at once as far as it is stricter; the
rest keeps its agreed value until the owner approves.  So ``strictest`` is all there is to decide: a field waits when
the stricter value is not the configured one.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from roadworthy.workflow.model import Enforcement, Owners, Policy, RampBudget, RampStage, Workflow

Strictest = Callable[[Any, Any], Any]
"""(agreed, configured) → the stricter one, or what both allow."""


class Terms(msgspec.Struct, frozen=True):
    """Who answers for a workflow, whether it is enforced, and its policy."""

    owners: Owners
    enforcement: Enforcement
    policy: Policy


class Waits(msgspec.Struct, frozen=True):
    """A field that keeps its agreed value until the owner approves."""

    field: str
    """Dotted: ``enforcement``, ``owners.cost``, ``policy.kill.usd_per_hour``."""
    now: Any
    wanted: Any


def terms_of(workflow: Workflow) -> Terms:
    return Terms(workflow.owners, workflow.enforcement, workflow.policy)


def under(workflow: Workflow, terms: Terms) -> Workflow:
    """The workflow with these terms instead of its own."""
    if terms_of(workflow) == terms:
        return workflow
    return msgspec.structs.replace(workflow, owners=terms.owners, enforcement=terms.enforcement, policy=terms.policy)


def strictest(agreed: Terms, configured: Terms, *, approved: Collection[str] = ()) -> Terms:
    """What is in force.  ``approved``: fields, or what they lie in (``policy.kill``), that are taken as configured."""
    if agreed == configured:
        return configured

    def choose(field: str, a: Any, b: Any) -> Any:
        return b if any(inside(field, each) for each in approved) else RULES[field](a, b)

    found: Terms = _joined(agreed, configured, "", choose)
    return found


def waiting(agreed: Terms, configured: Terms) -> list[Waits]:
    """Fields that the agreed terms keep back, in the order of ``RULES``."""
    if agreed == configured:
        return []
    found: dict[str, Waits] = {}

    def look(field: str, a: Any, b: Any) -> Any:
        held = RULES[field](a, b)
        if held != b:
            found[field] = Waits(field, held, b)
        return held

    _joined(agreed, configured, "", look)
    return [found[field] for field in RULES if field in found]


def changed(a: Terms, b: Terms) -> list[str]:
    """Fields in which they differ, in the order of ``RULES``."""
    found: set[str] = set()

    def look(field: str, one: Any, other: Any) -> Any:
        if one != other:
            found.add(field)
        return other

    _joined(a, b, "", look)
    return [field for field in RULES if field in found]


def inside(field: str, wanted: str) -> bool:
    """Is ``field`` the one that ``wanted`` names, or inside it?"""
    return field == wanted or field.startswith(f"{wanted}.")


def _joined(a: Any, b: Any, path: str, choose: Callable[[str, Any, Any], Any]) -> Any:
    """A struct like ``b``, each of its fields chosen from both; a field without a rule is a struct of fields."""
    out = {}
    for name in b.__struct_fields__:
        field = f"{path}.{name}" if path else name
        one, other = getattr(a, name), getattr(b, name)
        out[name] = choose(field, one, other) if field in RULES else _joined(one, other, field, choose)
    return b if all(out[name] is getattr(b, name) for name in out) else type(b)(**out)


# --- the stricter of two values


def _least(a: Any, b: Any) -> Any:
    """A lower limit is stricter, and none is the loosest."""
    return b if a is None or (b is not None and b <= a) else a


def _most(a: Any, b: Any) -> Any:
    return b if a is None or (b is not None and b >= a) else a


def _either(word: Any) -> Strictest:
    """One value is the strict one."""
    return lambda a, b: b if b == word or a != word else a


def _order(*words: str) -> Strictest:
    """From the loosest to the strictest."""
    return lambda a, b: b if words.index(b) >= words.index(a) else a


def _common(a: list[str], b: list[str]) -> list[str]:
    """Nobody who is not in both."""
    return b if set(b) <= set(a) else [each for each in b if each in a]


def _all_of(a: list[str], b: list[str]) -> list[str]:
    return b if set(a) <= set(b) else [*b, *(each for each in a if each not in b)]


def _agreed(a: Any, b: Any) -> Any:
    """Any change waits."""
    return b if a == b else a


def _stated(a: Any, b: Any) -> Any:
    """A limit that allows what would else be refused: none is the strictest, and then the lower one."""
    return b if b is None or (a is not None and b <= a) else a


def _told_at(a: Any, b: Any) -> Any:
    """Stricter is to be told at all of the shares."""
    one, other = (each if isinstance(each, tuple) else (each,) for each in (a, b))
    return b if set(one) <= set(other) else tuple(sorted({*one, *other}))


def _free(a: Any, b: Any) -> Any:
    """Neither way is looser."""
    return b


def _floors(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {name: _most(a.get(name), b.get(name)) for name in [*b, *(name for name in a if name not in b)]}


def _rails(a: Mapping[str, RampBudget], b: Mapping[str, RampBudget]) -> dict[str, RampBudget]:
    """An own guardrail of a built-in name may be laxer than the built-in one, so one that comes or goes is compared
    with it."""
    out: dict[str, RampBudget] = {}
    for name in [*b, *(name for name in a if name not in b)]:
        one, other = a.get(name, BUILT_IN.get(name)), b.get(name, BUILT_IN.get(name))
        if one is None or other is None:
            both = one or other
        else:
            both = RampBudget(min(one.budget, other.budget), min(one.limit, other.limit))
        if both is not None and (name in b or both != BUILT_IN.get(name)):
            out[name] = both
    return dict(b) if out == b else out


BUILT_IN: Final[Mapping[str, RampBudget]] = {
    "errors": RampBudget(0.01, 0.03),
    "fallbacks": RampBudget(0.05, 0.10),
    "escalations": RampBudget(0.10, 0.20),
    "unsafe": RampBudget(0.002, 0.01),
    "thumbs_down": RampBudget(0.05, 0.15),
}
"""The guardrails that every ramp has, as ``rollout.model`` declares them; a test holds the two together."""


def _stages(a: list[RampStage], b: list[RampStage]) -> list[RampStage]:
    """Stricter is: every stage is kept, none is shorter or loses its approval, and none goes beyond the last.  Between
    the built-in plan (none of its own) and an own one, the owner judges."""
    if a == b or (a and b and b[-1].share <= a[-1].share and all(_kept(stage, b) for stage in a)):
        return b
    return a


def _kept(stage: RampStage, among: list[RampStage]) -> bool:
    if stage.share > among[-1].share:
        return True  # it goes less far
    return any(
        other.share == stage.share
        and other.dwell >= stage.dwell
        and other.calls >= stage.calls
        and (other.approval or not stage.approval)
        for other in among
    )


def _shadow(a: Any, b: Any) -> Any:
    """Shadow calls cost money: none is the strictest."""
    if a is None or b is None:
        return None
    return b if b.share <= a.share and b.usd_per_day <= a.usd_per_day else a


_SPANS: Final = ("user.day", "user.month", "key.day", "key.month", "workflow.day", "workflow.month")

RULES: Final[Mapping[str, Strictest]] = {
    "enforcement": _either("enforce"),
    "owners.workflow": _agreed,
    "owners.prompt": _agreed,
    "owners.cost": _agreed,
    "owners.on_call": _free,
    "policy.testers": _common,
    "policy.pilot_share": _least,
    "policy.projected_peak": _most,
    "policy.objective.latency_p95": _least,
    "policy.objective.error_share": _least,
    "policy.objective.latency_p99": _stated,
    "policy.requests_per_minute_per_key": _least,
    "policy.tester_calls_per_day": _least,
    "policy.tester_usd_per_day": _least,
    "policy.redact": _all_of,
    "policy.log_bodies": _either(False),
    "policy.budgets.inference": _least,
    **{f"policy.budgets.{span}": _least for span in _SPANS},
    "policy.budgets.alert_at": _told_at,
    "policy.budgets.spike_at": _least,
    "policy.escalation.helpdesk": _free,
    "policy.escalation.answer_within": _least,
    "policy.escalation.capacity": _free,
    "policy.escalation.hide_draft": _most,
    "policy.escalation.agents": _stated,
    "policy.kill.streams": _either("cut"),
    "policy.kill.stale": _either("off"),
    "policy.kill.usd_per_hour": _least,
    "policy.kill.unsafe_share": _least,
    "policy.kill.error_burn": _least,
    "policy.kill.to": _order("guarded", "assist", "off"),
    "policy.rollout.stages": _stages,
    "policy.rollout.drafts": _either(True),
    "policy.rollout.guardrails": _rails,
    "policy.rollout.alpha": _most,
    "policy.rollout.beta": _least,
    "policy.rollout.shadow": _shadow,
    "policy.gate.floors": _floors,
    "policy.gate.margin": _least,
    "policy.gate.primary": _agreed,
    "policy.gate.slices": _all_of,
    "policy.grace": _least,
}
"""Field → the stricter of two values.  Every field of ``Terms`` is here or holds fields that are."""
