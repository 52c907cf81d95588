"""``GET /v1/models``: the workflows that a key may call, as OpenAI's clients read them, or as Anthropic's do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from roadworthy.gateway.world import World

_encode = msgspec.json.encode


def listed(world: World, names: Sequence[str], *, anthropic: bool) -> bytes:
    if not anthropic:
        return _encode({"object": "list", "data": [_openai(world, name) for name in names]})
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
    return _encode({"data": [_anthropic(world, name) for name in names], "has_more": False, **ends})


def one(world: World, name: str, *, anthropic: bool) -> bytes:
    return _encode(_anthropic(world, name) if anthropic else _openai(world, name))


def _openai(world: World, name: str) -> dict[str, object]:
    owner = world.workflows[name].team
    return {"id": name, "object": "model", "created": int(world.snapshot.made_at), "owned_by": owner}


def _anthropic(world: World, name: str) -> dict[str, object]:
    made = datetime.fromtimestamp(int(world.snapshot.made_at), UTC)
    return {"type": "model", "id": name, "display_name": name, "created_at": made.isoformat().replace("+00:00", "Z")}
