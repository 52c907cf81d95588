"""Whether a drill applies to a release, what must follow there, and whether it did.  Pure."""

from __future__ import annotations

import msgspec

from roadworthy.fallback.drills.breaking import MADE_UP, breaking
from roadworthy.fallback.drills.model import Drill, Expected, Miss, Need, Seen
from roadworthy.fallback.drills.wording import ROOM, has_room
from roadworthy.fallback.model import NO_COSTS, Remaining, Rung, Tried
from roadworthy.fallback.rules import next_step
from roadworthy.formats.model import Format
from roadworthy.workflow.check_options import option
from roadworthy.workflow.inference import SERVED_BY_MODEL, Failure, Outcome
from roadworthy.workflow.model import Budget, CheckSpec, Handling, Policy, Release

LATE = 0.25
"""Seconds past a limit that a busy machine may take."""
EARLY = 0.05
"""Seconds before an instant that two clocks may disagree by."""
LONGEST_CLIMB = 40
MEGABYTE = 1_000_000
"""Characters of a very long answer."""
_JITTER = 0.5
FORMATS: dict[Format, str] = {"chat": "chat completions", "responses": "Responses", "messages": "Messages"}


def relayed(release: Release, stream: bool) -> bool:
    """Does the release pass the provider's stream on while it comes?"""
    return stream and release.behaviour.kind == "chat" and release.handling.stream != "buffered"


def not_applicable(
    drill: Drill, release: Release, policy: Policy, *, stream: bool, priced: bool = True, wire: Format = "chat"
) -> str:
    """Why the drill means nothing for this release asked in this way; empty: it does.

    ``wire``: the format in which the first target is asked.
    """
    behaviour = release.behaviour
    if stream and behaviour.kind != "chat":
        return "embeddings are not streamed"
    if wire not in drill.wires:
        known = " and ".join(FORMATS[each] for each in drill.wires)
        return f"it is a fault of {known}, and its target speaks {FORMATS[wire]}"
    live = relayed(release, stream)
    if drill.asked == "stream" and not live:
        return (
            "only possible in a stream, and the provider is asked for whole answers (stream: passthrough)"
            if stream
            else "only possible in a stream"
        )
    if drill.asked == "whole" and live:
        return "only possible in a whole answer"
    if drill.before and release.handling.cache is not None and release.handling.cache.use == "always":
        return "a second call like the first is answered from the cache"
    for need in drill.needs:
        lacking = _lacking(need, release, priced)
        if lacking:
            return lacking
    guard = drill.guard
    if guard.kind == "check" and (unchecked := _unchecked(guard.name, release)):
        return unchecked
    if guard.kind == "setting" and not getattr(release.handling, guard.name):
        return f"no '{guard.name}' is declared ({guard.name}: …)"
    if guard.kind == "budget" and drill.conditions.budgets is None:
        found = getattr(policy.budgets, guard.name)
        if found is None or found == Budget():
            return f"no budget of the kind '{guard.name}' is declared (policy: {{budgets: {{{guard.name}: …}}}})"
    return ""


def _unchecked(kind: str, release: Release) -> str:
    """Why no check of a kind can find anything here; empty: one can."""
    declared = [spec for spec in release.handling.checks.values() if spec.kind == kind]
    if not declared:
        return f"no check of the kind '{kind}' is declared (checks: {{{kind}: …}})"
    deciding = [spec for spec in declared if not spec.record_only]
    if not deciding:
        return f"the check of the kind '{kind}' is only recorded (record_only)"
    if kind == "length" and all((option(spec, "max_chars") or MEGABYTE) >= MEGABYTE for spec in deciding):
        return "no check bounds the length to less than a megabyte (checks: {length: {max_chars: …}})"
    if kind in MADE_UP and kind not in breaking(release):
        return f"no text could be made up that the check of the kind '{kind}' finds"
    return ""


