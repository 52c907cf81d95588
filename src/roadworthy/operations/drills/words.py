"""Drills and kill drills in words.  Pure; takes runs as the admin API tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from roadworthy.fallback.drills.rules import FORMATS
from roadworthy.workflow.inference import SERVED_BY_MODEL
from roadworthy.workflow.words import plural

Facts = Mapping[str, Any]


def asked(result: Facts) -> str:
    return "stream" if result["stream"] else "whole"


def wires(wire: Facts | None) -> str:
    """Which formats a run was about; empty: of a run from before this was kept."""
    if wire is None:
        return ""
    said = f"The first target ({wire['provider']}) was asked in {FORMATS[wire['format']]}"
    if not wire["own"]:
        said += ", which is not its own wire: how that is read is proven by Roadworthy's tests, not here"
    return f"{said}. Customers asked in {FORMATS[wire['callers']]}."


def headline(result: Facts) -> str:
    """One result on one line."""
    seen = result["seen"] or {}
    said = f"{seen.get('outcome') or 'no answer'} in {seen.get('seconds', 0.0):.2f} s"
    found = f"{result['verdict']}  {result['fault']} ({asked(result)}): {said}"
    return found if not result["misses"] else f"{found}; {'; '.join(result['misses'])}"


def reads(outcome: str | None, text: str) -> str:
    """What a customer reads, as short as it can be told: of JSON, its longest text."""
    if outcome in SERVED_BY_MODEL:
        return "the model's answer"
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    texts = {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
    return max(texts.values(), key=len) if texts else text


def left_out(results: Sequence[Facts]) -> dict[str, list[str]]:
    """Why → the faults that were drilled in neither way for that reason."""
    drilled = {result["fault"] for result in results if result["verdict"] != "SKIPPED"}
    why: dict[str, str] = {}
    for result in results:
        if result["fault"] not in drilled:
            why[result["fault"]] = max(why.get(result["fault"], ""), result["why"], key=len)
    found: dict[str, list[str]] = {}
    for fault, reason in why.items():
        found.setdefault(reason, []).append(fault)
    return found


def pressed(press: Facts) -> str:
    """One stop on one line."""
    parts = []
    for name, at in press["gateways"].items():
        off = _off(at)
        parts.append(f"{name} {'never confirmed' if off is None else f'off in {took(off)}'}{_late(at)}")
    return f"answers under way {press['streams']}: {'; '.join(parts)}"


def _late(at: Facts) -> str:
    late = at.get("late", 0)
    return f", {plural(late, 'attempt')} AFTERWARDS" if late else ""


def _off(at: Facts) -> float | None:
    confirmed = at.get("confirmed")
    return None if confirmed is None else max(confirmed, at.get("last", 0.0))


def gateway_row(name: str, run: Facts) -> list[str]:
    """Gateway, confirmed in, last attempt, attempts afterwards, attempts before, what answers under way did."""
    seen = [press["gateways"][name] for press in run["presses"] if name in press["gateways"]]
    confirmed = [at["confirmed"] for at in seen]
    streams = {word: sum(at.get(word, 0) for at in seen) for word in ("drained", "cut", "broken")}
    return [
        name,
        "never" if not seen or None in confirmed else took(max(confirmed)),
        took(max((at.get("last", 0.0) for at in seen), default=0.0)),
        str(sum(at.get("late", 0) for at in seen)),
        str(sum(at.get("attempts", 0) for at in seen)),
        ", ".join(f"{count} {word}" for word, count in streams.items() if count) or "none under way",
    ]


def took(seconds: float) -> str:
    """Of a stop: ``42 ms``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
