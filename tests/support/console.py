"""The console of a whole control, called in process as a browser would: cookies, forms, redirects."""

from __future__ import annotations

import asyncio
import html
import os
import re
from pathlib import Path
from typing import Any

import httpx2

from roadworthy.console.app import make_console
from roadworthy.console.routes import PAGES
from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.data_folder import create_folder
from roadworthy.workflow.service import Actor

HOST = "127.0.0.1:8402"
FILES = {
    "roadworthy.yaml": (
        "version: 1\ntimezone: Europe/Berlin\ntargets:\n  main:\n    provider: simulated\n    model: sim\n"
        "    price: {input: 1, output: 2, per: 1M}\n"
    ),
    "people.yaml": (
        "people:\n"
        "  ada: {name: Ada Lovelace, email: ada@example.com}\n"
        "  bo: {name: Bo Lee, email: bo@example.com}\n"
        "  vi: {name: Vi Ewer, email: vi@example.com, roles: [viewer]}\n"
        "  sky: {name: Sky Other, email: sky@example.com, team: other}\n"
    ),
    "workflows/triage/workflow.yaml": (
        "owners: {workflow: ada, prompt: bo, cost: ada}\nprompt: {mode: managed, system: prompt.md}\ntarget: main\n"
        "canned: {text: later}\nbypass: app\npolicy: {testers: [ada]}\nladder: {unavailable: [canned]}\n"
    ),
    "workflows/triage/prompt.md": "You are kind.\n",
}


class Clock:
    def __init__(self, now: float = 1_795_400_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Console:
    """Control, its clock, and its console.  ``browser(person)`` is a signed-in browser."""

    def __init__(self, root: Path, files: dict[str, str] = FILES) -> None:
        self.clock = Clock()
        self.control = Control(create_folder(root / "data"), clock=self.clock)
        done = self.control.workflows.apply(files, Actor(f"os:{os.geteuid()}"), reason="test")
        assert done.applied, [str(problem) for problem in done.problems]
        self.control.publish()
        self.services = self.control.services
        self.services.later.patience = 60.0
        self.app, self.live = make_console(self.services, b"k" * 32, lambda: f"http://{HOST}", PAGES)

    def browser(self, person: str | None = None) -> Browser:
        made = Browser(self.app)
        if person is not None:
            made.cookies["roadworthy"] = self.session(person)
        return made

    def session(self, person: str) -> str:
        """Token of a new login session."""
        return self.services.sign_in.exchange(self.services.sign_in.code(person, "test"), "test").token

    def audit(self) -> list[str]:
        """``actor action target outcome`` of every record, oldest first."""
        with self.control.state.read() as tx:
            return [f"{row.actor} {row.action} {row.target} {row.outcome}" for row in tx.audit(after=0, limit=1000)]

    def close(self) -> None:
        self.control.close()


class Browser:
    """Follows no redirect by itself; posts forms with their CSRF token, as the page that holds them has it."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.cookies: dict[str, str] = {}

    def request(
        self, method: str, path: str, *, data: Any = None, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx2.Response:
        async def go() -> httpx2.Response:
            transport = httpx2.ASGITransport(self._app, client=("127.0.0.1", 5000), raise_app_exceptions=True)
            async with httpx2.AsyncClient(
                transport=transport, base_url=f"http://{HOST}", cookies=self.cookies
            ) as client:
                return await client.request(
                    method, path, data=data, headers={"origin": f"http://{HOST}", **(headers or {})}, **more
                )

        response = asyncio.run(go())
        for name, value in response.cookies.items():
            self.cookies[name] = value
        for line in response.headers.get_list("set-cookie"):
            if "max-age=0" in line.lower():
                self.cookies.pop(line.partition("=")[0], None)
        return response

    def get(self, path: str, code: int = 200) -> str:
        """The page's text."""
        response = self.request("GET", path)
        assert response.status_code == code, (
            response.status_code,
            response.headers.get("location"),
            text_of(response.text),
        )
        return response.text

    def post(self, path: str, data: dict[str, Any] | None = None, *, on: str = "/", **more: Any) -> httpx2.Response:
        """Post a form that stands on the page ``on``."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.request("GET", on).text)
        fields = {"csrf": found.group(1) if found else "", "back": on, **(data or {})}
        return self.request("POST", path, data=fields, **more)

    def done(self, path: str, data: dict[str, Any] | None = None, *, on: str = "/") -> str:
        """Post, follow the redirect, and return the page with its message."""
        response = self.post(path, data, on=on)
        assert response.status_code == 303, (response.status_code, text_of(response.text))
        return self.get(response.headers["location"])


def text_of(page: str) -> str:
    """What a person reads of a page, in one line."""
    page = re.sub(r"<(script|style|head)\b.*?</\1>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page))).strip()
