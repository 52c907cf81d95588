"""Scorers that ask, on a running install: the ready-made judge as a user makes it, vectors, a function, and what it
cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.up import Up, roadworthy
from support.waiting import write_files

OWNERS = "owners: {workflow: ada, prompt: ada, cost: ada}\nbypass: app\n"
TARGET = "{provider: simulated, model: m, price: {input: 1, output: 2}"
FILES = {
    "roadworthy.yaml": f"version: 1\ntargets:\n  main: {TARGET}}}\n  strong: {TARGET}}}\n",
    "people.yaml": "people:\n  ada: {name: Ada, email: a@example.com}\n",
    "workflows/shop/workflow.yaml": f"""\
{OWNERS}prompt: {{mode: managed, system: prompt.md}}
target: main
rubric: rubric.md
evals:
  scorers:
    quality: {{kind: judge, workflow: judge}}
    kinder: {{kind: pairwise, workflow: judge}}
    meaning: {{kind: embedding, workflow: embed}}
    tone: {{python: 'scorers.tone:score'}}
    topic: {{kind: exact, field: topic}}
""",
    "workflows/shop/prompt.md": "You help.\n",
    "workflows/shop/rubric.md": "# Rubric\n\n## good = 1\n\n> It left on Monday.\n\n## bad = 0\n\n> No.\n",
    "workflows/shop/scorers/tone.py": "def score(answer, context) -> bool:\n    return '!' not in answer\n",
    "workflows/embed/workflow.yaml": f"{OWNERS}kind: embeddings\ntarget: main\n",
}


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    root = tmp_path_factory.mktemp("scoring")
    write_files(root / "conf", FILES)
    values = ("--value", "good", "--value", "bad")  # so that a judge that makes things up makes up a value
    roadworthy("evals", "new-judge", str(root / "conf"), "--target", "strong", "--owner", "ada", *values)
    with Up(root, config=root / "conf") as up:
        up.ready("main", "strong")
        up.freeze("judge", "embed")
        yield up


def tried(up: Up, scorer: str, answer: str, **case: Any) -> dict[str, Any]:
    body = {"workflow": "shop", "scorer": scorer, "case": {"text": answer, **case}}
    found: dict[str, Any] = up.admin("POST", "/v1/evals/try", body)
    return found


def test_the_ready_made_judge_judges_by_the_rubric_through_the_gateway(install: Up) -> None:
    where = ("--workflow", "shop", "--data", str(install.data), "--json")
    asked = ("evals", "try", "quality", "It left on Monday.", "--question", "Where is my parcel?")
    mark = json.loads(roadworthy(*asked, *where).stdout)
    assert "broke" not in mark, mark
    assert mark["value"] == {"good": 1.0, "bad": 0.0}[mark["label"]]
    assert mark["reason"]
    install.caught_up()
    (record, *_) = install.records(workflow="judge")
    assert (record["traffic"], record["outcome"]) == ("eval", "answered")
    assert mark["usd"] == pytest.approx(record["cost_usd"])
    assert mark["usd"] > 0


def test_what_is_no_choice_between_two_answers_is_no_score(install: Up) -> None:
    """The schema of this judge knows good and bad only."""
    mark = tried(install, "kinder", "It left on Monday.", expected_text="No.")
    assert mark["value"] is None
    assert "none of first, second, tie" in mark["broke"]


def test_vectors_a_function_and_a_field_score_beside_it(install: Up) -> None:
    same = tried(install, "meaning", "on its way", expected_text="on its way")
    assert same["value"] == pytest.approx(1)
    assert tried(install, "tone", "Hello!")["value"] == 0
    assert tried(install, "topic", '{"topic": "a"}', expected={"topic": "b"})["reason"] == "is 'a', expected 'b'"
