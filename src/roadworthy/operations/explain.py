"""``roadworthy explain``: what each failure will do to the callers of a workflow, joined from its release, its prices
and its past.

What happens is foretold by ``fallback/foretell.py``; here it gets its money.  A call is priced at the size that calls
of the last week had (input, and ``max_tokens`` or the usual output), and the answer says at which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from roadworthy.fallback.foretell import Foretold, foretell, foretell_all
from roadworthy.gateway.world import PASSTHROUGH_HANDLING
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Log
from roadworthy.workflow.inference import Failure
from roadworthy.workflow.model import (
    Behaviour,
    Budget,
    CheckSpec,
    Handling,
    Hedge,
    Policy,
    Price,
    StreamMode,
    Target,
    Workflow,
)
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.service import Workflows

WEEK = 7 * 86400.0
UNSEEN_INPUT = 1000
"""Input tokens of a call of a workflow that has had none, beside its prompt."""
UNSEEN_OUTPUT = 1000
_CHARS_PER_TOKEN = 4
_VERDICT = 20
"""Output tokens of a guard model's yes or no."""

_OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")


class Size(msgspec.Struct, frozen=True):
    """Tokens of one call, and where they are known from."""

    input: int
    output: int
    input_source: str
    output_source: str
    bounded: bool
    """The release limits the output."""


class BudgetLine(msgspec.Struct, frozen=True):
    """A budget that holds for the workflow's calls."""

    of: Literal["user", "key", "workflow", "team"]
    period: Literal["day", "month"]
    limit: float
    overshoot: float | None
    """US dollars by which calls of the explained size may exceed it at worst (docs/budgets.md); ``None``: nobody knows,
    for a price is not known or nothing bounds the output."""


class Path(msgspec.Struct, frozen=True):
    """What one failure does."""

    lasting: Foretold
    """When every attempt fails so."""
    once: Foretold
    """When only the first one does."""


class Explained(msgspec.Struct, frozen=True):
    """The unhappy paths of one workflow."""

    workflow: str
    release: str | None
    """Digest; ``None`` for an app that is passed through."""
    number: int | None
    """``None`` for a draft."""
    deadline: float
    clocks: dict[str, float]
    stream: StreamMode
    window: int
    continuation: int
    hedge: Hedge | None
    size: Size
    costs: dict[str, float | None]
    """Target → US dollars of a call of that size, checks included; ``None``: no price."""
    allowance: float | None
    """US dollars that one inference may spend."""
    budgets: list[BudgetLine]
    capacity: int
    """Open escalations at which none is added."""
    items: list[Path]


