"""``evals scorers``, ``evals try`` and ``evals new-judge`` without an install; the page on scorers says what is so."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from roadworthy.cli.errors import BadInput
from roadworthy.cli.judge import FILES, write_judge
from roadworthy.cli.main import root
from roadworthy.evals.scorers.registry import SCORERS
from roadworthy.wiring.folders.config_folder import read_folder
from roadworthy.workflow.files import read_configuration

PAGE = Path("docs/scorers.md").read_text(encoding="utf-8")
CONFIGURATION = {
    "roadworthy.yaml": "version: 1\ntargets:\n  main: {provider: openai, model: m, key: env:K, price: {input: 1, "
    "output: 1}}\n",
    "people.yaml": "people:\n  ada: {name: Ada, email: a@example.com}\n",
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(root, list(arguments))


def test_the_page_begins_with_commands_that_work() -> None:
    block = PAGE.split("```")[1].strip().splitlines()
    assert len(block) == 3
    for line in block:
        done = run(*shlex.split(line, comments=True)[1:])
        assert done.exit_code == 0, done.output
    assert done.output.strip() == "1"


def test_every_kind_is_listed_and_explained() -> None:
    listed = run("evals", "scorers", "--json")
    assert {each["kind"] for each in json.loads(listed.stdout)["items"]} == set(SCORERS)
    for kind in SCORERS:
        shown = run("evals", "scorers", kind).output
        assert "In workflow.yaml:" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["evals", "scorers", "exakt"], "did you mean 'exact'"),
        (["evals", "try", "exakt", "x"], "did you mean 'exact'"),
        (["evals", "try", "judge", "x"], "add --workflow NAME"),
        (["evals", "try", "exact"], "give the answer once"),
        (["evals", "try", "regex", "x", "--option", "pattern=(x"], "RE2"),
        (["evals", "try", "exact", "x", "--option", "feild=a"], "did you mean 'field'"),
        (["evals", "try", "exact", "x", "--expect", "topic"], "expected NAME=VALUE"),
        (["evals", "try", "tool_calls", "x", "--tool-calls", "find"], "expected a JSON list"),
    ],
)
def test_what_cannot_be_tried_says_what_could(arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in done.output


def test_what_cannot_be_scored_is_said_and_is_not_nought() -> None:
    done = run("evals", "try", "exact", "x", "--json")
    assert json.loads(done.stdout)["value"] is None
    assert run("evals", "try", "exact", "x").output.startswith("not scored: the example holds no expected text")


def test_the_ready_made_judge_is_good_configuration(tmp_path: Path) -> None:
    for name, text in CONFIGURATION.items():
        (tmp_path / name).write_text(text)
    written = write_judge(tmp_path, read_folder(tmp_path), "judge", "main", "ada", ["good", "bad"])
    assert [path.name for path in written] == list(FILES)
    checked = read_configuration(read_folder(tmp_path))
    assert checked.problems == []
    assert checked.configuration is not None
    behaviour = checked.configuration.workflows["judge"].behaviour
    assert behaviour is not None
    assert behaviour.schema is not None
    assert behaviour.schema["properties"]["value"] == {"enum": ["good", "bad"]}
    assert list(behaviour.schema["properties"]) == ["reason", "value"]  # a model thinks in what it writes first


@pytest.mark.parametrize(
    ("name", "target", "owner", "says"),
    [
        ("judge", "mian", "ada", "did you mean 'main'"),
        ("judge", "main", "bob", "is not in people.yaml"),
        ("shop", "main", "ada", "exists already"),
        ("../x", "main", "ada", "expected a name"),
    ],
)
def test_a_judge_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, name: str, target: str, owner: str, says: str
) -> None:
    (tmp_path / "workflows" / "shop").mkdir(parents=True)
    with pytest.raises(BadInput, match=re.escape(says)):
        write_judge(tmp_path, CONFIGURATION, name, target, owner)
    assert [path.name for path in (tmp_path / "workflows").iterdir()] == ["shop"]


def test_the_function_on_the_page_works_as_it_stands() -> None:
    code = re.search(r'```python\n("""scorers/tone.py.*?)```', PAGE, re.DOTALL)
    assert code is not None
    made: dict[str, object] = {}
    exec(code[1], made)  # what the page tells people to write
    score = made["score"]
    assert callable(score)
    assert (score("Hello.", {}), score("", {})) == (pytest.approx(0.8), 1)
