"""What customers read in each state of the kill switch, from the release that is served.  Pure."""

from __future__ import annotations

from roadworthy.gateway.snapshot import Snapshot
from roadworthy.gateway.world import PASSTHROUGH_HANDLING
from roadworthy.kill_switch.model import State
from roadworthy.workflow.model import Handling

MOST_TEXT = 120
"""Characters of a text that are quoted."""


def reads(snapshot: Snapshot | None, workflow: str, state: State) -> str:
    """One sentence; empty for ``on``, and for a workflow that nothing is served of."""
    served = None if snapshot is None else snapshot.workflows.get(workflow)
    if state == "on" or snapshot is None or served is None:
        return ""
    release = None if served.release is None else snapshot.releases[served.release]
    handling = PASSTHROUGH_HANDLING if release is None else release.handling
    chat = release is None or release.behaviour.kind == "chat"
    around = bypass(handling, "ai_off" if state == "off" else "bypassed", chat=chat)
    if state == "guarded":
        if served.previous is None:
            return f"there is no release before, so {around}"
        return f"new calls get the release before ({served.previous[:12]}) if it passed its gate; else {around}"
    if state == "assist":
        if handling.holding is None or not chat:
            return f"there is no holding text, so {around}"
        return f'every call goes to a person with the draft; meanwhile customers read "{_short(handling.holding.text)}"'
    return around


def bypass(handling: Handling, code: str, *, chat: bool = True) -> str:
    """What ``bypass`` of the release gives; ``code``: of its 503, as the gateway says it in this state."""
    way = handling.bypass
    if way.kind == "http":
        return f"customers read what the old path {way.url} answers"
    if way.kind == "canned" and chat:
        return f'customers read "{_short(way.text or "")}"'
    if way.kind == "human" and chat and handling.holding is not None:
        return f'every call goes to a person; meanwhile customers read "{_short(handling.holding.text)}"'
    return f"the app gets 503 with the code {code}, and takes its old path"


def _short(text: str) -> str:
    """On one line."""
    words = " ".join(text.split())
    return words if len(words) <= MOST_TEXT else words[: MOST_TEXT - 1] + "…"