def fitted(drill: Drill, release: Release) -> Drill:
    """The drill as this release means it: what its own check makes of an answer."""
    spec = guarding(drill, release)
    if spec is None or spec.failure == drill.failure:
        return drill
    return msgspec.structs.replace(drill, failure=spec.failure, told="incident" if spec.failure == "unsafe" else "none")


def guarding(drill: Drill, release: Release) -> CheckSpec | None:
    """The declared check that the drill proves, if it is one."""
    if drill.guard.kind != "check":
        return None
    specs = release.handling.checks.values()
    return next((spec for spec in specs if spec.kind == drill.guard.name and not spec.record_only), None)


def _lacking(need: Need, release: Release, priced: bool) -> str:
    behaviour, handling = release.behaviour, release.handling
    chat = behaviour.kind == "chat"
    have = {
        "chat": (chat, "it makes embeddings"),
        "text": (chat and behaviour.schema is None and not behaviour.tools, "its answers are no free text"),
        "words": (
            chat and not behaviour.tools and (behaviour.schema is None or has_room(behaviour.schema)),
            f"its answers have no room for words (a string of the schema that may hold {ROOM} characters)",
        ),
        "schema": (behaviour.schema is not None, "no schema is declared (output: {schema: FILE})"),
        "tools": (bool(behaviour.tools), "no tools are declared (tools: FILE)"),
        "stream": (
            chat and handling.stream != "buffered",
            "its answers are not relayed as streams (stream: passthrough)",
        ),
        "cache": (handling.cache is not None, "no cache is declared (cache: {max_age: 1h})"),
        "continuation": (handling.continuation > 0, "no continuation is declared (continuation: 1)"),
        "repair": (
            any(step.kind == "repair" for step in handling.ladder.get("invalid", ())),
            "no repair step is declared (ladder: {invalid: [repair]})",
        ),
        "managed": (
            behaviour.prompt is not None and behaviour.prompt.mode == "managed",
            "its prompt is not managed (prompt: {mode: managed})",
        ),
        "prompt": (behaviour.prompt is not None, "it has no prompt (prompt: {system: FILE})"),
        "fallback": (
            any(step.kind == "target" for step in handling.ladder.get("unavailable", ())),
            "no second target is declared (ladder: {unavailable: [target: NAME]})",
        ),
        "price": (priced, "its target has no known price (price: {input: …, output: …})"),
    }
    good, why = have[need]
    return "" if good else why


def expected(drill: Drill, release: Release, *, stream: bool, continues: bool = False) -> Expected:
    """What must follow.  ``continues``: the first target can go on with a text that broke off."""
    handling = release.handling
    drill = fitted(drill, release)
    attempts = drill.attempts
    if drill.failure is None:
        outcomes = drill.right
    else:
        foretold, needed = climbed(drill, release, stream=stream)
        outcomes = frozenset({foretold})
        if drill.committed and relayed(release, stream):
            broken: Outcome = "recovered" if continues and handling.continuation > 0 else "error"
            # what a window holds back was not read by anybody, so the ladder may still mend it
            outcomes = frozenset({broken} | (outcomes if handling.stream == "windowed" else set()))
        else:
            attempts = min(attempts, needed)
        right = drill.right
        if release.behaviour.kind == "embeddings":  # nobody else can answer when every target is exhausted
            right |= {"error"}
        outcomes = outcomes & right or right
    return Expected(
        outcomes, drill.failure, drill.wait.of(handling), handling.deadline, attempts, drill.told, drill.role
    )


