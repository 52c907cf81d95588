"""What docs/clients.md notes of each client: retries left on, structured outputs that nobody made, broken streams."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest

from support.snippets import Snippet, printed
from support.up import Up
from test_snippets import command

BEGIN = """
import logging, os
logging.disable(logging.CRITICAL)
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import openai, pydantic
url, key, workflow = (os.environ["ROADWORTHY_" + name] for name in ("BASE_URL", "API_KEY", "WORKFLOW"))
question = "Where is my parcel?"
class Topic(pydantic.BaseModel):
    topic: str
"""
LANGCHAIN = """
from langchain_openai import ChatOpenAI
model = ChatOpenAI(base_url=url, api_key=key, model=workflow)
"""
LLAMAINDEX = """
from llama_index.llms.openai_like import OpenAILike
model = OpenAILike(api_base=url, api_key=key, model=workflow, is_chat_model=True, max_retries=RETRIES)
"""
PYDANTIC_AI = """
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
model = OpenAIChatModel(workflow, provider=OpenAIProvider(base_url=url, api_key=key))
"""
INSTRUCTOR = """
import instructor
from instructor.core import InstructorRetryException
create = instructor.from_openai(openai.OpenAI(base_url=url, api_key=key)).chat.completions.create
asked = {"model": workflow, "messages": [{"role": "user", "content": question}], "response_model": Topic}
"""
LITELLM = """
import litellm
litellm.suppress_debug_info = True
asked = {"model": "openai/" + workflow, "api_base": url, "api_key": key}
asked["messages"] = [{"role": "user", "content": question}]
"""
AI_SDK = """
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
const { ROADWORTHY_BASE_URL: baseURL, ROADWORTHY_API_KEY: apiKey, ROADWORTHY_WORKFLOW } = process.env;
const make = createOpenAICompatible({ name: "roadworthy", baseURL, apiKey });
const model = make(ROADWORTHY_WORKFLOW);
"""
CUT = "[[fault cut]]"


def caught(call: str, error: str) -> str:
    return f"try:\n    {call}\nexcept {error} as error:\n    print(type(error).__name__, getattr(error, 'code', ''))\n"


RETRIED: dict[str, tuple[str, int]] = {
    "langchain": (LANGCHAIN + caught("model.invoke(question)", "openai.APIStatusError"), 1),
    "llamaindex": (
        LLAMAINDEX.replace("RETRIES", "2") + caught("model.complete(question)", "openai.APIStatusError"), 2),
    "pydantic-ai": (PYDANTIC_AI + caught("Agent(model).run_sync(question)", "Exception"), 1),
    "instructor": (INSTRUCTOR + caught("create(**asked)", "InstructorRetryException"), 1),
    "litellm": (LITELLM + caught("litellm.completion(**asked)", "litellm.ServiceUnavailableError"), 1),
    "litellm with num_retries": (
        LITELLM + caught("litellm.completion(num_retries=1, **asked)", "litellm.ServiceUnavailableError"), 2),
    "ai-sdk": (
        AI_SDK + "await generateText({ model, prompt: 'x', maxRetries: 1 }).catch((error) => console.log(error.name));",
        2),
}  # fmt: skip
"""Client → (a call that ends as an error, how often the gateway is asked)."""

UNMADE: dict[str, tuple[str, str]] = {
    "langchain": (
        LANGCHAIN + "from langchain_openai.chat_models.base import OpenAIRefusalError\n"
        + caught("model.with_structured_output(Topic).invoke(question)", "OpenAIRefusalError")
        + "    print(error)", "We will write to you tomorrow."),
    "pydantic-ai": (
        PYDANTIC_AI + "from pydantic_ai.exceptions import ContentFilterError\n"
        + caught("Agent(model, output_type=Topic).run_sync(question)", "ContentFilterError")
        + "    print(str(error).splitlines()[0])", ".*We will write to you tomorrow.*"),
    "instructor": (
        INSTRUCTOR + caught("create(**asked)", "InstructorRetryException") + "    print(error)",
        ".*We will write to you tomorrow.*"),
}  # fmt: skip
"""Client → (structured output asked of a workflow that answers with a canned text, what is printed last)."""

BROKEN: dict[str, tuple[str, str]] = {
    "langchain": (LANGCHAIN + caught(f"list(model.stream({CUT!r}))", "openai.APIError"), ".* truncated"),
    "llamaindex": (
        LLAMAINDEX.replace("RETRIES", "0") + caught(f"list(model.stream_complete({CUT!r}))", "openai.APIError"),
        ".* truncated"),
    "pydantic-ai": (
        PYDANTIC_AI + "import asyncio\nasync def stream():\n"
        f"    async with Agent(model).run_stream({CUT!r}) as told:\n"
        "        async for _ in told.stream_text(): pass\n" + caught("asyncio.run(stream())", "openai.APIError"),
        ".* truncated"),
    "litellm": (
        LITELLM + f"asked['messages'][0]['content'] = {CUT!r}\n"
        + caught("list(litellm.completion(stream=True, **asked))", "litellm.ServiceUnavailableError"), "Mid.*"),
    "ai-sdk": (
        AI_SDK + f"const told = streamText({{ model, prompt: {CUT!r}, maxRetries: 0, onError() {{}} }});\n"
        "let text = '';\nfor await (const piece of told.textStream) text += piece;\n"
        "console.log(text.length > 0, await told.finishReason);", "true error"),
}  # fmt: skip
"""Client → (a stream that breaks, what is printed last)."""


def run(up: Up, name: str, code: str, workflow: str, folder: Path) -> tuple[str, int]:
    """What was printed last, and how many calls were made."""
    language = "js" if "import {" in code else "python"
    snippet = Snippet(re.sub(r"\W+", "-", name), language, code if language == "js" else BEGIN + code)
    before = {record["id"] for record in up.records(workflow=workflow)}
    environment = {
        "ROADWORTHY_BASE_URL": up.base_url, "ROADWORTHY_API_KEY": up.key(secrets.token_hex(4)),
        "ROADWORTHY_WORKFLOW": workflow,
    }  # fmt: skip
    [said] = printed(snippet, [environment], folder, command=command(snippet, folder))
    return said.rstrip().rpartition("\n")[2], len(
        [record for record in up.records(workflow=workflow) if record["id"] not in before]
    )


@pytest.mark.parametrize("name", RETRIED)
def test_a_client_asks_as_often_as_the_page_says(up: Up, name: str, tmp_path: Path) -> None:
    code, calls = RETRIED[name]
    said, made = run(up, name, code, "error", tmp_path)
    assert "Error" in said or "Exception" in said
    assert made == calls


@pytest.mark.parametrize("name", UNMADE)
def test_an_answer_that_no_model_wrote_where_a_schema_was_asked_raises_with_its_text(
    up: Up, name: str, tmp_path: Path
) -> None:
    code, last = UNMADE[name]
    said, made = run(up, name, code, "canned", tmp_path)
    assert re.fullmatch(last, said), said
    assert made == 1


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_is_never_taken_for_whole(up: Up, name: str, tmp_path: Path) -> None:
    code, last = BROKEN[name]
    said, made = run(up, name, code, "answered", tmp_path)
    assert re.fullmatch(last, said), said
    assert made == 1
