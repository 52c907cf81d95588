"""Where the time of a test's calls went, from their records, and what would help.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from roadworthy.latency.model import Measured, Where
from roadworthy.operations.loading.model import Part, Preflight
from roadworthy.workflow.inference import Inference

MUCH = 0.10
"""Share of the time from which a part is worth a word."""
MANY = 0.01
"""Share of the calls from which a failure is worth a word."""


class Spent(msgspec.Struct, frozen=True):
    """Seconds of one inference."""

    queue: float
    provider: float
    checks: float
    overhead: float


def spent(record: Inference) -> Spent:
    """Its latency by what it was spent on.

    Queue: waiting for a slot of a target.  Provider: under way at one, hedges counted once.  Checks: what they took.
    Overhead: the rest, which is ours.
    """
    queue = sum(attempt.queued for attempt in record.attempts)
    spans = sorted((attempt.started + attempt.queued, attempt.ended) for attempt in record.attempts)
    provider = upto = 0.0
    for begin, end in spans:
        provider += max(0.0, end - max(begin, upto))
        upto = max(upto, end)
    checks = min(sum(check.seconds for check in record.checks), record.latency)
    # checks run while their attempt is still open
    provider = max(0.0, min(provider, record.latency - queue) - checks)
    return Spent(queue, provider, checks, max(0.0, record.latency - queue - provider - checks))


def parts(records: Iterable[Inference]) -> list[Part]:
    """Empty: no record."""
    each = [spent(record) for record in records]
    whole = sum(one.queue + one.provider + one.checks + one.overhead for one in each)
    if not whole:
        return []
    made: list[Part] = []
    for name in ("queue", "provider", "checks", "overhead"):
        values = sorted(getattr(one, name) for one in each)
        last = len(values) - 1
        made.append(Part(name, sum(values) / whole, values[last // 2], values[round(0.99 * last)]))
    return made


def where(found: Sequence[Part]) -> Where | None:
    shares = {part.name: part.share for part in found}
    return Where(**shares) if shares else None


def helps(measured: Measured, found: Sequence[Part], plan: Preflight, records: Sequence[Inference]) -> list[str]:
    """What would help, the most telling first.  Plain rules."""
    said: list[str] = []
    share = {part.name: part.share for part in found}
    failures = Counter(
        attempt.failure for record in records for attempt in record.attempts if attempt.failure is not None
    )
    calls = max(measured.sent, 1)
    target = plan.target
    if failures["overlimit"] > MANY * calls:
        said.append(
            f"{target} refused {failures['overlimit']:,} attempts (429): ask its provider for a higher limit, or "
            "declare limits.requests_per_minute and tokens_per_minute so that calls wait here instead"
        )
    if failures["throttled"] > MANY * calls:
        said.append(
            f"our own limits of {target} turned {failures['throttled']:,} attempts away: raise limits.concurrency, "
            "limits.queue or the limits per minute, if its provider grants more"
        )
    if share.get("queue", 0.0) > MUCH:
        said.append(
            f"{100 * share['queue']:.0f} % of the time went by waiting for a slot of {target}: raise "
            "limits.concurrency, add a worker (`roadworthy up --workers`), or lead calls to a second target"
        )
    if share.get("checks", 0.0) > MUCH:
        slowest = _slowest_check(records)
        said.append(f"{100 * share['checks']:.0f} % of the time went into checks{slowest}")
    if share.get("overhead", 0.0) > MUCH:
        said.append(
            f"{100 * share['overhead']:.0f} % of the time is Roadworthy's own: the machine is busy; look at its CPU, "
            "add a worker, or move the generator to another machine with `roadworthy load --export locust`"
        )
    if measured.timing_error_p99 > 0.01:
        said.append(
            f"the generator itself began calls {1000 * measured.timing_error_p99:.0f} ms late at p99: its machine is "
            "too busy for this rate, so these latencies are upper bounds"
        )
    if failures["slow"] + failures["unavailable"] > MANY * calls:
        said.append(
            f"{failures['slow'] + failures['unavailable']:,} attempts were slow or found nobody: a second target "
            "on the ladder, or a hedge, takes them"
        )
    first, whole = measured.first_token, measured.whole
    if whole is not None and first is not None and whole.ratio.value > 3.0 >= first.ratio.value:
        said.append("the tail is in the length of the answers: a lower max_tokens or a shorter prompt shortens it")
    elif whole is not None and first is not None and first.ratio.value > 3.0 and share.get("provider", 0.0) > 0.8:
        said.append(
            f"the tail is in the first token of {target}: a hedge (`hedge: {{after: …}}`) or a provisioned endpoint "
            "shortens it"
        )
    return said


def _slowest_check(records: Sequence[Inference]) -> str:
    seconds: Counter[str] = Counter()
    for record in records:
        for check in record.checks:
            seconds[check.name] += check.seconds  # type: ignore[assignment]
    if not seconds:
        return ""
    name, took = seconds.most_common(1)[0]
    return f", most of it into '{name}' ({1000 * took / len(records):.0f} ms a call): make it cheaper or ask it later"