def climbed(drill: Drill, release: Release, *, stream: bool) -> tuple[Outcome, int]:
    """(outcome, attempts) when every attempt that meets the fault fails by it, by the ladder's own rule."""
    assert drill.failure is not None
    behaviour, handling = release.behaviour, release.handling
    calls: dict[str, int] = {}
    history: list[Tried] = []
    target, rung, dropped, spent = behaviour.target, None, False, 0.0
    for attempts in range(1, LONGEST_CLIMB):
        calls[target] = calls.get(target, 0) + 1
        faulty = target == behaviour.target or drill.everywhere
        if not faulty or (drill.times is not None and calls[target] > drill.times):
            return "recovered", attempts
        spent += _silence(drill, handling, live=relayed(release, stream))
        failure = drill.failure if target == behaviour.target else drill.elsewhere or drill.failure
        history.append(Tried(target, failure, rung, drill.retry_after, drill.repeatable))
        remaining = _remaining(drill, release, failure, spent, attempts)
        step = next_step(handling.ladder, failure, history, remaining, jitter=_JITTER)
        while step is not None and step.kind == "drop":
            dropped = True
            history.append(Tried("", failure, step.rung))
            step = next_step(handling.ladder, failure, history, remaining, jitter=_JITTER)
        if step is None:
            return _left_over(failure, dropped), attempts
        if step.kind in ("cache", "canned", "escalate"):
            ends: dict[str, Outcome] = {"cache": "cached", "canned": "canned", "escalate": "escalated"}
            return ends[step.kind], attempts
        spent += step.wait
        target, rung = step.target, Rung(step.rung.failure, step.rung.index)
    raise AssertionError("the ladder did not end")


def _left_over(failure: Failure, dropped: bool) -> Outcome:
    if dropped:
        return "blocked"
    return "limited" if failure in ("throttled", "overspent") else "error"


def _silence(drill: Drill, handling: Handling, *, live: bool) -> float:
    """Seconds that an attempt takes to fail.  A whole answer's first byte comes when the model has finished, so only
    the total bounds its silence."""
    if drill.guard.kind != "clock":
        return 0.0
    name = "total" if drill.guard.name == "first_token" and not live else drill.guard.name
    seconds: float = getattr(handling.clocks, name)
    return min(seconds, handling.deadline)


def _remaining(drill: Drill, release: Release, failure: Failure, spent: float, attempts: int) -> Remaining:
    """What is left after ``attempts`` attempts; of money only what the drill itself says is known."""
    handling, conditions = release.handling, drill.conditions
    dollars, costs = None, NO_COSTS
    if conditions.price is not None and conditions.budgets is not None and conditions.budgets.inference is not None:
        each = conditions.price.per_request
        dollars = conditions.budgets.inference - attempts * each
        costs = dict.fromkeys(release.behaviour.targets, each)
    return Remaining(
        seconds=handling.deadline - spent,
        targets=frozenset() if failure == "overspent" else None,
        canned=handling.canned is not None,
        escalate=handling.holding is not None,
        repairable=failure == "invalid",
        dollars=dollars,
        costs=costs,
    )


def score(drill: Drill, must: Expected, seen: Seen) -> list[Miss]:
    """What is not as it must be; empty: the drill passed."""
    if seen.status == 0:
        return [Miss("answer", "one", "none: the connection broke or nothing came")]
    misses = [*_outcome(drill, must, seen), *_limits(must, seen), *_honesty(seen), *_patience(drill, seen)]
    if seen.outcome in SERVED_BY_MODEL:
        misses += _provenance(seen) + _accounted(seen)
    misses += _people(must, seen)
    if seen.recorded is not None:
        misses += _books(drill, seen)
    return misses


def _outcome(drill: Drill, must: Expected, seen: Seen) -> list[Miss]:
    misses = []
    wanted = " or ".join(sorted(must.outcomes))
    if seen.outcome not in must.outcomes:
        misses.append(Miss("outcome", wanted, seen.outcome or "not told"))
    if seen.recorded != seen.outcome:
        misses.append(Miss("outcome in the record", seen.outcome or wanted, seen.recorded or "no record"))
    if must.failure != seen.first_failure and seen.attempts:
        misses.append(Miss("failure of the attempt", must.failure or "none", seen.first_failure or "none"))
    if seen.recorded is not None and seen.traffic != "drill" and drill.scene is None:
        misses.append(Miss("class in the record", "drill", seen.traffic or "none"))
    return misses


