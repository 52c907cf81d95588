"""Every page of the console.  Each module says its pages in its docstring."""

from __future__ import annotations

from roadworthy.console.app import Page
from roadworthy.console.pages import (
    audit,
    cost,
    drills,
    eval_runs,
    evals,
    inbox,
    incidents,
    inferences,
    judges,
    keyboard,
    links,
    load,
    login,
    oncall,
    reviews,
    scoring,
    settings,
    stop,
    waiting,
    words,
    workflow,
)

PAGES: list[Page] = [
    *login.PAGES,
    *waiting.PAGES,
    *inbox.PAGES,
    *incidents.PAGES,
    *links.PAGES,
    *oncall.PAGES,
    *stop.PAGES,
    *workflow.PAGES,
    *words.PAGES,
    *inferences.PAGES,
    *evals.PAGES,
    *scoring.PAGES,
    *eval_runs.PAGES,
    *judges.PAGES,
    *load.PAGES,
    *drills.PAGES,
    *reviews.PAGES,
    *cost.PAGES,
    *audit.PAGES,
    *settings.PAGES,
    *keyboard.PAGES,
]
