"""What ``ready`` says, in words: the same on a terminal, in Markdown and on the page.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from roadworthy.cli import words
from roadworthy.readiness.model import NOT_BUILT

Facts = Mapping[str, Any]

EMPTY = "–"


def headline(report: Facts) -> str:
    """``support-triage: pilot, at most 1 % of its traffic``."""
    return f"{report['workflow']}: {report['label']}, {ceiling(report)}"


def ceiling(report: Facts) -> str:
    top = float(report["ceiling"])
    if top <= 0:
        return "named testers only"
    return "all of its traffic" if top >= 1 else f"at most {words.share(top)} of its traffic"


def standing(item: Facts) -> str:
    """The verdict, and what is special about it."""
    special = [
        word for word in (_age(item), str(item.get("mark") or ""), "waived" if item.get("waiver") else "") if word
    ]
    return str(item["verdict"]) + (f" ({', '.join(special)})" if special else "")


def _age(item: Facts) -> str:
    return str(item["age"]) if item["age"] in ("stale", "lapsed") else ""


def shown(item: Facts, now: float) -> str:
    """How old it is."""
    return EMPTY if item.get("made_at") is None else words.ago(item["made_at"], now)


def lapses(item: Facts, zone: tzinfo, now: float) -> str:
    at = item.get("lapses_at")
    if at is None:
        return EMPTY
    day = date(at, zone)
    return f"{day}, soon" if item.get("soon") else day if at > now else f"was {day}"


def renewal(item: Facts) -> str:
    """The command that renews it; a machine's is marked."""
    return f"{item['command']} (auto)" if item.get("auto") and item["command"] != NOT_BUILT else item["command"]


def date(at: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).date().isoformat()


def release(report: Facts) -> str:
    found, newest = report.get("release"), report.get("newest")
    if not found:
        return "no release yet"
    said = f"release {found['number']} ({found['digest'][:16]}), frozen by {found['frozen_by']}"
    if newest:
        name = report["workflow"]
        said += f"; release {newest['number']} was frozen since: roadworthy ready {name} --release {newest['number']}"
    return said


def step(row: Facts, zone: tzinfo) -> tuple[str, str]:
    """(when, what to do): the date on which it was reached, or the planned one and the command."""
    if row.get("reached_at") is not None:
        return date(row["reached_at"], zone), ""
    if row.get("earliest") is not None and row.get("latest") is not None:
        return f"{date(row['earliest'], zone)} to {date(row['latest'], zone)}", str(row["command"])
    return EMPTY, str(row["command"])


def unsigned(rows: int) -> str:
    was = "was" if rows == 1 else "were"
    return f"{words.plural(rows, 'row')} of the state database {was} not signed by this install: they count for nothing"


def notes(report: Facts) -> Iterator[str]:
    """What must be read beside the table."""
    if report.get("notice"):
        yield str(report["notice"])
    if report.get("enforcement") == "observe":
        yield "Observed: the ceiling is recorded and not kept; what would have happened is in the log (would: …)"
    forged = int(report.get("forged") or 0)
    if forged:
        yield unsigned(forged)
    yield from (str(each) for each in report.get("reviews") or ())
    waiting: dict[str, list[str]] = {}
    for owed in report.get("owed") or ():
        of = f"the role of {owed['role']} owner" if owed["kind"] == "acceptance" else _named(owed)
        waiting.setdefault(str(owed["person"]), []).append(of + (" again" if owed.get("renews") else ""))
    for person, owes in waiting.items():
        yield f"waits for {person}: accept {', '.join(owes)}: roadworthy accept {report['workflow']}"


def _named(owed: Facts) -> str:
    return f"the {str(owed['kind']).replace('_', ' ')} {owed['evidence']}"
