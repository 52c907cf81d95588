"""What files may declare of evals, and what is refused with its line before anything is scored."""

from __future__ import annotations

import pytest

from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.model import EvalPlan, OnlineEvals, ScorerSpec
from roadworthy.workflow.problems import Problem
from roadworthy.workflow.published import SCORERS_PAGE, with_scorers

FLOW = "workflows/triage/workflow.yaml"
OWNERS = "owners: {workflow: ada, prompt: ada, cost: ada}\ntarget: main\nbypass: app\n"
PROMPT = "prompt: {mode: managed, system: prompt.md}\n"


def folder(evals: str, extra: str = "", **files: str) -> dict[str, str]:
    """``evals``: what stands under that key."""
    indented = "".join(f"  {line}\n" for line in evals.strip("\n").split("\n"))
    return {
        "roadworthy.yaml": "version: 1\ntargets:\n  main: {provider: openai, model: m, key: env:K, price: "
        "{input: 1, output: 1}}\n",
        "people.yaml": "people:\n  ada: {name: Ada, email: a@example.com}\n",
        "workflows/judge/workflow.yaml": OWNERS + PROMPT,
        "workflows/judge/prompt.md": "You judge.\n",
        "workflows/embed/workflow.yaml": OWNERS + "kind: embeddings\n",
        FLOW: f"{OWNERS}{PROMPT}rubric: rubric.md\n{extra}evals:\n{indented}",
        "workflows/triage/prompt.md": "You are kind.\n",
        "workflows/triage/rubric.md": "# Rubric\n",
    } | {f"workflows/triage/{name}": text for name, text in files.items()}


def plan(evals: str, **files: str) -> EvalPlan:
    checked = read_configuration(folder(evals, **files))
    assert checked.configuration is not None, checked.problems
    return checked.configuration.workflows["triage"].evals


def problems(evals: str, extra: str = "", **files: str) -> list[Problem]:
    return [each for each in read_configuration(folder(evals, extra, **files)).problems if each.file == FLOW]


def test_a_plan_is_read_with_its_scorers_by_name() -> None:
    read = plan(
        """
scorers:
  valid_json: {}
  total: {kind: number, field: total, share: 1%}
  soon: {kind: latency, most: 1500ms}
  quality: {kind: judge, workflow: judge}
  meaning: {kind: embedding, workflow: embed, least: 80%}
  vendor: {http: 'https://scores.example.com/v1', key: 'env:KEY', labels: {good: 1, bad: 0}}
online: {share: 5%, usd_per_day: 2, scorers: [valid_json, quality]}
publish_every: 7d
nightly: 0
held_out: 0%
"""
    )
    assert read.scorers["total"] == ScorerSpec("number", {"field": "total", "share": 0.01})
    assert read.scorers["soon"].options == {"most": 1.5}
    assert read.scorers["vendor"].kind == "http"
    assert read.online == OnlineEvals(0.05, 2, ["valid_json", "quality"])
    assert (read.publish_every, read.nightly, read.held_out) == (7 * 86_400, 0, 0)


def test_a_workflow_that_says_nothing_keeps_what_its_examples_say() -> None:
    assert plan("nightly: 50") == EvalPlan()


def test_a_function_comes_with_all_of_its_code_and_with_what_it_gives() -> None:
    code = {"scorers/tone.py": "from scorers.words import A\n\n\ndef score(answer, context) -> bool:\n    return 1\n",
            "scorers/words.py": "A = 1\n"}  # fmt: skip
    read = plan("scorers: {tone: {python: 'scorers.tone:score'}}", **code)
    options = read.scorers["tone"].options
    assert options["sources"] == code
    assert options["gives"] == "assertion"


def test_code_of_scorers_is_no_part_of_a_release() -> None:
    """A scorer changes nothing that customers read."""
    files = folder("nightly: 1", **{"scorers/tone.py": "def score(answer, context):\n    return 1\n"})
    with_code, without = read_configuration(files), read_configuration(folder("nightly: 2"))
    assert with_code.configuration is not None
    assert without.configuration is not None
    assert with_code.configuration.workflows["triage"].behaviour == without.configuration.workflows["triage"].behaviour


