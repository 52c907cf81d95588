"""Every key of the three configuration files: the one table behind parser, published schemas and docs."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from roadworthy.workflow.fields import NAME, Field, ListOf, MapOf, Section
from roadworthy.workflow.inference import Failure
from roadworthy.workflow.kinds import (
    Address,
    Boolean,
    Choice,
    Duration,
    File,
    Json,
    Number,
    Ref,
    Secret,
    Share,
    Text,
    Url,
)
from roadworthy.workflow.model import (
    Canned,
    Capabilities,
    Clocks,
    Objective,
    Owners,
    Policy,
    Price,
    Retention,
    TargetLimits,
)
from roadworthy.workflow.shapes import BypassKind, Overrides, Pattern, StepKind, Timezone, json_file, yaml_file

BUILT_IN_REDACTION: Final = ("email", "phone", "card", "iban", "key")
LADDER_FAILURES: Final = (
    "unavailable",
    "slow",
    "truncated",
    "invalid",
    "refused",
    "overlimit",
    "throttled",
    "context_length",
    "bad_request",
    "misconfigured",
)
_NOT_BUILT_FAILURES: Final = ("unsafe", "overspent")
assert set(LADDER_FAILURES) | set(_NOT_BUILT_FAILURES) | {"gateway_lost"} == set(get_args(Failure))

_TOKENS_PER: Final = {"1": 1, "1K": 1_000, "1M": 1_000_000}


def _price(read: dict[str, Any]) -> Price:
    rate = read.get("usd_per_unit", 1.0)
    unit = _TOKENS_PER[read.get("per", "1M")] / rate
    kinds: tuple[str, ...] = ("input", "output", "cache_read", "cache_write")
    each = {kind: float(f"{read[kind] / unit:.12g}") for kind in kinds if kind in read}
    return msgspec.convert(each | {"per_request": read.get("per_request", 0.0) * rate}, Price)


def _money(doc: str, required: bool = False) -> Field:
    return Field(Number(0, 1e6, "a price, 0 or more"), doc, required)


PRICE: Final = Section(
    "a price table: {input: 0.15, output: 0.60}",
    {
        "input": _money("Price of uncached input tokens.", required=True),
        "output": _money("Price of output tokens.", required=True),
        "cache_read": _money("Price of input tokens read from the provider's cache; else as input."),
        "cache_write": _money("Price of input tokens written to the provider's cache; else as input."),
        "per_request": _money("Price of a call, whatever its tokens."),
        "per": Field(Choice(("1M", "1K", "1")), "How many tokens the prices are for.", default="1M"),
        "usd_per_unit": Field(
            Number(1e-6, 1e6, "US dollars for one unit of the currency"),
            "US dollars for one unit of the currency that the prices are in.",
            default="1",
        ),
    },
    _price,
)

TARGET: Final = Section(
    "a target",
    {
        "provider": Field(
            Choice(("openai", "anthropic", "local", "simulated")),
            "openai is any OpenAI-compatible endpoint; local the bundled model; simulated the rehearsal target.",
            required=True,
        ),
        "model": Field(
            Text("the exact model"),
            "The exact model. '*' passes on what an adopted app asks for, and cannot be frozen into a release.",
            required=True,
        ),
        "endpoint": Field(
            Url(),
            "Base URL with its version path; not for local and simulated.",
            default="the provider's own (https://api.openai.com/v1, https://api.anthropic.com/v1)",
        ),
        "key": Field(Secret(), "Name of the secret that holds the provider's key; never the key itself."),
        "price": Field(PRICE, "What tokens cost, in front of the public price list.", default="the public price list"),
        "discount": Field(Share(), "What your contract takes off the price, declared or listed."),
        "limits": Field(
            Section(
                "limits",
                {
                    "concurrency": Field(
                        Number(1, 100_000, "a whole number of calls", whole=True),
                        "Most calls under way at once, per worker.",
                        default="256",
                    ),
                    "requests_per_minute": Field(
                        Number(1, 10_000_000, "a whole number of calls", whole=True), "The provider's limit on calls."
                    ),
                    "tokens_per_minute": Field(
                        Number(1, 10_000_000_000, "a whole number of tokens", whole=True),
                        "The provider's limit on tokens.",
                    ),
                },
                lambda read: TargetLimits(**read),
            ),
            "What the provider allows.",
        ),
        "capabilities": Field(
            Section(
                "capabilities",
                {
                    "response_schema": Field(Boolean(), "Does it obey a JSON schema?", default="true"),
                    "tools": Field(Boolean(), "Does it call tools?", default="true"),
                    "images": Field(Boolean(), "Does it read images?", default="true"),
                },
                lambda read: Capabilities(**read),
            ),
            "What the model can do.",
        ),
        "allow_private": Field(Boolean(), "May the endpoint be on this machine or a private network?", default="false"),
        "headers": Field(
            MapOf(Text("a header value"), "extra headers", r"[A-Za-z0-9-]{1,64}", "a header name"),
            "Extra fixed headers; no secrets.",
        ),
        "simulation": Field(
            File("a YAML file with the profile of a simulated target", yaml_file), "Only for provider simulated."
        ),
    },
)

ROADWORTHY: Final = Section(
    "the settings of this install",
    {
        "version": Field(Number(1, 1, "1, the format of these files", whole=True), "Format of the files.", True),
        "listen": Field(Address(), "Where apps reach the gateway.", default="127.0.0.1:8400"),
        "metrics": Field(Address(), "Where /metrics is served.", default="127.0.0.1:8401"),
        "workers": Field(Number(1, 256, "a whole number of processes", whole=True), "Gateway processes.", default="1"),
        "timezone": Field(Timezone(), "Time zone in which times are read and printed.", default="UTC"),
        "targets": Field(MapOf(TARGET, "targets by name"), "Exact models at providers, by name.", True),
        "retention": Field(
            Section(
                "retention times",
                {
                    "bodies": Field(Duration(60.0), "How long prompts and answers are kept.", default="30d"),
                    "facts": Field(Duration(60.0), "How long everything else is kept.", default="400d"),
                    "cold_after": Field(Duration(60.0), "After this, days move to Parquet files.", default="7d"),
                },
                lambda read: Retention(**read),
            ),
            "How long the inference log keeps what.",
        ),
        "redaction": Field(
            ListOf(
                Section(
                    "a redaction rule",
                    {
                        "name": Field(Text("a name", NAME, "use lower-case letters"), "Name, for policy.redact.", True),
                        "pattern": Field(Pattern(), "RE2 pattern, applied to the text of bodies.", True),
                        "replacement": Field(Text("the replacement"), "What is written instead.", default="[NAME]"),
                    },
                )
            ),
            f"Own redaction rules, besides the built-in {', '.join(BUILT_IN_REDACTION)}.",
        ),
        "telemetry": Field(
            Section(
                "telemetry settings",
                {
                    "otlp": Field(
                        Section(
                            "an OTLP exporter",
                            {
                                "endpoint": Field(Url(), "OTLP/HTTP endpoint for traces.", True),
                                "headers": Field(Secret(), "Name of the secret that holds its headers: k=v,k=v."),
                            },
                        ),
                        "Where traces are exported to; none by default.",
                    )
                },
            ),
            "Where telemetry goes besides /metrics.",
        ),
        "journal": Field(
            Section(
                "journal settings",
                {
                    "disk_full": Field(
                        Choice(("bypass", "serve_unlogged")),
                        "What calls get when the disk is full and the reserve is used up.",
                        default="bypass",
                    )
                },
            ),
            "The journal between gateway and log.",
        ),
        "proxy": Field(Url(), "HTTP proxy for calls to providers."),
    },
)

PEOPLE: Final = Section(
    "the people",
    {
        "people": Field(
            MapOf(
                Section(
                    "a person",
                    {
                        "name": Field(Text("a name"), "Full name.", True),
                        "email": Field(Text("a mail address", r"[^@\s]+@[^@\s]+"), "Mail address.", True),
                        "phone": Field(Text("a phone number", r"\+?[0-9 ()/.-]{4,30}"), "For pages."),
                        "team": Field(Text("the name of a team", NAME), "Team.", default="default"),
                    },
                ),
                "people by id",
                r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
                "an id of letters, digits, '.', '-' and '_'",
            ),
            "Everybody who may own, test or approve, by id.",
            True,
        )
    },
)

INPUT: Final = Section(
    "an input: {} or {required, default, max_chars, description}",
    {
        "required": Field(Boolean(), "Must every caller fill it?", default="true unless there is a default"),
        "default": Field(Json("text"), "Text when the caller leaves it out."),
        "max_chars": Field(
            Number(1, 10_000_000, "a whole number of characters", whole=True), "Longest text.", default="20000"
        ),
        "description": Field(Text(), "What goes there."),
    },
)

POLICY: Final = Section(
    "a policy",
    {
        "testers": Field(ListOf(Ref("people", "the id of a person"), 25), "People with tester keys, at most 25."),
        "pilot_share": Field(Share(), "Share of traffic of a pilot.", default="1%"),
        "projected_peak": Field(Number(0.0001, 1e6, "calls a second"), "Expected peak, in calls a second."),
        "objective": Field(
            Section(
                "objectives",
                {
                    "latency_p95": Field(Duration(), "95 % of calls are answered within this."),
                    "error_share": Field(Share(), "At most this share of calls ends as an error."),
                },
                lambda read: Objective(**read),
            ),
            "What the workflow aims for.",
        ),
        "limits": Field(
            Section(
                "limits",
                {
                    "requests_per_minute_per_key": Field(
                        Number(1, 10_000_000, "a whole number of calls", whole=True), "Most calls a minute of one key."
                    )
                },
            ),
            "Limits on callers.",
        ),
        "tester": Field(
            Section(
                "tester limits",
                {
                    "calls_per_day": Field(
                        Number(1, 1_000_000, "a whole number of calls", whole=True), "Of one tester key.", default="200"
                    ),
                    "usd_per_day": Field(Number(0.0, 1e6, "US dollars"), "Of one tester key.", default="5"),
                },
            ),
            "What one tester may use.",
        ),
        "redact": Field(
            ListOf(Ref("redaction", "the name of a redaction rule")), "Rules applied before anything is written."
        ),
        "log_bodies": Field(Boolean(), "Are prompts and answers kept in the log?", default="true"),
    },
    lambda read: Policy(
        **{k: v for k, v in read.items() if k not in ("limits", "tester")},
        **read.get("limits", {}),
        **{f"tester_{k}": v for k, v in read.get("tester", {}).items()},
    ),
)

PROMPT: Final = Section(
    "a prompt: {mode: managed, system: prompt.md}",
    {
        "mode": Field(
            Choice(("managed", "app")),
            "managed: the release renders the system message. app: the app sends it and it must match.",
            required=True,
        ),
        "system": Field(File("a text file with {{ holes }}"), "File with the system prompt.", True),
        "inputs": Field(
            MapOf(INPUT, "inputs by name", r"[A-Za-z_][A-Za-z0-9_]{0,63}", "a name of letters, digits and _"),
            "The holes of the prompt.",
        ),
    },
)

WORKFLOW: Final = Section(
    "a workflow",
    {
        "description": Field(Text(), "What it does, in a sentence."),
        "team": Field(Text("the name of a team", NAME), "Team it belongs to.", default="default"),
        "owners": Field(
            Section(
                "owners: {workflow, prompt, cost}",
                {
                    "workflow": Field(Ref("people", "the id of a person"), "Answers for the workflow.", True),
                    "prompt": Field(Ref("people", "the id of a person"), "Answers for the prompt.", True),
                    "cost": Field(Ref("people", "the id of a person"), "Answers for what it costs.", True),
                },
                lambda read: Owners(**read),
            ),
            "The people who answer for it.",
            required=True,
        ),
        "enforcement": Field(
            Choice(("enforce", "observe")),
            "enforce: calls that differ from the release are refused. observe: they are only recorded.",
            default="enforce",
        ),
        "kind": Field(Choice(("chat", "embeddings")), "Which API it serves.", default="chat"),
        "prompt": Field(PROMPT, "The system prompt (chat only).", default="none"),
        "target": Field(Ref("targets", "the name of a target"), "First target; required for a release."),
        "parameters": Field(Json("request fields", mapping=True), "Fixed request fields such as temperature."),
        "tools": Field(File("a JSON file with a list of tools", json_file), "Tools, as the OpenAI API takes them."),
        "output": Field(
            Section(
                "an output: {schema: output.schema.json}",
                {
                    "schema": Field(
                        File("a JSON Schema file", json_file), "JSON Schema that every answer must satisfy.", True
                    )
                },
            ),
            "What the answer must look like.",
        ),
        "caller_overrides": Field(
            Overrides(), "What happens to parameters, tools and schema that callers set.", default="refuse"
        ),
        "stream": Field(
            Choice(("passthrough", "buffered"), not_built=("windowed",)),
            "passthrough: chunks leave as they come. buffered: checked as a whole first.",
            default="buffered with a schema, else passthrough",
        ),
        "deadline": Field(Duration(0.05, 3600.0), "Time for a whole call, all attempts included.", default="60s"),
        "clocks": Field(
            Section(
                "clocks",
                {
                    "connect": Field(Duration(0.01, 600.0), "To connect.", default="5s"),
                    "first_token": Field(Duration(0.01, 3600.0), "To the first token.", default="20s"),
                    "idle": Field(Duration(0.01, 3600.0), "Between two chunks.", default="15s"),
                    "total": Field(Duration(0.01, 3600.0), "For one attempt.", default="60s"),
                },
                lambda read: Clocks(**read),
            ),
            "Time limits of one attempt.",
        ),
        "ladder": Field(
            MapOf(
                ListOf(StepKind(), 10),
                "steps by failure",
                "|".join(LADDER_FAILURES),
                "a failure: " + ", ".join(LADDER_FAILURES),
            ),
            "For each failure, the steps that are taken in order.",
        ),
        "canned": Field(
            Section(
                "a canned answer: {text: …}",
                {
                    "text": Field(Text("what the customer reads"), "What the customer reads.", True),
                    "json": Field(Json(), "The same as JSON, where a schema applies; must validate."),
                },
                lambda read: Canned(**read),
            ),
            "The answer when no model answered.",
        ),
        "bypass": Field(BypassKind(), "What users get instead of the AI when it is off; required for a release."),
        "policy": Field(POLICY, "What may change without a release."),
        "rubric": Field(File("a text file"), "File with the rubric by which people score answers."),
        "passthrough": Field(
            Ref("targets", "the name of a target"), "Target of an adopted app until it has a release."
        ),
    },
)
