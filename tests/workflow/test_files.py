"""Reading configuration: every mistake at once, each with file, line, what was found and how to mend it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.model import Step
from roadworthy.workflow.problems import Problem, looks_secret

Files = dict[str, str]
MAIN, PEOPLE, FLOW = "roadworthy.yaml", "people.yaml", "workflows/triage/workflow.yaml"


def changed(files: Files, file: str, old: str, new: str) -> Files:
    assert old in files[file], f"{old!r} is not in {file}"
    return files | {file: files[file].replace(old, new)}


def only(files: Files, **options: Callable[..., bool]) -> Problem:
    problems = read_configuration(files, **options).problems
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


def test_a_valid_folder_becomes_a_configuration(files: Files) -> None:
    checked = read_configuration(files)
    assert checked.problems == []
    assert checked.configuration is not None
    workflow = checked.configuration.workflows["triage"]
    assert workflow.behaviour is not None
    assert workflow.behaviour.prompt is not None
    assert workflow.behaviour.prompt.system == "You serve {{ shop }}."
    assert set(workflow.behaviour.targets) == {"main", "backup"}
    assert workflow.handling.deadline == 20.0
    assert workflow.handling.ladder["unavailable"][0] == Step(kind="retry", times=2)
    price = checked.configuration.targets["backup"].price
    assert price is not None
    assert (price.input, price.output) == (8e-07, 4e-06)


ONE_MISTAKE = [
    # file, old, new, file of the problem, line, field, words found, words of the mend
    (FLOW, "target: main", "targt: main", FLOW, 8, "targt", "unknown key", "did you mean 'target'"),
    (MAIN, "provider: openai", "provider: openia", MAIN, 4, "targets.main.provider", "openia", "did you mean 'openai'"),
    (FLOW, "cost: bo", "cost: boo", FLOW, 2, "owners.cost", "'boo'", "did you mean 'bo'"),
    (FLOW, "target: backup", "target: bakup", FLOW, 14, "ladder.unavailable[1].target", "'bakup'", "'backup'"),
    (FLOW, "prompt.md", "promt.md", FLOW, 5, "prompt.system", "no file workflows/triage/promt.md", "'prompt.md'"),
    (FLOW, "prompt.md", "../../people.yaml", FLOW, 5, "prompt.system", "../../people.yaml", "beside this one"),
    (FLOW, "deadline: 20s", "deadline: 20", FLOW, 12, "deadline", "20 without a unit", "20s"),
    (FLOW, "deadline: 20s", "deadline: 20 secs", FLOW, 12, "deadline", "20 secs", "units"),
    (FLOW, "bypass: app\n", "", FLOW, 1, "bypass", "no such key", "bypass: app"),
    (FLOW, "bypass: app", "bypass: human", FLOW, 19, "bypass", "'human'", "add 'holding"),
    (FLOW, "bypass: app", "bypass: {http: 'ftp://x'}", FLOW, 19, "bypass.http", "ftp://x", "URL"),
    (FLOW, "stream: buffered", "stream: windowed", FLOW, 11, "stream", "'windowed' with a schema", "whole"),
    (FLOW, "stream: buffered", "stream: {windowed: 5}", FLOW, 11, "stream.windowed", "5", "50 to"),
    (FLOW, "stream: buffered", "stream: passthrough", FLOW, 11, "stream", "with a schema", "buffered"),
    (FLOW, "[retry, canned]", "[repare, canned]", FLOW, 15, "ladder.invalid[0]", "'repare'", "did you mean 'repair'"),
    (FLOW, "[retry, canned]", "[canned: {times: 2}]", FLOW, 15, "ladder.invalid[0]", "canned", "write it alone"),
    (FLOW, "[retry, canned]", "[escalate, canned]", FLOW, 15, "ladder.invalid", "'escalate'", "add 'holding"),
    (FLOW, "[retry, canned]", "[cache, canned]", FLOW, 15, "ladder.invalid", "'cache'", "add 'cache"),
    (FLOW, "[retry, canned]", "[drop, repair]", FLOW, 15, "ladder.invalid", "after 'drop'", "swap"),
    (FLOW, "  invalid: [retry,", "  slow: [repair,", FLOW, 15, "ladder.slow", "'repair'", "move it to 'invalid'"),
    (FLOW, "  invalid: [retry,", "  slow: [drop,", FLOW, 15, "ladder.slow", "'drop'", "remove"),
    (FLOW, "  invalid: [retry,", "  overspent: [retry,", FLOW, 15, "ladder.overspent", "retry", "fails again"),
    (FLOW, "  invalid:", "  invald:", FLOW, 15, "ladder.invald", "invald", "rename"),
    (FLOW, "  invalid: [retry,", "  bad_request: [retry,", FLOW, 15, "ladder.bad_request", "retry", "remove"),
    (FLOW, "[retry, canned]", "[canned, retry]", FLOW, 15, "ladder.invalid", "after 'canned'", "remove"),
    (FLOW, "target: backup", "target: main", FLOW, 14, "ladder.unavailable", "the first target", "retry"),
    (FLOW, "topic: other", "topic: weather", FLOW, 18, "canned.json", "weather", "client"),
    (FLOW, "max_tokens: 200", "model: x", FLOW, 9, "parameters.model", "'model'", "remove"),
    (FLOW, "redact: [email]", "redact: [emial]", FLOW, 22, "policy.redact[0]", "'emial'", "did you mean 'email'"),
    (FLOW, "testers: [ada]", "testers: [yes]", FLOW, 21, "policy.testers[0]", "'yes'", "known: ada, bo"),
    (MAIN, "input: 0.15", "input: -1", MAIN, 7, "targets.main.price.input", "-1", "0 to"),
    (MAIN, "version: 1", "version: 2", MAIN, 1, "version", "2", "1 to 1"),
    (MAIN, "version: 1", "version: 1\ntimezone: Europe/Berln", MAIN, 2, "timezone", "Berln", "Europe/Berlin"),
    (MAIN, "version: 1", "version: 1\nlisten: 8400", MAIN, 2, "listen", "8400", "127.0.0.1:8400"),
    (PEOPLE, "email: ada@example.com", "phone: '030 12345'", PEOPLE, 2, "people.ada.email", "no such key", "email"),
]


@pytest.mark.parametrize("mistake", ONE_MISTAKE, ids=lambda m: f"{m[2]}"[:40])
def test_a_mistake_names_its_line_what_was_found_and_how_to_mend_it(files: Files, mistake: tuple[str, ...]) -> None:
    file, old, new, where, line, field, found, mend = mistake
    problems = read_configuration(changed(files, file, old, new)).problems
    hits = [p for p in problems if (p.file, p.line, p.field) == (where, line, field)]
    assert hits, "\n".join(map(str, problems))
    assert any(found in p.found and mend in f"{p.expected} {p.mend}" for p in hits), "\n".join(map(str, hits))
    assert read_configuration(changed(files, file, old, new)).configuration is None


def test_all_mistakes_are_reported_at_once(files: Files) -> None:
    broken = changed(files, FLOW, "bypass: app\n", "")
    broken = changed(broken, FLOW, "deadline: 20s", "deadline: soon")
    broken = changed(broken, PEOPLE, "bo@example.com", "nobody")
    broken = changed(broken, MAIN, "env:OPENAI_API_KEY", "OPENAI")
    found = {(p.file, p.field) for p in read_configuration(broken).problems}
    assert found == {(FLOW, "bypass"), (FLOW, "deadline"), (PEOPLE, "people.bo.email"), (MAIN, "targets.main.key")}


def test_one_invalid_target_is_one_problem_not_a_dangling_name_as_well(files: Files) -> None:
    assert only(changed(files, MAIN, "model: gpt-4o-mini", "modell: gpt-4o-mini")).field == "targets.main.modell"


def test_a_placeholder_that_no_input_feeds_and_an_input_without_a_placeholder(files: Files) -> None:
    files["workflows/triage/prompt.md"] = "You are kind.\nYou serve {{ shopp }}.\n"
    problems = read_configuration(files).problems
    assert [(p.file, p.line) for p in problems] == [("workflows/triage/prompt.md", 2), (FLOW, 7)]
    assert "did you mean 'shop'" in problems[0].mend
    assert "no placeholder uses" in problems[1].found


def test_a_hole_that_is_never_closed_is_found_in_the_prompt_file(files: Files) -> None:
    files["workflows/triage/prompt.md"] = "Hello\nYou serve {{ shop.\n"
    problem = next(p for p in read_configuration(files).problems if p.file.endswith("prompt.md"))
    assert problem.line == 2


def test_an_app_held_prompt_needs_no_inputs(files: Files) -> None:
    app = changed(files, FLOW, "mode: managed", "mode: app")
    app = changed(app, FLOW, "  inputs:\n    shop: {description: Name of the shop.}\n", "")
    assert read_configuration(app).problems == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ('{"type": "strng"}', "strng"),
        ('{"$ref": "https://example.com/x.json"}', "example.com"),
        ('{"type": "string", "pattern": "(?=a)b"}', "(?=a)b"),
        ('["a"]', "no JSON object"),
        ('{"type": "object",}', "column"),
        ('{"type": "object", "type": "array"}', "twice"),
    ],
)
def test_an_invalid_schema_is_refused(files: Files, schema: str, words: str) -> None:
    files["workflows/triage/output.schema.json"] = schema
    problems = read_configuration(files).problems
    assert any(words in p.found for p in problems), problems


def test_an_unknown_price_is_an_error_that_the_price_list_can_settle(files: Files) -> None:
    unpriced = changed(files, MAIN, "    price: {input: 0.8, output: 4}\n", "")
    problem = only(unpriced)
    assert problem.field == "targets.backup.price"
    assert "claude-3-5-haiku" in problem.found
    assert read_configuration(unpriced, price_known=lambda target: True).problems == []


def test_a_misspelt_model_is_suggested_from_the_price_list(files: Files) -> None:
    unpriced = changed(files, MAIN, "    price: {input: 0.8, output: 4}\n", "")
    checked = read_configuration(unpriced, listed=lambda target: ["claude-3-5-haiku-latest", "gpt-4o"])
    assert checked.problems[0].mend.startswith("did you mean 'claude-3-5-haiku-latest'? Else add 'price:")


def test_an_unknown_price_only_warns_while_its_target_is_observed(files: Files) -> None:
    unpriced = changed(files, MAIN, "    price: {input: 0.8, output: 4}\n", "")
    observed = changed(unpriced, FLOW, "bypass: app", "enforcement: observe\nbypass: app")
    checked = read_configuration(observed)
    assert checked.configuration is not None
    [problem] = checked.problems
    assert (problem.severity, problem.field) == ("warning", "targets.backup.price")
    unused = changed(files, MAIN, "  backup:", "  spare: {provider: openai, model: unheard-of}\n  backup:")
    assert only(unused).severity == "error"


KEYS = ["sk-proj-abcdefghijklmnop1234567890", "AIzaSyA1234567890abcdefghijklmnopqrstuv", "gsk_abcdefghijklmnopqrstuvwx"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("place", ["key", "header", "prompt", "description"])
def test_a_real_key_is_refused_wherever_it_stands_and_never_repeated(files: Files, key: str, place: str) -> None:
    match place:
        case "key":
            bad = changed(files, MAIN, "env:OPENAI_API_KEY", key)
        case "header":
            bad = changed(files, MAIN, "    key: env:OPENAI_API_KEY", f"    headers: {{x-api-key: {key}}}")
        case "prompt":
            bad = files | {"workflows/triage/prompt.md": f"You serve {{{{ shop }}}}. {key}"}
        case _:
            bad = changed(files, FLOW, "Sorts messages.", key)
    checked = read_configuration(bad)
    assert checked.configuration is None
    assert key not in " ".join(map(str, checked.problems))
    assert any("key (not shown)" in p.found for p in checked.problems)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://api.openai.com/v1", "http to a public host"),
        ("https://10.0.0.7/v1", "private host"),
        ("http://localhost:11434/v1", "private host"),
        ("https://user:pw@api.openai.com/v1", "not shown"),
        ("https://api.openai.com/v1?api_key=1", "query"),
        ("api.openai.com", "api.openai.com"),
        ("https://[::1", "cannot be read"),
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused(files: Files, endpoint: str, words: str) -> None:
    bad = changed(files, MAIN, "    model: gpt-4o-mini\n", f"    model: gpt-4o-mini\n    endpoint: '{endpoint}'\n")
    problems = read_configuration(bad).problems
    assert problems
    assert all(p.field == "targets.main.endpoint" and words in p.found for p in problems), problems
    assert "pw@" not in str(problems)


def test_a_private_endpoint_is_allowed_when_said_so(files: Files) -> None:
    good = changed(
        files,
        MAIN,
        "    model: gpt-4o-mini\n",
        "    model: gpt-4o-mini\n    endpoint: http://localhost:11434/v1\n    allow_private: true\n",
    )
    checked = read_configuration(good)
    assert checked.configuration is not None
    behaviour = checked.configuration.workflows["triage"].behaviour
    assert behaviour is not None
    assert behaviour.targets["main"].host == "localhost:11434"


@pytest.mark.parametrize("pattern", ["(a", "(?=a)", "(a)\\1", "a*"])
def test_a_pattern_that_is_not_re2_or_matches_everything_is_refused(files: Files, pattern: str) -> None:
    rules = f"version: 1\nredaction:\n  - {{name: order, pattern: '{pattern}'}}"
    assert only(changed(files, MAIN, "version: 1", rules)).field == "redaction[0].pattern"


@pytest.mark.parametrize("replacement", ["\\2", "ends with \\"])
def test_a_replacement_that_names_a_group_its_pattern_has_not_is_refused(files: Files, replacement: str) -> None:
    rules = f"version: 1\nredaction:\n  - {{name: order, pattern: '(a)b', replacement: '{replacement}'}}"
    problem = only(changed(files, MAIN, "version: 1", rules))
    assert (problem.field, problem.line) == ("redaction[0].replacement", 3)


def test_more_than_25_testers_are_refused(files: Files) -> None:
    people = "people:\n" + "".join(f"  p{n}: {{name: P, email: p@example.com}}\n" for n in range(26))
    bad = changed(files, FLOW, "testers: [ada]", f"testers: [{', '.join(f'p{n}' for n in range(26))}]")
    bad = bad | {PEOPLE: files[PEOPLE] + people.removeprefix("people:\n")}
    problem = only(bad)
    assert (problem.field, problem.found) == ("policy.testers", "26 entries")


EMBEDDINGS = """\
owners: {workflow: ada, prompt: ada, cost: bo}
kind: embeddings
target: main
bypass: app
"""


def test_embeddings_have_no_canned_answer_and_ladders_of_one_model(files: Files) -> None:
    assert read_configuration(files | {FLOW: EMBEDDINGS}).problems == []
    assert only(files | {FLOW: EMBEDDINGS + "canned: {text: x}\n"}).field == "canned"
    assert "cannot be compared" in only(files | {FLOW: EMBEDDINGS + "ladder: {slow: [target: backup]}\n"}).expected
    assert only(files | {FLOW: EMBEDDINGS.replace("bypass: app", "bypass: {canned: x}")}).field == "bypass"


def test_an_adopted_workflow_needs_only_owners_and_a_target_to_pass_through_to(files: Files) -> None:
    adopted = files | {FLOW: "owners: {workflow: ada, prompt: ada, cost: ada}\npassthrough: any\n"}
    adopted = adopted | {MAIN: files[MAIN] + "  any: {provider: openai, model: '*', key: env:K}\n"}
    checked = read_configuration(adopted)
    assert checked.problems == []
    assert checked.configuration is not None
    assert checked.configuration.workflows["triage"].behaviour is None


def test_a_release_cannot_name_a_target_without_an_exact_model(files: Files) -> None:
    bad = changed(files, MAIN, "model: gpt-4o-mini", "model: '*'")
    assert "exact model" in only(bad).expected


def test_a_missing_file_is_named_with_its_near_misses(files: Files) -> None:
    del files[MAIN]
    problems = read_configuration(files | {"roadworthy.yml": "version: 1"}).problems
    assert "did you mean 'roadworthy.yml'" in problems[0].mend
    assert problems[0].file == MAIN


def test_a_schema_without_canned_json_is_a_warning_that_stops_nothing(files: Files) -> None:
    warned = read_configuration(changed(files, FLOW, "  json: {topic: other}\n", ""))
    assert [p.severity for p in warned.problems] == ["warning"]
    assert warned.configuration is not None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("version: 1\n  bad: 2\n", 2, "mapping values"),
        ("version: 1\nversion: 1\n", 2, "twice"),
        ("version: 1\nx: !!python/object:os.system ls\n", 2, "tag"),
        ("version: 1\nbase: &a {b: 1}\nx: {<<: *a}\n", 3, "merge"),
        ("version: 1\nx: \x07\n", 2, "character"),
        ("[" * 3000, 1, "nesting"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
            "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
            1,
            "too much",
        ),
        ("a: &a [*a]\n", 1, "too much"),
        ("- 1\n", 1, "a list"),
    ],
)
def test_hostile_or_broken_yaml_is_one_clear_problem(files: Files, text: str, line: int, words: str) -> None:
    started = time.perf_counter()
    problems = [p for p in read_configuration(files | {MAIN: text}).problems if p.file == MAIN]
    assert time.perf_counter() - started < 5.0
    assert (problems[0].line, True) == (line, words in problems[0].found), problems


def test_yaml_words_keep_their_plain_meaning(files: Files) -> None:
    good = changed(files, FLOW, "parameters: {temperature: 0.2", "parameters: {a: no, b: 12:30, c: 2024-01-01, d: 1e3")
    checked = read_configuration(good)
    assert checked.configuration is not None
    behaviour = checked.configuration.workflows["triage"].behaviour
    assert behaviour is not None
    assert behaviour.parameters == {"a": "no", "b": "12:30", "c": "2024-01-01", "d": 1000.0, "max_tokens": 200}


def test_tools_are_checked(files: Files) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    with_tools = changed(files, FLOW, "bypass: app", "tools: tools.json\nbypass: app")
    path = "workflows/triage/tools.json"
    assert read_configuration(with_tools | {path: json.dumps([tool])}).problems == []
    assert only(with_tools | {path: json.dumps([{"name": "x"}])}).field == "tools"
    tool["function"]["parameters"] = {"type": "objct"}  # type: ignore[index]
    assert "look_up" in only(with_tools | {path: json.dumps([tool])}).found


def test_a_schema_needs_targets_that_obey_one(files: Files) -> None:
    deaf = changed(files, "roadworthy.yaml", "  main:", "  main:\n    capabilities: {response_schema: false}")
    assert "obeys no JSON schema" in only(deaf).found


def test_problems_read_as_sentences(files: Files) -> None:
    text = str(only(changed(files, FLOW, "cost: bo", "cost: boo")))
    assert text.startswith("workflows/triage/workflow.yaml:2: owners.cost: found 'boo'; expected a person in")
    assert text.endswith("; did you mean 'bo'?")


@pytest.mark.parametrize(
    "place", ["target: main", "system: prompt.md", "bypass: app", "[retry, canned]", "description"]
)
def test_a_real_key_in_an_unlikely_place_is_never_repeated(files: Files, place: str) -> None:
    key = KEYS[0]
    bad = changed(files, FLOW, place, place.partition(":")[0] + f": {key}" if ":" in place else f"{key}")
    problems = read_configuration(bad).problems
    assert problems
    assert key not in " ".join(map(str, problems))


SCRAPS = ["{", "}", "[", "]", ": ", "- ", "\n", "  ", "null", "{a: 1}", "[1]", "true", "1e9", "retry", "'", "&a ", "*a"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_text_whatever_breaks_the_reader(files: Files, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(sorted(files)))
    text = files[file]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 25)))
    mutated = text[:start] + data.draw(st.sampled_from(SCRAPS) | st.text(max_size=20)) + text[end:]
    checked = read_configuration(files | {file: mutated})
    assert (checked.configuration is None) == any(problem.severity == "error" for problem in checked.problems)


@pytest.mark.parametrize(
    "name", ["desk-claude-sonnet-4-5-20250929", "task_with_a_rather_long_name", "ask-the-librarian-anything"]
)
def test_a_name_that_only_ends_like_the_beginning_of_a_key_is_no_key(name: str) -> None:
    assert not looks_secret(f"target: {name}")
    assert looks_secret(f"key: {KEYS[0]}")
