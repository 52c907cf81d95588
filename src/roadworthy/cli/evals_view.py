"""How examples, runs and verdicts look: in a terminal, as JUnit, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from roadworthy.cli import words
from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import clean, line
from roadworthy.evals.wording import percent, signed

if TYPE_CHECKING:
    from rich.console import Console

Facts = Mapping[str, Any]

LONGEST_CELL = 60
LONGEST_ANSWER = 4000
"""Characters of an answer in a report."""


def short(digest: str) -> str:
    return digest[:12]


def preview(plan: Facts) -> list[str]:
    """What a gate would do, a line each."""
    floors = ", ".join(f"{name} ≥ {percent(least, 0)}" for name, least in plan["floors"].items())
    cost = "nobody knows what it costs" if plan["usd"] is None else f"about {words.dollars(plan['usd'])} at most"
    calls = words.plural(plan["calls"], "call")
    on = f"; goes on with run {plan['resumes']}" if plan["resumes"] else ""
    said = [
        f"release {plan['number']} of {plan['workflow']} ({short(plan['release'])}): {calls} for "
        f"{words.plural(plan['examples'], 'example')}, {cost}{on}",
        f"declared beforehand: {floors}"
        + (f"; beside release {plan['against']}, margin {percent(plan['margin'], 0)}" if plan["against"] else ""),
        f"what it can see: {plan['sees']}",
    ]
    return said + [f"note: {warning}" for warning in plan["warnings"]]


def verdict(console: Console, status: Facts) -> None:
    """What a run came to."""
    run, concluded = status["run"], status["concluded"]
    judged = concluded["judgement"]
    rows = [_floor_row(each) for each in judged["floors"]]
    free = [name for name in judged["scores"] if name not in run["floors"]]
    rows += [[name, percent(judged["scores"][name]), "", "", "no floor"] for name in free]
    print_table(
        console,
        [Column("score"), Column("reached", right=True), Column("proven", right=True), Column("floor", right=True),
         Column("verdict")],
        rows,
    )  # fmt: skip
    for pair in judged["pairs"]:
        found = f"{signed(pair['difference'])}, from {signed(pair['lower'])} to {signed(pair['upper'])}"
        counted = f"{pair['gained']:g} better, {pair['lost']:g} worse"
        say(console, f"{pair['name']} beside release {judged['against']}: {found}; {counted}: {pair['verdict']}")
    say(console, f"\n{concluded['verdict']}: release {run['number']} of {run['workflow']}, {_basis(status)}.")
    for why in concluded["why"]:
        say(console, f"  {why}")
    say(console, f"What it could see: {judged['sees']}.")
    receipt = concluded["receipt"]
    if receipt is not None:
        say(console, f"Receipt {receipt['id']} for behaviour {short(receipt['behaviour'])}, {_grant(receipt)}.")
    say(console, f"Evidence {concluded['evidence']}; run {run['id']}.")


def _floor_row(each: Facts) -> list[str]:
    return [
        each["name"],
        percent(each["share"]),
        percent(each["lower"]),
        percent(each["floor"]),
        each["verdict"],
    ]


def _basis(status: Facts) -> str:
    run, judged = status["run"], status["concluded"]["judgement"]
    repeats = f" in {judged['repeats']} runs" if judged["repeats"] > 1 else ""
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
    print_table(console, columns, [_example_row(each) for each in items])


def _example_row(each: Facts) -> list[str]:
    example, answer = each["example"], each["answer"] or {}
    return [
        name_of(example), line(asked(example), LONGEST_CELL), line(expected(example), LONGEST_CELL),
        line(answer.get("text", ""), LONGEST_CELL), answer.get("outcome") or "none", scores(each),
        answer.get("inference", ""),
    ]  # fmt: skip


def name_of(example: Facts) -> str:
    return line(example.get("label") or example["id"], 40)


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
    return ", ".join(f"{name} {value:g}" for name, value in each["scores"].items())


def history(console: Console, rows: Sequence[Facts], zone: tzinfo, now: float) -> None:
    columns = [
        Column("run"), Column("release", right=True), Column("began"), Column("by", spare=2),
        Column("answered", right=True), Column("verdict", keep=7), Column("scores", keep=16, spare=1),
    ]  # fmt: skip
    cells = [
        [
            row["id"], str(row["number"]), words.moment(row["began"], zone, now=now), row["by"],
            f"{row['answered']} of {row['examples']}", row["verdict"] or "open",
            ", ".join(f"{name} {percent(value)}" for name, value in row["scores"].items()),
        ]
        for row in rows
    ]  # fmt: skip
    print_table(console, columns, cells)


# --- reports


def junit(status: Facts, items: Sequence[Facts]) -> str:
    """One test an example (failed: not every floored score is 1), and one for the gate itself."""
    run, concluded = status["run"], status["concluded"]
    decided = concluded["verdict"] if concluded else "INSUFFICIENT"
    failed = [each for each in items if _bad(each, run)]
    skipped = [each for each in items if each["standing"] == "unanswered"]
    suite = ElementTree.Element(
        "testsuite", name=f"evals gate {run['workflow']} release {run['number']}", tests=str(len(items) + 1),
        failures=str(len(failed) + (decided == "FAIL")), skipped=str(len(skipped) + (decided == "INSUFFICIENT")),
        errors="0", id=run["id"],
    )  # fmt: skip
    whole = ElementTree.SubElement(suite, "testcase", classname=run["workflow"], name="gate")
    if decided != "PASS":
        kind = "failure" if decided == "FAIL" else "skipped"
        why = concluded["why"] if concluded else [status["detail"] or "the run is not complete"]
        ElementTree.SubElement(whole, kind, message=_xml(f"{decided}: {'; '.join(why)}"))
    for each in items:
        answer = each["answer"] or {}
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{run['workflow']}.examples", name=_xml(name_of(each["example"])),
            time=f"{answer.get('seconds', 0.0):.3f}",
        )  # fmt: skip
        if each["standing"] == "unanswered":
            ElementTree.SubElement(case, "skipped", message="not answered")
        elif _bad(each, run):
            found = ElementTree.SubElement(case, "failure", message=_xml(f"expected {expected(each['example'])}"))
            found.text = _xml(answer.get("text", "")[:LONGEST_ANSWER])
    ElementTree.indent(suite)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _bad(each: Facts, run: Facts) -> bool:
    if each["standing"] == "unanswered":
        return False
    return any(each["scores"].get(name, 0) < 1 for name in run["floors"])


def _xml(text: str) -> str:
    """What XML 1.0 can hold; a terminal's control sequences go too."""
    return "".join(
        letter for letter in clean(text) if letter in "\t\n" or " " <= letter <= "\ufffd" or letter > "\uffff"
    )


