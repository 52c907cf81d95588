"""``init``, ``check`` and ``apply``: configuration as files in git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.admin import Refused, problem_text
from roadworthy.cli.commands.approve import tell_pending
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import AlreadyTold, BadInput, CliError
from roadworthy.cli.terminal import clean

FOLDER = click.Path(path_type=Path, file_okay=True)


@click.command()
@click.argument("folder", metavar="[DIR]", type=FOLDER, default=".")
@common
@json_option
@pass_work
def check(work: Work, folder: Path) -> None:
    """Validate the configuration in DIR; needs no data folder and no control.

    Reads roadworthy.yaml, people.yaml and workflows/ and names every problem with its file, line, what was found,
    what was expected and how to mend it.  Exit 1 when there is an error.
    """
    from roadworthy.wiring.cli import check_files

    problems = check_files(read_files(folder))
    errors = [p for p in problems if p.get("severity") != "warning"]
    warnings = [p for p in problems if p.get("severity") == "warning"]
    if work.json:
        work.emit({"errors": errors, "warnings": warnings})
    else:
        tell_problems(work, problems)
        if not errors:
            work.say(f"{folder}: good" + (f", {words.plural(len(warnings), 'warning')}" if warnings else ""))
    if errors:
        raise AlreadyTold


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@common
@json_option
@pass_work
def apply(work: Work, folder: Path, dry_run: bool) -> None:
    """Put the configuration in DIR in force, all of it or nothing.

    Prints the plan: what changes and when it acts ("prices: act in 1 s; prompt: needs freeze").  A prompt, a target
    or a ladder serves only once it is frozen into a release.  What loosens a workflow (more testers, a higher budget,
    `enforcement: observe`) waits for its owner: `roadworthy approve WORKFLOW`.
    """
    work.may_create = True
    answer = apply_files(work, read_files(folder), dry_run=dry_run)
    if work.json:
        work.emit(answer)
    else:
        tell_plan(work, answer, dry_run=dry_run)
    if answer.get("errors"):
        error = BadInput(f"{folder}: nothing was changed")
        raise error


def read_files(folder: Path) -> dict[str, str]:
    """The configuration files of a folder: relative path → text.  Raises ``BadInput``."""
    from roadworthy.wiring.folders.config_folder import ConfigFolderError, read_folder

    if folder.is_dir() and not (folder / "roadworthy.yaml").is_file():
        raise BadInput(
            f"{folder}: holds no roadworthy.yaml", f"run `roadworthy init {folder}` for a working example to start from"
        )
    try:
        return read_folder(folder)
    except ConfigFolderError as error:
        raise BadInput(str(error)) from error


def apply_files(work: Work, files: Mapping[str, str], *, dry_run: bool) -> dict[str, Any]:
    """Ask control to apply; validation errors come back in ``errors`` whatever the status was."""
    try:
        answer = work.admin.post("/v1/apply", {"files": dict(files), "dry_run": dry_run})
    except Refused as refused:
        if not isinstance(refused.body.get("errors"), list):
            raise
        answer = refused.body
    if not isinstance(answer, dict):
        raise CliError("control answered apply with something that is no plan")
    return answer


def tell_plan(work: Work, answer: Mapping[str, Any], *, dry_run: bool) -> None:
    from roadworthy.cli.tables import Column, print_table

    tell_problems(work, [*(answer.get("errors") or ()), *(answer.get("warnings") or ())])
    if answer.get("errors"):
        return
    plan = answer.get("plan") or []
    if not plan:
        work.say("Nothing to change: the configuration in force says the same.")
        return
    print_table(
        work.console,
        [Column("change"), Column("subject", wrap=True), Column("effect", wrap=True)],
        [[str(step.get("change", "")), str(step.get("subject", "")), str(step.get("effect", ""))] for step in plan],
    )
    work.say("Dry run: nothing was changed." if dry_run else f"Applied {words.plural(len(plan), 'change')}.")
    if answer.get("pending"):
        work.say("What loosens keeps its value until the owner of the workflow approves it:")
        tell_pending(work, answer["pending"])


def tell_problems(work: Work, problems: Sequence[Mapping[str, Any]]) -> None:
    for problem in problems:
        work.say(clean(problem_text(problem)))


@click.command()
@click.argument("folder", metavar="[DIR]", type=FOLDER, default=".")
@click.option(
    "--provider",
    type=click.Choice(("openai", "anthropic", "gemini", "bedrock", "local", "simulated")),
    help="Where the model is.  [default: openai, anthropic or gemini when its key is set, else local, else simulated]",
)
@common
@pass_work
def init(work: Work, folder: Path, provider: str | None) -> None:
    """Write a commented, working example into DIR: roadworthy.yaml, people.yaml and the workflow `hello`.

    Nothing that exists is overwritten.
    """
    from roadworthy.cli.example import ME, SCHEMAS, likely_provider, write_example

    provider = provider or likely_provider(work.environ)
    for path in write_example(folder, provider):
        work.say(f"wrote {path}")
    work.say(f"wrote {folder / SCHEMAS}/ (for editors that speak the YAML language server)")
    where = folder.as_posix()
    work.say()
    work.say(f"The target `main` is {provider}: see {folder / 'roadworthy.yaml'}.")
    work.say("Next, in one terminal:")
    work.say(f"  roadworthy up {where}")
    work.say("and in another:")
    work.say("  roadworthy freeze hello")
    work.say(f"  roadworthy keys create mine --workflow hello --tester {ME}")
    work.say("then, with the two lines that it prints:")
    message = '{"model": "hello", "messages": [{"role": "user", "content": "Good morning!"}]}'
    work.say(f"  curl $OPENAI_BASE_URL/chat/completions -H \"Authorization: Bearer $OPENAI_API_KEY\" -d '{message}'")
