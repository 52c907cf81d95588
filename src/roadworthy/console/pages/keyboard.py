"""What keys do.

GET /keyboard   the list; ``?`` opens it from every page
"""

from __future__ import annotations

from typing import Final

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, View
from roadworthy.operations.services import Services

GROUPS: Final = (
    ("Everywhere", (
        (("/",), "Search the calls"),
        (("?",), "This page"),
        (("Tab",), "To the next button or link; the first one skips the menu"),
        (("Space",), "Held for a second on a red button: stops the AI"),
    )),
    ("Scoring answers", (
        (("1", "…", "9"), "Choose a value of the rubric"),
        (("Enter",), "Keep it, and show the next answer"),
        (("s",), "Skip this one"),
        (("u",), "Undo the last one"),
        (("q",), "Stop here"),
    )),
    ("Inbox", (
        (("n",), "Answer the next customer"),
        (("c",), "Claim this one"),
        (("1",), "Send the draft as it is"),
        (("2",), "Write"),
        (("3",), "Hand it back"),
        (("Ctrl", "Enter"), "Send what was written"),
    )),
    ("Evals, load tests, reviews", (
        (("s",), "On the page of a workflow's evals: score answers"),
        (("Ctrl", "Enter"), "Begin the run, the test, or sign"),
    )),
)  # fmt: skip


def show(services: Services, visit: Visit) -> Answer:
    return View("keyboard.html", {"groups": GROUPS})


PAGES = [Page("GET", "/keyboard", "read", show, anywhere=True)]
