"""``adopt``: put Roadworthy between an app that runs already and its provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from roadworthy.adapters.files import write_atomically
from roadworthy.cli import words
from roadworthy.cli.admin import Refused
from roadworthy.cli.commands.configure import apply_files, tell_plan, tell_problems
from roadworthy.cli.commands.filters import flush
from roadworthy.cli.commands.keys import base_url
from roadworthy.cli.commands.releases import short
from roadworthy.cli.context import Work, common, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.terminal import line


@click.command()
@click.argument("name")
@click.option("--provider", type=click.Choice(("openai", "anthropic")), default="openai", show_default=True,
              help="What the app calls today; openai is any OpenAI-compatible endpoint.")  # fmt: skip
@click.option("--endpoint", metavar="URL", help="Base URL that the app calls today.  [default: the provider's own]")
@click.option("--key", metavar="SECRET", help="Name of the provider's key: env:NAME or file:/path, never the key "
              "itself.  [default: env:OPENAI_API_KEY or env:ANTHROPIC_API_KEY]")  # fmt: skip
@click.option("--model", help="Call this model whatever the app asks for.  [default: what the app asks for]")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=".", show_default=True,
              help="Folder of the configuration files.")  # fmt: skip
@click.option("--owner", metavar="PERSON", help="Person of people.yaml who answers for it.  [default: the only one]")
@click.option("--allow-private", is_flag=True, help="The endpoint may be on this machine or a private network.")
@common
@pass_work
def adopt(
    work: Work,
    name: str,
    provider: str,
    endpoint: str | None,
    key: str | None,
    model: str | None,
    folder: Path,
    owner: str | None,
    allow_private: bool,
) -> None:
    """Adopt the app NAME: pass its calls through, record them, then write a workflow from what was observed.

    Run it twice.  First it creates a key and prints the two lines to change in the app.  Once the app was used, it
    writes workflows/NAME/ from the calls (what varies becomes a {{ hole }}), applies and freezes it, and prints
    the next command.
    """
    work.may_create = True
    in_force = _in_force(work)
    if f"workflows/{name}/workflow.yaml" not in in_force:
        secret = key or f"env:{provider.upper()}_API_KEY"
        body = {
            "name": name, "provider": provider, "endpoint": endpoint, "key": secret, "model": model, "owner": owner,
            "allow_private": allow_private,
        }  # fmt: skip
        asked = {k: v for k, v in body.items() if v}
        planned = _asked(work, "/v1/adopt", {**asked, "dry_run": True})
        _refuse_unapplied(folder, planned.get("files") or {}, in_force)  # before control changes anything
        answer = _asked(work, "/v1/adopt", asked)
        _write(work, folder, answer.get("files") or {}, in_force)
        _tell_app(work, name, provider, secret, answer)
        return
    flush(work)
    _finish(work, name, folder, in_force)


def _in_force(work: Work) -> dict[str, str]:
    """The files that were applied last."""
    try:
        return dict(work.admin.get("/v1/configuration")["files"])
    except Refused as refused:
        if refused.status == 404:
            return {}
        raise


def _asked(work: Work, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Ask control; that adoption cannot go on (too few calls, no owner) is an answer, not wrong input."""
    try:
        return dict(work.admin.post(path, body))
    except Refused as refused:
        if refused.status in (400, 409):
            raise Finding(str(refused), refused.mend) from refused
        raise


def _tell_app(work: Work, name: str, provider: str, secret: str, answer: dict[str, Any]) -> None:
    """What to change in the app."""
    work.say()
    work.say(f"{name} is passed through to its provider from now on, and recorded. In the app, change only this:")
    work.say()
    base = base_url(work, answer)
    if provider == "anthropic":  # its clients add /v1 themselves
        base = base.removesuffix("/v1")
    work.say(f"export {provider.upper()}_BASE_URL={base}")
    work.say(f"export {provider.upper()}_API_KEY={answer.get('token')}")
    work.say()
    where, _, what = secret.partition(":")
    place = f"${what}: it must be set" if where == "env" else f"the key in {what}: it must be readable"
    work.say(f"The gateway calls the provider with {place} where `roadworthy up` runs.")
    work.say("The key is shown this once. Use the app a few times, then run:")
    work.say(f"  roadworthy adopt {name}")


def _finish(work: Work, name: str, folder: Path, in_force: dict[str, str]) -> None:
    """After traffic: write the files, apply, freeze."""
    answer = _asked(work, f"/v1/adopt/{name}/draft", {})
    draft = {str(path): str(text) for path, text in (answer.get("files") or {}).items()}
    _write(work, folder, draft, in_force)
    calls = int(answer.get("calls") or 0)
    work.say(f"drafted from {words.plural(calls, 'recorded call')}")
    for note in answer.get("notes") or ():
        work.say(f"note: {line(str(note))}")
    work.say()
    wrong = answer.get("errors") or []
    if not wrong:
        applied = apply_files(work, {**in_force, **draft}, dry_run=False)
        tell_plan(work, {**applied, "errors": []}, dry_run=False)
        wrong = applied.get("errors") or []
    if wrong:
        tell_problems(work, wrong)
        mend = f"mend that, then run: roadworthy apply {folder} && roadworthy freeze {name}"
        raise Finding(f"the files of {name} are written, and not in force yet", mend)
    frozen = work.admin.post("/v1/freeze", {"workflow": name, "note": "adopted from recorded calls"})
    work.say(f"Froze release {frozen.get('number')} of {name} ({short(frozen.get('digest'))}).")
    work.say("Next:")
    work.say(f"  roadworthy stats --by route,outcome --workflow {name}")


def _wanted(folder: Path, files: Mapping[str, str], in_force: Mapping[str, str]) -> dict[str, str]:
    """What the folder is to hold: ``files``, and all that is in force where it holds no configuration yet."""
    return dict(files) if (folder / "roadworthy.yaml").is_file() else {**in_force, **files}


def _refuse_unapplied(folder: Path, files: Mapping[str, str], in_force: Mapping[str, str]) -> None:
    """Raise ``BadInput`` where writing ``files`` would lose an edit that was not applied yet, or leave the folder."""
    for path, text in _wanted(folder, files, in_force).items():
        if path.startswith("/") or ".." in Path(path).parts:
            raise BadInput(f"control wants to write {line(path)!r}, outside of the folder; nothing was written")
        place = folder / path
        if place.exists() and place.read_text("utf-8") not in (in_force.get(path), text):
            raise BadInput(
                f"{place}: differs from what is in force; nothing was written",
                f"run `roadworthy apply {folder}` first, or give another folder with --dir",
            )


def _write(work: Work, folder: Path, files: Mapping[str, str], in_force: Mapping[str, str]) -> None:
    """Bring the folder to the files in force plus ``files``.

    A file is replaced only while it says what is in force.  Raises ``BadInput`` before anything is written.
    """
    _refuse_unapplied(folder, files, in_force)
    for path, text in _wanted(folder, files, in_force).items():
        place = folder / path
        if place.exists() and place.read_text("utf-8") == text:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, text.encode(), mode=0o644)
        work.say(f"wrote {place}")
