"""How examples, samples of traffic and the pool look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roadworthy.cli import evals_view, words
from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import line

if TYPE_CHECKING:
    from rich.console import Console

Facts = Mapping[str, Any]

LONGEST_CELL = 60
DAY = 86_400.0


def taken(workflow: str, answer: Facts) -> list[str]:
    """What came of a file."""
    made, said = answer["publication"], []
    if answer["created"]:
        version = evals_view.short(made["version"])
        said.append(f"Published {words.plural(made['count'], 'example')} for {workflow}, version {version}.")
    elif answer["waiting"]:
        said.append(f"{words.plural(answer['waiting'], 'example')} for {workflow} now {_wait(answer['waiting'])}.")
    else:
        said.append(f"Nothing new: every example of the file is in the set or the pool of {workflow} already.")
    if answer["known"] and answer["waiting"]:
        said.append(f"{words.plural(answer['known'], 'example')} {_were(answer['known'])} there already.")
    left = [(answer["repeated"], "said the same as another row"), (answer["passed_over"], "were not asked for"),
            (answer["system_dropped"], "had a system message; it was left out: the release has its own")]  # fmt: skip
    said += [f"{words.plural(number, 'row')} {why}." for number, why in left if number]
    said += [f"Not taken over: {line(note)}." for note in answer["notes"]]
    without = answer["read"] - answer["expecting"]
    if without:
        many = "none" if without == answer["read"] else f"{without} of {answer['read']} do not"
        say = "They expect nothing" if many == "none" else f"{many} say what is right"
        said.append(f"{say}: a person or a judge scores the answers (roadworthy evals score {workflow}).")
    if answer["created"]:
        alone = without == answer["read"]  # nothing of it can be scored by a scorer that compares
        next_ = f"roadworthy evals answer {workflow}" if alone else f"roadworthy evals gate {workflow}"
    else:
        next_ = f"roadworthy evals publish {workflow}, by {answer['owner']}"
    return [*said, f"Next: {next_}"] if answer["created"] or answer["waiting"] else said


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
        say(console, f"{words.plural(answer['waiting'], 'example')} now {_wait(answer['waiting'])}.")


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


def pooled(workflow: str, answer: Facts, now: float) -> list[str]:
    """What publishing would make of the set."""
    merge, made = answer["merge"], answer["publication"]
    before = f"{made['count']} now" if made else "there is none yet"
    said = [
        f"The next version would have {words.plural(answer['count'], 'example')} ({before}): {_changes(merge)}; "
        f"{answer['held_out']} held out, {answer['critical']} critical."
    ]
    if answer.get("eased"):
        said.append(f"Of the examples in force: {', '.join(answer['eased'])}. The next gate says so.")
    if answer.get("anew"):
        said.append(
            "It would be scored by other scorers than now: what workflow.yaml declares, or a judge, was changed."
        )
    wait = answer["due"] - now
    if wait > 0:
        said.append(
            f"It is due in {max(wait / DAY, 0.1):.1f} days; before that {answer['owner']} publishes with a reason: "
            f"roadworthy evals publish {workflow} --now REASON"
        )
    else:
        said.append(f"{answer['owner']} may publish it: roadworthy evals publish {workflow}")
    return said


def published(workflow: str, answer: Facts) -> list[str]:
    made = answer["publication"]
    version = evals_view.short(made["version"])
    if not answer["created"]:
        return [f"Nothing new: in force are {words.plural(made['count'], 'example')}, version {version}."]
    return [
        f"Published {words.plural(made['count'], 'example')} for {workflow}, version {version}: "
        f"{_changes(answer['merge'])}; {answer['held_out']} held out.",
        f"Next: roadworthy evals gate {workflow}",
    ]


def _changes(merge: Facts) -> str:
    said = [(merge["added"], "new"), (merge["corrected"], "corrected"), (merge["changed"], "marked otherwise"),
            (merge["dropped"], "left out")]  # fmt: skip
    return ", ".join(f"{number} {what}" for number, what in said if number) or "nothing changes"


def _row(example: Facts) -> list[str]:
    marks = ["critical"] if example.get("critical") else []
    marks += ["held out"] if example.get("held_out") else []
    marks += [f"{name}={value}" for name, value in example.get("tags", {}).items()]
    return [
        example["id"], line(evals_view.asked(example), LONGEST_CELL), line(evals_view.expected(example), LONGEST_CELL),
        line(", ".join(marks), LONGEST_CELL),
    ]  # fmt: skip


def _wait(number: int) -> str:
    return "waits in the pool" if number == 1 else "wait in the pool"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
