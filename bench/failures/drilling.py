"""The figure ``drills``: every fault of the catalogue, several times, on each workflow that it means something for."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import Any

from bench.failures.install import install
from bench.failures.provider import Provider
from bench.failures.tables import at
from roadworthy.fallback.drills.catalogue import CATALOGUE

SCHEMA = {
    "type": "object",
    "properties": {
        "topic": {"type": "string", "enum": ["delivery", "payment", "other"]},
        "reply": {"type": "string", "minLength": 20, "maxLength": 400},
    },
    "required": ["topic", "reply"],
    "additionalProperties": False,
}
CHECKS = {
    "language": {"allowed": ["en"]}, "repetition": {}, "garbage": {}, "personal_data": {}, "prompt_leak": {},
    "markup": {}, "length": {"max_chars": 20_000},
    "promises": {"kind": "forbidden", "failure": "unsafe", "phrases": ["full refund within an hour"]},
}  # fmt: skip
HOLDING = "Thank you. One of us will answer within four hours."
CANNED = "Thank you. We will write to you within a working day."
_MENDED = [{"retry": {"times": 2, "backoff": "50ms"}}, {"target": "backup"}, "escalate", "canned"]
_COMMON: dict[str, Any] = {
    "deadline": "12s",
    "clocks": {"connect": "1s", "first_token": "2s", "idle": "1s", "total": "3s"},
    "prompt": {"mode": "managed", "system": "prompt.md", "canary": True},
    "ladder": {
        "unavailable": _MENDED, "overlimit": _MENDED, "slow": [{"target": "backup"}, "escalate", "canned"],
        "truncated": _MENDED, "invalid": [{"repair": {"times": 1}}, {"target": "backup"}, "escalate", "canned"],
        "refused": ["escalate", "canned"], "unsafe": ["drop", "escalate", "canned"],
        "misconfigured": [{"target": "backup"}, "escalate", "canned"],
    },
    "cache": {"max_age": "1h"},
    "policy": {
        "budgets": {"inference": 0.05, "user": {"day": 1.0}, "workflow": {"day": 100.0}},
        "escalation": {"answer_within": "4h", "capacity": 200},
    },
}  # fmt: skip
_WORDS: dict[str, Any] = {"holding": {"text": HOLDING}, "canned": {"text": CANNED}}
RELAYED: dict[str, Any] = {**_COMMON, **_WORDS, "stream": "passthrough", "continuation": 1}
"""Free text, relayed while it comes."""
CHECKED: dict[str, Any] = {**_COMMON, **_WORDS, "stream": "buffered", "checks": CHECKS}
"""Free text, looked at whole."""
SORTED: dict[str, Any] = {
    **_COMMON,
    "stream": "buffered",
    "checks": CHECKS,
    "output": {"schema": "output.schema.json", "repair_json": True},
    "holding": {"text": HOLDING, "json": {"topic": "other", "reply": HOLDING}},
    "canned": {"text": CANNED, "json": {"topic": "other", "reply": CANNED}},
}
"""JSON of a schema, looked at whole."""


async def drills(calls: int, repeat: int = 3) -> bool:
    """Per fault: what became of it and how long it took."""
    main, backup = await Provider("main").start(), await Provider("backup").start()
    beside = {"checked": CHECKED, "sorted": SORTED}
    found: list[dict[str, Any]] = []
    targets = {"capabilities": {"prefill": "prompted"}}
    files = {"workflows/sorted/output.schema.json": SCHEMA}
    try:
        with install({"main": main, "backup": backup}, RELAYED, targets, beside, files) as running:
            for number in range(1, repeat + 1):
                for name in ("answers", *beside):
                    found += await running.drills(name)
                print(f"  drills: run {number} of {repeat}, {len(found):,} calls", file=sys.stderr, flush=True)
    finally:
        await asyncio.gather(main.stop(), backup.stop())
    heard = main.requests + backup.requests
    _table(found, repeat)
    misses = [f"{result['fault']}: {miss}" for result in found for miss in result["misses"]]
    for miss in sorted(set(misses)):
        print(f"- **missed**: {miss}")
    print(f"\nRequests that the real targets heard of meanwhile: {heard}.")
    return not misses and heard == 0


def _table(found: list[dict[str, Any]], repeat: int) -> None:
    by_fault: dict[str, list[dict[str, Any]]] = {}
    for result in found:
        by_fault.setdefault(result["fault"], []).append(result)
    passed = sum(result["verdict"] == "PASS" for result in found)
    print(
        f"\n**{len(by_fault)} of {sum(map(len, CATALOGUE.values()))} faults in {len(found):,} drilled calls (three "
        f"workflows, each asked for whole and as a stream, all of it {repeat} ×): {passed:,} as declared**\n\n"
        "| row | fault | failure | outcome | calls | p50 s | p99 s | attempts ≤ | passed |\n"
        "|---|---|---|---|--:|--:|--:|--:|--:|"
    )
    for row, names in CATALOGUE.items():
        for name in names:
            if results := by_fault.get(name):
                print(_line(row, name, results))


def _line(row: str, name: str, results: list[dict[str, Any]]) -> str:
    seen = [result["seen"] or {} for result in results]
    seconds = [one.get("seconds", 0.0) for one in seen]
    outcomes = Counter(one.get("outcome") or "none" for one in seen)
    failures = sorted({one.get("first_failure") or "–" for one in seen})
    passed = sum(result["verdict"] == "PASS" for result in results)
    return (
        f"| {row} | {name} | {', '.join(failures)} | {', '.join(outcome for outcome, _ in outcomes.most_common())} | "
        f"{len(results)} | {at(seconds, 0.5):.2f} | {at(seconds, 0.99):.2f} | "
        f"{max(one.get('attempts', 0) for one in seen)} | {passed}{'' if passed == len(results) else ' **!**'} |"
    )
