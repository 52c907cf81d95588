"""The demo's own browser: what a person reads of a page, and the buttons that the story presses."""

from __future__ import annotations

import html
import re
from types import TracebackType

import httpx2

PATIENCE = 20.0


class Browser:
    """``with Browser(console) as browser``; ``console``: ``http://127.0.0.1:8402``."""

    def __init__(self, console: str) -> None:
        self._client = httpx2.Client(base_url=console, headers={"origin": console}, timeout=PATIENCE, trust_env=False)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def enter(self, person: str) -> httpx2.Response:
        """The one click of the demo's login."""
        return self.press("/login/demo", person=person)

    def press(self, path: str, **fields: str) -> httpx2.Response:
        """Post a form; redirects are not followed."""
        return self._client.post(path, data=fields)

    def page(self, path: str) -> httpx2.Response:
        return self._client.get(path)

    def read(self, path: str) -> str:
        """What a person reads of a page, in one line."""
        return text_of(self.page(path).text)


def text_of(page: str) -> str:
    page = re.sub(r"<(script|style|head)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
