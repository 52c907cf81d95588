"""Claims about the scorers that ask nobody, one by one and all together on any text."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.evals.examples import set_of
from roadworthy.evals.model import Example
from roadworthy.evals.scorers.base import Asking, CannotScore, Case, Pure, marked
from roadworthy.evals.scorers.contains import Contains
from roadworthy.evals.scorers.cost import Cost
from roadworthy.evals.scorers.edit_distance import LONGEST, EditDistance, distance
from roadworthy.evals.scorers.exact import Exact
from roadworthy.evals.scorers.json_fields import JsonFields
from roadworthy.evals.scorers.json_schema import JsonSchema
from roadworthy.evals.scorers.latency import Latency
from roadworthy.evals.scorers.normalised import Normalised
from roadworthy.evals.scorers.number import Number, numbers_in
from roadworthy.evals.scorers.regex import Regex
from roadworthy.evals.scorers.registry import (
    SCORERS,
    NotReady,
    UnknownScorer,
    World,
    hash_of,
    lacking,
    made,
    rebuilt,
    recorded,
    scorers_for,
)
from roadworthy.evals.scorers.set_overlap import SetOverlap
from roadworthy.evals.scorers.tool_calls import ToolCalls
from roadworthy.evals.scorers.valid_json import ValidJson
from roadworthy.workflow.evals_table import SECTIONS
from roadworthy.workflow.fields import INVALID, At, Reading
from roadworthy.workflow.model import EvalPlan, ScorerSpec
from roadworthy.workflow.scorer_kinds import SCORER_KINDS
from roadworthy.workflow.source import parse_yaml

RUBRIC = "# How\n\n## good = 1\n\n> Thank you.\n\n## bad = 0\n\n> No.\n"


def said(answer: Any, expected: Any = None, **more: Any) -> Case:
    """``expected``: the whole text, or fields of it."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    if isinstance(expected, dict):
        return Case(text, expected, **more)
    return Case(text, expected_text=expected, **more)


# --- each by itself


@pytest.mark.parametrize(
    ("scorer", "answer", "expected", "score"),
    [
        (Exact(), " yes\n", "yes", 1),
        (Exact(), "Yes", "yes", 0),
        (Exact("ok"), {"ok": True}, {"ok": 1}, 0),
        (Exact("n"), {"n": 1.0}, {"n": 1}, 1),
        (Exact("/items/1/id"), {"items": [{"id": 1}, {"id": 2}]}, {"/items/1/id": 2}, 1),
        (Exact("topic", expect="label"), {"topic": "x"}, {"label": "x"}, 1),
        (Normalised(), "  The  CITY: Zürich! ", "the city zürich", 1),
        (Normalised(accents=False), "Zürich", "Zurich", 1),
        (Normalised(), "Zürich", "Zurich", 0),
        (Normalised(punctuation=True), "a.b", "a b", 0),
        (Normalised(), "ﬁne １２", "fine 12", 1),
        (Contains(), "Your Parcel left.", "parcel", 1),
        (Contains(case=True), "Your Parcel left.", "parcel", 0),
        (Contains(all=["a", "b"], none=["c"]), "a b", None, 1),
        (Contains(all=["a", "b"], none=["c"]), "a b c", None, 0),
        (Contains(any=["x", "y"]), "y", None, 1),
        (Contains("tags"), {"tags": ["big", "red"]}, {"tags": ["red"]}, 1),
        (Regex(pattern="T-[0-9]{6}"), "see T-123456.", None, 1),
        (Regex(pattern="T-[0-9]{6}", whole=True), "see T-123456.", None, 0),
        (Regex(pattern="(?i)refund", absent=True), "No REFUND", None, 0),
        (Number(within=0.5), "It costs 1,234.5 EUR", "1234", 1),
        (Number(), "from 3 to 4", "4", 0),
        (Number(which="last"), "from 3 to 4", "4", 1),
        (Number(decimal="comma"), "1.234,5 Euro", "1234,5", 1),
        (Number("n", share=0.01), {"n": 101}, {"n": 100}, 1),
        (Number("n", share=0.01), {"n": 101.1}, {"n": 100}, 0),
        (Number("n"), {"n": True}, {"n": 1}, 0),
        (Number(), "−5", "-5", 1),
        (ValidJson(), "{}", None, 1),
        (ValidJson(), "{} and more", None, 0),
        (JsonSchema(schema={"required": ["a"]}), {"a": 1}, None, 1),
        (JsonSchema(schema={"required": ["a"]}), {"b": 1}, None, 0),
        (JsonSchema(schema={"type": "string"}, field="a"), {"a": 1}, None, 0),
        (JsonFields(), {"a": 1, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [1, 3]}}, 2 / 3),
        (JsonFields(extra=True), {"a": 1, "z": 2}, {"a": 1}, 1 / 2),
        (JsonFields(fields=["a"]), {"a": 1, "b": 2}, {"a": 1, "b": 3}, 1),
        (JsonFields(case=False, within=0.1), {"a": "X ", "b": 1.05}, {"a": "x", "b": 1}, 1),
        (JsonFields(), "no JSON", {"a": 1}, 0),
        (SetOverlap(), "Red, blue\nred", "blue, green", 1 / 2),
        (SetOverlap("t", measure="jaccard"), {"t": ["a", "b"]}, {"t": ["B", "c"]}, 1 / 3),
        (SetOverlap("t", measure="recall"), {"t": []}, {"t": ["a"]}, 0),
        (SetOverlap("t"), {"t": []}, {"t": []}, 1),
        (EditDistance(), "kitten", "sitting", 1 - 3 / 7),
        (EditDistance(unit="words"), "the cat sat", "a cat sat", 1 - 1 / 3),
        (EditDistance(), "", "", 1),
    ],
)  # fmt: skip
def test_a_scorer_says(scorer: Pure, answer: Any, expected: Any, score: float) -> None:
    case = said(answer, expected)
    assert marked(scorer, case).value == pytest.approx(score)
    assert bool(marked(scorer, case, reasons=True).reason) == (score < 1)