class Explainer:
    """Explains releases and drafts."""

    def __init__(
        self, workflows: Workflows, log: Log, price_of: Callable[[Target], Price | None], *, now: Callable[[], float]
    ) -> None:
        self._workflows = workflows
        self._log = log
        self._price_of = price_of
        self._now = now

    def explain(self, workflow: str, which: str | None = None, failure: Failure | None = None) -> Explained:
        """``which``: a number, a digest or its beginning, ``draft`` or ``served``; by default what is served, else the
        draft.  Raises ``Unknown``."""
        applied = self._workflows.configuration()
        configured = applied.configuration.workflows.get(workflow) if applied is not None else None
        policy = configured.policy if configured is not None else Policy()
        targets = applied.configuration.targets if applied is not None else {}
        digest, number, behaviour, handling = self._content(workflow, which)
        size = self._size(workflow, behaviour)
        costs = self._costs(behaviour, handling, targets, size)
        allowance = policy.budgets.inference
        lasting = foretell_all(behaviour, handling, costs=costs, allowance=allowance)
        return Explained(
            workflow=workflow,
            release=digest,
            number=number,
            deadline=handling.deadline,
            clocks=msgspec.structs.asdict(handling.clocks),
            stream=handling.stream,
            window=handling.window,
            continuation=handling.continuation,
            hedge=handling.hedge,
            size=size,
            costs=costs,
            allowance=allowance,
            budgets=_budgets(configured, applied, costs, bounded=size.bounded),
            capacity=policy.escalation.capacity,
            items=[
                Path(
                    told,
                    foretell(
                        told.failure,
                        behaviour,
                        handling,
                        admitted=told.admitted,
                        lasts=False,
                        costs=costs,
                        allowance=allowance,
                    ),
                )
                for told in lasting
                if failure is None or told.failure == failure
            ],
        )

    def _content(self, workflow: str, which: str | None) -> tuple[str | None, int | None, Behaviour | None, Handling]:
        if which is None:
            served = self._workflows.served().get(workflow)
            if served is None and self._passed_through(workflow):
                return None, None, None, PASSTHROUGH_HANDLING
            which = "served" if served is not None else "draft"
        release, number = self._workflows.find(workflow, which)
        return release.digest, number, release.behaviour, release.handling

    def _passed_through(self, name: str) -> bool:
        applied = self._workflows.configuration()
        workflow = applied.configuration.workflows.get(name) if applied is not None else None
        return workflow is not None and workflow.passthrough is not None and workflow.behaviour is None

    def _size(self, workflow: str, behaviour: Behaviour | None) -> Size:
        since = self._now() - WEEK
        rows = self._log.stats(
            "workflow", Filter(workflow=workflow, traffic="live", outcome="answered", since=since)
        ).rows
        calls = sum(row.count for row in rows)
        prompt = behaviour.prompt.system if behaviour is not None and behaviour.prompt is not None else ""
        given, source = UNSEEN_INPUT + len(prompt) // _CHARS_PER_TOKEN, "assumed: no calls in the last 7 days"
        output, output_source = UNSEEN_OUTPUT, source
        if calls:
            given = round(sum(row.tokens.total - row.tokens.output for row in rows) / calls)
            output = round(sum(row.tokens.output for row in rows) / calls)
            mean = f"the mean of {calls:,} calls in the last 7 days"
            source = output_source = "as the one call of the last 7 days" if calls == 1 else mean
        parameters = behaviour.parameters if behaviour is not None else {}
        limit = next((parameters[name] for name in _OUTPUT_LIMITS if isinstance(parameters.get(name), int)), None)
        if limit is not None:
            output, output_source = limit, "the release's limit"
        if behaviour is not None and behaviour.kind == "embeddings":
            output, output_source = 0, "embeddings have none"
        return Size(given, output, source, output_source, limit is not None or output == 0)

    def _costs(
        self, behaviour: Behaviour | None, handling: Handling, targets: Mapping[str, Target], size: Size
    ) -> dict[str, float | None]:
        """Every target that may answer → what a call of it costs with its checks."""
        if behaviour is None:
            return {}
        judging = {spec.target for spec in handling.checks.values() if spec.target is not None}
        ladder = {step.target for steps in handling.ladder.values() for step in steps}
        answering = [name for name in behaviour.targets if name not in judging or name in ladder | {behaviour.target}]
        prices = {name: self._price_of(targets[name]) for name in behaviour.targets if name in targets}
        checks = [_check_cost(spec, prices, size) for spec in handling.checks.values() if spec.target is not None]
        known = [cost for cost in checks if cost is not None]
        checking = sum(known) if len(known) == len(checks) else None
        return {name: _plus(_cost(prices.get(name), size.input, size.output), checking) for name in answering}


def _budgets(
    workflow: Workflow | None, applied: AppliedConfiguration | None, costs: Mapping[str, float | None], *, bounded: bool
) -> list[BudgetLine]:
    """Each of N workers may grant a first call that fits the whole budget: at worst N × a call, less the budget."""
    if workflow is None or applied is None:
        return []
    settings, budgets = applied.configuration.settings, workflow.policy.budgets
    known = [cost for cost in costs.values() if cost is not None]
    dearest = max(known, default=0.0) if bounded and len(known) == len(costs) else None
    team = settings.team_budgets.get(workflow.team, Budget())
    whose = {"user": budgets.user, "key": budgets.key, "workflow": budgets.workflow, "team": team}
    return [
        msgspec.convert(
            {"of": of, "period": period, "limit": limit, "overshoot": None if dearest is None else over}, BudgetLine
        )
        for of, budget in whose.items()
        for period, limit in (("day", budget.day), ("month", budget.month))
        if limit is not None
        for over in [max(0.0, settings.workers * (dearest or 0.0) - limit)]
    ]


def _cost(price: Price | None, given: int, output: int) -> float | None:
    return None if price is None else given * price.input + output * price.output + price.per_request


def _check_cost(spec: CheckSpec, prices: Mapping[str, Price | None], size: Size) -> float | None:
    """A guard reads question and answer; a moderation endpoint reads the answer."""
    price = prices.get(spec.target or "")
    if spec.kind == "moderation":
        return _cost(price, size.output, 0)
    return _cost(price, size.input + size.output, _VERDICT)


def _plus(cost: float | None, more: float | None) -> float | None:
    return None if cost is None or more is None else cost + more
