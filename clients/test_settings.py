"""Settings of apps that are not run here: what a plain HTTP client makes of their fields, as those apps would.

Open WebUI sends an app's users and chats under the header names that its settings choose; Cursor lists the models and
sends chats with the key and base URL of its settings.
"""

from __future__ import annotations

import json

import httpx2
import pytest

from support.outcomes import OUTCOMES
from support.snippets import snippets
from support.up import Up

SETTINGS = snippets()


def fields(name: str, up: Up) -> dict[str, str]:
    """The settings as on the page, with this gateway and a key."""
    told = {"http://127.0.0.1:8400": up.base_url.removesuffix("/v1"), "rw-…": up.key(f"app of {name}")}
    lines = SETTINGS[name].text.splitlines()
    pairs = dict(line.split("=", 1) for line in lines)
    for written, real in told.items():
        pairs = {name: value.replace(written, real) for name, value in pairs.items()}
    return pairs


@pytest.mark.parametrize("name", ["open-webui", "cursor"])
def test_the_models_to_choose_from_are_the_workflows(up: Up, name: str) -> None:
    url, key, _ = settings(name, up)
    listed = httpx2.get(f"{url}/models", headers={"authorization": f"Bearer {key}"}, trust_env=False).raise_for_status()
    assert set(OUTCOMES) <= {model["id"] for model in listed.json()["data"]}


@pytest.mark.parametrize("name", ["open-webui", "cursor"])
def test_a_chat_is_streamed_and_recorded_for_the_user(up: Up, name: str) -> None:
    url, key, more = settings(name, up)
    body = {"model": "answered", "stream": True, "messages": [{"role": "user", "content": "Where is my parcel?"}]}
    headers = {"authorization": f"Bearer {key}", **more}
    told = httpx2.post(f"{url}/chat/completions", json=body, headers=headers, trust_env=False).raise_for_status()
    events = [line.removeprefix("data: ") for line in told.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    record = up.record(json.loads(events[-2])["roadworthy"]["inference"])
    assert record["outcome"] == "answered"
    if more:
        assert (record["unit"], record["session"]) == ("u-17", "s-3")


def settings(name: str, up: Up) -> tuple[str, str, dict[str, str]]:
    """Base URL, key, headers about the user."""
    found = fields(name, up)
    if name == "cursor":
        return found["Override OpenAI Base URL"], found["OpenAI API Key"], {}
    assert found["ENABLE_FORWARD_USER_INFO_HEADERS"] == "true"
    user, chat = found["FORWARD_USER_INFO_HEADER_USER_ID"], found["FORWARD_SESSION_INFO_HEADER_CHAT_ID"]
    return found["OPENAI_API_BASE_URL"], found["OPENAI_API_KEY"], {user: "u-17", chat: "s-3"}
