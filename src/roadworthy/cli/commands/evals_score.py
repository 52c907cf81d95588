"""``evals score`` and ``evals agreement``: what people think of answers, and how far they agree."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from roadworthy.cli import evals_view, words
from roadworthy.cli.commands.evals import evals
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import line
from roadworthy.operations.proving.words import reading

if TYPE_CHECKING:
    from roadworthy.cli.scoring import Done


@evals.command()
@click.argument("workflow")
@click.option("--run", default="", metavar="RUN",
              help="Answers of this run.  [default: captured ones, and those of the newest run]")  # fmt: skip
@click.option("--second", "share", type=click.FloatRange(0, 1), default=0.2, show_default=True, metavar="SHARE",
              help="Share of what another person has scored that you score, too.")  # fmt: skip
@json_option
@common
@pass_work
def score(work: Work, workflow: str, run: str, share: float) -> None:
    """Score answers of WORKFLOW by hand against its rubric, one key a score, as the person who is logged in.

    The rubric's owner signs it first (evals sign).  A second person gets a share of the answers once more, without
    seeing what the first one thought.  Every score is kept at once: quit whenever you like, the same command goes on.
    With --json only what is left to score is printed.
    """
    desk = work.admin.get("/v1/evals/hand", {"workflow": workflow, "run": run or None, "share": str(share)})
    if work.json:
        work.emit(desk)
        return
    if not desk["items"]:
        _nothing(work, workflow, desk)
        return
    if not work.interactive:
        raise BadInput(
            f"{words.plural(len(desk['items']), 'answer')} to score, and nobody is there to press a key",
            f"run it in a terminal: roadworthy evals score {workflow}",
        )
    from roadworthy.cli.keyboard import keyboard
    from roadworthy.cli.scoring import Session

    with keyboard(sys.stdin) as keys:
        session = Session(
            work.console, desk, run=run, key=keys.read, post=work.admin.post,
            hold=lambda named: str(work.admin.post("/v1/evals/hand/hold", dict(named))["gone"]),
        )  # fmt: skip
        try:
            session.work()
        finally:
            for text in _summary(workflow, run, desk, session.done):
                work.say(text)


@evals.command()
@click.argument("workflow")
@json_option
@common
@pass_work
def agreement(work: Work, workflow: str) -> None:
    """Show how far the people who scored answers of WORKFLOW agree, on what two of them scored."""
    found = work.admin.get("/v1/evals/agreement", {"workflow": workflow})
    if work.json:
        work.emit(found)
        return
    if not found["scored"]:
        raise Finding(f"nobody has scored an answer of {workflow}", f"roadworthy evals score {workflow}")
    raters = ", ".join(f"{name} {count}" for name, count in sorted(found["raters"].items()))
    values = ", ".join(f"{name} {count}" for name, count in found["values"].items())
    work.say(f"{words.plural(found['scored'], 'answer')} scored: by {raters}; {values}.")
    agreed = found["agreement"]
    if agreed is None:
        raise Finding(
            "fewer than two of them were scored by two people, so nobody knows how far people agree",
            f"have a second person log in and run: roadworthy evals score {workflow}",
        )
    work.say(
        f"{agreed['same']} of {agreed['answers']} that two people scored got the same value: "
        f"{_interval(agreed['share'])}."
    )
    kappa, low, high = agreed["kappa"]
    work.say(f"Cohen's kappa {kappa:.2f}, from {low:.2f} to {high:.2f} (95 %): {reading(kappa)}.")
    if agreed["differ"]:
        columns = [
            Column("example", keep=12, spare=1), Column("asked", keep=20), Column("one", keep=8, spare=2),
            Column("said"), Column("other", keep=8, spare=3), Column("said"),
        ]  # fmt: skip
        rows = [[ident, _asked(found["examples"].get(ident)), *rest] for ident, *rest in agreed["differ"]]
        print_table(work.console, columns, rows)
    work.say(f"What they disagree on says what the rubric leaves open; sign it anew: roadworthy evals sign {workflow}")


def _asked(example: Mapping[str, Any] | None) -> str:
    return "" if example is None else line(evals_view.asked(example), 60)


def _interval(found: list[float]) -> str:
    return f"{words.share(found[0])}, from {words.share(found[1])} to {words.share(found[2])} (95 %)"


def _nothing(work: Work, workflow: str, desk: Mapping[str, Any]) -> None:
    if not desk["of"]:
        raise Finding(
            f"there is no answer of {workflow} to score",
            f"roadworthy evals answer {workflow}, or roadworthy evals capture {workflow}",
        )
    work.say(f"Nothing is left for you: you have scored {words.plural(desk['mine'], 'answer')} of {workflow}.")


def _summary(workflow: str, run: str, desk: Mapping[str, Any], done: Done) -> list[str]:
    left = len(desk["items"]) - done.scored - done.elsewhere
    skipped = f", {done.skipped} skipped" if done.skipped else ""
    others = f", {done.elsewhere} left to others" if done.elsewhere else ""
    said = [f"{words.plural(done.scored, 'answer')} scored{skipped}{others}; {left} left."]
    again = f"roadworthy evals score {workflow}{f' --run {run}' if run else ''}"
    return [*said, f"Go on with: {again}"] if left else [*said, f"Next: roadworthy evals agreement {workflow}"]
