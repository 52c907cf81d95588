"""A record that has everything a span could show or must not show."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.adapters.telemetry.spans import Directory, Served
from roadworthy.workflow.inference import Attempt, Inference, Tokens

KNOWN = Directory({"mini": Served("openai", "api.openai.com", 443), "backup": Served("anthropic")})


def recovered(**changes: Any) -> Inference:
    record = Inference(
        id="inf_019abc00000000112233445566778899",
        ts=1_763_860_000.25,
        team="default",
        workflow="triage",
        outcome="recovered",
        digest="rel_" + "0" * 64,
        unit="ada@example.org",
        unit_source="header",
        session="s-1",
        trace="0af7651916cd43dd8448eb211c80319c",
        span="b7ad6b7169203331",
        parent_span="00f067aa0ba902b7",
        key="key_0123456789ab",
        failure="slow",
        target="backup",
        attempts=[
            Attempt("mini", "first", 0.001, ended=2.0, failure="slow", detail="no first token", model_asked="gpt"),
            Attempt(
                "backup",
                "target",
                2.01,
                connected=2.02,
                first_byte=2.4,
                first_token=2.5,
                ended=3.0,
                status=200,
                model_asked="claude",
                model_answered="claude-x",
                finish="stop",
                tokens=Tokens(300, 12, 0, 97, 7),
                cost_usd=0.004,
            ),
        ],
        tokens=Tokens(300, 12, 0, 97, 7),
        cost_usd=0.004,
        latency=3.01,
        first_token=2.5,
        tags={"ticket": "4711"},
        request=msgspec.Raw(b'{"messages":[{"role":"user","content":"a secret prompt"}]}'),
        prompt="the system prompt",
        response=msgspec.Raw(b'{"choices":[{"message":{"content":"a secret answer"}}]}'),
    )
    return msgspec.structs.replace(record, **changes)