CALLS = [{"name": "find", "arguments": {"id": 1}}, {"name": "mail", "arguments": {"to": "a", "cc": "b"}}]


@pytest.mark.parametrize(
    ("scorer", "made_calls", "score"),
    [
        (ToolCalls(), CALLS, 1),
        (ToolCalls(), CALLS[::-1], 1),
        (ToolCalls(ordered=True), CALLS[::-1], 0),
        (ToolCalls(ordered=True, partial=True), CALLS[::-1], 1 / 2),
        (ToolCalls(), CALLS[:1], 0),
        (ToolCalls(partial=True), CALLS[:1], 1 / 2),
        (ToolCalls(), [*CALLS, {"name": "drop"}], 0),
        (ToolCalls(extra=True), [*CALLS, {"name": "drop"}], 1),
        (ToolCalls(arguments="names"), [{"name": "mail"}, {"name": "find"}], 1),
        (ToolCalls(), [{"function": {"name": c["name"], "arguments": json.dumps(c["arguments"])}} for c in CALLS], 1),
        (ToolCalls(), [CALLS[0], CALLS[0]], 0),
    ],
)  # fmt: skip
def test_calls_of_tools_are_matched_each_once(scorer: ToolCalls, made_calls: list[Any], score: float) -> None:
    assert marked(scorer, Case("", {"tool_calls": CALLS}, tool_calls=made_calls)).value == pytest.approx(score)


def test_one_call_may_stand_for_either_of_two_that_are_expected() -> None:
    wanted = [{"name": "f", "arguments": {"a": 1}}, {"name": "f", "arguments": {"b": 2}}]
    both, first = {"name": "f", "arguments": {"a": 1, "b": 2}}, {"name": "f", "arguments": {"a": 1}}
    case = Case("", {"tool_calls": wanted}, tool_calls=[both, first])
    assert marked(ToolCalls(arguments="given"), case).value == 1


def test_to_call_nothing_can_be_right() -> None:
    assert marked(ToolCalls(), Case("Hello.", {"tool_calls": []})).value == 1
    assert marked(ToolCalls(), Case("", {"tool_calls": []}, tool_calls=CALLS)).value == 0


def test_latency_and_cost_are_held_against_their_most() -> None:
    case = Case("", seconds=2.0, usd=0.01)
    assert [marked(each, case).value for each in (Latency(most=2), Latency(most=1.9))] == [1, 0]
    assert [marked(each, case).value for each in (Cost(most=0.01), Cost(most=0.009))] == [1, 0]


@pytest.mark.parametrize(
    ("scorer", "case"),
    [
        (Latency(most=1), Case("")),
        (Cost(most=1), Case("")),
        (Exact(), Case("x")),
        (Exact("topic"), Case('{"topic": "x"}', {"other": 1})),
        (Number(), said("5", "five")),
        (JsonFields(), Case("{}")),
        (ToolCalls(), Case("", {"tool_calls": "find"})),
        (EditDistance(), said("a" * (LONGEST + 1), "b")),
    ],
)
def test_what_cannot_be_scored_has_no_value_and_says_why(scorer: Pure, case: Case) -> None:
    mark = marked(scorer, case)
    assert mark.value is None
    assert len(mark.broke) > 10


