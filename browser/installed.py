"""A real install, and the people who look at it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.config_folder import read_folder
from roadworthy.wiring.folders.data_folder import create_folder
from roadworthy.workflow.service import Actor
from support.up import FREE_PORTS, Up

Prepare = Callable[[Control], None]


class Installed:
    """``roadworthy up`` with a console; leaving the block stops it.

    ``prepare`` is called with the install's control before it is started: what days of work would have left behind.
    """

    def __init__(
        self, root: Path, files: Mapping[str, str], prepare: Prepare | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.config = root / "config"
        for name, text in files.items():
            path = self.config / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if prepare is not None:
            self._prepare(root / "data", prepare)
        people = yaml.safe_load(files["people.yaml"])["people"]
        logins = [word for who in people for word in ("--login", who)]
        self.up = Up(root, config=self.config, arguments=(*FREE_PORTS, *logins), env=env, workers=1)
        self.sessions: dict[str, Any] = {}
        """Person → what a browser keeps of a session."""

    def _prepare(self, data: Path, prepare: Prepare) -> None:
        control = Control(create_folder(data))
        try:
            done = control.workflows.apply(read_folder(self.config), Actor("ada"), reason="begin")
            assert done.applied, [str(problem) for problem in done.problems]
            prepare(control)
            control.publish()
        finally:
            control.close()

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
        self._context.set_default_timeout(20_000)
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

    def reports(self, inference: str, why: str) -> None:
        """As wrong, from its page."""
        page = self.goto(f"/inferences/{inference}")
        fold = page.locator("details", has=page.get_by_label("What is wrong with it"))
        if fold.count() and fold.get_attribute("open") is None:
            fold.locator("summary").click()
        page.get_by_label("What is wrong with it").fill(why)
        page.get_by_role("button", name="Report as wrong").click()
        page.get_by_role("status").wait_for()

    def close(self) -> None:
        self._context.close()

    def _said(self, message: Any) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            self.wrong.append(f"{self.page.url}: {message.text}")

    def _dialog(self, dialog: Any) -> None:
        self.wrong.append(f"{self.page.url}: a dialog: {dialog.message}")
        dialog.dismiss()
