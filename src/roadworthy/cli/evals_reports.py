"""What a gate came to, as JUnit and as Markdown.  Held-out examples are counted, never printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from xml.etree import ElementTree

from roadworthy.cli.evals_view import (
    Facts,
    example_row,
    expected,
    floor_row,
    is_wrong,
    name_of,
    paired,
    short,
    which_asking,
)
from roadworthy.cli.terminal import clean, line

LONGEST_ANSWER = 4000
"""Characters of an answer in a report."""
MOST_SHOWN = 100
"""Examples of a page: a comment on a merge request holds 64 KiB."""


def junit(status: Facts, items: Sequence[Facts]) -> str:
    """One test an asking, and one for the gate itself.

    What is under a floor in one example is a failure, but where the gate passed: there the floors allow it, and a
    pipeline that the gate let through would be red.  Then it counts as skipped, with what was answered.
    """
    run, concluded = status["run"], status["concluded"]
    decided = concluded["verdict"] if concluded else "INSUFFICIENT"
    allowed = decided == "PASS"
    bad = [each for each in items if _bad(each, run)]
    skipped = [each for each in items if each["standing"] == "unanswered"] + (bad if allowed else [])
    failed = [] if allowed else bad
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
            suite, "testcase", classname=f"{run['workflow']}.examples",
            name=_xml(name_of(each["example"]) + which_asking(each)), time=f"{answer.get('seconds', 0.0):.3f}",
        )  # fmt: skip
        if each["standing"] == "unanswered":
            ElementTree.SubElement(case, "skipped", message="not answered")
        elif _bad(each, run):
            held_out = each["example"].get("held_out")
            wanted = "held out: not shown" if held_out else f"expected {expected(each['example'])}"
            kind, wanted = ("skipped", f"allowed by the floors; {wanted}") if allowed else ("failure", wanted)
            found = ElementTree.SubElement(case, kind, message=_xml(wanted))
            found.text = "" if held_out else _xml(answer.get("text", "")[:LONGEST_ANSWER])
    ElementTree.indent(suite)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _bad(each: Facts, run: Facts) -> bool:
    if each["standing"] == "unanswered":
        return False
    return any(each["scores"].get(name, least) < least for name, least in run["floors"].items())


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
        text += [f"| {' | '.join(_cell(cell) for cell in floor_row(each))} |" for each in judged["floors"]]
        text += [""] + [f"- {_cell(why)}" for why in concluded["why"]]
        text += [
            f"- {_cell(each['name'])} beside release {judged['against']}: {_cell(paired(each))}"
            for each in judged["pairs"]
        ]
        text += _critical(judged)
        text += ["", f"What it could see: {_cell(judged['sees'])}.", ""]
    wrong = [each for each in items if is_wrong(each)]
    shown = [each for each in wrong if not each["example"].get("held_out")]
    if wrong:
        left = f" ({len(wrong) - len(shown)} held out and not shown)" if len(shown) < len(wrong) else ""
        text += [f"## {len(wrong)} of {len(items)} otherwise than expected{left}", ""]
    if shown:
        text += ["| example | asked | expected | answered | scores |", "|---|---|---|---|---|"]
        for each in shown[:MOST_SHOWN]:
            row = example_row(each)
            text.append(f"| {' | '.join(_cell(cell) for cell in (row[0], row[1], row[2], row[3], row[5]))} |")
        if len(shown) > MOST_SHOWN:
            text += ["", f"{len(shown) - MOST_SHOWN} more: `roadworthy evals show {run['id']} --wrong`."]
    return "\n".join(text) + "\n"


def _critical(judged: Facts) -> list[str]:
    if not judged["critical"]:
        return []
    mine = [each["example"] for each in judged["critical_failed"] if not each["target"]]
    said = [f"- {judged['critical']} critical examples: {', '.join(mine) + ' failed' if mine else 'all answered well'}"]
    return said + [
        f"- critical examples on {_cell(target)}: {'passed' if passed else 'not passed, so no ladder uses it'}"
        for target, passed in judged["targets"].items()
    ]


def _cell(text: str) -> str:
    """Text of others in a table of Markdown: no markup of theirs acts."""
    plain = line(text)
    for mark in "\\`*_{}[]<>|#!":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
