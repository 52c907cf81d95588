"""Pure decisions about configuration and releases: what an apply does, how releases differ, what lapses.

No effects: ``service.py`` acts on what is decided here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from roadworthy.workflow.digest import behaviour_digest, canonical, handling_digest
from roadworthy.workflow.draft import target_identity
from roadworthy.workflow.model import Behaviour, Configuration, Handling, Release, Target, Workflow
from roadworthy.workflow.problems import Problem
from roadworthy.workflow.strictness import Terms, changed, terms_of, waiting

Facet = Literal["behaviour", "handling"]

EVIDENCE_ABOUT: Final[Mapping[str, tuple[Facet, ...]]] = {
    "load test": ("behaviour",),
    "cost forecast": ("behaviour",),
    "eval gate": ("behaviour",),
    "fallback drills": ("behaviour", "handling"),
    "failure catalogue": ("behaviour", "handling"),
}
"""Kind of evidence → the facets that it is about.  Kinds about the install or the workflow bind to no facet."""

SOON: Final = "acts in 1 s"
FREEZE: Final = "needs freeze"
RESTART: Final = "acts at the next start"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a plan."""

    change: Literal["added", "changed", "removed"]
    subject: str
    """``target main: price``, ``workflow triage: prompt``…"""
    effect: str
    """When and how it acts."""
    loosens: bool = False
    """Allows more than before: it keeps its value until the workflow's owner approves."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field in which two releases differ."""

    facet: Facet
    field: str
    before: str
    after: str
    text: str = ""
    """Unified diff, for prompts and other texts."""


class ReleaseDiff(msgspec.Struct, frozen=True, kw_only=True):
    a: str
    b: str
    """Digests."""
    differences: list[Difference]
    lapses: list[str]
    """Kinds of evidence of ``a`` that say nothing about ``b``."""


# What an apply does


def plan(
    old: Configuration | None, new: Configuration, agreed: Callable[[str], Terms | None] = lambda workflow: None
) -> list[Change]:
    """What applying ``new`` over ``old`` changes, ordered by subject.

    ``old``: as configured; ``agreed``: the terms of a workflow that are in force, ``None`` for one that is new.
    """
    before = old or Configuration(settings=new.settings, targets={}, people={}, workflows={})
    changes = [] if old is not None else [Change(change="added", subject="settings", effect=RESTART)]
    changes += _settings_changes(before, new)
    changes += _changes("target", before.targets, new.targets, _target_changes(new))
    changes += _changes("person", before.people, new.people, lambda a, b: [("", SOON)])
    changes += _changes("on-call", before.on_call, new.on_call, lambda a, b: [("", SOON)])
    changes += _changes("workflow", before.workflows, new.workflows, _workflow_changes)
    for name, workflow in sorted(new.workflows.items()):
        changes += _terms_changes(before.workflows.get(name), workflow, agreed(name))
    return changes


_Effects = Callable[[Any, Any], list[tuple[str, str]]]
"""(before or None, after or None) → (part, effect)."""


def _changes(word: str, before: Mapping[str, Any], after: Mapping[str, Any], effects: _Effects) -> list[Change]:
    out = []
    for name in sorted(before.keys() | after.keys()):
        a, b = before.get(name), after.get(name)
        if a is not None and b is not None and msgspec.json.encode(a) == msgspec.json.encode(b):
            continue
        kind: Literal["added", "changed", "removed"] = "added" if a is None else "removed" if b is None else "changed"
        for part, effect in effects(a, b):
            subject = f"{word} {name}" + (f": {part}" if part else "")
            out.append(Change(change=kind, subject=subject, effect=effect))
    return out


_LIVE_SETTINGS: Final = frozenset(
    {
        "retention", "redaction", "disk_full", "team_budgets", "helpdesks", "notify", "smtp", "oidc", "finance",
        "heartbeat",
    }
)  # fmt: skip


def _settings_changes(before: Configuration, after: Configuration) -> list[Change]:
    return [
        Change(change="changed", subject=f"settings: {name}", effect=SOON if name in _LIVE_SETTINGS else RESTART)
        for name in _differing(before.settings, after.settings)
    ]


def _target_changes(new: Configuration) -> _Effects:
    def effects(a: Target | None, b: Target | None) -> list[tuple[str, str]]:
        if a is None or b is None:
            return [("", SOON)]
        fields = _differing(a, b)
        out = [(name, SOON) for name in fields if name not in ("provider", "model", "endpoint", "simulation")]
        if "simulation" in fields:
            out.append(("simulation", RESTART))
        if any(name in fields for name in ("provider", "model", "endpoint")):
            users = sorted(
                name
                for name, workflow in new.workflows.items()
                if workflow.behaviour is not None and b.name in workflow.behaviour.targets
            )
            effect = f"{FREEZE}: {', '.join(users)}; a frozen release goes on calling the old one" if users else SOON
            out.append(("model and endpoint", effect))
        return out

    return effects