# --- all of them on anything

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
TEXT = st.text(st.characters(), max_size=60) | JSON.map(json.dumps)
ALL: list[Pure] = [
    Exact(), Exact("a"), Exact("/a/0"), Normalised("a"), Normalised(accents=False), Contains(), Contains("a"),
    Contains(any=["x"], none=[""]), Regex(pattern="(a+)+$"), Regex(pattern=r"\pL", field="a", whole=True), Number(),
    Number("a", which="first"), Number(decimal="comma"), ValidJson(), JsonSchema(schema={"type": "object"}),
    JsonFields(), JsonFields(extra=True, case=False), SetOverlap(), SetOverlap("a", measure="jaccard"),
    EditDistance(), EditDistance("a", unit="words"), ToolCalls(expect="a"), ToolCalls(expect="a", partial=True),
]  # fmt: skip


@given(st.sampled_from(ALL), TEXT, JSON, st.none() | TEXT, st.lists(st.dictionaries(st.text(), JSON), max_size=3))
def test_every_scorer_takes_any_text_and_any_json(
    scorer: Pure, text: str, expected: Any, whole: str | None, calls: list[dict[str, Any]]
) -> None:
    mark = marked(scorer, Case(text, {"a": expected}, whole, tool_calls=calls), reasons=True)
    assert (mark.value is None) == bool(mark.broke)
    assert mark.value is None or 0 <= mark.value <= 1
    assert scorer.kind != "assertion" or mark.value in (None, 0, 1)
    again = marked(scorer, Case(text, {"a": expected}, whole, tool_calls=calls), reasons=True)
    assert mark == again


@given(st.text("ab ", max_size=12), st.text("ab ", max_size=12), st.text("ab ", max_size=12))
def test_edit_distance_is_a_distance_and_the_one_of_the_table(one: str, two: str, three: str) -> None:
    assert distance(one, two) == distance(two, one) == table(one, two)
    assert (distance(one, two) == 0) == (one == two)
    assert distance(one, three) <= distance(one, two) + distance(two, three)


def table(one: str, two: str) -> int:
    """Wagner and Fischer, cell by cell."""
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(two, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@given(st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)))
def test_overlap_is_symmetric_where_it_should_be_and_one_only_for_equals(one: set[int], two: set[int]) -> None:
    for measure in ("f1", "jaccard"):
        scorer = SetOverlap("t", measure=measure)
        forth = marked(scorer, said({"t": list(one)}, {"t": list(two)})).value
        back = marked(scorer, said({"t": list(two)}, {"t": list(one)})).value
        assert forth == back
        assert (forth == 1) == (one == two)


@given(st.integers(-(10**9), 10**9), st.integers(0, 99))
def test_a_number_is_found_however_it_is_written(whole: int, cents: int) -> None:
    value = whole + (cents / 100 if whole >= 0 else -cents / 100)
    english, german = f"{whole:,}.{cents:02}", f"{whole:,}".replace(",", ".") + f",{cents:02}"
    if whole == 0 and value < 0:
        return
    assert numbers_in(f"about {english} or so") == [pytest.approx(value)]
    assert numbers_in(f"about {german} or so", "comma") == [pytest.approx(value)]


def test_no_pattern_and_no_number_takes_more_than_linear_time() -> None:
    """They would not end: each of these is exponential or quadratic for a backtracking engine."""
    hostile = "a" * 200_000 + "!"
    assert marked(Regex(pattern="(a+)+$", whole=True), Case(hostile)).value == 0
    assert marked(Regex(pattern="(a|aa)*b"), Case(hostile)).value == 0
    assert numbers_in("1," * 100_000) != []
    assert numbers_in("1" * 100_000) == []


# --- recorded and rebuilt


def every() -> list[Any]:
    """One of each kind, as its own example declares it."""
    world = World(lambda workflow: f"beh_{workflow}", RUBRIC)
    found = []
    for row in SCORER_KINDS.values():
        (name, spec), *_ = declared(row.example).items()
        found.append(made(name, spec, world))
    return found


def declared(text: str) -> dict[str, ScorerSpec]:
    """Scorers as workflow.yaml has them."""
    from roadworthy.workflow.evals_table import ScorersKind

    files = {"workflows/x/workflow.yaml": text, "workflows/x/strict.schema.json": '{"type": "object"}'}
    reading = Reading(files)
    read = ScorersKind().read(parse_yaml("workflows/x/workflow.yaml", text), At(reading, "workflows/x/workflow.yaml"))
    assert reading.problems == []
    assert read is not INVALID
    code = {"sources": {"scorers/tone.py": ""}}
    return {
        name: ScorerSpec(each.kind, each.options | (code if each.kind == "python" else {}))
        for name, each in read.items()
    }


