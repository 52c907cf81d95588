"""``roadworthy show``: one inference on a screen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from roadworthy.cli import words
from roadworthy.cli.fallback_lines import check_line, rung_line
from roadworthy.cli.tables import STYLES, Column, print_table, print_trimmed
from roadworthy.cli.terminal import clean, line
from roadworthy.inference_log.telling import DROPPED, answered, breakdown, result, served, span, texts, tokens, user

if TYPE_CHECKING:
    from rich.console import Console

BAR = 40
"""Characters of the time line."""

MAX_TEXT = 4_000
"""Characters of one message that are printed; `--json` has all of them."""

Facts = Mapping[str, Any]


def print_inference(console: Console, entry: Facts, zone: tzinfo) -> None:
    """Print an answer of ``GET /v1/inferences/{id}``: ``{inference, feedback, prices?, release?}``."""
    facts: Facts = entry.get("inference") or entry
    _head(console, facts, entry, zone)
    _attempts(console, facts)
    _ladder(console, facts)
    _price(console, facts, entry.get("prices") or {})
    _texts(console, facts)
    _judgements(console, facts, entry, zone)
    _neighbours(console, facts, zone)


def _head(console: Console, facts: Facts, entry: Facts, zone: tzinfo) -> None:
    from rich.text import Text

    outcome = str(facts.get("outcome", ""))
    title = Text(f"{facts.get('id')}  ", style="bold")
    title.append(outcome, style=STYLES.get(outcome, ""))
    if facts.get("failure"):
        title.append(f" after {facts['failure']}" if outcome != "error" else f": {facts['failure']}")
    console.print(title)
    ts = float(facts.get("ts", 0.0))
    took = [words.seconds(facts.get("latency", 0.0))]
    if facts.get("first_token") is not None:
        took.append(f"first token {words.seconds(facts['first_token'])}")
    if facts.get("overhead"):
        took.append(f"Roadworthy's own {words.seconds(facts['overhead'])}")
    _pairs(
        console,
        [
            ("time", f"{datetime.fromtimestamp(ts, zone):%a %d %b %Y %H:%M:%S} {zone}"),
            ("took", ", ".join(took)),
            ("workflow", facts.get("workflow") or words.UNKNOWN),
            ("served by", served(facts, entry)),
            ("stage", facts.get("stage")),
            ("kill switch", facts.get("kill")),
            ("enforcement", f"would have: {facts['would']}" if facts.get("would") else ""),
            ("answered by", answered(facts)),
            ("user", user(facts)),
            ("session", facts.get("session")),
            ("class", facts.get("traffic", "live")),
            ("drill", facts.get("drill")),
            ("permit", facts.get("permit")),
            ("key", facts.get("key")),
            ("HTTP", " ".join(filter(None, [str(facts.get("status", 200)), facts.get("code"), _how(facts)]))),
            ("provider id", facts.get("provider_request_id")),
            ("trace", facts.get("trace")),
            ("tags", ", ".join(f"{name}={value}" for name, value in (facts.get("tags") or {}).items())),
            ("overrides", ", ".join(facts.get("overrides") or ())),
            ("notes", ", ".join(facts.get("notes") or ())),
        ],
    )


def _pairs(console: Console, pairs: list[tuple[str, Any]]) -> None:
    from rich.text import Text

    for name, value in pairs:
        if value:
            text = Text(f"  {name:<12}", style="dim")
            text.append(line(str(value)), style="default")
            console.print(text, soft_wrap=True)


def _how(facts: Facts) -> str:
    asked = "" if facts.get("surface", "chat") == "chat" else f"as {facts['surface']}"
    return " ".join(filter(None, [asked, "streamed" if facts.get("stream") else ""]))


# --- attempts -------------------------------------------------------------------------------------------------


def _attempts(console: Console, facts: Facts) -> None:
    attempts = facts.get("attempts") or []
    if not attempts:
        _section(console, "Attempts: none, no target was called")
        return
    end = max([float(facts.get("latency") or 0.0), *(float(a.get("ended") or 0.0) for a in attempts)]) or 1.0
    _section(console, f"Attempts on a line of {words.seconds(end)}  (· waiting, ░ to the first token, █ answering)")
    print_table(
        console,
        [
            Column("", right=True), Column("step"), Column("target"), Column("result"), Column("time line"),
            Column("from – to", right=True), Column("tokens", right=True, optional=True),
            Column("cost", right=True, optional=True), Column("detail", wrap=True, optional=True),
        ],
        [
            [
                str(number), attempt.get("step", "first"), attempt.get("target", ""), result(attempt),
                time_line(attempt, end), span(attempt), tokens(attempt.get("tokens")),
                words.dollars(attempt["cost_usd"]) if attempt.get("cost_usd") is not None else "",
                attempt.get("detail", ""),
            ]
            for number, attempt in enumerate(attempts, 1)
        ],
    )  # fmt: skip


def time_line(attempt: Facts, end: float) -> str:
    """One attempt as a bar of ``BAR`` characters over ``end`` seconds."""

    def place(seconds: float) -> int:
        return min(BAR, max(0, round(seconds / end * BAR)))

    start, finish = place(float(attempt.get("started") or 0.0)), place(float(attempt.get("ended") or 0.0))
    token = attempt.get("first_token")
    first = place(float(token)) if token is not None else finish
    first = min(max(first, start), finish)
    waiting, answering = first - start, finish - first
    if waiting + answering == 0:
        start, answering = min(start, BAR - 1), 1
    return "·" * start + "░" * waiting + "█" * answering + " " * (BAR - start - waiting - answering)


def _ladder(console: Console, facts: Facts) -> None:
    rungs = facts.get("ladder") or []
    if rungs:
        _section(console, "Ladder")
    for rung in rungs:
        console.print(f"  {rung_line(rung)}", soft_wrap=True)


# --- price ----------------------------------------------------------------------------------------------------


def _price(console: Console, facts: Facts, prices: Mapping[str, Facts]) -> None:
    cost = facts.get("cost_usd")
    reason = f" ({line(str(facts['cost_unknown']))})" if facts.get("cost_unknown") else ""
    _section(console, f"Price: {words.dollars(cost) if cost is not None else 'unknown'}{reason}")
    for attempt in facts.get("attempts") or ():
        price = prices.get(str(attempt.get("target")))
        for text in breakdown(attempt, price):
            console.print(f"  {line(text)}", soft_wrap=True)


# --- texts ----------------------------------------------------------------------------------------------------


def _texts(console: Console, facts: Facts) -> None:
    for title, text in texts(facts):
        _text(console, title, text)
    if dropped := facts.get("bodies_dropped"):
        reason = DROPPED.get(str(dropped), str(dropped))
        _section(console, f"Prompt and answer are not kept: {line(reason)}")


def _text(console: Console, title: str, text: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    _section(console, title)
    text = clean(text)
    cut = len(text) - MAX_TEXT
    shown = text[:MAX_TEXT] + (f"… ({cut:,} more characters; --json has them)" if cut > 0 else "")
    print_trimmed(console, Padding(Text(shown), (0, 0, 0, 2)))


# --- what else ------------------------------------------------------------------------------------------------


def _judgements(console: Console, facts: Facts, entry: Facts, zone: tzinfo) -> None:
    checks = facts.get("checks") or []
    if checks:
        _section(console, "Checks")
        for check in checks:
            console.print(f"  {check_line(check)}", soft_wrap=True)
    feedback = entry.get("feedback") or []
    if feedback:
        _section(console, "Feedback")
        for said in feedback:
            value = said.get("label") if said.get("label") is not None else said.get("score")
            by = f" by {line(str(said['by']))}" if said.get("by") else ""
            when = words.moment(said.get("ts"), zone)
            console.print(f"  {line(str(said.get('name', '')))}: {line(str(value))}{by}, {when}", soft_wrap=True)


def _neighbours(console: Console, facts: Facts, zone: tzinfo) -> None:
    local = datetime.fromtimestamp(float(facts.get("ts", 0.0)), zone)
    workflow = f" --workflow {line(str(facts['workflow']))}" if facts.get("workflow") else ""
    _section(console, "Neighbours")
    console.print(f'  roadworthy log "{local:%Y-%m-%d %H:%M}"{workflow}', soft_wrap=True)
    if facts.get("unit_source", "random") != "random":
        console.print(f"  roadworthy log --user {_quoted(str(facts.get('unit')))}{workflow}", soft_wrap=True)
    if facts.get("session"):
        console.print(f"  roadworthy log --session {_quoted(str(facts['session']))}", soft_wrap=True)


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(line(text))


def _section(console: Console, title: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(line(title), style="bold"))
