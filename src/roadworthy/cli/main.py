"""The root command.  Importing it loads click and our own light modules, so that ``--help`` is immediate."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import TracebackType
from typing import Any, NoReturn

import click

from roadworthy.cli.commands import (
    accept,
    adopt,
    approve,
    audit,
    backup,
    budgets,
    configure,
    cost,
    doctor,
    drill,
    escalations,
    evals,
    evals_examples,
    evals_judges,
    evals_score,
    evals_scorers,
    evidence,
    explain,
    finance,
    forecast,
    forget,
    gateway,
    incidents,
    keys,
    kill,
    kill_drill,
    load,
    log,
    measure,
    monitoring,
    oncall,
    people,
    ready,
    releases,
    reviews,
    rollout,
    show,
    status,
    up,
)
from roadworthy.cli.context import Work, common
from roadworthy.cli.errors import CliError, exit_code, report

finance.into(cost.cost)

SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Start": (
        up.up,
        configure.init,
        adopt.adopt,
        status.status,
        doctor.doctor,
        gateway.gateway,
        gateway.gateways,
    ),
    "Configure and release": (
        configure.check,
        configure.apply,
        approve.approve,
        releases.freeze,
        releases.releases,
        releases.diff,
        explain.explain,
        rollout.rollout,
    ),
    "Find out what happened": (
        log.log,
        show.show,
        measure.stats,
        budgets.budgets,
        budgets.test_alert,
        cost.cost,
        measure.anomalies,
        measure.export,
    ),
    "Prove it": (
        ready.ready,
        reviews.review,
        drill.drill,
        kill_drill.kill_drill,
        drill.failures,
        evals.evals,
        load.load,
        forecast.forecast,
        ready.canary,
        evidence.evidence,
        accept.accept,
        accept.waive,
    ),
    "Step in": (
        kill.kill,
        kill.restore,
        kill.undo,
        escalations.escalations,
        incidents.incidents,
        incidents.acknowledge,
        incidents.resolve,
        oncall.oncall,
    ),
    "People and keys": (
        keys.keys,
        people.login,
        people.logout,
        people.invite,
        people.people,
        audit.audit,
        forget.forget,
    ),
    "Keep": (backup.backup, backup.restore_backup, monitoring.monitoring),
}
"""The commands in the order and under the headings in which help lists them."""

EXTENDING = (evals_examples, evals_judges, evals_score, evals_scorers)
"""Modules that only add commands to a group of another."""

DEMO = "roadworthy.cli.demo.command"
"""Module of the ``demo`` command (a click command named ``demo``); offered only where it is installed."""


class Root(click.Group):
    """Lists commands by section, and ends every error in one place."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, *(["demo"] if _has_demo() else [])]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "demo" and _has_demo():
            found = importlib.import_module(DEMO).demo
            return found if isinstance(found, click.Command) else None
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A name of two words (``drill kill``) before one of one."""
        found = self.commands.get(" ".join(args[:2]))
        return super().resolve_command(ctx, args) if found is None else (found.name, found, args[2:])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = {title: list(commands) for title, commands in SECTIONS.items()}
        demo = self.get_command(ctx, "demo")
        if demo is not None:
            sections["Start"].insert(0, demo)
        width = max(len(name) for name in self.list_commands(ctx))
        for title, commands in sections.items():
            with formatter.section(title):
                formatter.write_dl([((c.name or "").ljust(width), c.get_short_help_str(limit=90)) for c in commands])

    def main(self, args: Any = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run, print what went wrong on stderr, exit with its code."""
        extra["standalone_mode"] = False
        work = extra.setdefault("obj", Work())
        try:
            with work.stack:
                result = super().main(args, "roadworthy", **extra)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read our output left (`| head`)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except (CliError, click.ClickException, click.Abort, OSError) as error:
            report(error)
            sys.exit(exit_code(error))
        sys.exit(result if isinstance(result, int) else 0)


def _has_demo() -> bool:
    try:
        return importlib.util.find_spec(DEMO) is not None
    except ModuleNotFoundError:
        return False


@click.command(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="roadworthy", message="%(prog)s %(version)s")
@common
def root() -> None:
    """Roadworthy: the production layer between an app and its language models.

    Point an OpenAI client at the gateway; every AI feature is a workflow with owners, releases, fallbacks and a
    log of every inference.  Exit codes: 0 done, 1 the answer is no, 2 wrong input, 3 control or gateway unreachable.
    """


for _commands in SECTIONS.values():
    for _command in _commands:
        root.add_command(_command)


def _defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What a person reads for a defect of ours: one line, and how to get the whole of it."""
    if os.environ.get("ROADWORTHY_TRACEBACK"):
        sys.__excepthook__(kind, error, trace)
        return
    where = ""
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    report(
        CliError(
            f"this is a defect of Roadworthy: {kind.__name__}: {error} ({where})",
            "run it again with ROADWORTHY_TRACEBACK=1 and report what it prints",
        )
    )


def main() -> None:
    """Entry point of the ``roadworthy`` script."""
    sys.excepthook = _defect
    root()


if __name__ == "__main__":
    main()