def test_every_kind_has_a_row_whose_example_works_and_can_be_rebuilt_from_its_record() -> None:
    assert list(SCORER_KINDS) == list(SCORERS) or set(SCORER_KINDS) == set(SCORERS)
    scorers = every()
    assert {each.word for each in scorers} == set(SCORERS)
    for each in scorers:
        record = msgspec.json.decode(msgspec.json.encode(recorded(each)))
        assert rebuilt(record) == each
        assert isinstance(each, Pure) != isinstance(each, Asking)
        assert isinstance(each, Asking) == bool(SCORER_KINDS[each.word].asks)


def test_the_table_of_options_and_the_scorers_agree() -> None:
    """What is read is what a scorer takes; what control adds is no option."""
    added = {"title", "behaviour", "sources", "gives", "rubric"}
    for kind, row in SCORER_KINDS.items():
        fields = {each.name: each for each in msgspec.structs.fields(SCORERS[kind])}
        assert set(row.options) - {"criteria"} == set(fields) - added
        for name, option in row.options.items():
            if name not in ("criteria", "values"):
                assert option.required == fields[name].required, f"{kind}.{name}"
        assert set(SECTIONS[kind].fields) == {"kind", *row.options}


def test_another_argument_judge_rubric_or_source_gives_another_hash() -> None:
    judge, python = ScorerSpec("judge", {"workflow": "j"}), ScorerSpec("python", {"python": "scorers.a:b"})

    def hashed(spec: ScorerSpec, behaviour: str = "beh_1", rubric: str = RUBRIC, source: str = "x") -> str:
        spec = ScorerSpec(spec.kind, spec.options | ({"sources": {"scorers/a.py": source}} if spec is python else {}))
        return hash_of([made("q", spec, World(lambda workflow: behaviour, rubric))])

    assert hashed(judge) == hashed(judge)
    assert len({hashed(judge), hashed(judge, "beh_2"), hashed(judge, rubric=RUBRIC + "!"), hashed(python),
                hashed(python, source="y")}) == 5  # fmt: skip
    assert hash_of([Exact("a")]) != hash_of([Exact("b")]) != hash_of([Exact("b"), ValidJson()])
    assert hash_of([Exact("a"), ValidJson()]) == hash_of([ValidJson(), Exact("a")])


def test_a_record_of_another_version_is_not_rebuilt() -> None:
    record = recorded(Exact("a"))
    for broken in ({**record, "version": 99}, {**record, "scorer": "gone"}, {**record, "arguments": {"field": 5}}):
        with pytest.raises(UnknownScorer):
            rebuilt(broken)


# --- which of them judge a workflow

EXAMPLES = set_of([Example(f"exm_{at}", [], {"topic": "x"} if at else {}, label=f"row {at}") for at in range(3)])


def test_without_a_plan_the_examples_say_what_is_scored() -> None:
    assert [each.name for each in scorers_for(EvalPlan(), EXAMPLES)] == ["valid_json", "topic"]


def test_a_plan_says_it_all_and_names_the_scores() -> None:
    plan = EvalPlan({"right": ScorerSpec("exact", {"field": "topic"}), "short": ScorerSpec("latency", {"most": 2})})
    assert [each.name for each in scorers_for(plan, EXAMPLES)] == ["right", "short"]


def test_what_the_examples_lack_is_said_before_anything_runs() -> None:
    plan = EvalPlan({"right": ScorerSpec("exact", {"field": "topic"}), "whole": ScorerSpec("edit_distance", {})})
    said_of = lacking(scorers_for(plan, EXAMPLES), EXAMPLES)
    assert len(said_of) == 2
    assert "right: 1 of 3 examples do not say what is expected ('topic'), the first is row 0" in said_of[0]
    assert lacking(scorers_for(EvalPlan({"j": ScorerSpec("valid_json")}), EXAMPLES), EXAMPLES) == []


@pytest.mark.parametrize(
    ("spec", "world", "says"),
    [
        (ScorerSpec("judge", {"workflow": "j"}), World(), "roadworthy freeze j"),
        (ScorerSpec("judge", {"workflow": "j"}), World(lambda workflow: "beh"), "names no values"),
        (ScorerSpec("gone"), World(), "no scorer of kind 'gone'"),
        (ScorerSpec("latency", {"most": "soon"}), World(), "evals.scorers.q"),
    ],
)
def test_a_scorer_that_cannot_be_made_says_what_would_help(spec: ScorerSpec, world: World, says: str) -> None:
    with pytest.raises(NotReady, match=says):
        made("q", spec, world)


def test_live_answers_are_scored_by_those_that_need_no_expectation() -> None:
    from roadworthy.workflow.checks_of_evals import needs_expectation

    by_name = {each.name: each for each in every()}
    for row in SCORER_KINDS.values():
        (name, spec), *_ = declared(row.example).items()
        assert by_name[name].expects == needs_expectation(spec), name


def test_a_case_can_say_why_itself() -> None:
    with pytest.raises(CannotScore, match="import it with --expect-text"):
        Exact().score(Case("x"))