def _workflow_changes(a: Workflow | None, b: Workflow | None) -> list[tuple[str, str]]:
    if b is None:
        return [("", "callers get model_not_found in 1 s; its releases and log are kept")]
    if a is None:
        if b.behaviour is None:
            return [("", f"passed through to {b.passthrough} in 1 s")]
        return [
            ("", f"{FREEZE} before it is served" + (f"; passed through to {b.passthrough}" if b.passthrough else ""))
        ]
    out: list[tuple[str, str]] = []
    if (a.behaviour is None) != (b.behaviour is None):
        out.append(("behaviour", FREEZE if b.behaviour is not None else "its release stays as it was"))
    elif (
        a.behaviour is not None
        and b.behaviour is not None
        and behaviour_digest(a.behaviour) != behaviour_digest(b.behaviour)
    ):
        out += [(name, FREEZE) for name in _differing(a.behaviour, b.behaviour)]
    if handling_digest(a.handling) != handling_digest(b.handling):
        out += [(name, FREEZE) for name in _differing(a.handling, b.handling)]
    said = ("name", "behaviour", "handling", "policy", "enforcement", "owners")
    out += [(name, SOON) for name in _differing(a, b) if name not in said]
    return out


def _terms_changes(a: Workflow | None, b: Workflow, agreed: Terms | None) -> list[Change]:
    """What acts at once, and what its owner must approve first.  ``a``: as configured before."""
    held = [] if agreed is None else [wait.field for wait in waiting(agreed, terms_of(b))]
    touched = held if a is None else changed(terms_of(a), terms_of(b))
    out = []
    for field in touched:
        loose = field in held
        effect = SOON
        if loose and agreed is not None:
            effect = f"loosens: waits for {agreed.owners.workflow}, `roadworthy approve {b.name}`"
        out.append(Change(change="changed", subject=f"workflow {b.name}: {field}", effect=effect, loosens=loose))
    return out


# Targets that a served release names


def broken_promises(new: Configuration, served: Iterable[Release]) -> list[Problem]:
    """Launched targets that a served release names and that ``new`` removes or changes.

    A release keeps the exact models that it was frozen with.  A provider's model is still there when the
    configuration moves on, so the snapshot pins it; a model or simulation that this install launches is not.
    """
    out = []
    for release in served:
        if release.workflow not in new.workflows:
            continue
        for name, identity in release.behaviour.targets.items():
            if identity.provider not in ("local", "simulated"):
                continue
            target = new.targets.get(name)
            if target is not None and target_identity(target) == identity:
                continue
            found = "no such target" if target is None else f"{target.provider} {target.model}"
            expected = f"{identity.provider} {identity.model}, which the served release of {release.workflow} names"
            mend = "keep it, add a target under a new name, name that in the workflow, apply and freeze; then remove it"
            where = f"targets.{name}"
            out.append(Problem(file="roadworthy.yaml", line=0, field=where, found=found, expected=expected, mend=mend))
    return out


# How releases differ


def diff(a: Release, b: Release) -> ReleaseDiff:
    """Every field in which two releases differ, and what going from ``a`` to ``b`` lapses."""
    differences = _facet_differences("behaviour", a.behaviour, b.behaviour)
    differences += _facet_differences("handling", a.handling, b.handling)
    facets: set[Facet] = set()
    if a.behaviour_digest != b.behaviour_digest:
        facets.add("behaviour")
    if a.handling_digest != b.handling_digest:
        facets.add("handling")
    return ReleaseDiff(a=a.digest, b=b.digest, differences=differences, lapses=lapses(facets))


def lapses(changed: Iterable[Facet]) -> list[str]:
    """Kinds of evidence that lapse when these facets change."""
    facets = set(changed)
    return [kind for kind, about in EVIDENCE_ABOUT.items() if facets & set(about)]


def _facet_differences(facet: Facet, a: Behaviour | Handling, b: Behaviour | Handling) -> list[Difference]:
    before, after = _flat(a), _flat(b)
    out = []
    for field in sorted(before.keys() | after.keys()):
        one, other = before.get(field), after.get(field)
        if one == other:
            continue
        texts = [value if isinstance(value, str) else "" for value in (one, other)]
        long = any("\n" in text or len(text) > 60 for text in texts)
        out.append(
            Difference(
                facet=facet,
                field=field,
                before=_short(one),
                after=_short(other),
                text=_text_diff(field, texts[0], texts[1]) if long else "",
            )
        )
    return out


def _flat(facet: Behaviour | Handling) -> dict[str, Any]:
    """Field → value, one level into mappings and structs; schema and tools as indented text."""
    out: dict[str, Any] = {}
    for name in facet.__struct_fields__:
        value = getattr(facet, name)
        if value is None:
            continue
        if name in ("schema", "tools"):
            out[name] = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        elif isinstance(value, msgspec.Struct):
            out |= {f"{name}.{part}": msgspec.to_builtins(getattr(value, part)) for part in value.__struct_fields__}
        elif isinstance(value, dict):
            out |= {f"{name}.{part}": msgspec.to_builtins(item) for part, item in value.items()}
        else:
            out[name] = value
    return out


def _short(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else canonical(value, keep_order=True)
    first, *rest = text.splitlines() or [""]
    return first if not rest and len(first) <= 60 else f"{first[:57]}…"


def _text_diff(field: str, a: str, b: str) -> str:
    lines = difflib.unified_diff(a.splitlines(), b.splitlines(), f"a/{field}", f"b/{field}", lineterm="")
    return "\n".join(lines)


def _differing(a: msgspec.Struct, b: msgspec.Struct) -> list[str]:
    return [name for name in a.__struct_fields__ if getattr(a, name) != getattr(b, name)]
