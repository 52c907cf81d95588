"""Steps of a ladder and verdicts of checks, each on a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roadworthy.cli import words
from roadworthy.cli.terminal import line

SHOWN = 0.001
"""Checks that took less than a millisecond say nothing of it."""

Facts = Mapping[str, Any]


def rung_line(rung: Facts) -> str:
    """A step that was taken, after the failure that led to it: ``  121 ms  after unavailable: target backup``."""
    target = f" {line(str(rung['target']))}" if rung.get("target") else ""
    at = words.seconds(rung.get("at") or 0.0)
    return f"{at:>8}  after {line(str(rung.get('failure')))}: {line(str(rung.get('step')))}{target}"


def check_line(check: Facts) -> str:
    """One check on a line: ``FAIL  promises → unsafe: a refund is promised (score 0.90, characters 4–12, 3 ms)``."""
    verdict = "PASS" if check.get("passed") else "FAIL"
    became = f" → {check['failure']}" if check.get("failure") else ""
    detail = f": {line(str(check['detail']))}" if check.get("detail") else ""
    facts = []
    if check.get("broke"):
        facts.append(f"could not be done: {line(str(check['broke']))}")
    if check.get("score") is not None:
        facts.append(f"score {float(check['score']):.2f}")
    if check.get("span"):
        facts.append(f"characters {check['span'][0]}–{check['span'][1]}")
    if (check.get("seconds") or 0.0) >= SHOWN:
        facts.append(words.seconds(check["seconds"]))
    if check.get("cost_usd", 0.0) != 0.0:
        facts.append(words.dollars(check["cost_usd"]) if check["cost_usd"] is not None else "price unknown")
    recorded = " (recorded only)" if not check.get("passed") and not check.get("failure") else ""
    return f"{verdict}  {line(str(check.get('name', '')))}{became}{recorded}{detail}" + (
        f" ({', '.join(facts)})" if facts else ""
    )
