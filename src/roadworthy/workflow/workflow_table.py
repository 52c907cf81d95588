"""Every key of workflow.yaml: with ``tables`` the one table behind parser, published schemas and docs."""

from __future__ import annotations

from typing import Final

from roadworthy.workflow.checks_kind import ChecksKind
from roadworthy.workflow.evals_table import EVALS
from roadworthy.workflow.fields import NAME, Field, ListOf, MapOf, Section
from roadworthy.workflow.kinds import Boolean, Choice, Duration, File, Json, Number, Ref, Share, Text
from roadworthy.workflow.ladder import LADDER_FAILURES
from roadworthy.workflow.model import CacheSpec, Canned, Clocks, Hedge, Owners
from roadworthy.workflow.policy_table import POLICY
from roadworthy.workflow.shapes import BypassKind, HedgeAfter, Overrides, StepKind, StreamKind, json_file

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
        "canary": Field(
            Boolean(),
            "End the rendered prompt with a secret mark that no answer may hold (managed prompts; check prompt_leak).",
            default="false",
        ),
    },
)


def _answer(says: str) -> Section:
    return Section(
        f"{says}: {{text: …}}",
        {
            "text": Field(Text("what the customer reads"), "What the customer reads.", True),
            "json": Field(Json(), "The same as JSON, where a schema applies; must validate."),
        },
        lambda read: Canned(**read),
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
                    "on_call": Field(
                        Ref("on_call", "the id of a person or the name of a rotation"),
                        "Is woken when it breaks (docs/on-call.md).",
                        default="the team's rotation, else the owner of the workflow",
                    ),
                },
                lambda read: Owners(**read),
            ),
            "The people who answer for it.",
            required=True,
        ),
        "enforcement": Field(
            Choice(("enforce", "observe")),
            "enforce: traffic follows evidence, and calls that differ from the release are refused. observe: served as "
            "before for at most 30 days, and what enforcement would have done is recorded (docs/enforcement.md).",
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
                    ),
                    "repair_json": Field(
                        Boolean(), "Mend an answer that is nearly JSON, then check it again.", default="false"
                    ),
                },
            ),
            "What the answer must look like.",
        ),
        "caller_overrides": Field(
            Overrides(), "What happens to parameters, tools and schema that callers set.", default="refuse"
        ),
        "stream": Field(
            StreamKind(),
            "passthrough: chunks leave as they come. windowed: the last CHARACTERS (400) are held back for checks of "
            "short pieces. buffered: checked as a whole first.",
            default="buffered with a schema, tools or checks, else passthrough",
        ),
        "continuation": Field(
            Number(0, 3, "a whole number of times", whole=True),
            "How often a stream that broke in the middle is gone on with; the target's 'prefill' must allow it.",
            default="0",
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
            "For each failure, the steps that are taken in order; one that is not named follows the default steps.",
        ),
        "canned": Field(_answer("a canned answer"), "The answer when no model answered."),
        "holding": Field(_answer("a holding answer"), "What an escalated customer reads while a human looks at it."),
        "blocked": Field(
            _answer("a blocked answer"),
            "What a customer reads whose answer was dropped and for whom no step is left.",
            default="a built-in text",
        ),
        "repair_prompt": Field(
            File("a text file with {{ errors }}"),
            "File with the message that asks for a repair.",
            default="a built-in one",
        ),
        "checks": Field(ChecksKind(), "What every answer is checked for, in this order; docs/checks.md has them all."),
        "cache": Field(
            Section(
                "a cache: {max_age: 1h}",
                {
                    "use": Field(
                        Choice(("step", "always")),
                        "step: only where the ladder says 'cache'. always: before a target is called.",
                        default="step",
                    ),
                    "max_age": Field(Duration(1.0, 30 * 86400.0), "Oldest answer that may be given.", default="1h"),
                    "shared": Field(
                        Boolean(), "Is an answer safe to give to another user than its own?", default="false"
                    ),
                },
                lambda read: CacheSpec(**read),
            ),
            "Keep good answers, to give them again to the same request.",
        ),
        "hedge": Field(
            Section(
                "a hedge: {after: auto}",
                {
                    "after": Field(
                        HedgeAfter(), "Time without a first token until a second attempt begins.", default="auto"
                    ),
                    "target": Field(
                        Ref("targets", "the name of a target"), "Who is asked beside.", default="the same target"
                    ),
                    "share": Field(Share(), "Most of the calls that may be hedged.", default="5%"),
                },
                lambda read: Hedge(**read),
            ),
            "Ask a second time beside an attempt that is late, and take the faster one.",
        ),
        "bypass": Field(BypassKind(), "What users get instead of the AI when it is off; required for a release."),
        "policy": Field(POLICY, "What may change without a release."),
        "cost_centre": Field(
            Text("a cost centre", r".{1,60}"), "Who pays for it, as finance calls it.", default="the team's"
        ),
        "rubric": Field(File("a text file"), "File with the rubric by which people score answers."),
        "evals": Field(EVALS, "How its answers are judged; it takes effect with the next published set of examples."),
        "passthrough": Field(
            Ref("targets", "the name of a target"), "Target of an adopted app until it has a release."
        ),
    },
)
