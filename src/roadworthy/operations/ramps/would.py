"""What enforcement would have done, were it on: what ``observe`` recorded, as shares of the calls.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from roadworthy.inference_log.model import StatsRow

LOOKS_BACK = 86_400.0
"""Seconds."""
SHOWN = 3
"""Of a workflow, the commonest."""
_DOES = {"bypassed": "bypassed", "previous": "given the release before to"}


class Would(msgspec.Struct, frozen=True):
    """Of the live calls of a workflow within a day."""

    workflow: str
    what: str
    """As recorded: ``bypassed: no receipt``."""
    calls: int
    share: float
    says: str


def would_have(found: Mapping[str, Mapping[str, int]], rows: Iterable[StatsRow]) -> list[Would]:
    """``rows``: the live calls of each workflow in the same time."""
    calls = {row.group.get("workflow"): row.count for row in rows if row.group.get("traffic") == "live"}
    made = []
    for workflow, counts in sorted(found.items()):
        for what, n in sorted(counts.items(), key=lambda pair: -pair[1])[:SHOWN]:
            share = n / max(calls.get(workflow, 0), n)
            side, _, why = what.partition(": ")
            does = _DOES.get(side, f"{side}:")
            says = f"enforcement would have {does} {100 * share:.0f} % of its calls of the last 24 h: {why or side}"
            made.append(Would(workflow, what, n, share, says))
    return made