def _limits(must: Expected, seen: Seen) -> list[Miss]:
    misses = []
    if seen.seconds > must.wait + LATE:
        misses.append(Miss("wait", f"at most {must.wait:.2f} s", f"{seen.seconds:.2f} s"))
    if seen.seconds > must.deadline + LATE:
        misses.append(Miss("deadline", f"{must.deadline:.2f} s", f"{seen.seconds:.2f} s"))
    if seen.attempts > must.attempts:
        misses.append(Miss("attempts", f"at most {must.attempts}", str(seen.attempts)))
    return misses


def _honesty(seen: Seen) -> list[Miss]:
    misses = []
    if not seen.finished:
        misses.append(Miss("end of the answer", "a finish reason or an error", "neither"))
    if seen.status >= 400 and not seen.retry_header:
        misses.append(Miss("x-should-retry", "false", "not told"))
    return misses


def _patience(drill: Drill, seen: Seen) -> list[Miss]:
    """A provider that says when to come again is not asked earlier."""
    wanted = drill.retry_after
    if wanted is None:
        return []
    before: dict[str, float] = {}
    for sent in seen.sent:
        since = sent.at - before.get(sent.target, sent.at - wanted)
        if since < wanted - EARLY:
            return [Miss("patience", f"{wanted:g} s until the next call", f"{since:.2f} s")]
        if sent.faulty:
            before[sent.target] = sent.at
    return []


def _books(drill: Drill, seen: Seen) -> list[Miss]:
    """What the record says beside the outcome.  An unknown cost is never zero."""
    misses = []
    if drill.noted and drill.noted not in seen.notes:
        misses.append(Miss("note in the record", drill.noted, ", ".join(seen.notes) or "none"))
    if drill.conditions.unpriced and (seen.cost_usd is not None or not seen.cost_unknown):
        misses.append(Miss("cost", "unknown, with a reason", "no reason" if seen.cost_usd is None else "known"))
    return misses


def _people(must: Expected, seen: Seen) -> list[Miss]:
    if seen.told is None:
        return []
    if seen.told != must.told:
        return [Miss("who is told", must.told, seen.told)]
    misses = []
    if must.told != "none" and seen.role != must.role:
        misses.append(Miss("whose matter it is", must.role, seen.role))
    if must.told != "none" and seen.notified is False:
        misses.append(Miss("the notifier", "told of it, marked DRILL", "not told"))
    return misses


def seconds(drill: Drill, release: Release, *, stream: bool) -> float:
    """How long a drilled call takes about: what it waits in silence, else the blink of a failure."""
    must = expected(drill, release, stream=stream)
    silent = _silence(drill, release.handling, live=relayed(release, stream)) * must.attempts
    return min(must.wait, max(1.0, silent, drill.retry_after or 0.0)) * (1 + drill.before)


def _provenance(seen: Seen) -> list[Miss]:
    """A model's answer must be one that a server sent, word for word where it was sent whole."""
    sent = next((sent for sent in seen.sent if seen.mark and sent.nonce == seen.mark), None)
    if sent is None:
        return [Miss("mark of the answer", "one that a server sent", seen.mark or "none")]
    if sent.good and seen.text and seen.text != sent.text:
        return [Miss("text of the answer", sent.text[:80], seen.text[:80])]
    return []


def _accounted(seen: Seen) -> list[Miss]:
    """What a model wrote was counted, its cost is known or it is said why not, and the record names the model."""
    if seen.tokens is None:
        return []
    misses = []
    if seen.tokens <= 0:
        misses.append(Miss("tokens", "some, reported or estimated", str(seen.tokens)))
    if seen.cost_usd is None and not seen.cost_unknown:
        misses.append(Miss("cost", "dollars, or why nobody knows them", "neither"))
    if seen.model_recorded != seen.model:
        misses.append(Miss("model in the record", seen.model, seen.model_recorded or "none"))
    return misses
