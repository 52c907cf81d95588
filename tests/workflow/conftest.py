"""A small valid configuration that tests change in one place."""

from __future__ import annotations

import json

import pytest

ROADWORTHY = """\
version: 1
targets:
  main:
    provider: openai
    model: gpt-4o-mini
    key: env:OPENAI_API_KEY
    price: {input: 0.15, output: 0.60, cache_read: 0.075}
  backup:
    provider: anthropic
    model: claude-3-5-haiku
    key: file:/run/secrets/anthropic
    price: {input: 0.8, output: 4}
"""

PEOPLE = """\
people:
  ada: {name: Ada, email: ada@example.com}
  bo: {name: Bo, email: bo@example.com}
"""

WORKFLOW = """\
description: Sorts messages.
owners: {workflow: ada, prompt: ada, cost: bo}
prompt:
  mode: managed
  system: prompt.md
  inputs:
    shop: {description: Name of the shop.}
target: main
parameters: {temperature: 0.2, max_tokens: 200}
output: {schema: output.schema.json}
stream: buffered
deadline: 20s
ladder:
  unavailable: [retry: {times: 2}, target: backup, canned]
  invalid: [retry, canned]
canned:
  text: We will answer soon.
  json: {topic: other}
bypass: app
policy:
  testers: [ada]
  redact: [email]
"""

SCHEMA = {
    "type": "object",
    "properties": {"topic": {"enum": ["order", "other"]}},
    "required": ["topic"],
    "additionalProperties": False,
}


@pytest.fixture
def files() -> dict[str, str]:
    return {
        "roadworthy.yaml": ROADWORTHY,
        "people.yaml": PEOPLE,
        "workflows/triage/workflow.yaml": WORKFLOW,
        "workflows/triage/prompt.md": "You serve {{ shop }}.\n",
        "workflows/triage/output.schema.json": json.dumps(SCHEMA),
    }
