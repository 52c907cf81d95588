"""A real install, and the people who look at it."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import Any

from support.up import FREE_PORTS, Up

PEOPLE = ("ada", "bo", "ola", "agnes", "sam", "vi")
FILES = {
    "roadworthy.yaml": """\
version: 1
timezone: Europe/Berlin
targets:
  main: {provider: simulated, model: sim-1, price: {input: 1, output: 2, per: 1M}}
  spare: {provider: simulated, model: sim-2, price: {input: 1, output: 2, per: 1M}}
""",
    "people.yaml": """\
people:
  ada: {name: Ada Lovelace, email: ada@example.com}
  bo: {name: Bo Lee, email: bo@example.com}
  ola: {name: Ola Nordmann, email: ola@example.com, roles: [operator]}
  agnes: {name: Agnes Grey, email: agnes@example.com, roles: [agent]}
  sam: {name: Sam Score, email: sam@example.com, roles: [scorer]}
  vi: {name: Vi Ewer, email: vi@example.com, roles: [viewer]}
""",
    "workflows/triage/workflow.yaml": """\
description: Sorts customer messages and drafts a reply.
owners: {workflow: ada, prompt: bo, cost: ada}
enforcement: observe
prompt: {mode: managed, system: prompt.md}
target: main
deadline: 20s
ladder:
  unavailable: [target: spare, canned]
  invalid: [repair, escalate]
  refused: [escalate]
canned: {text: Thank you for your message. A colleague will answer within one working day.}
holding: {text: Thank you. A colleague is looking at your message and answers today.}
bypass: app
rubric: rubric.md
policy: {testers: [ada, bo], redact: [email]}
""",
    "workflows/triage/prompt.md": "You answer customers of a shop in one sentence.\n",
    "workflows/triage/rubric.md": """\
# Is the answer right?

## good = 1
It answers the question in a friendly way.
> We send it again tomorrow.

## poor = 0
It does not answer, or is rude.
> No.
""",
}


class Installed:
    """``roadworthy up`` with a console; leaving the block stops it."""

    def __init__(self, root: Path, files: dict[str, str] = FILES) -> None:
        self.config = root / "config"
        for name, text in files.items():
            path = self.config / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        logins = [word for who in PEOPLE for word in ("--login", who)]
        self.up = Up(root, config=self.config, arguments=(*FREE_PORTS, *logins))
        self.sessions: dict[str, Any] = {}
        """Person → what a browser keeps of a session."""

    @property
    def url(self) -> str:
        """Of the console."""
        return self.up.said("console ").split()[1].rstrip("/")

    def code(self, who: str) -> str:
        """The one-time code that ``up`` printed."""
        found = re.search(r"[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4}", self.up.said(f"login {who}:"))
        assert found is not None
        return found.group()

    def __enter__(self) -> Installed:
        self.up.ready("main", "spare")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.up.__exit__(kind, error, trace)


class Person:
    """One person's browser."""

    def __init__(
        self, chromium: Any, installed: Installed, who: str | None, *, phone: bool = False, dark: bool = False
    ) -> None:
        self._installed = installed
        self.wrong: list[str] = []
        """What scripts threw and what the browser refused."""
        self._context = chromium.new_context(
            base_url=installed.url,
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 900},
            color_scheme="dark" if dark else "light",
            storage_state=installed.sessions.get(who) if who is not None else None,
        )
        self.page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.wrong.append(f"{self.page.url}: {error}"))
        self.page.on("console", self._said)
        self.page.on("dialog", self._dialog)
        if who is not None and who not in installed.sessions:
            self.sign_in(who)

    def sign_in(self, who: str) -> None:
        """By the one-time code, as a person does."""
        self.page.goto(f"/login?code={self._installed.code(who)}")
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/")
        self._installed.sessions[who] = self._context.storage_state()

    def goto(self, path: str) -> Any:
        self.page.goto(path)
        return self.page

    def close(self) -> None:
        self._context.close()

    def _said(self, message: Any) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            self.wrong.append(f"{self.page.url}: {message.text}")

    def _dialog(self, dialog: Any) -> None:
        self.wrong.append(f"{self.page.url}: a dialog: {dialog.message}")
        dialog.dismiss()
