"""Claims about what a target cannot do: such a request never reaches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import Bench, chat, completion, on_loop, release, said, target

from roadworthy.gateway.admission.capabilities import lacking
from roadworthy.http1.errors import Disconnected
from roadworthy.workflow.model import Canned, Capabilities, Handling, Step

IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}]
TOOL = {"type": "function", "function": {"name": "look_up"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("tools", "tools", {"tools": [TOOL]}),
    ("tools", "functions", {"functions": [{"name": "look_up"}]}),
    ("images", "messages", {"messages": IMAGE}),
    ("response_schema", "response_format", {"response_format": SCHEMA}),
]


def limited(*names: str, **capabilities: bool) -> dict[str, Any]:
    able = Capabilities(**capabilities)
    targets = {
        name: target(name, capabilities=able if name in names else Capabilities()) for name in ("main", "backup")
    }
    return {"targets": targets}


@pytest.mark.parametrize(("capability", "field", "asked"), ASKED)
def test_a_target_is_never_asked_what_it_cannot_do(
    tmp_path: Path, capability: str, field: str, asked: dict[str, Any]
) -> None:
    @on_loop
    async def ask() -> None:
        bench = Bench(tmp_path, passthrough="main", snapshot=limited("main", **{capability: False}))
        answer = await bench.post(chat(**asked))
        assert answer.status == 400
        error = said(answer)["error"]
        assert (error["param"], error["code"]) == (field, "bad_request")
        assert "main" in error["message"]
        assert f"capabilities.{capability}" in error["message"]
        assert bench.upstream.sent == []
        assert bench.taken() == 0

    ask()


@on_loop
async def test_a_ladder_passes_over_a_target_that_cannot_serve_the_request(tmp_path: Path) -> None:
    handling = Handling(
        ladder={"unavailable": [Step("target", target="backup"), Step("canned")]}, canned=Canned("Later.")
    )
    served = release(behaviour={"caller_overrides": ["tools"]}, handling=handling)
    bench = Bench(tmp_path, served=served, snapshot=limited("backup", tools=False))
    bench.upstream.will(Disconnected("gone", "before_response"), completion("From backup"))
    answer = said(await bench.post(chat(tools=[TOOL])))
    assert answer["roadworthy"]["outcome"] == "canned"
    assert len(bench.upstream.sent) == 1
    bench.upstream.will(Disconnected("gone", "before_response"), completion("From backup"))
    assert said(await bench.post(chat()))["roadworthy"]["target"] == "backup"


@pytest.mark.parametrize(
    "asked",
    [
        {"tools": []},
        {"tool_choice": "none"},
        {"response_format": {"type": "json_object"}},
        {"response_format": None},
        {"messages": [{"role": "user", "content": "image_url"}]},
    ],
)
@on_loop
async def test_what_asks_for_nothing_special_is_served(tmp_path: Path, asked: dict[str, Any]) -> None:
    able = limited("main", tools=False, images=False, response_schema=False)
    bench = Bench(tmp_path, passthrough="main", snapshot=able)
    assert (await bench.post(chat(**asked))).status == 200


def test_a_schema_is_left_to_the_wire_that_can_send_it_another_way() -> None:
    fields = {"response_format": msgspec.Raw(msgspec.json.encode(SCHEMA))}
    able = target("claude", capabilities=Capabilities(response_schema=False))
    assert lacking(able, fields) == "response_format"
    assert lacking(msgspec.structs.replace(able, provider="anthropic"), fields) is None
