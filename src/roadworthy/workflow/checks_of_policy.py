"""What must hold between the keys of ``policy``: a ramp that can be followed, guardrails that can be told apart.

The same as ``rollout.rules.vet`` asks of a plan, with the line that must change; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from roadworthy.workflow.draft import Draft
from roadworthy.workflow.model import Policy
from roadworthy.workflow.problems import Problem

_STAGES: Final = ("policy", "rollout", "stages")
_BUILT_IN: Final = frozenset({"errors", "fallbacks", "escalations", "unsafe", "thumbs_down"})
"""Guardrails that are shares of calls: they lie between 0 % and 100 %."""


def _stages(draft: Draft) -> Iterator[Problem]:
    stages = _policy(draft).rollout.stages
    if not stages:
        return
    shares = [stage.share for stage in stages]
    live = [share for share in shares if share > 0]
    said = ", ".join(f"{share * 100:g} %" for share in shares)
    if not live:
        yield draft.problem(_STAGES, "no stage with live traffic", "at least one", "add '- share: 1%'")
    elif shares != [0.0] * (len(shares) - len(live)) + sorted(set(live)):
        yield draft.problem(_STAGES, said, "shares that rise from stage to stage", "put them in order, each once")
    names = [stage.name for stage in stages]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield draft.problem(_STAGES, f"two stages named '{name}'", "a name of its own for each", "rename one")


def _guardrails(draft: Draft) -> Iterator[Problem]:
    for name, rail in _policy(draft).rollout.guardrails.items():
        path = ("policy", "rollout", "guardrails", name)
        if rail.budget >= rail.limit:
            found = f"budget {rail.budget:g}, limit {rail.limit:g}"
            yield draft.problem(path, found, "a budget below its limit", "lower the budget or raise the limit")
        elif name in _BUILT_IN and not 0 < rail.budget < rail.limit < 1:
            found = f"budget {rail.budget:g}, limit {rail.limit:g}"
            yield draft.problem(path, found, "both between 0 % and 100 %: it is a share of calls", "write shares")


def _levels(draft: Draft) -> Iterator[Problem]:
    ramp = _policy(draft).rollout
    for name, level in (("alpha", ramp.alpha), ("beta", ramp.beta)):
        if level >= 1:
            yield draft.problem(("policy", "rollout", name), f"{level:g}", "less than 100 %", "use 5%")


def _triggers(draft: Draft) -> Iterator[Problem]:
    """A trigger that cannot do what it says."""
    policy = _policy(draft)
    if policy.kill.to == "assist" and not draft.has("holding"):
        mend = "add 'holding: {text: …}' and freeze, or use guarded or off"
        found = "'to: assist' without a holding answer"
        yield draft.problem(("policy", "kill", "to"), found, "what callers read while a person answers", mend)
    if draft.has("policy", "kill", "error_burn") and not policy.objective.error_share:
        mend = "add policy.objective.error_share"
        found = "'error_burn' without an objective"
        yield draft.problem(("policy", "kill", "error_burn"), found, "an error share to burn", mend, "warning")


def _policy(draft: Draft) -> Policy:
    read = draft.keys.get("policy")
    return read if isinstance(read, Policy) else Policy()


CHECKS: Final[tuple[Callable[[Draft], Iterator[Problem]], ...]] = (_stages, _guardrails, _levels, _triggers)
