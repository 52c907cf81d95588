"""``roadworthy explain``: the unhappy paths of a workflow on a screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from roadworthy.cli import words
from roadworthy.cli.tables import STYLES, Column, print_table
from roadworthy.cli.terminal import line
from roadworthy.fallback.words import MEANS

if TYPE_CHECKING:
    from rich.console import Console

Facts = Mapping[str, Any]

_TURNED_AWAY = {"throttled": "throttled by its key", "overspent": "overspent before"}
_AT_TARGET = {"throttled": "throttled at target", "overspent": "overspent midway"}


def print_failures(console: Console, answer: Facts) -> None:
    """Print all failures of an answer of ``GET /v1/explain`` as a table, and below it what customers read."""
    _head(console, answer)
    items = answer.get("items") or []
    print_table(
        console,
        [
            Column("failure"), Column("what happens", wrap=True), Column("ends as"), Column("waits ≤", right=True),
            Column("attempts ≤", right=True, spare=2), Column("overspend ≤", right=True),
            Column("told", optional=True, spare=1),
        ],
        [
            [
                _name(item), _path(item), str(item.get("outcome")), words.seconds(item.get("longest_wait")),
                str(item.get("attempts")), words.dollars(item.get("overspend")), str(item.get("told") or ""),
            ]
            for item in items
        ],
    )  # fmt: skip
    _readings(console, items)
    console.print()
    _legend(console, answer, items)


def print_failure(console: Console, answer: Facts) -> None:
    """Print the failures of an answer step by step."""
    from rich.text import Text

    _head(console, answer)
    for item in answer.get("items") or []:
        title = Text(_name(item), style="bold")
        title.append(f"  {MEANS.get(item.get('failure'), '')}", style="default")
        console.print(title, soft_wrap=True)
        for number, told in enumerate(_told_steps(item, answer), 1):
            console.print(f"  {number}. {told}", soft_wrap=True)
        console.print()
        for told in _sums(item):
            console.print(f"  {told}", soft_wrap=True)
        console.print()


def _legend(console: Console, answer: Facts, items: list[Facts]) -> None:
    """What the words of the table mean, as far as it says them."""
    kinds = {step.get("kind") for item in items for step in item.get("steps") or []}
    if "cache" in kinds:
        _say(console, "(cached): if an answer to the same request is there")
    if "escalate" in kinds:
        _say(console, "(human): if the queue has room")
    _say(console, "overspend: US dollars beyond the price of one good answer; – where a price is not known")
    workflow = line(str(answer.get("workflow", "")))
    _say(console, f"step by step: roadworthy explain {workflow} --failure {items[0]['failure']}" if items else "")


def _head(console: Console, answer: Facts) -> None:
    from rich.text import Text

    digest = answer.get("release")
    number = answer.get("number")
    which = "passed through, without a release" if not digest else f"release {number}" if number else "the draft"
    title = Text(line(str(answer.get("workflow", ""))), style="bold")
    title.append(f"  {which}" + (f" ({str(digest)[:16]})" if digest else ""), style="default")
    console.print(title)
    if answer.get("notice"):
        _say(console, str(answer["notice"]))
    clocks = ", ".join(
        f"{name.replace('_', ' ')} {words.seconds(value)}" for name, value in (answer.get("clocks") or {}).items()
    )
    _say(console, f"deadline {words.seconds(answer.get('deadline'))}; clocks of an attempt: {clocks}")
    _say(console, _stream(answer))
    if answer.get("hedge"):
        hedge = answer["hedge"]
        after = "the usual time" if hedge.get("after") is None else words.seconds(hedge["after"])
        beside = f" at {line(str(hedge['target']))}" if hedge.get("target") else ""
        _say(
            console, f"late calls are hedged: no first token after {after} → a second attempt{beside} beside the first"
        )
    size = answer.get("size") or {}
    costs = ", ".join(f"{line(name)} {words.dollars(cost)}" for name, cost in (answer.get("costs") or {}).items())
    if costs:
        given = f"{size.get('input', 0):,} tokens in ({size.get('input_source')})"
        out = f"{size.get('output', 0):,} out ({size.get('output_source')})"
        _say(console, f"a call of {given}, {out} costs: {costs}")
    if answer.get("allowance") is not None:
        _say(console, f"an inference may spend {words.dollars(answer['allowance'])} in all")
    if answer.get("budgets"):
        _say(console, _budgets(answer["budgets"]))
        first = next((cost for cost in (answer.get("costs") or {}).values() if cost), 0.0)
        for one in answer["budgets"]:
            if first > float(one.get("limit") or 0.0):
                what = f"the {one.get('of')}'s budget of {words.dollars(one.get('limit'))} a {one.get('period')}"
                _say(console, f"NOTE: {what} is smaller than one such call: it will be refused as overspent")
    console.print()


def _budgets(budgets: list[Facts]) -> str:
    """``budgets: user $0.50 a day, workflow $300 a month; overshot by $0 at most``."""
    told = ", ".join(f"{one.get('of')} {words.dollars(one.get('limit'))} a {one.get('period')}" for one in budgets)
    worst = [one.get("overshoot") for one in budgets]
    known = [float(over) for over in worst if over is not None]
    over = words.dollars(max(known)) if len(known) == len(worst) else "an unknown sum (no price, or no max_tokens)"
    return f"budgets: {told}; any of them is overshot by {over} at worst"


def _stream(answer: Facts) -> str:
    mode = answer.get("stream")
    if mode == "buffered":
        return "streams are buffered: nothing leaves before the whole answer is good, so every step is open"
    held = "until their first content" if mode == "passthrough" else f"for {answer.get('window')} characters"
    times = answer.get("continuation") or 0
    broken = f"it is gone on with, at most {words.plural(times, 'time')}, and marked" if times else "an error event"
    return f"streams are held {held}; one that breaks later: {broken}"


def _name(item: Facts) -> str:
    failure = str(item.get("failure"))
    if failure not in _TURNED_AWAY:
        return failure
    return (_AT_TARGET if item.get("admitted") else _TURNED_AWAY)[failure]


def _path(item: Facts) -> str:
    """The steps on a line: ``retry ×2 → backup → (cached) → (human) → canned``."""
    told: list[str] = []
    for step in item.get("steps") or []:
        word = _step_word(step)
        name, _, times = told[-1].partition(" ×") if told else ("", "", "")
        if told and name == word:
            told[-1] = f"{word} ×{int(times or 1) + 1}"
        else:
            told.append(word)
    return " → ".join(told) or "no step is left"


def _step_word(step: Facts) -> str:
    match step.get("kind"):
        case "target":
            return line(str(step.get("target")))
        case "cache":
            return "(cached)"
        case "escalate":
            return "(human)"
        case kind:
            return str(kind)


def _told_steps(item: Facts, answer: Facts) -> Iterator[str]:
    if item.get("admitted"):
        yield "the first attempt"
    endings = iter(item.get("endings") or [])
    for step in item.get("steps") or []:
        if step.get("kind") in ("cache", "escalate", "canned"):
            yield _told_ending(next(endings), answer)
        else:
            yield _told_call(step)
    for ending in endings:
        if ending.get("outcome") != "recovered":
            yield f"nothing is left → {ending.get('outcome')}: {_reads(ending.get('reads') or {})}"


def _told_call(step: Facts) -> str:
    target = line(str(step.get("target")))
    late = ", while there is time" if step.get("when") == "time" else ""
    match step.get("kind"):
        case "retry":
            return f"{target} again, after {words.seconds(step.get('wait'))} at most or as Retry-After says{late}"
        case "repair":
            return f"{target} again, with its answer and what is wrong with it{late}"
        case "drop":
            return "the answer is dropped: nobody reads it, not even the human who answers instead"
        case _:
            return f"{target} instead{late}"


def _told_ending(ending: Facts, answer: Facts) -> str:
    match ending.get("outcome"):
        case "cached":
            oldest = words.seconds(ending.get("max_age"))
            return f"a cached answer to the same request, if one is at most {oldest} old → cached"
        case "escalated":
            room = f"if fewer than {answer.get('capacity'):,} are waiting"
            return f"a human, {room} → escalated: {_reads(ending.get('reads') or {})}"
        case outcome:
            return f"{outcome}: {_reads(ending.get('reads') or {})}"


def _sums(item: Facts) -> Iterator[str]:
    attempts, overspend = int(item.get("attempts") or 0), item.get("overspend")
    spent = "an unknown sum (no price)" if overspend is None else words.dollars(overspend)
    yield (
        f"The customer waits {words.seconds(item.get('longest_wait'))} at most; {words.plural(attempts, 'attempt')} at "
        f"most, {spent} beyond one good answer."
    )
    once = (item.get("once") or {}).get("outcome")
    if attempts and once == "recovered":
        yield "If only the first attempt fails so: recovered, the customer reads the model's answer."
    if item.get("told"):
        yield {
            "incident": "An incident is opened, and whoever is notified is told.",
            "alert": "Whoever is notified is told.",
        }.get(str(item["told"]), "")


def _readings(console: Console, items: list[Facts]) -> None:
    """Every text once, with the failures that end in it."""
    from rich.text import Text

    found: dict[tuple[str, str], list[str]] = {}
    for item in items:
        for ending in item.get("endings") or []:
            if ending.get("outcome") != "cached":
                key = str(ending.get("outcome")), _reads(ending.get("reads") or {})
                names = found.setdefault(key, [])
                if item.get("failure") not in names:
                    names.append(str(item.get("failure")))
    console.print()
    console.print(Text("What the customer reads", style="bold"))
    for (outcome, reads), names in found.items():
        text = Text("  ")
        text.append(f"{outcome:<10}", style=STYLES.get(outcome, ""))
        text.append(reads, style="default")
        console.print(text, soft_wrap=True)
        _say(console, f"            after {', '.join(names)}")


def _reads(reads: Facts) -> str:
    import json

    status, code = reads.get("status"), reads.get("code")
    quoted = f"“{line(str(reads.get('text') or ''))}”"
    match reads.get("shape"):
        case "text":
            return quoted
        case "refusal":
            return f"{quoted} (as the refusal)"
        case "json":
            return line(json.dumps(reads.get("json"), ensure_ascii=False))
        case "provider":
            return f"the provider's own words, HTTP {status}, {code}"
        case "error" if reads.get("text"):
            return f"HTTP {status}, {code}: {quoted}"
        case _:
            return f"HTTP {status}, {code}, with Retry-After"


def _say(console: Console, text: str) -> None:
    from rich.text import Text

    console.print(Text(f"  {text}", style="dim"), soft_wrap=True)
