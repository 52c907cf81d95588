"""A whole control in a temporary folder, called in process as an OS user, a person, a stranger or nobody."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.data_folder import create_folder

FILES = {
    "roadworthy.yaml": (
        "version: 1\ntimezone: Europe/Berlin\ntargets:\n  main:\n    provider: simulated\n    model: sim\n"
        "    price: {input: 1, output: 2, per: 1M}\n"
    ),
    "people.yaml": (
        "people:\n  ada: {name: Ada, email: ada@example.com}\n  bo: {name: Bo, email: bo@example.com, team: support}\n"
    ),
    "workflows/triage/workflow.yaml": (
        "owners: {workflow: ada, prompt: bo, cost: ada}\nprompt: {mode: managed, system: prompt.md}\ntarget: main\n"
        "canned: {text: later}\nbypass: app\npolicy: {testers: [ada]}\nladder: {unavailable: [canned]}\n"
    ),
    "workflows/triage/prompt.md": "You are kind.\n",
}


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_400_000.0

    def __call__(self) -> float:
        return self.now


class Install:
    """Control and its clock; ``call`` is one request."""

    def __init__(self, root: Path) -> None:
        self.clock = Clock()
        self.control = Control(create_folder(root / "data"), clock=self.clock)
        self.peer: str | None = f"os:{os.geteuid()}"

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        peer: str | None = "",
        content: bytes | None = None,
    ) -> httpx2.Response:
        async def go() -> httpx2.Response:
            client = self.peer if peer == "" else peer
            transport = httpx2.ASGITransport(
                app=self.control.app, client=(client or "127.0.0.1", 1), raise_app_exceptions=False
            )
            headers = {"authorization": f"Bearer {token}"} if token else {}
            async with httpx2.AsyncClient(transport=transport, base_url="http://control") as http:
                if content is not None:
                    return await http.request(method, path, content=content, headers=headers)
                return await http.request(method, path, json=body, headers=headers)

        return asyncio.run(go())

    def good(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = self.call(method, path, body, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def apply(self, **changes: str) -> Any:
        return self.good("POST", "/v1/apply", {"files": FILES | changes})

    def audit(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.good("GET", "/v1/audit")["items"]
        return items


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    made = Install(tmp_path)
    yield made
    made.control.close()


@pytest.fixture
def applied(install: Install) -> Install:
    install.apply()
    return install


@pytest.fixture
def login(applied: Install) -> Callable[[str], str]:
    """Signs a person in; returns the session token."""

    def sign_in(person: str) -> str:
        code = applied.control.sign_in.code(person, actor="os:0")
        token: str = applied.good("POST", "/v1/login", {"code": code})["token"]
        return token

    return sign_in
