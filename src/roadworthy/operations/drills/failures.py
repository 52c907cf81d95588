"""The customer-visible failure catalogue: what the last drills showed that a customer reads, and how long it takes.

Pure.  Per fault and way of asking the newest verdict counts, over runs of the same release; older releases' proofs
are not carried over.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from roadworthy.fallback.drills.catalogue import place_of
from roadworthy.fallback.drills.model import DrillRun, Result, Verdict
from roadworthy.workflow.inference import SERVED_BY_MODEL

LONGEST_READING = 200


class Visible(msgspec.Struct, kw_only=True):
    """One fault as the customer sees it."""

    fault: str
    row: str
    says: str
    stream: bool
    verdict: Verdict
    outcome: str
    reads: str
    """What the customer read, word for word."""
    status: int
    seconds: float
    """Longest that was measured."""
    longest: float
    """Longest that may be."""
    told: str
    proven: int
    """Drills of this release that passed."""
    last: float
    """When it was drilled last."""
    release: str


def catalogue(runs: Iterable[DrillRun]) -> list[Visible]:
    """Of the newest run's release, in the order of the fault catalogue.  ``runs``: newest first; those of drafts count
    only where there are no others."""
    found: dict[tuple[str, bool], Visible] = {}
    digest, every = "", list(runs)
    for run in [run for run in every if not run.draft] or every:
        digest = digest or run.digest
        if run.digest != digest:
            continue
        for result in run.results:
            if result.seen is None or result.expected is None:
                continue
            key = (result.fault, result.stream)
            if key not in found:
                found[key] = _visible(run, result)
            else:
                found[key].seconds = max(found[key].seconds, result.seen.seconds)
            found[key].proven += result.verdict == "PASS"
    return sorted(found.values(), key=lambda item: (place_of(item.fault), item.stream))


def together(items: Iterable[Visible]) -> list[tuple[Visible, str]]:
    """(fault, ``whole``, ``stream`` or ``both``): ways of asking after which a customer sees the same are one."""
    found: dict[tuple[str, ...], tuple[Visible, str]] = {}
    for item in items:
        reads = "" if item.outcome in SERVED_BY_MODEL else item.reads
        key = (item.fault, item.verdict, item.outcome, item.told, reads)
        if key not in found:
            found[key] = (item, "stream" if item.stream else "whole")
            continue
        other = found[key][0]
        both = msgspec.structs.replace(
            other, seconds=max(other.seconds, item.seconds), longest=max(other.longest, item.longest),
            proven=min(other.proven, item.proven), last=min(other.last, item.last),
        )  # fmt: skip
        found[key] = (both, "both")
    return list(found.values())


def _visible(run: DrillRun, result: Result) -> Visible:
    seen, must = result.seen, result.expected
    assert seen is not None
    assert must is not None
    return Visible(
        fault=result.fault, row=result.row, says=result.says, stream=result.stream, verdict=result.verdict,
        outcome=seen.outcome or "none", reads=seen.text, status=seen.status, seconds=seen.seconds, longest=must.wait,
        told=seen.told or "none", proven=0, last=run.ended or run.began, release=run.digest,
    )  # fmt: skip


def markdown(workflow: str, items: Iterable[Visible], when: str) -> str:
    """The catalogue as a page for people; ``when`` says when it was made."""
    lines = [
        f"# What customers of {workflow} see when the model fails", "",
        f"Made by `roadworthy failures {workflow} --markdown` on {when}, from drills. Every line was measured.", "",
        "| when | asked | the customer gets | and reads | within | proven |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for item, asked in together(items):
        proof = f"{item.proven} ×" if item.verdict == "PASS" else f"{item.verdict}"
        lines.append(
            f"| {_cell(item.says)} | {asked} | {item.outcome} | {_reads(item)} | "
            f"{item.seconds:.1f} s (at most {item.longest:.0f} s) | {proof} |"
        )
    return "\n".join([*lines, ""])


def _reads(item: Visible) -> str:
    if item.outcome in SERVED_BY_MODEL:
        return "the model's answer"
    text = item.reads
    return _cell(text if len(text) <= LONGEST_READING else text[:LONGEST_READING] + "…")


def _cell(text: str) -> str:
    """Text of others in a table: one line, no markup of its own."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    for mark in "\\|`*_<>[]&":
        kept = kept.replace(mark, f"\\{mark}" if mark not in "<>&" else {"<": "&lt;", ">": "&gt;", "&": "&amp;"}[mark])
    return kept.strip()
