"""docs/targets.md tells the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from roadworthy.adapters.providers.bedrock_request import CLAUDES
from roadworthy.adapters.providers.bedrock_request import OWN as BEDROCKS_OWN
from roadworthy.adapters.providers.gemini_request import BESIDE as GEMINI_FIELDS
from roadworthy.adapters.providers.gemini_request import SKIPPED_SIGNATURE
from roadworthy.adapters.providers.local import CONTEXT, MODEL
from roadworthy.formats.messages.request import DEFAULT_MAX_TOKENS
from roadworthy.workflow import simulation
from roadworthy.workflow.files import DEFAULT_ENDPOINTS, read_configuration

DOC = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()
ROWS = [line for line in DOC.splitlines() if line.startswith("| `")]


def test_the_example_profile_runs():
    (example,) = re.findall(r"```yaml\n# rehearsal.yaml\n(.*?)```", DOC, re.DOTALL)
    profile = simulation.parse(yaml.safe_load(example))
    assert len(profile.faults) == 4


@pytest.mark.parametrize("name", sorted(simulation.FAULTS))
def test_every_fault_is_described_with_its_options(name):
    (row,) = [row for row in ROWS if f"`{name}`" in row.split("|")[1]]
    for option in simulation.FAULTS[name]:
        assert f"`{option}`" in row


@pytest.mark.parametrize("field", sorted(simulation.Profile.__struct_fields__))
def test_every_field_of_a_profile_is_described(field):
    assert any(f"`{field}`" in row.split("|")[1] for row in ROWS)


def test_numbers_are_those_of_the_code():
    assert f"`max_tokens` is {DEFAULT_MAX_TOKENS}" in DOC
    assert f"{CONTEXT} tokens for prompt and answer" in DOC
    assert f"model: {MODEL}" in DOC


def test_every_field_of_geminis_own_is_named():
    for name in [*GEMINI_FIELDS, "top_k", "media_resolution", "thinking_config", "reasoning_effort"]:
        assert f"`{name}`" in DOC
    assert SKIPPED_SIGNATURE in DOC
    assert DEFAULT_ENDPOINTS["gemini"] in DOC


@pytest.mark.parametrize("name", [*BEDROCKS_OWN, *CLAUDES])
def test_every_field_of_bedrocks_own_is_described(name):
    assert f"`{name}`" in DOC.partition("## Amazon Bedrock")[2].partition("\n## ")[0]


def test_check_refuses_a_profile_by_its_field():
    target = "{provider: simulated, model: m, price: {input: 0, output: 0}, simulation: slow.yaml}"
    files = {
        "roadworthy.yaml": f"version: 1\ntargets:\n  slow: {target}\n",
        "people.yaml": "people: {ann: {name: Ann, email: ann@example.com}}\n",
        "slow.yaml": "faults:\n  - {fault: status, code: 42}\n",
    }
    (problem,) = read_configuration(files).problems
    assert problem.field == "targets.slow.simulation.faults[0].code"
    assert "42" in problem.found
    assert "400 to 599" in problem.expected
