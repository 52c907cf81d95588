"""What callers and records are told of a call that the kill switch stopped."""

from __future__ import annotations

from roadworthy.gateway.call import Call
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.stopping.board import Force
from roadworthy.workflow.inference import Route

CODE = "ai_off"


def why(call: Call, force: Force | None) -> str:
    """In words that a developer can act on."""
    name = call.serving.name if call.serving is not None else call.model
    if force is None:
        return f"The AI of '{name}' was stopped during this answer. Take the path without it."
    held = " and ".join(force.sources)
    full = ", which has no room for more or no holding answer" if force.state == "assist" else ""
    return f"The AI of '{name}' is stopped (kill switch: {force.state}, by {held}{full}). Take the path without it."


def ai_off(call: Call, force: Force | None) -> Refused:
    """The 503 of a bypass; never counted as an error."""
    return Refused(503, CODE, why(call, force), outcome="bypassed")


def take_note(call: Call, force: Force | None, *, route: Route | None = None) -> None:
    """Have the record say what decided."""
    call.kill = "off" if force is None else force.state
    if route is not None:
        call.route = route
