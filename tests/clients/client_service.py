"""The install that the official OpenAI client is tried on: workflows, targets and what the tests say to them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import httpx2
import openai
from openai.lib._parsing import type_to_response_format_param
from pydantic import BaseModel

from support.provider import Recorder
from support.up import Up

SIMULATED = ("main", "backup")
RELEASED = (
    "plain", "open", "ladder", "given", "triage", "vectors", "held", "watched", "wire", "brisk", "down", "ignoring",
    "tiny", "tested", "whole",
)  # fmt: skip
CANNED = "We will write to you tomorrow."


class Service(NamedTuple):
    up: Up
    recorder: Recorder
    """The provider behind the target ``wire``."""
    token: str
    """Of a key that may call everything."""

    def client(self, token: str | None = None) -> openai.OpenAI:
        """The official client, told nothing but where and who."""
        return openai.OpenAI(base_url=self.up.base_url, api_key=token or self.token)

    def post(self, body: dict[str, Any], headers: dict[str, str]) -> httpx2.Response:
        """A chat over a connection of its own."""
        url = f"{self.up.base_url}/chat/completions"
        return httpx2.post(url, json=body, headers=headers, trust_env=False, verify=False)


class Topic(BaseModel):
    topic: str
    urgent: bool


TOPIC_SCHEMA: dict[str, Any] = type_to_response_format_param(Topic)["json_schema"]["schema"]  # type: ignore[index,typeddict-item]
SMALL_SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string", "maxLength": 12}, "urgent": {"type": "boolean"}},
    "required": ["topic", "urgent"],
    "additionalProperties": False,
}

_EVERY_FAILURE = "{unavailable: [canned], slow: [canned], truncated: [canned], invalid: [canned], refused: [canned]}"
_NO_STEPS = "ladder: {unavailable: [], overlimit: [], slow: [], truncated: [], invalid: [], throttled: []}\n"
_OWNED = "owners: {workflow: ada, prompt: ada, cost: ada}\n"
_MANAGED = "prompt: {mode: managed, system: prompt.md}\n"
_HELD = "prompt: {mode: app, system: prompt.md}\n"
_APPS_OWN = "caller_overrides: [tools, tool_choice, response_format, temperature, max_tokens, parallel_tool_calls]\n"


def files(recorder: str) -> dict[str, str]:
    """The configuration; ``recorder`` is the base URL of a provider that keeps what it is sent."""
    simulated = "provider: simulated, price: {input: 1, output: 2, per: 1M}"
    never = "breaker: {calls: 100000}"  # faults are ordered by the hundred, and each test meets its own
    workflows = {
        "plain": _MANAGED + "target: main\n" + _NO_STEPS,
        "open": "target: main\n" + _APPS_OWN,
        "ladder": (
            f"target: main\n{_APPS_OWN}canned: {{text: {CANNED}}}\n"
            "ladder:\n  unavailable: [retry: {times: 1, backoff: 10ms}, canned]\n  invalid: [target: backup, canned]\n"
            "  truncated: [target: backup, canned]\n  refused: [canned]\n"
        ),
        "given": (
            "target: main\noutput: {schema: schema.json}\n"
            f"canned: {{text: {CANNED}, json: {{topic: unknown, urgent: false}}}}\nladder: {_EVERY_FAILURE}\n"
        ),
        "triage": (
            "prompt: {mode: managed, system: prompt.md, inputs: {text: {max_chars: 50}, tone: {default: kind}}}\n"
            "target: wire\n"
        ),
        "vectors": "kind: embeddings\ntarget: main\n",
        "held": _HELD + "target: main\n",
        "watched": _HELD + "target: main\nenforcement: observe\n",
        "whole": "target: wire\nstream: buffered\ncaller_overrides: [tools]\n",
        "wire": "target: wire\ncaller_overrides: [zz, temperature, response_format, tools]\n" + _NO_STEPS,
        "ignoring": "target: wire\ncaller_overrides: ignore\nparameters: {temperature: 0.5, max_tokens: 30}\n",
        "brisk": "target: main\ndeadline: 400ms\n",
        "down": "target: down\n",
        "tiny": "target: tiny\noutput: {schema: schema.json}\nparameters: {temperature: 0, max_tokens: 80}\n",
        "tested": "target: main\npolicy: {testers: [ada], tester: {calls_per_day: 2}, projected_peak: 10}\n",
    }
    prompts = {
        "plain": "You are kind.\n",
        "triage": "Be {{ tone }}. The customer says: {{ text }}\n",
        "held": "You help {{ customer }} politely.\n",
        "watched": "You help {{ customer }} politely.\n",
    }
    return {
        "roadworthy.yaml": (
            "version: 1\ntargets:\n"
            f"  main: {{{simulated}, model: sim-main, simulation: main.yaml, {never}}}\n"
            f"  backup: {{{simulated}, model: sim-backup, simulation: backup.yaml, {never}}}\n"
            f"  wire: {{provider: openai, model: wire-1, endpoint: '{recorder}', allow_private: true, "
            f"key: env:WIRE_KEY, price: {{input: 1, output: 2, per: 1M}}, {never}}}\n"
            "  down: {provider: openai, model: none, endpoint: 'http://127.0.0.1:9/v1', allow_private: true, "
            "price: {input: 1, output: 2}}\n"
            "  tiny: {provider: local, model: SmolLM2-135M-Instruct}\n"
            f"  any: {{provider: openai, model: '*', endpoint: '{recorder}', allow_private: true}}\n"
        ),
        "people.yaml": "people:\n  ada: {name: Ada, email: ada@example.com}\n  bo: {name: Bo, email: bo@example.com}\n",
        "main.yaml": (
            "output_tokens: 12\nfaults:\n  - {fault: content, as: schema_violation, marker: break main}\n"
            "  - {fault: finish, reason: length, marker: cut main}\n"
        ),
        "backup.yaml": "inline_faults: false\n",
        "workflows/adopted/workflow.yaml": _OWNED + "enforcement: observe\npassthrough: any\n",
        **{f"workflows/{name}/workflow.yaml": _released(text) for name, text in workflows.items()},
        **{f"workflows/{name}/prompt.md": prompts.get(name, "\n") for name in workflows},
        "workflows/given/schema.json": json.dumps(TOPIC_SCHEMA),
        "workflows/tiny/schema.json": json.dumps(SMALL_SCHEMA),
    }


def _released(text: str) -> str:
    """A workflow; one without a prompt of its own is for callers that send no system message."""
    prompt = "" if "prompt:" in text or "embeddings" in text else _HELD
    policy = "" if "policy:" in text else "policy: {projected_peak: 10}\n"
    return f"{_OWNED}bypass: app\n{policy}{prompt}{text}"


def ask(text: str, **more: Any) -> list[Any]:
    return [{"role": "user", "content": text, **more}]


def told(answer: Any) -> dict[str, Any]:
    """The ``roadworthy`` object of an answer, of the last chunk of a stream, or of an error."""
    if isinstance(answer, openai.APIStatusError):
        body: dict[str, Any] = answer.response.json()["roadworthy"]
        return body
    extra = answer.model_extra or {}
    found: dict[str, Any] = extra["roadworthy"]
    return found


def text_of(pieces: list[Any], choice: int = 0) -> str:
    """The content of one choice of a stream."""
    return "".join(part.delta.content or "" for piece in pieces for part in piece.choices or () if part.index == choice)