def markdown(status: Facts, items: Sequence[Facts], zone: tzinfo) -> str:
    """A page for a merge request or a colleague."""
    run, concluded = status["run"], status["concluded"]
    day = datetime.fromtimestamp(run["began"], zone).strftime("%Y-%m-%d %H:%M")
    decided = concluded["verdict"] if concluded else "INSUFFICIENT"
    text = [
        f"# {decided}: release {run['number']} of {run['workflow']}", "",
        f"Run `{run['id']}` of {day}, {run['examples']} examples (`{short(run['set_version'])}`), "
        f"rubric signed by {run.get('signed_by') or 'nobody'}.", "",
    ]  # fmt: skip
    if concluded:
        judged = concluded["judgement"]
        text += ["| score | reached | proven (95 %) | floor | verdict |", "|---|---|---|---|---|"]
        text += [f"| {' | '.join(_cell(cell) for cell in _floor_row(each))} |" for each in judged["floors"]]
        text += [""] + [f"- {_cell(why)}" for why in concluded["why"]]
        text += ["", f"What it could see: {judged['sees']}.", ""]
    wrong = [each for each in items if is_wrong(each)]
    if wrong:
        text += [f"## {len(wrong)} of {len(items)} otherwise than expected", ""]
        text += ["| example | asked | expected | answered | scores |", "|---|---|---|---|---|"]
        for each in wrong:
            row = _example_row(each)
            text.append(f"| {' | '.join(_cell(cell) for cell in (row[0], row[1], row[2], row[3], row[5]))} |")
    return "\n".join(text) + "\n"


def _cell(text: str) -> str:
    """Text of others in a table of Markdown: no markup of theirs acts."""
    plain = line(text)
    for mark in "\\`*_{}[]<>|#!":
        plain = plain.replace(mark, f"\\{mark}")
    return plain


def say(console: Console, text: str) -> None:
    console.print(clean(text), soft_wrap=True, markup=False, highlight=False)
