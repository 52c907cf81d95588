"""From a record to what a person must be told of it: the pure rule, and where shipping joins it to the incidents.

Targets may be shared: what is said of one is said to each team by itself, with its own inferences.

An unsafe answer is an incident, whatever the ladder made of it.  Overspending, a target that refuses us, and a model
without a price are alerts.  Only calls that are somebody's business count: live ones, those of testers, and drills,
which are told one by one and marked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.inference_log.model import Batch
from roadworthy.operations.costing.subjects import Subject, day_of
from roadworthy.people.escalation.service import Queue
from roadworthy.people.incident.model import Kind, Notice, Role
from roadworthy.people.incident.service import Incidents
from roadworthy.people.ports import PeopleState
from roadworthy.workflow.inference import Attempt, Inference

NOTICED = frozenset({"live", "tester", "drill"})
BUDGET, NEAR = "budget:", ":alert"
"""Notes of a record: ``budget:user:day`` granted no call, ``budget:workflow:month:alert:80`` was taken past 80 %."""
UTC = ZoneInfo("UTC")
USAGE_IMPLAUSIBLE = "usage_implausible"
"""Note of a record whose provider reported a usage that cannot be."""
PROVIDERS_FILTER = "its provider's filter"
NO_PRICE = "no price"
"""How the reason of an unknown cost begins when nobody knows the price."""


def notices(record: Inference, zone: ZoneInfo = UTC) -> Iterator[Notice]:
    """What a person must be told because of this inference.  ``zone``: in whose days budgets are counted."""
    if record.traffic not in NOTICED:
        return
    finding = unsafe(record)
    if finding is not None:
        yield _notice(
            record, "incident", "unsafe", f"unsafe/{record.workflow}/{record.digest or 'passthrough'}/{finding}",
            f"{record.workflow}: an answer was unsafe ({finding})",
            f"An answer was withheld or recorded as unsafe by {finding}; its caller read outcome {record.outcome}.",
            "workflow",
        )  # fmt: skip
    yield from _budgets(record, zone)
    if USAGE_IMPLAUSIBLE in record.notes:
        yield _notice(
            record, "alert", USAGE_IMPLAUSIBLE, f"{USAGE_IMPLAUSIBLE}/{record.team}/{record.target}",
            f"Target {record.target} reports tokens that cannot be",
            f"{record.id} was charged by estimate; compare the provider's bill: roadworthy show {record.id}", "cost",
        )  # fmt: skip
    for attempt in record.attempts:
        if attempt.failure == "misconfigured":
            yield _notice(
                record, "alert", "misconfigured", f"misconfigured/{record.team}/{attempt.target}",
                f"Target {attempt.target} refuses us",
                f"It answered {attempt.status or 'nothing'}: {attempt.detail}. Until its key, model name or address is "
                "mended, every call goes on with its ladder: roadworthy doctor",
                "workflow",
            )  # fmt: skip
        elif unpriced(attempt):
            named = "" if record.route == "passthrough" else f"/{attempt.model_answered or attempt.model_asked}"
            yield _notice(  # what callers name as they like must not make an alert each
                record, "alert", "price_unknown", f"price_unknown/{record.team}/{attempt.target}{named}",
                f"Nobody knows what {attempt.model_answered or attempt.model_asked} costs",
                f"{attempt.cost_unknown}: its calls are recorded with an unknown cost and reserved at the dearest "
                "known price. Declare `price` on the target.",
                "cost",
            )  # fmt: skip


def _budgets(record: Inference, zone: ZoneInfo) -> Iterator[Notice]:
    """Every budget that this call took past one of its shares, or that did not grant it something."""
    passed, used_up = [note for note in record.notes if note.startswith(BUDGET) and NEAR in note], _used_up(record)
    for note in used_up:
        if note.count(":") < 2:  # the allowance of one call, or a budget that no note names
            yield _notice(
                record, "alert", "overspent", f"overspent/{record.workflow}/{note}",
                f"{record.workflow}: {in_words(note)} is used up",
                f"{record.id} was limited or went on without the model.", "cost",
            )  # fmt: skip
        else:
            yield _budget_notice(record, note, "100", zone)
    for note in passed:
        budget, _, share = note.partition(NEAR)
        if budget not in used_up:
            yield _budget_notice(record, budget, share.removeprefix(":") or "100", zone)


def _used_up(record: Inference) -> list[str]:
    if not overspent(record):
        return []
    return [note for note in record.notes if note.startswith(BUDGET) and NEAR not in note] or [""]


def _budget_notice(record: Inference, budget: str, share: str, zone: ZoneInfo) -> Notice:
    """One alert a budget, period and share.  Of a user's budget the user stays unnamed: an alert may outlive what is
    forgotten."""
    _, scope, period = budget.split(":")
    owner = record.team if scope == "team" else record.workflow
    subject = Subject("budget", scope, owner, record.key if scope in ("key", "tester") else "", period,
                      day_of(record.ts, zone, period), share)  # fmt: skip
    whose, held = in_words(budget), f"{record.team}: " if scope == "team" else f"{record.workflow}: "
    if float(share) >= 100.0:
        title = f"{held}{whose} is used up"
        summary = (
            f"Calls are limited or go without the model until it is raised or its {period} ends; {record.id} was one."
        )
    else:
        title = f"{held}{whose} is used to {share} %"
        summary = f"{record.id} took it past {share} %: roadworthy budgets {record.workflow} says what is left."
    made = _notice(record, "alert", "budget", subject.key, title, summary, "cost")
    return msgspec.structs.replace(
        made, explain=record.traffic != "drill", workflow="" if scope == "team" else record.workflow
    )


def in_words(note: str) -> str:
    """``budget:user:day`` → ``a user's budget of the day``."""
    _, _, rest = note.partition(":")
    scope, _, period = rest.partition(":")
    if not scope:
        return "a budget"
    if scope == "inference":
        return "the allowance of one inference"
    return f"{'the' if scope in ('workflow', 'team') else 'a'} {scope}'s budget" + (
        f" of the {period}" if period else ""
    )


