"""Every page of the console.  Each module says its pages in its docstring."""

from __future__ import annotations

from roadworthy.console.app import Page
from roadworthy.console.pages import login, waiting

PAGES: list[Page] = [
    *login.PAGES,
    *waiting.PAGES,
]
