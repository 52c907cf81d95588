"""``backup`` and ``restore-backup``."""

from __future__ import annotations

from pathlib import Path

import click

from roadworthy.cli import words
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput


class PathFirst(click.Group):
    """A group whose name with a path writes a backup there: ``backup monday.tar.zst``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["write", *args]
        return super().parse_args(ctx, args)


@click.group(cls=PathFirst)
@common
def backup() -> None:
    """Back up everything while it runs: `roadworthy backup PATH`; accept a database that was put back.

    A database that is older than what its gateways have seen publishes nothing, for it may have forgotten a
    revocation, a kill or a rollback, until an owner of a workflow says that it may: `roadworthy backup accept`.
    """


@backup.command()
@click.option("--reason", required=True, help="Why the older database is to be used; others read it.")
@common
@json_option
@pass_work
def accept(work: Work, reason: str) -> None:
    """Go on from a database that was put back; an owner of a workflow, signed in, does it."""
    answer = work.admin.post("/v1/backup/accept", {"reason": reason})
    if work.json:
        work.emit(answer)
        return
    work.say(f"Accepted: gateways are told again, under epoch {answer.get('epoch')}.")


@backup.command("write")
@click.argument("path", type=click.Path(path_type=Path))
@common
@json_option
@pass_work
def write(work: Work, path: Path) -> None:
    """Write a consistent backup of the data folder to PATH while everything runs.

    PATH becomes a folder, or one file when it ends in .tar.zst.  It holds prompts, answers, the key under which API
    keys are hashed and the one that signs receipts: keep it as safe as the data folder.
    """
    if path.exists():
        raise BadInput(f"{path}: exists already; a backup never overwrites", "give a new path")
    answer = work.admin.post("/v1/backup", {"path": str(path.absolute())}, timeout=3600.0)
    if work.json:
        work.emit(answer)
        return
    size = answer.get("bytes")
    work.say(f"Wrote {answer.get('path', path)}" + (f" ({words.size(size)})." if size is not None else "."))
    work.say(f"Restore it with: roadworthy restore-backup {answer.get('path', path)} --data NEW-FOLDER")


@click.command("restore-backup")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--forgotten",
    type=click.Path(path_type=Path, exists=True),
    help="Data folder that was backed up (or its forgotten.jsonl): who was forgotten, and what was revoked, stopped or "
    "tightened there since, stays so.",
)
@common
@pass_work
def restore_backup(work: Work, path: Path, forgotten: Path | None) -> None:
    """Restore the backup PATH into --data, which must be new or empty.

    Users that were forgotten after the backup are in it, and what was revoked or stopped since is not: give
    --forgotten with the old data folder, or do it again.  With it nothing is published before an owner of a workflow
    has said `roadworthy backup accept`.
    """
    from roadworthy.wiring.folders.backup import BackupRefused, restore
    from roadworthy.wiring.folders.data_folder import DataFolderError

    try:
        restore(path, work.data, forgotten=forgotten)
    except (BackupRefused, DataFolderError) as error:
        raise BadInput(str(error)) from error
    if forgotten is None:
        work.say("Users that were forgotten after this backup are in it again: forget them anew.")
        work.say("What was revoked, stopped or tightened after it is as it was: --forgotten OLD-FOLDER keeps it.")
    work.say(f"Restored into {work.data}. Next: roadworthy up --data {work.data}")
