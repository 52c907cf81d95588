"""How judges, calibrations and the scoring of live answers look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from roadworthy.cli import words
from roadworthy.cli.evals_view import say
from roadworthy.cli.tables import Column, print_table

if TYPE_CHECKING:
    from rich.console import Console

Facts = Mapping[str, Any]
LEAST = 50
"""Held-out answers from which they alone decide (``evals.calibration.LEAST``; a test holds the two together)."""


def preview(plan: Facts) -> list[str]:
    """What a calibration would do, a line each."""
    cost = "nobody knows what it costs" if plan["usd"] is None else f"about {words.dollars(plan['usd'])} at most"
    on = f"; goes on with {plan['resumes']}, {words.dollars(plan['spent'])} until now" if plan["resumes"] else ""
    said = [
        f"{plan['scorer']} of {plan['workflow']}, judged by {plan['judge']}: {words.plural(plan['calls'], 'answer')} "
        f"to judge of {plan['answers']} that people scored ({plan['held_out']} held out, {plan['twice']} scored by "
        f"two or more), {cost}{on}"
    ]
    return said + [f"note: {warning}" for warning in plan["warnings"]]


def concluded(console: Console, status: Facts, zone: tzinfo, now: float) -> None:
    """What a calibration came to."""
    made, found = status["calibration"], status["calibration"]["concluded"]
    parts = [("all", found["whole"])] + ([("held out", found["held_out"])] if found["held_out"] else [])
    rows = [row for name, part in parts for row in _rows(name, part)]
    print_table(
        console,
        [Column("answers"), Column("figure"), Column("value", right=True), Column("95 %"), Column("means", wrap=True)],
        rows,
    )
    apart = found["held_out"]
    if apart is not None and apart["n"] < LEAST:
        say(console, f"Decided on all of them: {apart['n']} are held out, and from {LEAST} on those alone decide.")
    if found["swapped"] is not None:
        say(console, f"Said the same with the answers swapped: {_of(found['swapped'])} of the pairs.")
    if found["unscored"]:
        say(console, f"It could make nothing of {words.plural(found['unscored'], 'answer')}.")
    say(console, f"\n{found['verdict']}: {made['scorer']} of {made['workflow']}, {words.dollars(status['spent'])}.")
    for why in found["why"]:
        say(console, f"  {why}")
    if found["verdict"] == "PASS":
        say(console, f"It may carry floors until {words.moment(found['lapses_at'], zone, now=now)}, while its model, "
                     "prompt, parameters and the rubric stay as they are.")  # fmt: skip


def _rows(name: str, part: Facts) -> list[list[str]]:
    seen = part["recognises"]
    rows = [
        ["kappa", part["kappa"], "agreement beyond chance, 1 is all"],
        ["weighted kappa", part["weighted"], "the same, near values forgiven"],
        ["alpha", part["alpha"], "people and judge together"],
        ["sensitivity", seen["sensitivity"], f"of {seen['good']} that people call good, called good"],
        ["specificity", seen["specificity"], f"of {seen['bad']} that people call bad, called bad"],
    ]
    if part["people"] is not None:
        rows.insert(3, ["alpha of people", part["people"], "people among themselves: no judge need do better"])
    found = [[f"{name}, {part['n']}" if at == 0 else "", word, *_figure(value), means]
             for at, (word, value, means) in enumerate(rows)]  # fmt: skip
    lean = "no more than chance" if part["leaning_p"] > 0.05 else "more than chance"
    found.append(["", "leniency", f"{part['lenient']:+.2f}", "", f"mean score of the judge minus people's; {lean}"])
    worth = part["worth"] - part["n"]
    found.append(["", "worth", f"{worth:.0f}", "", f"hand scores that 1,000 answers judged beside these {part['n']} "
                  "are worth (PPI++)"])  # fmt: skip
    return found


def judges(console: Console, items: Sequence[Facts], zone: tzinfo, now: float) -> None:
    rows = []
    for each in items:
        found = each["calibration"]
        if found is None:
            rows.append([each["workflow"], each["scorer"], each["judge"], "no", "", each["why"]])
            continue
        ended = found["concluded"]
        until = words.moment(ended["lapses_at"], zone, now=now)
        stands = ended["held_out"] if ended["held_out"] and ended["held_out"]["n"] >= LEAST else ended["whole"]
        rows.append([each["workflow"], each["scorer"], each["judge"], "yes", _of(stands["kappa"]), f"until {until}"])
    print_table(
        console,
        [Column("workflow"), Column("score"), Column("judge"), Column("may decide"), Column("kappa"),
         Column("why", wrap=True)],
        rows,
    )  # fmt: skip
    for each in items:
        if each["calibration"] is None and each["scorer"]:
            say(console, f"roadworthy evals calibrate {each['workflow']} {each['scorer']}")


def online(console: Console, answer: Facts) -> None:
    rows = []
    for each in answer["items"]:
        if each["problem"]:
            rows.append([each["workflow"], f"{100 * each['share']:g} %", "", "", each["problem"]])
            continue
        spent = f"{words.dollars(each['usd_today'])} of {words.dollars(each['usd_per_day'])}"
        done = f"{each['scored_today']} scored" + (
            f", {each['passed_over_today']} over the budget" if each["passed_over_today"] else ""
        )
        what = ", ".join(each["scorers"]) if each["share"] else "off: evals.online.share is 0"
        rows.append(
            [each["workflow"], f"{100 * each['share']:g} %", done, spent, what or "no scorer fits live answers"]
        )
    print_table(
        console,
        [Column("workflow"), Column("share", right=True), Column("today"), Column("dollars today"),
         Column("scores", wrap=True)],
        rows,
    )  # fmt: skip
    for each in answer["items"]:
        for name, why in each.get("left_out", {}).items():
            say(console, f"{each['workflow']}: {name} is not given to live answers: {why}")
    for each in answer["drift"]:
        say(console, f"\n{each['title']}\n  {each['text']}")
    if not answer["drift"]:
        say(console, "No drift was found.")


def _figure(value: Facts) -> list[str]:
    return [f"{value['value']:.2f}", f"{value['lower']:.2f} to {value['upper']:.2f}"]


def _of(value: Facts) -> str:
    return f"{value['value']:.2f} ({value['lower']:.2f} to {value['upper']:.2f})"
