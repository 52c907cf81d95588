"""How figures are printed: tables of Markdown, and the percentiles in them."""

from __future__ import annotations

import math


def at(values: list[float], share: float) -> float:
    """Nearest rank: the smallest value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def row(name: str, found: str, promised: str, holds: bool) -> bool:
    verdict = "" if not promised else "yes" if holds else "**no**"
    print(f"| {name} | {found} | {promised} | {verdict} |", flush=True)
    return holds


def title(text: str) -> None:
    print(f"\n**{text}**\n\n| | found | promised | holds |\n|---|---|---|---|", flush=True)