def unsafe(record: Inference) -> str | None:
    """What found an answer unsafe: the name of a check, else the failure itself."""
    for check in record.checks:
        if not check.passed and check.failure == "unsafe":
            return check.name
    if record.failure == "unsafe":
        return PROVIDERS_FILTER
    for attempt in record.attempts:
        if attempt.failure == "unsafe":
            return PROVIDERS_FILTER
    return None


def overspent(record: Inference) -> bool:
    """A tester who used up the day's dollars is expected, and nobody's alert."""
    if record.traffic == "tester":
        return False
    return (
        record.failure == "overspent"
        or any(rung.failure == "overspent" for rung in record.ladder)
        or any(note.startswith(BUDGET) and NEAR not in note for note in record.notes)  # a step was passed over
    )


def unpriced(attempt: Attempt) -> bool:
    return attempt.cost_usd is None and attempt.cost_unknown.startswith(NO_PRICE)


def _notice(record: Inference, kind: Kind, alert: str, key: str, title: str, summary: str, role: Role) -> Notice:
    drill = record.traffic == "drill"
    return Notice(
        kind=kind, alert=alert, key=f"{key}/drill/{record.id}" if drill else key, team=record.team,
        workflow=record.workflow, title=title, summary=summary, role=role, at=record.ts, inference=record.id,
        traffic=record.traffic, drill=record.drill,
    )  # fmt: skip


class Arrivals:
    """What happens in state before a batch of the journal is committed to the log.

    At least once: escalations are inserted or ignored by id, incidents know the inferences that they have seen.
    """

    def __init__(
        self,
        state: PeopleState,
        queue: Queue,
        incidents: Incidents,
        forgotten: Callable[[str | None, float], bool],
        *,
        tell_gone: Callable[[Sequence[str]], None] = lambda ids: None,
        zone: Callable[[], ZoneInfo] = lambda: UTC,
    ) -> None:
        """``forgotten``: is what a user did at an instant forgotten?  ``tell_gone``: have the gateways drop what they
        hold of these escalations, which nobody else will ever tell them of."""
        self._state = state
        self._queue = queue
        self._incidents = incidents
        self._forgotten = forgotten
        self._tell_gone = tell_gone
        self._zone = zone

    def __call__(self, batch: Batch) -> None:
        gone = {line.inference for line in batch.escalations if self._forgotten(line.unit, line.ts)}
        lines = [line for line in batch.escalations if line.inference not in gone]
        if gone:
            self._tell_gone(sorted(gone))
        zone = self._zone()
        found = [
            notice
            for record in (*batch.ends, *batch.lost)
            if not self._forgotten(record.unit, record.ts)
            for notice in notices(record, zone)
        ]
        if not lines and not found:
            return
        with self._state.write() as tx:
            self._queue.open(tx, lines)
            self._incidents.note(tx, found)
