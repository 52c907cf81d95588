"""Claims about a Gemini target in the configuration: what cannot work is said before anything is applied."""

from __future__ import annotations

import pytest

from roadworthy.workflow.checks_of_targets import gemini_auth
from roadworthy.workflow.files import Checked, read_configuration

PROJECT = "https://eu-west1-aiplatform.googleapis.com/v1/projects/p/locations/eu-west1"


def check(**keys: str) -> Checked:
    told = {"provider": "gemini", "model": "gemini-2.5-flash", "price": "{input: 1, output: 2}", **keys}
    lines = "".join(f"    {key}: {value}\n" for key, value in told.items())
    return read_configuration(
        {
            "roadworthy.yaml": f"version: 1\ntargets:\n  flash:\n{lines}",
            "people.yaml": "people: {ann: {name: Ann, email: ann@example.com}}\n",
        }
    )


def test_its_endpoint_is_googles_unless_said_otherwise() -> None:
    configuration = check().configuration
    assert configuration is not None
    assert configuration.targets["flash"].endpoint == "https://generativelanguage.googleapis.com/v1beta"


@pytest.mark.parametrize(
    "keys",
    [
        {"model": "'*'"},
        {"model": "tunedModels/mine-1"},
        {"endpoint": f"{PROJECT}/publishers/google"},
        {"endpoint": "https://aiplatform.googleapis.com/v1/publishers/google"},
        {"endpoint": PROJECT, "model": "endpoints/123"},
        {"endpoint": "https://proxy.example/gemini"},
        {"capabilities": "{surfaces: [chat]}"},
    ],
)
def test_what_works_is_taken(keys: dict[str, str]) -> None:
    assert not check(**keys).problems


@pytest.mark.parametrize(
    ("keys", "field", "line", "words"),
    [
        ({"model": "gemini/../../v1"}, "model", 5, "a model of Gemini's"),
        ({"endpoint": "https://us-central1-aiplatform.googleapis.com/v1"}, "endpoint", 7, "/publishers/google"),
        ({"endpoint": PROJECT}, "endpoint", 7, "/publishers/google"),
        (
            {"endpoint": "https://generativelanguage.googleapis.com/v1beta/openai"},
            "endpoint", 7, "Gemini's native one",
        ),
        ({"capabilities": "{surfaces: [responses]}"}, "capabilities.surfaces", 7, "chat"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_with_its_line(keys: dict[str, str], field: str, line: int, words: str) -> None:
    [problem] = check(**keys).problems
    assert (problem.field, problem.line) == (f"targets.flash.{field}", line)
    assert words in problem.expected
    assert problem.mend


def test_a_key_is_sent_as_its_host_wants_it() -> None:
    assert gemini_auth(f"{PROJECT}/publishers/google") == ("authorization", "Bearer ")
    assert gemini_auth("https://aiplatform.googleapis.com/v1/publishers/google") == ("x-goog-api-key", "")
    assert gemini_auth(None) == ("x-goog-api-key", "")
