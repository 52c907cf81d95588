"""A review in words: figures as people read them, and the whole as Markdown.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from roadworthy.people.review.model import Figure, Review, Unit
from roadworthy.workflow import words

TITLES: Final = {"weekly": "Weekly review", "monthly": "Monthly review of evals", "quarterly": "Vendors and cost"}
MINUTES: Final = {"weekly": 5.0, "monthly": 10.0, "quarterly": 15.0}
"""That reading, deciding and signing take."""


def shown(value: float | None, unit: Unit) -> str:
    """A figure as people read it; ``–`` for what is not known."""
    match unit:
        case "share":
            return words.share(value)
        case "seconds":
            return words.seconds(value)
        case "usd":
            return words.dollars(value)
        case "score":
            return words.UNKNOWN if value is None else f"{value:.2f}"
        case "count":
            return words.UNKNOWN if value is None else f"{value:,.0f}"


def difference(figure: Figure) -> str:
    """Against the period before: ``+12 %``, ``−0.4 points``; empty where there is nothing to compare."""
    now, before = figure.now, figure.before
    if now is None or before is None or now == before:
        return ""
    change = now - before
    sign = "+" if change > 0 else "−"
    if figure.unit == "share":
        return f"{sign}{abs(change) * 100:.2g} points"
    if before == 0 or figure.unit == "score":
        return f"{sign}{abs(change):.2g}" if figure.unit == "score" else f"{sign}{shown(abs(change), figure.unit)}"
    return f"{sign}{abs(change) / abs(before) * 100:.0f} %"


def better(figure: Figure) -> bool | None:
    """Did it move the good way?  ``None``: neither way is good, or it did not move."""
    if not figure.better or figure.now is None or figure.before is None or figure.now == figure.before:
        return None
    return (figure.now > figure.before) == (figure.better == "more")


def title(review: Review) -> str:
    return f"{TITLES[review.kind]}: {review.workflow}, {review.period}"


def markdown(review: Review, zone: ZoneInfo) -> str:
    return "\n".join(_lines(review, zone)) + "\n"


def _lines(review: Review, zone: ZoneInfo) -> Iterator[str]:
    facts = review.facts
    since, until = (words.moment(at, zone) for at in (review.since, review.until))
    yield f"# {title(review)}"
    yield ""
    yield f"{since} to {until} ({zone.key}). {facts.headline}."
    yield ""
    yield from _table(
        ["figure", "now", "before", "change", "held against"],
        [
            [each.name, f"**{shown(each.now, each.unit)}**" if each.missed else shown(each.now, each.unit),
             shown(each.before, each.unit), difference(each), each.against]
            for each in facts.figures
        ],
    )  # fmt: skip
    yield from _section("What changed", [_change(each.what, each.cause) for each in facts.changes])
    yield from _section("What to decide", facts.decide)
    for table in facts.tables:
        yield ""
        yield f"## {table.title}"
        yield ""
        yield from _table(table.columns, table.rows)
    yield from _section("What is not known", facts.gaps)
    yield from _section("Decided", review.decisions)
    yield ""
    yield _signed(review, zone)


def _change(what: str, cause: str) -> str:
    return f"{what} ({cause})" if cause else f"{what} (the data do not say why)"


def _signed(review: Review, zone: ZoneInfo) -> str:
    if review.signed_by:
        return f"Signed by {review.signed_by}, {words.moment(review.signed_at, zone)}."
    return f"Not signed. Drafted {words.moment(review.drafted_at, zone)}."


def _section(name: str, points: Sequence[str]) -> Iterator[str]:
    if points:
        yield ""
        yield f"## {name}"
        yield ""
        yield from (f"- {_escaped(each)}" for each in points)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    yield from (f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows)


def _escaped(text: str) -> str:
    """No names of models, failures or people make Markdown of their own."""
    for mark in "\\`[]<>|":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
