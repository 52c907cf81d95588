"""What a workflow is judged by: ``evals import``, ``capture``, ``answer``, ``pool``, ``mark``, ``drop``, ``publish``,
``examples``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from roadworthy.cli import evals_view, words
from roadworthy.cli import examples_view as view
from roadworthy.cli.commands.evals import asked_options, evals, ordered, whole
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.terminal import line

LARGEST_FILE = 24 * 1024 * 1024
"""Bytes."""
PATIENCE = 600.0
"""Seconds that drawing a sample from a large log may take."""
FORMATS = ("jsonl", "json", "csv", "promptfoo")


@evals.command("import")
@click.argument("workflow")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--input", "input_key", metavar="KEY", default="",
              help="Key or column of what is asked.  [default: message, or messages]")  # fmt: skip
@click.option("--expect", metavar="FIELD", multiple=True,
              help="Field of the JSON answer that is compared with the row's; may be repeated.")  # fmt: skip
@click.option("--expect-text", metavar="KEY", default="",
              help="Key of the whole answer; `assistant`: the last one of a conversation.")  # fmt: skip
@click.option("--where", metavar="KEY=VALUE", multiple=True, help="Only rows with this value; may be repeated.")
@click.option("--tag", metavar="KEY", multiple=True, help="Key whose value is a slice; may be repeated.")
@click.option("--critical", metavar="KEY", default="", help="Key that says yes for an example that must never fail.")
@click.option("--user", metavar="KEY", default="",
              help="Key of the user who asked: kept as a hash, so that `forget` finds the example.")  # fmt: skip
@click.option("--label", metavar="KEY", default="id", show_default=True, help="Key of what people call the example.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default=None, help="[default: by the file's name]")
@click.option("--redact", is_flag=True, help="Redact what is asked by the rules of the workflow's policy.")
@json_option
@common
@pass_work
def import_(
    work: Work, workflow: str, file: Path, input_key: str, expect: tuple[str, ...], expect_text: str,
    where: tuple[str, ...], tag: tuple[str, ...], critical: str, user: str, label: str, format_: str | None,
    redact: bool,
) -> None:  # fmt: skip
    """Take the rows of FILE as examples of WORKFLOW: JSON Lines, JSON, CSV, conversations, promptfoo's YAML.

    They wait in the pool until the workflow's owner publishes them; the owner's first ones are published at once.
    Examples are kept in the data folder, never in git.  Rows that expect nothing are scored by hand, or by a judge.
    """
    columns: dict[str, Any] = {
        "input": input_key, "expect": list(expect), "expect_text": expect_text, "where": _pairs("--where", where),
        "tags": list(tag), "critical": critical, "user": user, "label": label, "format": format_ or "",
    }  # fmt: skip
    body = {"workflow": workflow, "rows": _text(file), "columns": columns, "source": file.name, "redact": redact}
    answer = work.admin.post("/v1/evals/sets", body)
    if work.json:
        work.emit(answer)
        return
    for text in view.taken(workflow, answer):
        work.say(line(text))


@evals.command()
@click.argument("workflow")
@click.option(
    "--count",
    type=click.IntRange(1, 200),
    default=100,
    show_default=True,
    help="Examples; 50 are the least that a gate can pass.",
)
@click.option("--from", "source", type=click.Choice(["live", "observe", "drafts", "shadow"]), default="live",
              show_default=True, help="Calls that are looked at.")  # fmt: skip
@click.option("--days", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True,
              help="How far back.")  # fmt: skip
@click.option("--seed", default="", metavar="TEXT", help="Another one draws another sample.")
@click.option("--dry-run", is_flag=True, help="Only say what would be captured.")
@json_option
@common
@pass_work
def capture(work: Work, workflow: str, count: int, source: str, days: float, seed: str, dry_run: bool) -> None:
    """Draw examples from the traffic of WORKFLOW: varied by outcome, length and theme, without repeats, redacted.

    What was answered is kept beside them, to be scored by hand.  They wait in the pool until the owner publishes them.
    """
    wanted = {"workflow": workflow, "count": count, "source": source, "days": days, "seed": seed}
    path = "/v1/evals/capture/plan" if dry_run else "/v1/evals/capture"
    answer = work.admin.post(path, wanted, timeout=PATIENCE)
    if work.json:
        work.emit(answer)
        return
    view.sample(work.console, answer, dry_run=dry_run)
    if not dry_run:
        work.say(f"Next: roadworthy evals pool {workflow}")


@evals.command()
@click.argument("workflow")
@asked_options
@click.option("--sample", type=click.IntRange(min=1), default=None,
              help="Ask so many examples, drawn by lot.  [default: all]")  # fmt: skip
@json_option
@common
@pass_work
def answer(
    work: Work, workflow: str, release: str, repeat: int, fresh: bool, concurrency: int, max_usd: float | None,
    yes: bool, sample: int | None,
) -> None:  # fmt: skip
    """Have a release of WORKFLOW answer the published examples, so that people can score the answers.

    Says what it costs first.  No floor, no verdict, no receipt; Ctrl-C keeps what was answered, and the same command
    goes on.
    """
    order: dict[str, Any] = {
        "workflow": workflow, "release": release, "repeat": repeat, "fresh": fresh, "concurrency": concurrency,
        "purpose": "answers",
    }  # fmt: skip
    if sample:
        order["sample"] = sample
    status = ordered(work, order, max_usd, yes)
    if work.json:
        work.emit(status)
    else:
        run = status["run"]
        work.say(f"{words.plural(status['answered'], 'answer')} of release {run['number']} in run {run['id']}.")
        work.say(f"Next: roadworthy evals score {workflow} --run {run['id']}")
    whole(status)


@evals.command()
@click.argument("workflow")
@click.option("--held-out", is_flag=True, help="Also those that nobody should look at while a prompt is worked on.")
@click.option("--critical", is_flag=True, help="Only critical ones.")
@json_option
@common
@pass_work
def examples(work: Work, workflow: str, held_out: bool, critical: bool) -> None:
    """List the published examples of WORKFLOW.  Held-out ones are left out: who has read them works for them."""
    answer = work.admin.get("/v1/evals/sets", {"workflow": workflow})
    chosen = [each for each in answer["items"] if each.get("critical") or not critical]
    shown = [each for each in chosen if held_out or not each.get("held_out")]
    if work.json:
        work.emit({**answer, "items": shown})
        return
    made = answer["publication"]
    work.say(
        f"{words.plural(made['count'], 'example')} of {workflow}, version {evals_view.short(made['version'])}, "
        f"published by {made['by']}, {words.moment(made['at'], work.zone(), now=work.clock())}."
    )
    if len(shown) < len(chosen):
        work.say(f"{words.plural(len(chosen) - len(shown), 'held-out example')} not shown (--held-out).")
    if not shown:
        raise Finding("no example to show")
    view.examples(work.console, shown)


@evals.command()
@click.argument("workflow")
@json_option
@common
@pass_work
def pool(work: Work, workflow: str) -> None:
    """Show the examples that wait for the next version of WORKFLOW's set, and what publishing them would make of it."""
    answer = work.admin.get("/v1/evals/pool", {"workflow": workflow})
    if work.json:
        work.emit(answer)
        return
    if not answer["items"]:
        raise Finding(f"nothing waits in the pool of {workflow}", f"roadworthy evals import {workflow} FILE")
    view.pool(work.console, answer)
    for text in view.pooled(workflow, answer, work.clock()):
        work.say(text)


