"""``explain``: what each failure does to the callers of a workflow."""

from __future__ import annotations

import click

from roadworthy.cli.context import Work, common, json_option, pass_work


@click.command()
@click.argument("workflow", required=False)
@click.option("--failure", "-f", metavar="FAILURE", help="Only this failure, step by step.")
@click.option(
    "--release", "-r", metavar="N", help="A number, how a digest begins, `draft` or `served`.  [default: served]"
)
@common
@json_option
@pass_work
def explain(work: Work, workflow: str | None, failure: str | None, release: str | None) -> None:
    """Tell what each failure will do to callers of WORKFLOW, before it happens.

    For every failure that lasts: the steps that are taken, how it ends, what the customer reads, how long that takes
    at most, and what may be spent beyond one good answer.  Nothing is called.
    """
    from roadworthy.cli.explain_view import print_failure, print_failures

    answer = work.admin.get("/v1/explain", {"workflow": workflow, "failure": failure, "release": release})
    if work.json:
        work.emit(answer)
    elif failure is not None:
        print_failure(work.console, answer)
    else:
        print_failures(work.console, answer)
