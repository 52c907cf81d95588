"""The same checks with each official client: told where and what to try, it says what it saw.

``official.mjs`` does them with the clients for Node.  As a program it reads its tasks from standard input and prints
what it saw, so that it runs under any version of the clients; it imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

PARAMETERS = {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}
TOPIC = {
    "type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"], "additionalProperties": False,
}  # fmt: skip
Told = dict[str, Any]


def ask(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


class Chat:
    def __init__(self, url: str, key: str) -> None:
        import openai

        self.client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key)
        self.failures: tuple[type[Exception], ...] = (openai.APIError,)

    async def create(self, model: str, text: str, **more: Any) -> Any:
        return await self.client.with_options(**more).chat.completions.create(model=model, messages=ask(text))

    async def whole(self, model: str, text: str) -> tuple[str, Told, str]:
        answer = await self.create(model, text)
        message = answer.choices[0].message
        return message.content or message.refusal, answer.roadworthy, answer._request_id

    async def stream(self, model: str, text: str, told: Told) -> AsyncIterator[str]:
        async with await self.client.chat.completions.create(model=model, messages=ask(text), stream=True) as chunks:
            async for chunk in chunks:
                told.update(getattr(chunk, "roadworthy", {}))
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    async def tools(self, model: str) -> tuple[str, Any, str | None]:
        tool: Any = {"type": "function", "function": {"name": "look_up", "parameters": PARAMETERS}}
        create = self.client.chat.completions.create
        first = await create(model=model, messages=ask("order 7?"), tools=[tool])
        said: Any = first.choices[0].message
        [called] = said.tool_calls
        result = {"role": "tool", "tool_call_id": called.id, "content": "on its way"}
        messages = [*ask("order 7?"), said.model_dump(exclude_none=True), result]
        second = await create(model=model, messages=messages, tools=[tool])
        return called.function.name, json.loads(called.function.arguments), second.choices[0].message.content

    async def structured(self, model: str) -> Any:
        schema: Any = {"type": "json_schema", "json_schema": {"name": "topic", "strict": True, "schema": TOPIC}}
        answer = await self.client.chat.completions.create(model=model, messages=ask("bill"), response_format=schema)
        return json.loads(answer.choices[0].message.content or "")


class Responses(Chat):
    async def create(self, model: str, text: str, **more: Any) -> Any:
        return await self.client.with_options(**more).responses.create(model=model, input=text)

    async def whole(self, model: str, text: str) -> tuple[str, Told, str]:
        answer = await self.create(model, text)
        return answer.output_text, answer.roadworthy, answer._request_id

    async def stream(self, model: str, text: str, told: Told) -> AsyncIterator[str]:
        async with await self.client.responses.create(model=model, input=text, stream=True) as events:
            async for event in events:
                told.update(getattr(getattr(event, "response", None), "roadworthy", {}))
                if event.type == "response.output_text.delta":
                    yield event.delta

    async def tools(self, model: str) -> tuple[str, Any, str | None]:
        tool: Any = {"type": "function", "name": "look_up", "parameters": PARAMETERS, "strict": False}
        first = await self.client.responses.create(model=model, input="order 7?", tools=[tool])
        [called] = [item for item in first.output if item.type == "function_call"]
        result = {"type": "function_call_output", "call_id": called.call_id, "output": "on its way"}
        told: Any = [*ask("order 7?"), *(item.model_dump(exclude_none=True) for item in first.output), result]
        second = await self.client.responses.create(model=model, input=told, tools=[tool])
        return called.name, json.loads(called.arguments), second.output_text

    async def structured(self, model: str) -> Any:
        format: Any = {"type": "json_schema", "name": "topic", "strict": True, "schema": TOPIC}
        answer = await self.client.responses.create(model=model, input="bill", text={"format": format})
        return json.loads(answer.output_text)


class Messages:
    def __init__(self, url: str, key: str) -> None:
        import anthropic

        self.client = anthropic.AsyncAnthropic(base_url=url, api_key=key)
        self.failures: tuple[type[Exception], ...] = (anthropic.APIError,)

    async def create(self, model: str, text: str, **more: Any) -> Any:
        return await self.client.with_options(**more).messages.create(model=model, max_tokens=100, messages=ask(text))

    async def whole(self, model: str, text: str) -> tuple[str, Told, str]:
        answer = await self.create(model, text)
        return "".join(block.text for block in answer.content), answer.roadworthy, answer._request_id

    async def stream(self, model: str, text: str, told: Told) -> AsyncIterator[str]:
        asked: Any = {"model": model, "max_tokens": 100, "messages": ask(text), "stream": True}
        async with await self.client.messages.create(**asked) as events:
            async for event in events:
                told.update(getattr(event, "roadworthy", {}))
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield event.delta.text

    async def tools(self, model: str) -> tuple[str, Any, str | None]:
        tool: Any = {"name": "look_up", "input_schema": PARAMETERS}
        more: Any = {"model": model, "max_tokens": 100, "tools": [tool]}
        first = await self.client.messages.create(messages=ask("order 7?"), **more)
        [called] = [block for block in first.content if block.type == "tool_use"]
        result = {"type": "tool_result", "tool_use_id": called.id, "content": "on its way"}
        turns = [*ask("order 7?"), {"role": "assistant", "content": first.content}, *ask([result])]  # type: ignore[arg-type]
        second = await self.client.messages.create(messages=turns, **more)
        return called.name, called.input, "".join(block.text for block in second.content if block.type == "text")

    async def structured(self, model: str) -> Any:
        more: Any = {"output_config": {"format": {"type": "json_schema", "schema": TOPIC}}}
        answer = await self.client.messages.create(model=model, max_tokens=100, messages=ask("bill"), **more)
        return json.loads("".join(block.text for block in answer.content if block.type == "text"))


SURFACES: dict[str, Any] = {"chat": Chat, "responses": Responses, "messages": Messages}


def failed(error: Any) -> dict[str, Any]:
    body = error.body if isinstance(error.body, dict) else {}
    code = getattr(error, "code", None) or body.get("code") or body.get("error", {}).get("code")
    return {"error": type(error).__name__, "status": getattr(error, "status_code", None), "code": code}


class Checks:
    """``task``: {url, key, surface, workflow, tries, parallel}; ``tries``: name → (workflow, what is asked)."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.workflow: str = task["workflow"]
        self.does = SURFACES[task["surface"]](task["url"], task["key"])

    async def all(self) -> dict[str, Any]:
        names = ("chat", "stream", "tools", "structured", "outcomes", "broken", "cancelled", "late", "parallel")
        async with self.does.client:
            return {name: await getattr(self, name)() for name in names}

    async def _streamed(self, model: str, text: str) -> tuple[str, int, Told]:
        told: Told = {}
        pieces = [piece async for piece in self.does.stream(model, text, told)]
        return "".join(pieces), len(pieces), told

    async def chat(self) -> Any:
        text, told, ident = await self.does.whole(self.workflow, "hello")
        return {"text": bool(text), "outcome": told["outcome"], "named": ident == told["inference"]}

    async def stream(self) -> Any:
        text, pieces, told = await self._streamed(self.workflow, "pieces")
        return {"text": bool(text), "pieces": pieces > 3, "outcome": told["outcome"]}

    async def tools(self) -> Any:
        name, given, after = await self.does.tools(self.workflow)
        return {"name": name, "order": isinstance(given["order"], int), "text": bool(after)}

    async def structured(self) -> Any:
        return {"topic": "string" if isinstance((await self.does.structured(self.workflow))["topic"], str) else "?"}

    async def outcomes(self) -> Any:
        made = {}
        for name, (model, text) in self.task["tries"].items():
            try:
                said, told, _ = await self.does.whole(model, text)
                whole: Any = {"outcome": told["outcome"], "text": said}
            except self.does.failures as error:
                whole = failed(error)
            try:
                said, _, told = await self._streamed(model, f"{text} again")
                stream: Any = {"outcome": told["outcome"], "text": said}
            except self.does.failures as error:
                stream = failed(error)
            made[name] = [whole, stream]
        return made

    async def broken(self) -> Any:
        try:
            await self._streamed(self.workflow, "x [[fault cut]]")
        except self.does.failures as error:
            return failed(error)
        return "whole"

    async def cancelled(self) -> Any:
        pieces = 0
        stream = self.does.stream(self.workflow, "leave [[fault stall seconds=20s]]", {})
        async for _ in stream:
            pieces += 1
            break
        await stream.aclose()
        return {"pieces": pieces > 0}

    async def late(self) -> Any:
        asked = "late [[fault stall at=before_first_byte seconds=20s]]"
        try:
            await self.does.create(self.workflow, asked, timeout=0.3, max_retries=0)
        except self.does.failures as error:
            return failed(error)
        return "answered"

    async def parallel(self) -> Any:
        calls = (self._streamed(self.workflow, f"call {number}") for number in range(self.task["parallel"]))
        told = await asyncio.gather(*calls)
        return sum(bool(text) and told["outcome"] == "answered" for text, _, told in told)


def see(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [asyncio.run(Checks(task).all()) for task in tasks]


if __name__ == "__main__":
    print(json.dumps(see(json.load(sys.stdin)["tasks"])))