@pytest.mark.parametrize(
    ("evals", "field", "says"),
    [
        ("scorers: {topik: {}}", "evals.scorers.topik", "says not what it does"),
        ("scorers: {hand: {kind: exact}}", "evals.scorers.hand", "people give the score"),
        ("scorers: {a: {kind: exakt}}", "evals.scorers.a.kind", "did you mean 'exact'"),
        ("scorers: {a: {kind: exact, pattern: x}}", "evals.scorers.a.pattern", "unknown key"),
        ("scorers: {a: {kind: regex, pattern: '(?=x)y'}}", "evals.scorers.a.pattern", "RE2"),
        ("scorers: {a: {kind: regex}}", "evals.scorers.a.pattern", "no such key"),
        ("scorers: {a: {kind: latency, most: 5}}", "evals.scorers.a.most", "without a unit"),
        ("scorers: {a: {kind: json_schema, schema: no.json}}", "evals.scorers.a.schema", "no file"),
        ("scorers: {a: {kind: judge, workflow: judg}}", "evals.scorers.a.workflow", "did you mean 'judge'"),
        ("scorers: {a: {kind: judge, workflow: triage}}", "evals.scorers.a.workflow", "this very workflow"),
        ("scorers: {a: {kind: judge, workflow: embed}}", "evals.scorers.a.workflow", "answers with embeddings"),
        ("scorers: {a: {kind: embedding, workflow: judge}}", "evals.scorers.a.workflow", "answers with chat"),
        ("scorers: {a: {kind: judge, workflow: judge, criteria: x}}", "evals.scorers.a", "'criteria' without 'values'"),
        ("scorers: {a: {python: 'checks.tone:score'}}", "evals.scorers.a.python", "not scorers.MODULE:FUNCTION"),
        ("scorers: {a: {python: 'scorers.tone:score'}}", "evals.scorers.a.python", "there is no file"),
        ("scorers: {a: {http: 'http://10.0.0.1/x'}}", "evals.scorers.a.http", "private"),
        ("scorers: {a: {http: 'https://u:p@x.com'}}", "evals.scorers.a.http", "user or password"),
        ("scorers: {a: {kind: exact}}\nonline: {scorers: [b]}", "evals.online.scorers", "a scorer of evals.scorers"),
        ("scorers: {a: {kind: exact}}\nonline: {scorers: [a]}", "evals.online.scorers[0]", "live answer"),
        ("held_out: 120%", "evals.held_out", "at most 100 %"),
        ("scorer: {}", "evals.scorer", "unknown key"),
    ],
)
def test_what_cannot_work_is_named_with_its_line(evals: str, field: str, says: str) -> None:
    found = [each for each in problems(evals) if each.field == field]
    assert len(found) == 1, problems(evals)
    assert says in f"{found[0].found} {found[0].expected} {found[0].mend}"
    assert found[0].line >= 5


def test_a_judge_needs_something_to_judge_by() -> None:
    files = folder("scorers: {a: {kind: judge, workflow: judge}}")
    files[FLOW] = files[FLOW].replace("rubric: rubric.md\n", "")
    (found,) = read_configuration(files).problems
    assert "without a rubric" in found.found


def test_a_floor_names_a_score_that_there_is_and_that_is_worth_something() -> None:
    floors = "policy: {gate: {floors: {topic: 0.5, hand: 0.5, mood: 0.5}, primary: topik}}\n"
    code = {"scorers/mood.py": "def score(answer, context) -> str:\n    return 'fine'\n"}
    scorers = "scorers: {topic: {kind: exact}, mood: {python: 'scorers.mood:score'}}"
    found = {each.field: each for each in problems(scorers, floors, **code)}
    assert set(found) == {"policy.gate.floors.mood", "policy.gate.primary"}
    assert "worth nothing" in found["policy.gate.floors.mood"].found
    worth = "scorers: {topic: {kind: exact}, mood: {python: 'scorers.mood:score', labels: {fine: 1}}}"
    assert "policy.gate.floors.mood" not in {each.field for each in problems(worth, floors, **code)}


def test_the_page_of_scorers_says_what_the_table_says(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / SCORERS_PAGE).read_text(encoding="utf-8")
    assert with_scorers(page) == page, "run make docs"
