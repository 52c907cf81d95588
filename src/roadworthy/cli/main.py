"""The root command.  Importing it loads click and little else: a command loads what it needs when it is called."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NoReturn

import click

from roadworthy.cli.context import Work, common
from roadworthy.cli.errors import CliError, exit_code, report

COMMANDS = "roadworthy.cli.commands"
SECTIONS: dict[str, dict[str, str]] = {
    "Start": {
        "up": "up.up",
        "init": "configure.init",
        "adopt": "adopt.adopt",
        "status": "status.status",
        "doctor": "doctor.doctor",
        "gateway": "gateway.gateway",
        "gateways": "gateway.gateways",
    },
    "Configure and release": {
        "check": "configure.check",
        "apply": "configure.apply",
        "approve": "approve.approve",
        "freeze": "releases.freeze",
        "releases": "releases.releases",
        "diff": "releases.diff",
        "explain": "explain.explain",
        "rollout": "rollout.rollout",
    },
    "Find out what happened": {
        "log": "log.log",
        "show": "show.show",
        "stats": "measure.stats",
        "budgets": "budgets.budgets",
        "budgets test-alert": "budgets.test_alert",
        "cost": "cost.cost",
        "anomalies": "measure.anomalies",
        "export": "measure.export",
    },
    "Prove it": {
        "ready": "ready.ready",
        "review": "reviews.review",
        "drill": "drill.drill",
        "drill kill": "kill_drill.kill_drill",
        "failures": "drill.failures",
        "evals": "evals.evals",
        "load": "load.load",
        "forecast": "forecast.forecast",
        "canary": "ready.canary",
        "evidence": "evidence.evidence",
        "accept": "accept.accept",
        "waive": "accept.waive",
    },
    "Step in": {
        "kill": "kill.kill",
        "restore": "kill.restore",
        "undo": "kill.undo",
        "escalations": "escalations.escalations",
        "incidents": "incidents.incidents",
        "acknowledge": "incidents.acknowledge",
        "resolve": "incidents.resolve",
        "oncall": "oncall.oncall",
    },
    "People and keys": {
        "keys": "keys.keys",
        "login": "people.login",
        "logout": "people.logout",
        "invite": "people.invite",
        "people": "people.people",
        "audit": "audit.audit",
        "forget": "forget.forget",
    },
    "Keep": {
        "backup": "backup.backup",
        "restore-backup": "backup.restore_backup",
        "monitoring": "monitoring.monitoring",
    },
}
"""The commands in the order and under the headings in which help lists them, and where each is: a command loads its own
module and no other."""

PLACES = {name: place for commands in SECTIONS.values() for name, place in commands.items()}
EXTENDING = {
    "cost": ("finance",),
    "evals": ("evals_examples", "evals_judges", "evals_score", "evals_scorers"),
}
"""Group → modules that add commands to it."""

DEMO = "roadworthy.cli.demo.command"
"""Module of the ``demo`` command (a click command named ``demo``); offered only where it is installed."""


class Commands(Mapping[str, click.Command]):
    """Name → command, loaded as it is looked up."""

    def __getitem__(self, name: str) -> click.Command:
        module, _, attribute = PLACES[name].partition(".")
        for extension in EXTENDING.get(name, ()):
            importlib.import_module(f"{COMMANDS}.{extension}")
        found = getattr(importlib.import_module(f"{COMMANDS}.{module}"), attribute)
        assert isinstance(found, click.Command)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


class Root(click.Group):
    """Lists them by section, and ends every error in one place."""

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
        width = max(len(name) for name in self.list_commands(ctx))
        for title, commands in self.sections(ctx):
            with formatter.section(title):
                formatter.write_dl([((c.name or "").ljust(width), c.get_short_help_str(limit=90)) for c in commands])

    def sections(self, ctx: click.Context) -> Iterator[tuple[str, list[click.Command]]]:
        """Every command under its heading, ``demo`` among them where it is installed."""
        for title, names in SECTIONS.items():
            found = (self.get_command(ctx, name) for name in (("demo", *names) if title == "Start" else names))
            yield title, [command for command in found if command is not None]

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


@click.command(
    cls=Root, commands=Commands(), context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="roadworthy", message="%(prog)s %(version)s")
@common
def root() -> None:
    """Roadworthy: the production layer between an app and its language models.

    Point an OpenAI client at the gateway; every AI feature is a workflow with owners, releases, fallbacks and a
    log of every inference.  Exit codes: 0 done, 1 the answer is no, 2 wrong input, 3 control or gateway unreachable.
    """


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
