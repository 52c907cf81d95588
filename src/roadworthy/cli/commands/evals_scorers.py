"""``evals scorers``, ``evals try``, ``evals new-judge``: what can score an answer, tried out, and a first judge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roadworthy.cli.commands.evals import evals
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput
from roadworthy.cli.terminal import line

if TYPE_CHECKING:
    from roadworthy.workflow.scorer_kinds import ScorerRow

PATIENCE = 300.0
"""Seconds that a judge may take."""
GIVES = {"assertion": "true or false", "score": "0 to 1", "label": "a word"}


@evals.command("scorers")
@click.argument("kind", required=False)
@json_option
@common
@pass_work
def scorers(work: Work, kind: str | None) -> None:
    """Show the kinds of scorers, or what one KIND may be told; needs no install."""
    from roadworthy.workflow.problems import did_you_mean
    from roadworthy.workflow.scorer_kinds import SCORER_KINDS

    if kind is not None and kind not in SCORER_KINDS:
        raise BadInput(f"there is no scorer of kind '{kind}': {did_you_mean(kind, SCORER_KINDS)}")
    chosen = SCORER_KINDS if kind is None else {kind: SCORER_KINDS[kind]}
    if work.json:
        work.emit({"items": [
            {
                "kind": name, "doc": row.doc, "gives": row.gives, "asks": row.asks, "example": row.example,
                "options": [
                    {"name": key, "doc": field.doc, "value": field.kind.says, "required": field.required,
                     "default": field.default}
                    for key, field in row.options.items()
                ],
            }
            for name, row in chosen.items()
        ]})  # fmt: skip
    elif kind is None:
        _tell_kinds(work)
    else:
        _tell_kind(work, kind)


def _gives(row: ScorerRow) -> str:
    return "as it returns" if row.own else GIVES[row.gives]


def _tell_kinds(work: Work) -> None:
    from roadworthy.cli.tables import Column, print_table
    from roadworthy.workflow.scorer_kinds import SCORER_KINDS

    print_table(
        work.console,
        [Column("kind"), Column("gives"), Column("asks", optional=True), Column("is 1 when, or is", wrap=True)],
        [[name, _gives(row), row.asks or "nobody", row.doc] for name, row in SCORER_KINDS.items()],
    )
    work.say("roadworthy evals scorers KIND shows its options. Try one: roadworthy evals try number 'It is 12.5' "
             "--expect-text 12 --option within=0.5")  # fmt: skip


def _tell_kind(work: Work, kind: str) -> None:
    from roadworthy.cli.tables import Column, print_table
    from roadworthy.workflow.scorer_kinds import SCORER_KINDS

    row = SCORER_KINDS[kind]
    work.say(f"{kind}: {row.doc}")
    work.say(f"Gives {_gives(row)}; asks {row.asks or 'nobody'}.")
    if row.options:
        print_table(
            work.console,
            [Column("option"), Column("value", wrap=True), Column("default"), Column("says", wrap=True)],
            [
                [name, field.kind.says, "required" if field.required else field.default, field.doc]
                for name, field in row.options.items()
            ],
        )
    work.say(f"In workflow.yaml:\n  evals:\n    scorers:\n      {row.example}")


@evals.command("try")
@click.argument("scorer")
@click.argument("answer", required=False)
@click.option("--workflow", metavar="NAME", help="Take the scorer of that name from the applied workflow, and let it "
              "ask whom it needs.")  # fmt: skip
@click.option("--option", "options", metavar="KEY=VALUE", multiple=True, help="Option of the kind; may be repeated.")
@click.option(
    "--expect", metavar="NAME=VALUE", multiple=True, help="What is expected (JSON, else text); may be repeated."
)
@click.option("--expect-text", metavar="TEXT", help="The whole answer that is expected.")
@click.option("--question", metavar="TEXT", default="", help="What was asked.")
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="File with the answer.")
@click.option("--tool-calls", metavar="JSON", help="Calls of tools in the answer: [{name, arguments}].")
@click.option("--seconds", type=float, help="How long the answer took.")
@click.option("--usd", type=float, help="What the answer cost.")
@json_option
@common
@pass_work
def try_(
    work: Work, scorer: str, answer: str | None, workflow: str | None, options: tuple[str, ...],
    expect: tuple[str, ...], expect_text: str | None, question: str, file: Path | None, tool_calls: str | None,
    seconds: float | None, usd: float | None,
) -> None:  # fmt: skip
    """Score one ANSWER with a SCORER: a kind that asks nobody, or with --workflow one that is declared there.

    Keeps nothing.  A judge is asked through the gateway and is charged.
    """
    case: dict[str, Any] = {
        "text": _answer(answer, file), "expected": dict(_pair(each, "--expect") for each in expect),
        "expected_text": expect_text, "seconds": seconds, "usd": usd,
        "messages": [{"role": "user", "content": question}] if question else [],
        "tool_calls": [] if tool_calls is None else _calls(tool_calls),
    }  # fmt: skip
    if workflow is not None:
        if options:
            raise BadInput("--option is for a kind; the scorer of a workflow is as it was applied")
        asked = {"workflow": workflow, "scorer": scorer, "case": case}
        mark = work.admin.post("/v1/evals/try", asked, timeout=PATIENCE)
    else:
        mark = _here(scorer, dict(_pair(each, "--option") for each in options), case)
    if work.json:
        work.emit(mark)
        return
    value = mark.get("value")
    label = f" ({line(str(mark['label']))})" if mark.get("label") else ""
    work.say(f"not scored: {line(str(mark['broke']))}" if mark.get("broke") else
             f"{'no value' if value is None else f'{value:.4g}'}{label}")  # fmt: skip
    if mark.get("reason"):
        work.say(line(str(mark["reason"])))
    if mark.get("usd", 0.0) is None:
        work.say("cost unknown: its target has no price")
    elif mark.get("usd"):
        work.say(f"cost ${mark['usd']:.6f}")


def _answer(answer: str | None, file: Path | None) -> str:
    if (answer is None) == (file is None):
        raise BadInput("give the answer once: as an argument, or with --file")
    if file is None:
        return answer or ""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from error


def _pair(text: str, option: str) -> tuple[str, Any]:
    import msgspec

    name, found, value = text.partition("=")
    if not found or not name:
        raise BadInput(f"{option} {text}: expected NAME=VALUE, for example {option} topic=delivery")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _calls(text: str) -> list[Any]:
    import msgspec

    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise BadInput(f"--tool-calls: {error}; expected a JSON list of {{name, arguments}}") from error


def _here(kind: str, options: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    """Scored in this process: only for scorers that ask nobody."""
    import msgspec

    from roadworthy.evals.scorers.base import Case, marked
    from roadworthy.evals.scorers.registry import NotReady, World, made, pure
    from roadworthy.workflow.evals_table import read_scorer
    from roadworthy.workflow.fields import INVALID, At, Reading
    from roadworthy.workflow.problems import did_you_mean
    from roadworthy.workflow.scorer_kinds import SCORER_KINDS
    from roadworthy.workflow.source import Value

    if kind not in SCORER_KINDS:
        raise BadInput(
            f"there is no scorer of kind '{kind}': {did_you_mean(kind, SCORER_KINDS)}; one that a workflow declares "
            "wants --workflow NAME"
        )
    if SCORER_KINDS[kind].asks:
        raise BadInput(f"'{kind}' asks {SCORER_KINDS[kind].asks}: declare it in workflow.yaml, and add --workflow NAME")
    files = {"--option": ""}
    reading = Reading({f"{name}": Path(name).read_text("utf-8") for name in _files(options)} | files)
    written = Value(1, {"kind": Value(1, kind)} | {key: _value(value) for key, value in options.items()})
    spec = read_scorer(kind, written, At(reading, "--option"))
    if spec is INVALID or reading.problems:
        raise BadInput("\n".join(str(problem) for problem in reading.problems))
    try:
        scorer = made(kind, spec, World())
    except NotReady as error:
        raise BadInput(str(error)) from error
    (only,) = pure([scorer])
    found: dict[str, Any] = msgspec.to_builtins(marked(only, msgspec.convert(case, Case), reasons=True))
    return found


def _files(options: Mapping[str, Any]) -> list[str]:
    schema = options.get("schema")
    return [schema] if isinstance(schema, str) and Path(schema).is_file() else []


def _value(value: Any) -> Any:
    from roadworthy.workflow.source import Value

    if isinstance(value, dict):
        return Value(1, {key: _value(inner) for key, inner in value.items()})
    return Value(1, [_value(inner) for inner in value] if isinstance(value, list) else value)


@evals.command("new-judge")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--target", metavar="NAME", required=True, help="Target of roadworthy.yaml that judges: a strong model, "
              "and another one than it judges.")  # fmt: skip
@click.option("--owner", metavar="PERSON", required=True, help="Id in people.yaml of who answers for it.")
@click.option("--name", metavar="WORKFLOW", default="judge", show_default=True, help="Name of the new workflow.")
@click.option("--value", "values", metavar="WORD", multiple=True, help="A value that it may give; may be repeated. "
              "Its schema then allows no other word, which helps weak models.")  # fmt: skip
@json_option
@common
@pass_work
def new_judge(work: Work, folder: Path, target: str, owner: str, name: str, values: tuple[str, ...]) -> None:
    """Write a workflow that judges into the configuration folder DIR; nothing that exists is overwritten."""
    from roadworthy.cli.commands.configure import read_files
    from roadworthy.cli.judge import write_judge

    written = [str(path) for path in write_judge(folder, read_files(folder), name, target, owner, values)]
    if work.json:
        work.emit({"written": written})
        return
    for path in written:
        work.say(f"wrote {path}")
    work.say("Next:")
    work.say(f"  roadworthy apply {folder.as_posix()}")
    work.say(f"  roadworthy freeze {name}")
    work.say("and in the workflow that it judges, with named values in its rubric (docs/scorers.md):")
    work.say(f"  evals:\n    scorers:\n      quality: {{kind: judge, workflow: {name}}}")
