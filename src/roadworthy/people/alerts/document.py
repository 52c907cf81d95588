"""Writes ``docs/alerts/NAME.md`` from the registry, and the tables of ``docs/alerts.md`` and ``docs/incidents.md``.

``python -m roadworthy.people.alerts.document docs`` brings the folder up to date; a test fails when it is not.
"""

from __future__ import annotations

import sys
from pathlib import Path

from roadworthy.people.alerts.model import Alert
from roadworthy.people.alerts.registry import ALERTS
from roadworthy.people.incident.rules import TRANSITIONS

CLASSES = {
    "page": "**pages**: whoever is on call is woken, at any hour",
    "notify": "**notifies**: the owner is told in working hours",
}
ALL = ("<!-- alerts: drawn from the registry -->", "<!-- end of alerts -->")
LIFE = ("<!-- life: drawn from the table of transitions -->", "<!-- end of life -->")


def page(alert: Alert) -> str:
    """The text of one page."""
    more = []
    if alert.minimum > 1:
        more.append(f"It takes at least {alert.minimum} bad events.")
    if alert.resolves_by_itself:
        more.append("It resolves by itself once what it is about is good again.")
    if alert.group:
        others = [f"[{one.name}]({one.name}.md)" for one in ALERTS.values() if one.group == alert.group != ""]
        if len(others) > 1:
            joined = ", ".join(each for each in others if f"[{alert.name}]" not in each)
            more.append(f"One incident of a workflow holds it together with {joined}.")
    lines = [
        f"# {alert.name}: {alert.title[0].lower()}{alert.title[1:]}", "",
        " ".join([f"This alert {CLASSES[alert.cls]}.", *more]), "",
        "## Means", "", alert.means, "",
        "## Check", "", *[f"{n}. {each}" for n, each in enumerate(alert.check, 1)], "",
        "## Do", "", *[f"{n}. {each}" for n, each in enumerate(alert.do, 1)], "",
    ]  # fmt: skip
    return "\n".join(lines)


def table() -> str:
    """Every alert on one line."""
    rows = [
        f"| [{alert.name}](alerts/{alert.name}.md) | {'**page**' if alert.pages else 'notify'} | {alert.title} "
        f"| {'yes' if alert.resolves_by_itself else 'no'} |"
        for alert in ALERTS.values()
    ]
    return "\n".join(["| alert | class | what | resolves by itself |", "|---|---|---|---|", *rows])


def life() -> str:
    """The states of an incident, as a diagram."""
    moves = [f"    {start} --> {end}: {event}" for (start, event), end in TRANSITIONS.items() if start != end]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> open", *moves, "```"])


def redrawn(text: str, marks: tuple[str, str], drawn: str) -> str:
    """A page with what stands between two marks drawn anew.  Raises ``ValueError`` where a mark is missing."""
    begin, end = marks
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has lost its mark {begin} or {end}")
    return f"{before}{begin}\n{drawn}\n{end}{after}"


def write(docs: Path) -> None:
    folder = docs / "alerts"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.md"):
        if old.stem not in ALERTS:
            old.unlink()
    for alert in ALERTS.values():
        (folder / f"{alert.name}.md").write_text(page(alert), "utf-8")
    for name, marks, drawn in (("alerts.md", ALL, table()), ("incidents.md", LIFE, life())):
        place = docs / name
        place.write_text(redrawn(place.read_text("utf-8"), marks, drawn), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
