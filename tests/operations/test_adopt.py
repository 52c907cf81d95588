"""Adoption: the derived files change nothing for the app, and what could not be derived is said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.inference_log.model import Entry, Filter, Page
from roadworthy.operations.adoption.adopt import Adoption, ObservedCall, derive
from roadworthy.operations.adoption.adopt_files import AdoptRefused, with_target
from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Capabilities, Target
from roadworthy.workflow.prompt import Template, system_text
from roadworthy.workflow.service import Actor, Unknown, Workflows

APP = Target("support", "openai", "*", "https://api.openai.com/v1", "env:OPENAI_API_KEY")
OWNERS = "owners: {workflow: ada, prompt: ada, cost: ada}"
ME = Actor("os:0")
DAY = 1_784_000_000.0  # 2026-07-14
SCHEMA = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}


def call(number: int, **changes: Any) -> ObservedCall:
    system = f"You answer for Ada's shop.\nToday is 2026-07-14. Customer: {'ABCDEFGH'[number]}nna Doe\nBe short.\n"
    body = {
        "model": "gpt-4o-mini",
        "temperature": 0.2,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": f"Where is order {number}?"}],
        "user": f"u-{number}",
    }
    return ObservedCall(DAY + number, {**body, **changes}, 1.0 + number)


def files_of(calls: list[ObservedCall]) -> tuple[dict[str, str], list[str]]:
    draft, target = derive("support", calls, APP, OWNERS)
    files = {
        "roadworthy.yaml": "version: 1\ntargets: {}\n",
        "people.yaml": "people: {ada: {name: Ada, email: ada@example.com}}\n",
    }
    files = with_target(with_target(files, APP, ""), target, "")
    return files | draft.files, draft.notes


def test_the_derived_prompt_matches_every_call_and_the_files_are_valid() -> None:
    calls = [call(number) for number in range(4)]
    files, notes = files_of(calls)
    assert files["workflows/support/prompt.md"] == (
        "You answer for Ada's shop.\nToday is {{ hole_1 }}. Customer: {{ customer }} Doe\nBe short.\n"
    )
    checked = read_configuration(files, price_known=lambda target: True)
    assert checked.problems == []
    assert checked.configuration is not None
    workflow = checked.configuration.workflows["support"]
    behaviour = workflow.behaviour
    assert behaviour is not None
    assert behaviour.prompt is not None
    assert behaviour.parameters == {"temperature": 0.2}
    assert behaviour.targets["support-gpt-4o-mini"].model == "gpt-4o-mini"
    assert workflow.enforcement == "observe"
    assert workflow.handling.deadline == 60.0
    template = Template.parse(behaviour.prompt.system)
    assert all(template.match(system_text(c.body["messages"]) or "") is not None for c in calls)
    assert any("varies in 2 places" in note for note in notes)


def test_fewer_than_three_calls_are_refused_and_it_says_how_many_there_are() -> None:
    with pytest.raises(AdoptRefused, match="2 recorded calls of support; expected at least 3"):
        derive("support", [call(0), call(1)], APP, OWNERS)


def test_a_schema_and_tools_that_every_call_has_are_taken_over() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "Triage", "strict": True, "schema": SCHEMA}}
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
    files, notes = files_of([call(n, response_format=wanted, tools=tools, stream=True) for n in range(3)])
    checked = read_configuration(files, price_known=lambda target: True)
    assert [p.severity for p in checked.problems] in ([], ["warning"])
    assert checked.configuration is not None
    workflow = checked.configuration.workflows["support"]
    assert workflow.behaviour is not None
    assert workflow.behaviour.schema == SCHEMA
    assert workflow.behaviour.tools == tools
    assert workflow.handling.stream == "buffered"
    assert any("arrive whole" in note for note in notes)


def test_what_varies_stays_the_apps_and_is_reported() -> None:
    calls = [call(n, temperature=n / 10, model=f"gpt-{4 + (n == 2)}", seed=7) for n in range(3)]
    calls.append(call(3, response_format={"type": "json_object"}, model="gpt-4"))
    files, notes = files_of(calls)
    text = files["workflows/support/workflow.yaml"]
    assert "caller_overrides: [response_format, seed, temperature]" in text
    said = "\n".join(notes)
    assert "2 models: gpt-4 (3), gpt-5 (1)" in said
    assert "response format differs" in said
    assert read_configuration(files, price_known=lambda target: True).problems == []


def test_an_app_without_a_system_message_gets_an_empty_prompt() -> None:
    calls = [call(n, messages=[{"role": "user", "content": "hi"}]) for n in range(3)]
    files, notes = files_of(calls)
    assert files["workflows/support/prompt.md"] == "\n"
    assert any("sends no system message" in note for note in notes)
    assert read_configuration(files, price_known=lambda target: True).problems == []


def test_embeddings_calls_become_an_embeddings_workflow() -> None:
    calls = [ObservedCall(DAY, {"model": "text-embedding-3-small", "input": f"text {n}"}) for n in range(3)]
    files, _notes = files_of(calls)
    checked = read_configuration(files, price_known=lambda target: True)
    assert checked.problems == []
    assert checked.configuration is not None
    behaviour = checked.configuration.workflows["support"].behaviour
    assert behaviour is not None
    assert behaviour.kind == "embeddings"


def test_a_key_inside_of_a_prompt_is_refused_not_written() -> None:
    key = "sk-abcdefghijklmnopqrstuvwxyz012345"
    messages = [{"role": "system", "content": f"Use {key}"}]
    with pytest.raises(AdoptRefused) as caught:
        files_of([call(n, messages=messages) for n in range(3)])
    assert key not in str(caught.value)


def test_a_target_is_added_without_touching_what_is_there() -> None:
    text = "# mine\nversion: 1\ntargets:\n    # the first\n    main: {provider: openai, model: m}\nworkers: 2\n"
    out = with_target({"roadworthy.yaml": text}, APP, "new")["roadworthy.yaml"]
    assert [line for line in out.splitlines() if line not in text.splitlines()] == [
        "    # new",
        "    support:",
        "      provider: openai",
        "      model: '*'",
        "      endpoint: https://api.openai.com/v1",
        "      key: env:OPENAI_API_KEY",
    ]
    with pytest.raises(AdoptRefused, match="on one line"):
        with_target({"roadworthy.yaml": "version: 1\ntargets: {a: {provider: local, model: m}}\n"}, APP, "")


def test_the_exact_target_speaks_what_the_one_that_was_passed_through_speaks() -> None:
    own = Target(**{**msgspec.structs.asdict(APP), "capabilities": Capabilities(surfaces=["chat", "responses"])})
    _draft, exact = derive("support", [call(number) for number in range(3)], own, OWNERS)
    written = with_target({}, exact, "")["roadworthy.yaml"]
    assert "    capabilities: {surfaces: [chat, responses]}\n" in written
    assert "capabilities" not in with_target({}, APP, "")["roadworthy.yaml"]


class FakeLog:
    def __init__(self, calls: list[ObservedCall]) -> None:
        self.entries = {}
        for number, one in enumerate(calls):
            inference = Inference(
                id=f"inf_{number}",
                ts=one.ts,
                team="default",
                workflow="support",
                outcome="answered",
                route="passthrough",
                latency=one.latency,
                request=msgspec.Raw(msgspec.json.encode(one.body)),
            )
            self.entries[inference.id] = Entry(inference)

    def find(self, where: Filter, limit: int = 50) -> Page:
        assert (where.workflow, where.route) == ("support", "passthrough")
        return Page([entry.inference for entry in reversed(self.entries.values())][:limit])

    def get(self, inference: str) -> Entry | None:
        return self.entries.get(inference)


def adoption(calls: list[ObservedCall]) -> tuple[Adoption, Workflows]:
    workflows = Workflows(MemoryState(), clock=lambda: DAY, price_known=lambda target: True)
    return Adoption(workflows, FakeLog(calls), price_known=lambda target: True), workflows


def test_from_nothing_to_a_frozen_release_in_three_steps() -> None:
    adopt, workflows = adoption([call(number) for number in range(5)])
    begun = adopt.begin("support", "openai", ME, key="env:OPENAI_API_KEY")
    assert begun.applied.applied, begun.applied.problems
    assert set(begun.files) == {"roadworthy.yaml", "people.yaml", "workflows/support/workflow.yaml"}
    draft = adopt.draft("support")
    assert draft.problems == []
    assert draft.calls == 5
    assert "people.yaml" not in draft.files
    applied = workflows.configuration()
    assert applied is not None
    assert workflows.apply({**applied.files, **draft.files}, ME).applied
    frozen = workflows.freeze("support", ME)
    assert frozen.release.number == 1


def test_beginning_with_a_real_key_applies_nothing_and_never_repeats_it() -> None:
    adopt, workflows = adoption([])
    key = "sk-abcdefghijklmnopqrstuvwxyz012345"
    begun = adopt.begin("support", "openai", ME, key=key)
    assert not begun.applied.applied
    assert key not in str(begun.applied.problems)
    assert workflows.configuration() is None


def test_a_dry_run_tells_the_files_and_changes_nothing() -> None:
    adopt, workflows = adoption([])
    told = adopt.begin("support", "openai", ME, key="env:K", dry_run=True)
    assert workflows.configuration() is None
    assert adopt.begin("support", "openai", ME, key="env:K").files == told.files


def test_a_name_that_is_taken_wrong_or_not_adopted_is_refused() -> None:
    adopt, _workflows = adoption([])
    adopt.begin("support", "openai", ME, key="env:K")
    with pytest.raises(AdoptRefused, match="already"):
        adopt.begin("support", "openai", ME, key="env:K")
    with pytest.raises(AdoptRefused, match="lower-case"):
        adopt.begin("Support Desk", "openai", ME, key="env:K")
    with pytest.raises(Unknown, match="did you mean 'support'"):
        adopt.draft("suport")
    with pytest.raises(AdoptRefused, match="0 recorded calls"):
        adopt.draft("support")
