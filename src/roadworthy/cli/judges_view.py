"""How judges, calibrations and the scoring of live answers look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from roadworthy.cli import words
from roadworthy.cli.evals_view import say
from roadworthy.cli.tables import Column, print_table
from roadworthy.operations.proving.words import LEAST, calibrated, calibration_preview, estimate, stands

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["calibration_preview", "concluded", "judges", "online"]

Facts = Mapping[str, Any]


def concluded(console: Console, status: Facts, zone: tzinfo, now: float) -> None:
    """What a calibration came to."""
    made, found = status["calibration"], status["calibration"]["concluded"]
    parts = [("all", found["whole"])] + ([("held out", found["held_out"])] if found["held_out"] else [])
    rows = [
        [f"{name}, {part['n']}" if at == 0 else "", *row]
        for name, part in parts
        for at, row in enumerate(calibrated(part))
    ]
    print_table(
        console,
        [Column("answers"), Column("figure"), Column("value", right=True), Column("95 %"), Column("means", wrap=True)],
        rows,
    )
    apart = found["held_out"]
    if apart is not None and apart["n"] < LEAST:
        say(console, f"Decided on all of them: {apart['n']} are held out, and from {LEAST} on those alone decide.")
    if found["swapped"] is not None:
        say(console, f"Said the same with the answers swapped: {estimate(found['swapped'])} of the pairs.")
    if found["unscored"]:
        say(console, f"It could make nothing of {words.plural(found['unscored'], 'answer')}.")
    say(console, f"\n{found['verdict']}: {made['scorer']} of {made['workflow']}, {words.dollars(status['spent'])}.")
    for why in found["why"]:
        say(console, f"  {why}")
    if found["verdict"] == "PASS":
        say(console, f"It may carry floors until {words.moment(found['lapses_at'], zone, now=now)}, while its model, "
                     "prompt, parameters and the rubric stay as they are.")  # fmt: skip


def judges(console: Console, items: Sequence[Facts], zone: tzinfo, now: float) -> None:
    rows = []
    for each in items:
        found = each["calibration"]
        if found is None:
            rows.append([each["workflow"], each["scorer"], each["judge"], "no", "", each["why"]])
            continue
        ended = found["concluded"]
        until = words.moment(ended["lapses_at"], zone, now=now)
        rows.append(
            [each["workflow"], each["scorer"], each["judge"], "yes", estimate(stands(ended)["kappa"]), f"until {until}"]
        )
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
