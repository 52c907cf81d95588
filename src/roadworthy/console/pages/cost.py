"""What calls cost, will cost, and may cost at most.

GET  /cost                       ?month= → this month of every workflow, budgets, the most that it can cost
GET  /cost/{workflow}            the same of one: by day, of what a call is made of, forecast, budgets
GET  /cost/{workflow}/compare    ?to=&days= → its recorded traffic priced on other models
GET  /cost/sheet                 ?workflow=&team=&month=&format=html|markdown → the finance sheet, to show or take away
POST /cost/{workflow}/forecast   {volume, growth} → a forecast, kept; it is evidence once the cost owner accepts it
POST /cost/close                 {month}: by the cost owner
POST /cost/mail                  {workflow, team, month} → the sheet, mailed to the cost owners

Sums over a large log take longer than a page may: what is not there at once is fetched by the page when it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.cost.calculator import Unreadable, volume
from roadworthy.cost.model import PART_WORDS, ForecastFigures
from roadworthy.cost.sheet import Covers, Sheet
from roadworthy.operations.costing import forecast_words, sheet_page
from roadworthy.operations.costing.forecasts import Ask
from roadworthy.operations.services import Services
from roadworthy.workflow.service import Unknown
from roadworthy.workflow.words import dollars

T = TypeVar("T")

DAY = 86_400.0
GOOD_FOR = 60.0
"""Seconds that a sum is shown before it is made anew."""
LONG_GOOD_FOR = 900.0
"""The same of what reads many calls."""
SHOWN_DAYS = 30.0
PAST = 12
LIMITS = 5
LONGEST = 400


def overview(services: Services, visit: Visit) -> Answer:
    if asked := visit.query.get("workflow"):
        return Redirect(f"/cost/{asked}")
    names = [name for name in sorted(visit.standing.teams) if visit.may("read", name)]
    whole = visit.may("read") and bool(names)
    found = _later(services, ("overview", whole, tuple(names)), lambda: _summed(services, names, whole), GOOD_FOR)
    sheets, forecasts = found or ([], {})
    figures = {each.workflow: each for sheet in sheets for each in sheet.figures}
    budgets = [
        line
        for line in services.budgets.lines(people=False)
        if ("read" in visit.standing.within(line.owner) if line.scope == "team" else line.owner in names)
    ]
    rows = [
        {
            "name": name, "figures": figures.get(name),
            "expected": None if (made := forecasts.get(name)) is None else made.scenario("expected").usd,
            "budget": next((line for line in budgets if line.owner == name and line.period == "month"), None),
        }
        for name in names
    ]  # fmt: skip
    return View(
        "cost.html",
        {
            "ready": found is not None, "rows": rows, "budgets": budgets,
            "cards": sheet_page.cards(sheets[0]) if whole and sheets else [],
            "alarms": sheet_page.alarms(sheets[0]) if whole and sheets else [],
            "months": _months(visit), "may_close": visit.may("approve", anywhere=True),
        },
    )  # fmt: skip


def _summed(services: Services, names: list[str], whole: bool) -> tuple[list[Sheet], dict[str, ForecastFigures | None]]:
    """One sheet of everything for whoever may see all of it, else one a workflow; the newest forecast of each."""
    books = services.finance.books
    sheets = [books.sheet("all")] if whole else [books.sheet("workflow", name) for name in names]
    return sheets, {name: services.costing.forecasts.newest(name) for name in names}


def one(services: Services, visit: Visit) -> Answer:
    name, now = visit.path["workflow"], visit.now
    flow = services.workflows.named(name)
    forecasts, costs, since = services.costing.forecasts, services.costing.costs, now - SHOWN_DAYS * DAY
    sheet, days, past, unit = _together(
        services,
        (("sheet", name), lambda: services.finance.books.sheet("workflow", name), GOOD_FOR),
        (("days", name), lambda: costs.days(name, since, now), GOOD_FOR),
        (("past", name), lambda: forecasts.past(name, PAST), LONG_GOOD_FOR),
        (("unit", name), lambda: costs.unit(name, since, now), LONG_GOOD_FOR),
    )
    newest = forecasts.newest(name)
    owed = [each for each in services.vouching.owed(name) if each.kind == "cost_forecast"]
    chart = {
        "x": [datetime.fromisoformat(day.day).replace(tzinfo=visit.zone).timestamp() for day in days or ()],
        "lines": [{"name": "spent a day", "values": [day.usd for day in days or ()], "unit": "usd"}],
    }
    return View(
        "cost_workflow.html",
        {
            "flow": flow, "sheet": sheet, "cards": sheet_page.cards(sheet) if sheet else [],
            "alarms": sheet_page.alarms(sheet) if sheet else [], "unit": unit, "days": days, "chart": chart,
            "budgets": services.budgets.lines(name, people=False),
            "thresholds": flow.policy.budgets.thresholds(), "forecast": newest, "part_words": PART_WORDS,
            "loads": forecast_words.LOADS, "times": forecast_words.times, "rate": forecast_words.rate,
            "basis": forecast_words.basis(msgspec.to_builtins(newest)) if newest else "",
            "past": past, "tracked": forecast_words.tracked(msgspec.to_builtins(forecasts.track(name))) if past else "",
            "limits": newest.limits[:LIMITS] if newest else [], "owed": owed,
            "is_owner": visit.actor.id == flow.owners.cost, "may_make": visit.may("tools", name),
            "ready": None not in (sheet, unit, days, past),
        },
    )  # fmt: skip


def compare(services: Services, visit: Visit) -> Answer:
    name = visit.path["workflow"]
    services.workflows.named(name)
    to = [each.strip() for each in visit.query.get("to", "")[:LONGEST].split(",") if each.strip()]
    days = _number(visit.query.get("days", "30"), "Days", 0.01, 400.0)
    key = ("compare", name, tuple(to), days)
    found = _later(services, key, lambda: services.finance.comparer.compare(name, to, days), LONG_GOOD_FOR)
    return View("cost_compare.html", {"workflow": name, "found": found, "to": ", ".join(to), "days": days})


def sheet(services: Services, visit: Visit) -> Answer:
    covers, name, month = _which(visit, visit.query.get)
    made = _later(
        services, ("book", covers, name, month), lambda: services.finance.books.sheet(covers, name, month), GOOD_FOR
    )
    kind = visit.query.get("format", "")
    if kind and made is None:
        made = services.finance.books.sheet(covers, name, month)
    if kind in ("html", "markdown") and made is not None:
        text = (sheet_page.html if kind == "html" else sheet_page.markdown)(made, visit.zone)
        return _file(text, f"sheet-{made.month}.{'html' if kind == 'html' else 'md'}", kind)
    if kind:
        raise Wrong(f"format: is {kind[:20]!r}, expected html or markdown")
    asked = {"workflow": name if covers == "workflow" else "", "team": name if covers == "team" else "", "month": month}
    return View(
        "cost_sheet.html",
        {
            "sheet": made, "title": sheet_page.title(made) if made else "Finance sheet",
            "status": sheet_page.status(made, visit.zone) if made else "",
            "alarms": sheet_page.alarms(made) if made else [], "cards": sheet_page.cards(made) if made else [],
            "tables": sheet_page.tables(made) if made else [], "notes": sheet_page.notes(made) if made else [],
            "link": urlencode({key: value for key, value in asked.items() if value}), "asked": asked,
            "months": _months(visit), "may_mail": visit.may("tools", name if covers == "workflow" else None),
        },
    )  # fmt: skip


def make(services: Services, visit: Visit) -> Answer:
    name, stated, growth = visit.path["workflow"], visit.text("volume"), visit.text("growth")
    try:
        calls = volume(stated) if stated else None
    except Unreadable as error:
        raise Wrong(f"Calls that will come: {error}") from error
    grows = _number(growth.rstrip("% "), "Growth", -99.0, 2000.0) / 100.0 if growth else None
    made = services.costing.forecasts.make(Ask(name, calls_a_day=calls, growth_a_month=grows), visit.actor)
    services.later.forget()
    expected = made.figures.scenario("expected").usd
    said = f"The expected month is {dollars(expected.point)}, {dollars(expected.low)} to {dollars(expected.high)}."
    if made.why_none:
        said += f" {forecast_words.WHY_NONE[made.why_none].capitalize()}."
    elif made.accepted_by:
        said += f" It stays inside what {made.accepted_by} accepted."
    else:
        said += f" It counts once {made.cost_owner} accepts it."
    return Redirect(f"/cost/{name}#forecast", said)


def close(services: Services, visit: Visit) -> Answer:
    month = visit.text("month")
    done = services.finance.books.close(month, visit.actor)
    services.later.forget()
    closed = ", ".join(f"{each.workflow} with {dollars(each.figures.spent)}" for each in done)
    return Redirect("/cost", f"Closed {month}: {closed}." if done else f"All of yours is closed for {month} already.")


def mail(services: Services, visit: Visit) -> Answer:
    covers, name, month = _which(visit, visit.text)
    if not visit.may("tools", name if covers == "workflow" else None):
        raise Unknown(visit.why_not("tools"))
    sent = services.finance.mail(services.finance.books.sheet(covers, name, month), visit.actor)
    return Redirect("", f"On its way to {', '.join(sent)}.")


# --- inside


def _later(services: Services, key: Hashable, question: Callable[[], T], good_for: float) -> T | None:
    """``None``: it is being worked out, and the page asks again."""
    return services.later.get(("cost", key), question, good_for).value


def _together(services: Services, *asked: tuple[Hashable, Callable[[], Any], float]) -> list[Any]:
    """Several, waited for once."""
    found = services.later.together([(("cost", key), question, good_for) for key, question, good_for in asked])
    return [each.value for each in found]


def _which(visit: Visit, field: Callable[[str], str | None]) -> tuple[Covers, str, str]:
    """What a sheet is about, vetted.  Raises ``Unknown`` for what is not theirs to see."""
    workflow, team, month = (field(name) or "" for name in ("workflow", "team", "month"))
    allowed = visit.may("read", workflow) if workflow else visit.may("read")
    if team and not workflow:
        allowed = "read" in visit.standing.within(team)
    if not allowed:
        raise Unknown(visit.why_not("read"))
    return ("workflow" if workflow else "team" if team else "all"), workflow or team, month


def _months(visit: Visit) -> list[str]:
    """This one and the twelve before it."""
    now = datetime.fromtimestamp(visit.now, visit.zone)
    return [f"{(now.year * 12 + now.month - 1 - n) // 12}-{(now.month - 1 - n) % 12 + 1:02d}" for n in range(13)]


def _number(text: str, name: str, least: float, most: float) -> float:
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        raise Wrong(f"{name}: found {text[:20]!r}, expected a number from {least:g} to {most:g}.")
    return found


def _file(text: str, name: str, kind: str) -> Response:
    media = "text/html; charset=utf-8" if kind == "html" else "text/markdown; charset=utf-8"
    return Response(text, media_type=media, headers={"content-disposition": f'attachment; filename="{name}"'})


PAGES = [
    Page("GET", "/cost", "read", overview, anywhere=True),
    Page("GET", "/cost/sheet", "read", sheet, anywhere=True),
    Page("POST", "/cost/close", "approve", close, anywhere=True),
    Page("POST", "/cost/mail", "tools", mail, anywhere=True),
    Page("GET", "/cost/{workflow}", "read", one),
    Page("GET", "/cost/{workflow}/compare", "read", compare),
    Page("POST", "/cost/{workflow}/forecast", "tools", make, publishes=True),
]
