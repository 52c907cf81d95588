"""How examples, samples of traffic and the pool look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roadworthy.cli import evals_view, words
from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import line
from roadworthy.operations.proving.words import pooled, published, taken, wait

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["examples", "pool", "pooled", "published", "sample", "taken"]

Facts = Mapping[str, Any]

LONGEST_CELL = 60


def sample(console: Console, answer: Facts, *, dry_run: bool) -> None:
    """What was drawn, and how well it stands for the traffic."""
    coverage, passed, found = answer["coverage"], answer["passed"], answer["found"]
    answered = sum(each["answered"] for each in found)
    verb = "would be captured" if dry_run else "captured"
    looked = f", {answer['looked_at']:,} of them looked at" if answer["looked_at"] < answer["calls"] else ""
    say = evals_view.say
    say(console, f"{words.plural(len(found), 'example')} {verb} from {answer['calls']:,} calls of {answer['days']:g} "
        f"days ({answer['source']}{looked}); {coverage['different']:,} of them differ.")  # fmt: skip
    say(console, f"{answered} have an answer that people can score.")
    gone = [(passed["without_body"], "have no body any more, or never had one"),
            (passed["unreadable"], "hold no chat messages, or too long ones"),
            (passed["known"], "are examples already")]  # fmt: skip
    for number, why in gone:
        if number:
            say(console, f"{words.plural(number, 'call')} {why}.")
    if not answer["redacted"]:
        say(console, "Nothing was redacted: the policy names no rule (policy: {redact: [email, phone]}).")
    console.print()
    parts = [each for each in coverage["parts"] if each["dimension"] != "theme" or each["traffic"] >= 0.005]
    rows = [
        [each["dimension"], each["value"], words.share(each["traffic"]), words.share(each["sample"])] for each in parts
    ]
    print_table(console, [Column("by"), Column("", keep=24), Column("traffic", right=True),
                          Column("sample", right=True)], rows)  # fmt: skip
    console.print()
    say(console, f"Covered: {coverage['covered']} of {coverage['kinds']} kinds of calls (outcome, length, theme), "
        f"which are {words.share(coverage['share'])} of the traffic.")  # fmt: skip
    if coverage["missing"]:
        missing = "; ".join(f"{line(name)} ({words.share(share)})" for name, share in coverage["missing"])
        say(console, f"Without an example: {missing}. More of them: --count, or --seed for another sample.")
    say(console, f"About {words.share(coverage['unseen'])} of the calls to come are of a kind not seen here.")
    if not dry_run:
        say(console, f"{words.plural(answer['waiting'], 'example')} now {wait(answer['waiting'])}.")


def examples(console: Console, items: Sequence[Facts]) -> None:
    columns = [
        Column("example", keep=20), Column("asked", keep=24), Column("expected", keep=12, optional=True, spare=1),
        Column("marks", keep=8, optional=True, spare=2),
    ]  # fmt: skip
    print_table(console, columns, [_row(each) for each in items])


def pool(console: Console, answer: Facts) -> None:
    columns = [
        Column("example", keep=20), Column("asked", keep=24), Column("expected", keep=12, optional=True, spare=1),
        Column("marks", keep=8, optional=True, spare=3), Column("from", keep=10, spare=2), Column("by", spare=4),
    ]  # fmt: skip
    rows = []
    for each in answer["items"]:
        source = "leaves the set" if each.get("drop") else each.get("source", "")
        rows.append([*_row(each["example"]), line(source, 24), each["by"]])
    print_table(console, columns, rows)


def _row(example: Facts) -> list[str]:
    marks = ["critical"] if example.get("critical") else []
    marks += ["held out"] if example.get("held_out") else []
    marks += [f"{name}={value}" for name, value in example.get("tags", {}).items()]
    return [
        example["id"], line(evals_view.asked(example), LONGEST_CELL), line(evals_view.expected(example), LONGEST_CELL),
        line(", ".join(marks), LONGEST_CELL),
    ]  # fmt: skip
