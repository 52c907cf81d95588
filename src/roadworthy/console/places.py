"""Where a page does what a command of the command line does: texts that name the command get a button."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

COMMAND: Final = re.compile(r"roadworthy ([a-z-]+)(?: ([a-z-]+))?(?: ([a-z0-9-]+))?")
PLACES: Final[dict[str, tuple[str, str]]] = {
    "evals import": ("Import examples", "/evals/{}/import"),
    "evals publish": ("Publish the examples", "/evals/{}/pool"),
    "evals score": ("Score answers", "/evals/{}/score"),
    "evals sign": ("Sign the rubric", "/evals/{}/rubric"),
    "evals gate": ("Run the gate", "/evals/{}/plan?purpose=gate"),
    "evals run": ("Run the gate", "/evals/{}/plan?purpose=gate"),
    "evals": ("Open its evals", "/evals/{}"),
    "rollout": ("Open the ramp", "/workflows/{}#ramp"),
    "freeze": ("Freeze a release", "/workflows/{}/releases"),
    "accept": ("Names that are missing", "/workflows/{}#accept"),
    "ready": ("Open the checklist", "/workflows/{}"),
    "forecast": ("Forecast", "/cost/{}"),
    "drill kill": ("Open the kill drill", "/drills/kill"),
    "drill": ("Open the drills", "/drills/{}"),
    "load": ("Plan a load test", "/load?workflow={}"),
    "oncall": ("Open on-call", "/oncall"),
    "restore": ("Restore…", "/workflows/{}/stop"),
    "kill": ("Stop…", "/workflows/{}/stop"),
    "keys": ("Open the keys", "/settings/keys"),
    "escalations": ("Open the inbox", "/inbox"),
    "incidents": ("Open the incidents", "/incidents"),
    "review": ("Open the reviews", "/reviews"),
    "invite": ("Invite somebody", "/settings/people"),
    "stats": ("Look at its calls", "/inferences?q={}"),
    "log": ("Look at its calls", "/inferences?q={}"),
}
"""Command, or its first word → (button, page); ``{}`` is the workflow that the command names."""


def places(text: str, workflow: str = "", workflows: Container[str] = ()) -> list[tuple[str, str]]:
    """(button, page) of every command that ``text`` names and a page does.

    ``workflow``: the page's own; where there is none, the one of ``workflows`` that the command names.
    """
    found: dict[str, str] = {}
    for first, second, third in COMMAND.findall(text):
        known = PLACES.get(f"{first} {second}", PLACES.get(first))
        whose = workflow or next((each for each in (second, third) if each in workflows), "")
        if known is not None and (whose or "{}" not in known[1]):
            found.setdefault(known[0], known[1].format(whose))
    return list(found.items())
