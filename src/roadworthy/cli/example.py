"""The working example that ``roadworthy init`` writes."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from roadworthy.cli.errors import BadInput

ME: Final = "me"
"""Id of the developer in the example's people.yaml: owner of everything, and a tester."""

_TARGETS: Final = {
    "openai": """\
    provider: openai               # any OpenAI-compatible endpoint
    model: gpt-4o-mini             # an exact model; prices of known models are built in
    # endpoint: https://api.openai.com/v1
    key: env:OPENAI_API_KEY        # the name of the secret, never the secret""",
    "anthropic": """\
    provider: anthropic            # its Messages API, spoken natively
    model: claude-haiku-4-5
    key: env:ANTHROPIC_API_KEY     # the name of the secret, never the secret""",
    "gemini": """\
    provider: gemini               # Google's generateContent, spoken natively
    model: gemini-2.5-flash
    key: env:GEMINI_API_KEY        # the name of the secret, never the secret""",
    "bedrock": """\
    provider: bedrock              # Amazon's Converse; with an AWS key: pip install 'roadworthy[bedrock]'
    model: eu.anthropic.claude-haiku-4-5-20251001-v1:0
    endpoint: https://bedrock-runtime.eu-central-1.amazonaws.com   # of your region
    key: env:AWS_BEARER_TOKEN_BEDROCK   # a Bedrock API key, or ACCESS_KEY_ID:SECRET_ACCESS_KEY""",
    "local": """\
    provider: local                # the small model of the extra `demo`, in a process of its own
    model: SmolLM2-135M-Instruct
    price: {input: 0, output: 0}""",
    "simulated": """\
    provider: simulated            # a rehearsal target: it answers with made-up text, and every record says so
    model: rehearsal
    price: {input: 0, output: 0}
    # Replace it by a real one:
    # provider: openai
    # model: gpt-4o-mini
    # key: env:OPENAI_API_KEY      # the name of the secret, never the secret""",
}

SCHEMAS: Final = ".roadworthy-schemas"
"""Folder of the JSON Schemas by which an editor completes and checks the files, offline."""

_SETTINGS: Final = """\
# yaml-language-server: $schema=.roadworthy-schemas/roadworthy.schema.json
# The settings of this install and its targets.  `roadworthy check` validates everything here.
version: 1
timezone: {timezone}
targets:
  main:
{target}
retention:
  bodies: 30d                      # prompts and answers
  facts: 400d                      # everything else
"""

_PEOPLE: Final = """\
# yaml-language-server: $schema=.roadworthy-schemas/people.schema.json
# Who owns, tests and approves.  Workflows name these ids.
people:
  me:
    name: Me Myself
    email: me@example.com
"""

_WORKFLOW: Final = """\
# yaml-language-server: $schema=../../.roadworthy-schemas/workflow.schema.json
# One AI feature.  Callers name it as the OpenAI `model`.
description: Answers a greeting, to see that everything works.
owners:
  workflow: me
  prompt: me
  cost: me
prompt:
  mode: managed                    # the release renders the system message; callers fill its holes
  system: prompt.md
  inputs:
    product: {default: Roadworthy, description: what the assistant is for}
enforcement: enforce               # live users get it once its gate has passed and its ramp begun; `observe`: at once
target: main
parameters:
  max_tokens: 200
stream: buffered                   # an answer leaves whole, so every failure can be mended first; or passthrough
deadline: 30s
ladder:                            # for each failure, the steps in order; `roadworthy explain` says what that comes to
  unavailable: [retry: {times: 1}, canned]
  slow: [canned]
  overlimit: [retry: {times: 1}, canned]
canned:
  text: We cannot answer right now. Please try again in a few minutes.
bypass: app                        # a stopped workflow answers 503: the app takes its old path
policy:
  testers: [me]                    # people with tester keys, whose calls reach the model before anybody else's
"""

_PROMPT: Final = """\
You are the friendly assistant of {{ product }}. Answer in at most two sentences.
"""


def likely_provider(environ: Mapping[str, str]) -> str:
    """The provider that will work here without anything else being set up."""
    if environ.get("OPENAI_API_KEY"):
        return "openai"
    if environ.get("ANTHROPIC_API_KEY"):
        return "anthropic"
    if environ.get("GEMINI_API_KEY"):
        return "gemini"
    return "local" if importlib.util.find_spec("xllamacpp") else "simulated"


def example(provider: str, timezone: str = "UTC") -> dict[str, str]:
    """Relative path → text."""
    return {
        "roadworthy.yaml": _SETTINGS.format(target=_TARGETS[provider], timezone=timezone),
        "people.yaml": _PEOPLE,
        "workflows/hello/workflow.yaml": _WORKFLOW,
        "workflows/hello/prompt.md": _PROMPT,
    }


def write_example(folder: Path, provider: str) -> list[Path]:
    """Write the example and the schemas for editors, whole or not at all, and return the example's paths.

    Raises ``BadInput`` naming the first file that exists already.
    """
    from tzlocal import get_localzone_name

    from roadworthy.workflow import published

    zone = get_localzone_name() or "UTC"
    files = example(provider, "UTC" if zone == "Etc/UTC" else zone)
    schemas = {f"{SCHEMAS}/{name}.schema.json": published.schema_text(name) for name in published.FILES}
    return write_files(folder, {**files, **schemas})[: len(files)]


def write_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write new files under ``folder``; what was written is removed again when one of them fails."""
    paths = {folder / name: text for name, text in files.items()}
    for path in paths:
        if path.exists():
            raise BadInput(f"{path}: exists already; nothing was written", "choose a new folder, or remove the file")
    written: list[Path] = []
    done = False
    try:
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
        done = True
    finally:
        if not done:
            for path in written:
                path.unlink(missing_ok=True)
    return written
