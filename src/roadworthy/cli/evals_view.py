"""How examples, runs and verdicts look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from roadworthy.cli import words
from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import clean, line
from roadworthy.evals.wording import percent, signed

if TYPE_CHECKING:
    from rich.console import Console

Facts = Mapping[str, Any]

LONGEST_CELL = 60


def short(digest: str) -> str:
    return digest[:12]


def preview(plan: Facts) -> list[str]:
    """What a gate would do, a line each."""
    floors = ", ".join(f"{name} ≥ {percent(least, 0)}" for name, least in plan["floors"].items()) or "no floor"
    cost = "nobody knows what it costs" if plan["usd"] is None else f"about {words.dollars(plan['usd'])} at most"
    calls = words.plural(plan["calls"], "call")
    on = f"; goes on with run {plan['resumes']}" if plan["resumes"] else ""
    if plan.get("reused"):
        reused = words.plural(plan["reused"], "answer")
        on += f"; {reused} reused, the oldest of {words.ago(0.0, plan['reused_age'])} (--fresh asks anew)"
    said = [
        f"release {plan['number']} of {plan['workflow']} ({short(plan['release'])}): {calls} for "
        f"{words.plural(plan['examples'], 'example')}, {cost}{on}",
        f"declared beforehand: {floors}"
        + (f"; beside release {plan['against']}, margin {percent(plan['margin'], 0)}" if plan["against"] else ""),
        f"what it can see: {plan['sees']}",
    ]
    if plan.get("critical") and plan.get("targets"):
        said.append(
            f"{words.plural(plan['critical'], 'critical example')} asked of {', '.join(plan['targets'])} as well: a "
            "ladder uses no target that fails one"
        )
    if plan.get("marks"):
        said.append(f"asks for {', '.join(plan['asks'])} {words.plural(plan['marks'], 'time')}{_asking(plan)}")
    return said + [f"note: {warning}" for warning in plan["warnings"]]


def _asking(plan: Facts) -> str:
    usd = plan.get("usd_asks", 0.0)
    if usd is None:
        return "; nobody knows what that costs"
    return f", for about {words.dollars(usd)} of that" if usd else "; what an endpoint charges for it is not counted"


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
        say(console, f"Receipt {receipt['id']} for behaviour {short(receipt['behaviour'])}, {_grant(receipt)}.")
    made = f"Evidence {concluded['evidence']}; run" if concluded["evidence"] else "No evidence comes of it; run"
    say(console, f"{made} {run['id']}.")


def schedule(found: Facts, zone: tzinfo, now: float) -> list[str]:
    """A line each."""
    name = found["workflow"]
    if found["release"] is None:
        why = f"{name} serves no release that its gate let pass"
        return [f"Nothing is run by itself, for {why}: roadworthy evals gate {name}"]
    cost = "nobody knows what it costs" if found["usd"] is None else f"about {words.dollars(found['usd'])} at most"
    last = "never yet" if found["last"] is None else words.moment(found["last"], zone, now=now)
    nightly = (
        f"Every night, in the quietest hour: {words.plural(found['nightly'], 'example')} of release "
        f"{found['release']}, {cost}; last: {last} {found['last_run']}".rstrip()
        if found["nightly"]
        else "No nightly sample: evals.nightly is 0 in workflow.yaml."
    )
    return [nightly, "Every month, a week before its receipt lapses: the whole gate, fresh."]


def paired(pair: Facts) -> str:
    """``-2.5 %, from -6.0 % to +1.1 % (one-sided 95 % each); 3 better, 6 worse; McNemar p = 0.51``."""
    found = f"{signed(pair['difference'])}, from {signed(pair['lower'])} to {signed(pair['upper'])}"
    counted = f"{pair['gained']:g} better, {pair['lost']:g} worse"
    p = "" if pair["mcnemar"] is None else f"; McNemar p = {pair['mcnemar']:.2g}"
    return f"{found}; {counted}{p}"


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


def _grant(receipt: Facts) -> str:
    if receipt["verdict"] == "PASS":
        return "good for as much traffic as the other evidence allows"
    if receipt["verdict"] == "INSUFFICIENT" and receipt["floors_met"]:
        return "good for the pilot share, since the floors are met in the sample"
    return "good for named testers only"


def is_wrong(scored: Facts) -> bool:
    return scored["standing"] != "good" or any(value < 1 for value in scored["scores"].values())


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


def asked(example: Facts) -> str:
    """The last thing that somebody said."""
    content = example["messages"][-1].get("content", "")
    return content if isinstance(content, str) else str(content)


def expected(example: Facts) -> str:
    said = [f"{name}={value}" for name, value in example.get("expected", {}).items()]
    return ", ".join([*said, *([example["text"]] if example.get("text") else [])])


def scores(each: Facts) -> str:
    if each["standing"] == "unanswered":
        return "not answered"
    said = [f"{name} {value:g}" for name, value in each["scores"].items()]
    return ", ".join(said + [f"{name} ?" for name in (*each.get("unscored", {}), *each.get("lost", {}))])


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
