"""Claims about a Bedrock target in the configuration: what cannot work is said before anything is applied."""

from __future__ import annotations

import pytest

from roadworthy.workflow.files import Checked, read_configuration

ENDPOINT = "https://bedrock-runtime.eu-central-1.amazonaws.com"
PROFILE = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0"
GIVEN = {
    "provider": "bedrock", "model": "eu.amazon.nova-lite-v1:0", "price": "{input: 1, output: 2}", "endpoint": ENDPOINT,
    "key": "env:AWS_BEARER_TOKEN_BEDROCK",
}  # fmt: skip


def check(**keys: str | None) -> Checked:
    told = {name: value for name, value in {**GIVEN, **keys}.items() if value is not None}
    lines = "".join(f"    {key}: {value}\n" for key, value in told.items())
    return read_configuration(
        {
            "roadworthy.yaml": f"version: 1\ntargets:\n  nova:\n{lines}",
            "people.yaml": "people: {ann: {name: Ann, email: ann@example.com}}\n",
        }
    )


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"model": "'*'"},
        {"model": PROFILE},
        {"endpoint": f"{ENDPOINT}/"},
        {"endpoint": "https://proxy.example/bedrock"},
        {"capabilities": "{surfaces: [chat], response_schema: false}"},
    ],
)
def test_what_works_is_taken(keys: dict[str, str]) -> None:
    assert not check(**keys).problems


@pytest.mark.parametrize(
    ("keys", "field", "line", "words"),
    [
        ({"model": "eu/../../v1?x"}, "model", 5, "an ARN"),
        ({"endpoint": None}, "endpoint", 3, "https://bedrock-runtime.REGION.amazonaws.com"),
        ({"endpoint": f"{ENDPOINT}/openai/v1"}, "endpoint", 7, "none"),
        ({"key": None}, "key", 3, "a Bedrock API key, or an AWS access key"),
        ({"capabilities": "{surfaces: [messages]}"}, "capabilities.surfaces", 9, "chat"),
    ],
)
def test_what_cannot_work_is_said_with_its_line(keys: dict[str, str | None], field: str, line: int, words: str) -> None:
    [problem] = check(**keys).problems
    assert (problem.field, problem.line) == (f"targets.nova.{field}", line)
    assert words in problem.expected
    assert problem.mend
