"""How examples, runs and verdicts look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from roadworthy.cli import words
from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import clean, line
from roadworthy.evals.wording import percent
from roadworthy.operations.proving.words import (
    asked,
    expected,
    grant,
    is_wrong,
    paired,
    preview,
    schedule,
    scores,
    short,
)

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Facts", "asked", "expected", "is_wrong", "paired", "preview", "schedule", "scores", "short"]

Facts = Mapping[str, Any]

LONGEST_CELL = 60


def verdict(console: Console, status: Facts) -> None:
    """What a run came to."""
    run, concluded = status["run"], status["concluded"]
    judged = concluded["judgement"]
    rows = [floor_row(each) for each in judged["floors"]]
    free = [name for name in judged["scores"] if name not in run["floors"]]
    rows += [[name, percent(judged["scores"][name]), "", "", "no floor"] for name in free]
    print_table(
        console,
        [Column("score"), Column("reached", right=True), Column("proven", right=True), Column("floor", right=True),
         Column("verdict")],
        rows,
    )  # fmt: skip
    for pair in judged["pairs"]:
        word = pair["verdict"] if pair["decides"] else "shown only"
        say(console, f"{pair['name']} beside release {judged['against']}: {paired(pair)}: {word}")
    slices(console, judged)
    critical(console, judged)
    say(console, f"\n{concluded['verdict']}: release {run['number']} of {run['workflow']}, {_basis(status)}.")
    for why in concluded["why"]:
        say(console, f"  {why}")
    say(console, f"What it could see: {judged['sees']}.")
    receipt = concluded["receipt"]
    if receipt is not None:
        say(console, f"Receipt {receipt['id']} for behaviour {short(receipt['behaviour'])}, {grant(receipt)}.")
    made = f"Evidence {concluded['evidence']}; run" if concluded["evidence"] else "No evidence comes of it; run"
    say(console, f"{made} {run['id']}.")


def slices(console: Console, judged: Facts) -> None:
    """By tag."""
    if not judged["slices"]:
        return
    rows = [
        [f"{each['tag']} = {line(each['value'])}", each["name"], str(each["examples"]), percent(each["share"]),
         f"FAIL: {each['failed']}" if each["failed"] else ""]
        for each in judged["slices"]
    ]  # fmt: skip
    columns = [Column("slice", keep=12), Column("score", keep=8), Column("examples", right=True),
               Column("reached", right=True), Column("verdict", keep=12)]  # fmt: skip
    print_table(console, columns, rows)


def critical(console: Console, judged: Facts) -> None:
    """Critical examples, and what they say of other targets."""
    if not judged["critical"]:
        return
    mine = [each for each in judged["critical_failed"] if not each["target"]]
    said = f"{len(mine)} failed: {', '.join(each['example'] for each in mine)}" if mine else "all answered well"
    say(console, f"{words.plural(judged['critical'], 'critical example')}: {said}")
    for target, passed in judged["targets"].items():
        bad = [each["example"] for each in judged["critical_failed"] if each["target"] == target]
        say(console, f"  on {target}: {'passed' if passed else 'not passed (' + ', '.join(bad) + ')'}")


def compared(console: Console, found: Facts) -> None:
    """Run B beside run A."""
    a, b = found["a"], found["b"]
    say(console, f"Run {b['id']} (release {b['number']}) beside run {a['id']} (release {a['number']}): "
                 f"{words.plural(found['examples'], 'example')} in common, {found['left_out']} left out")  # fmt: skip
    for pair in found["pairs"]:
        say(console, f"{pair['name']}: {paired(pair)}")
    for word in ("worse", "better"):
        changes = found[word]
        if not changes:
            continue
        say(console, f"\n{words.plural(len(changes), 'example')} {word}:")
        columns = [Column("example", keep=8), Column("asked", keep=20, spare=1), Column("before", keep=16),
                   Column("after", keep=16), Column("scores", keep=14)]  # fmt: skip
        print_table(console, columns, [_change_row(each) for each in changes])


def _change_row(each: Facts) -> list[str]:
    example, before, after = each["example"], each["before"], each["after"]
    if example.get("held_out"):
        return [name_of(example), "(held out)", "", "", _moves(before["scores"], after["scores"])]
    return [
        name_of(example), line(asked(example), LONGEST_CELL), line(before["text"], LONGEST_CELL),
        line(after["text"], LONGEST_CELL), _moves(before["scores"], after["scores"]),
    ]  # fmt: skip


def _moves(before: Facts, after: Facts) -> str:
    moved = [name for name in after if name in before and after[name] != before[name]]
    return ", ".join(f"{name} {before[name]:g} → {after[name]:g}" for name in moved)


def floor_row(each: Facts) -> list[str]:
    return [
        each["name"],
        percent(each["share"]),
        percent(each["lower"]),
        percent(each["floor"]),
        each["verdict"],
    ]


def _basis(status: Facts) -> str:
    run, judged = status["run"], status["concluded"]["judgement"]
    repeats = f" asked up to {judged['repeats']} times" if judged["repeats"] > 1 else ""
    return f"{words.plural(judged['examples'], 'example')}{repeats}, {words.dollars(status['spent'])}, by {run['by']}"


def examples(console: Console, items: Sequence[Facts]) -> None:
    columns = [
        Column("example", keep=8), Column("asked", keep=20, spare=2), Column("expected", keep=12),
        Column("answered", keep=20, spare=1), Column("outcome", keep=9), Column("scores", keep=10),
        Column("inference", spare=3, optional=True),
    ]  # fmt: skip
    print_table(console, columns, [example_row(each) for each in items])


def example_row(each: Facts) -> list[str]:
    example, answer = each["example"], each["answer"] or {}
    return [
        name_of(example) + which_asking(each), line(asked(example), LONGEST_CELL),
        line(expected(example), LONGEST_CELL), line(answer.get("text", ""), LONGEST_CELL),
        answer.get("outcome") or "none", scores(each),
        answer.get("inference", ""),
    ]  # fmt: skip


def name_of(example: Facts) -> str:
    return line(example.get("label") or example["id"], 40)


def which_asking(each: Facts) -> str:
    """`` #1`` for a repeat, `` @backup`` for an asking of one target."""
    answer = each["answer"] or {}
    again = f" #{answer['repeat']}" if answer.get("repeat") else ""
    return again + (f" @{answer['asked_target']}" if answer.get("asked_target") else "")


def history(console: Console, rows: Sequence[Facts], zone: tzinfo, now: float) -> None:
    columns = [
        Column("run"), Column("for", spare=3), Column("release", right=True), Column("began"), Column("by", spare=2),
        Column("answered", right=True), Column("verdict", keep=7), Column("scores", keep=16, spare=1),
    ]  # fmt: skip
    cells = [
        [
            row["id"], row["purpose"], str(row["number"]), words.moment(row["began"], zone, now=now), row["by"],
            f"{row['answered']} of {row['examples']}",
            row["verdict"] or ("open" if row["purpose"] == "gate" else ""),
            ", ".join(f"{name} {percent(value)}" for name, value in row["scores"].items()),
        ]
        for row in rows
    ]  # fmt: skip
    print_table(console, columns, cells)


def say(console: Console, text: str) -> None:
    console.print(clean(text), soft_wrap=True, markup=False, highlight=False)
