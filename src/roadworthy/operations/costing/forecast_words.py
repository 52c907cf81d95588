"""A forecast in words, over plain JSON as it is kept and as the admin API gives it.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from roadworthy.workflow import words

LOADS: Final = {
    "unit": "a call", "expected": "expected month", "peak": "month at the peak", "5x": "5× the peak",
    "10x": "10× the peak",
}  # fmt: skip
"""Scenario → in words."""
WHY_NONE: Final = {
    "what_if": "a what-if is not kept",
    "dry_run": "not kept: --dry-run",
    "no_release": "it is no evidence: the workflow has no frozen release",
    "no_price": "it is no evidence: a target of the release has no known price (roadworthy check)",
}
"""Why a forecast is no evidence → in words."""


def basis(figures: Mapping[str, Any]) -> str:
    """From what it was made."""
    asked = figures.get("assumptions", {})
    if figures["basis"] == "forecast":
        return (
            f"forecast from {figures['days']} days of traffic, worth {figures['effective_days']:.1f} independent ones"
        )
    stated = asked.get("calls_a_day")
    days = words.plural(int(figures["days"]), "whole day")
    volume = f"; {stated:,.6g} calls a day are stated" if stated is not None else ""
    return f"assumption, not forecast: {days} of traffic{volume}; the cost of a call is from {asked.get('cost_from')}"


def tracked(track: Mapping[str, Any]) -> str:
    """How earlier ones did."""
    if not track["scored"]:
        return "no earlier forecast could be held against what came yet"
    return (
        f"earlier forecasts: {track['held']} of {track['scored']} intervals held (80 % are claimed), median width "
        f"{words.share(track['width'])} of what came, which was {track['ratio']:.2f} times the point at the median"
    )


def times(factor: float) -> str:
    """``5.46``, ``16.1``, ``1,440``: three figures, never an exponent."""
    return f"{float(f'{factor:.3g}'):,.10g}"


def rate(calls: float) -> str:
    """``3.2/s``, ``14/min``, ``5/h``, of calls a second."""
    for unit, seconds in (("s", 1.0), ("min", 60.0)):
        if calls * seconds >= 1.0:
            return f"{calls * seconds:.3g}/{unit}"
    return f"{calls * 3600:.3g}/h"