@evals.command()
@click.argument("workflow")
@click.option("--now", "reason", metavar="REASON", default="", help="Why it cannot wait until it is due; audited.")
@click.option("--replace", is_flag=True, help="The pool alone: nothing of the set in force stays.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@common
@pass_work
def publish(work: Work, workflow: str, reason: str, replace: bool, yes: bool) -> None:
    """Make what waits in the pool part of the set by which WORKFLOW is judged from now on, as its owner.

    At most once a month by default (evals: {publish_every: 30d}), so that results can be compared.  What was gated on
    the version before is stale from this moment: an earned share stays for the days of grace, and nothing rises.
    """
    if not yes and work.interactive:
        query = {"workflow": workflow, "replace": "true" if replace else "false"}
        for text in view.pooled(workflow, work.admin.get("/v1/evals/pool", query), work.clock()):
            work.note(text)
        click.confirm("Publish?", abort=True, err=True)
    made = work.admin.post("/v1/evals/pool/publish", {"workflow": workflow, "reason": reason, "replace": replace})
    if work.json:
        work.emit(made)
        return
    for text in view.published(workflow, made):
        work.say(text)


@evals.command()
@click.argument("workflow")
@click.argument("examples", nargs=-1, required=True)
@click.option("--critical/--not-critical", "critical", default=None, help="May it never fail?")
@click.option("--tag", metavar="NAME=VALUE", multiple=True, help="Slice that it belongs to; NAME= takes it away.")
@click.option(
    "--expect", metavar="FIELD=VALUE", multiple=True, help="What FIELD of the answer should hold; FIELD= takes it away."
)
@click.option("--expect-text", metavar="TEXT", help="The whole answer that is expected.")
@json_option
@common
@pass_work
def mark(
    work: Work,
    workflow: str,
    examples: tuple[str, ...],
    critical: bool | None,
    tag: tuple[str, ...],
    expect: tuple[str, ...],
    expect_text: str | None,
) -> None:
    """Say something about EXAMPLES of WORKFLOW (ids or labels); it acts when the owner publishes.

    A critical example that is not answered well fails the gate, on every target that the ladder names.
    """
    from roadworthy.evals.formats import Cell, meant

    if critical is None and not tag and not expect and expect_text is None:
        mend = "give --critical, --not-critical, --tag NAME=VALUE, --expect FIELD=VALUE or --expect-text TEXT"
        raise BadInput("nothing is said of them", mend)
    expected = {name: meant(Cell(value)) if value else None for name, value in _pairs("--expect", expect).items()}
    body = {
        "workflow": workflow, "examples": list(examples), "critical": critical, "tags": _pairs("--tag", tag),
        "expected": expected or None, "text": expect_text,
    }  # fmt: skip
    made = work.admin.post("/v1/evals/pool/mark", body)
    if work.json:
        work.emit(made)
        return
    work.say(f"{words.plural(len(made['items']), 'example')} marked. Next: roadworthy evals publish {workflow}")


@evals.command()
@click.argument("workflow")
@click.argument("examples", nargs=-1, required=True)
@json_option
@common
@pass_work
def drop(work: Work, workflow: str, examples: tuple[str, ...]) -> None:
    """Leave EXAMPLES (ids or labels) out of the pool, and out of the next version of WORKFLOW's set."""
    made = work.admin.post("/v1/evals/pool/drop", {"workflow": workflow, "examples": list(examples)})
    if work.json:
        work.emit(made)
        return
    if made["pooled"]:
        work.say(f"{words.plural(made['pooled'], 'example')} taken out of the pool.")
    if made["published"]:
        work.say(
            f"{words.plural(made['published'], 'example')} will not be in the next version. "
            f"Next: roadworthy evals publish {workflow}"
        )


def _text(file: Path) -> str:
    if file.stat().st_size > LARGEST_FILE:
        raise BadInput(f"{file}: is larger than {LARGEST_FILE:,} bytes", "take a part of it")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file}: is not UTF-8 at byte {error.start}", "save it as UTF-8") from error


def _pairs(option: str, given: tuple[str, ...]) -> Mapping[str, str]:
    found = {}
    for each in given:
        key, sign, value = each.partition("=")
        if not sign or not key:
            raise BadInput(f"{option} {each}: expected KEY=VALUE, for example {option} topic=return")
        found[key] = value
    return found
