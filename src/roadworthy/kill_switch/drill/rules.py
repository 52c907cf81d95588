"""From what was counted to what a press has shown, and from presses to figures.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, Literal

from roadworthy.evidence.kinds import KillDrill
from roadworthy.kill_switch.drill.model import At, Attempt, Lane, Press, Streamed

AT_ITS_END: Final = 1.0
"""Seconds after the confirmation in which a stream that is to be cut may still finish by itself."""


def shown(
    workflow: str,
    streams: Literal["drain", "cut"],
    at: float,
    took: Mapping[str, float],
    gateways: Sequence[str],
    lanes: Sequence[Lane],
    attempts: Sequence[Attempt],
    ended: Sequence[Streamed],
    without_traffic: Sequence[str] = (),
) -> Press:
    """``took``: gateway → seconds from the order ``at`` to its last confirmation, of those that confirmed; what was
    counted is everything from before the order until every stream had ended."""
    gateway_of = {lane.number: lane.gateway for lane in lanes if lane.workflow == workflow}
    found = {}
    for name in gateways:
        mine = [each.at - at for each in attempts if gateway_of.get(each.lane) == name]
        after = [seconds for seconds in mine if seconds > 0]
        confirmed = took.get(name)
        late = 0 if confirmed is None else sum(seconds > confirmed for seconds in after)
        under_way = [
            each for each in ended if gateway_of.get(each.lane) == name and each.began <= at < each.ended
        ]  # what began after the order had not been answered yet, and is no stream under way
        sides = [_end(each, streams, at, confirmed) for each in under_way]
        found[name] = At(
            confirmed=confirmed,
            last=max(after, default=0.0),
            late=late,
            attempts=len(mine) - len(after),
            drained=sides.count("drained"),
            cut=sides.count("cut"),
            broken=sides.count("broken"),
        )
    return Press(workflow, streams, at, found, sorted(without_traffic))


def _end(
    stream: Streamed, streams: Literal["drain", "cut"], at: float, confirmed: float | None
) -> Literal["drained", "cut", "broken", "unknown"]:
    if confirmed is None:
        return "unknown"
    if streams == "drain":
        return "drained" if stream.how == "finished" else "broken"
    if stream.how == "finished":
        return "drained" if stream.ended <= at + confirmed + AT_ITS_END else "broken"
    return "cut" if stream.how == "error event" else "broken"


def figures(presses: Sequence[Press], missing: Sequence[str] = ()) -> KillDrill:
    """``missing``: gateways that should run and that nobody could ask."""
    off: dict[str, float | None] = dict.fromkeys(missing)
    took: list[float] = []
    every = [(name, at) for press in presses for name, at in press.gateways.items()]
    for name, at in every:
        if at.off is None or (name in off and off[name] is None):
            off[name] = None
        else:
            off[name] = max(off.get(name) or 0.0, at.off)
        if at.off is not None:
            took.append(at.off)
    return KillDrill(
        gateways=dict(sorted(off.items())),
        p50=median(took) if took else 0.0,
        max=max(took, default=0.0),
        late_attempts=sum(at.late for _, at in every),
        presses=len(presses),
        attempts=sum(at.attempts for _, at in every),
        without_traffic=sorted({name for press in presses for name in press.without_traffic}),
        drained=sum(at.drained for _, at in every),
        cut=sum(at.cut for _, at in every),
        broken=sum(at.broken for _, at in every),
    )
