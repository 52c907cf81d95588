"""Reviews: the weekly, monthly and quarterly look at a workflow, drafted from data, signed by its owner.

GET  /reviews                                       what waits for a signature, then what was signed
GET  /reviews/{workflow}/{kind}/{period}            one of them; `running`: what that of the running period would say
GET  /reviews/{workflow}/{kind}/{period}/markdown   the same as a file
POST /reviews/{workflow}/{kind}/{period}/decide     {decision-0…, others} keep what was decided so far
POST /reviews/{workflow}/{kind}/{period}/sign       {decision-0…, others}
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.operations.reviewing import document
from roadworthy.operations.services import Services
from roadworthy.people.review.model import KINDS, Review, ReviewKind, Series
from roadworthy.workflow.service import Unknown

RUNNING: Final = "running"
MOST: Final = 200
UNITS: Final = {"seconds": "s", "usd": "usd", "share": "share", "count": "count", "score": "count"}


def listed(services: Services, visit: Visit) -> Answer:
    found = [each for each in services.reviewing.reviews.all(limit=MOST) if visit.may("read", each.workflow)]
    waiting = sorted((each for each in found if each.state == "drafted"), key=lambda each: each.overdue_at)
    signed = [each for each in found if each.state == "signed"]
    applied = services.workflows.configuration()
    names = (
        [] if applied is None else sorted(name for name in applied.configuration.workflows if visit.may("read", name))
    )
    return View("reviews.html", {
        "waiting": waiting, "signed": signed, "names": names, "kinds": KINDS, "titles": document.TITLES,
        "owner": lambda each: _owner(services, each.workflow),
    })  # fmt: skip


def shown(services: Services, visit: Visit) -> Answer:
    review = _review(services, visit)
    running = visit.path["period"] == RUNNING
    mine = visit.actor.id == _owner(services, review.workflow)
    answers, others = split(review)
    return View("review.html", {
        "review": review, "running": running, "title": document.title(review), "mine": mine, "answers": answers,
        "others": others, "owner": _owner(services, review.workflow), "shown": document.shown,
        "difference": document.difference, "better": document.better, "charts": _charts(review),
        "here": f"/reviews/{review.workflow}/{review.kind}/{visit.path['period']}",
        "minutes": document.MINUTES[review.kind],
    })  # fmt: skip


def markdown(services: Services, visit: Visit) -> Answer:
    review = _review(services, visit)
    name = f"review-{review.workflow}-{review.period}.md"
    return Response(
        document.markdown(review, visit.zone), media_type="text/markdown; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip


def decide(services: Services, visit: Visit) -> Answer:
    review = _kept(services, visit)
    services.reviewing.reviews.decide(review.id, visit.actor, joined(review, visit))
    return Redirect("", "Kept. Sign it when you are done.")


def sign(services: Services, visit: Visit) -> Answer:
    review = _kept(services, visit)
    signed = services.reviewing.reviews.sign(review.id, visit.actor, joined(review, visit))
    return Redirect("", f"You signed the {signed.kind} review {signed.period}.")


# --- what was decided


def split(review: Review) -> tuple[list[str], str]:
    """What was decided about each question of the draft, and the rest, a line each."""
    left = list(review.decisions)
    answers = []
    for question in review.facts.decide:
        found = next((each for each in left if each.startswith(f"{question} ")), "")
        if found:
            left.remove(found)
        answers.append(found.removeprefix(f"{question} "))
    return answers, "\n".join(left)


def joined(review: Review, visit: Visit) -> list[str]:
    """The form, as decisions: each question with what was decided, then the rest."""
    found = [
        f"{question} {said}"
        for at, question in enumerate(review.facts.decide)
        if (said := " ".join(visit.text(f"decision-{at}").split()))
    ]
    return found + [line.strip() for line in visit.text("others").splitlines() if line.strip()]


# --- inside


def _review(services: Services, visit: Visit) -> Review:
    """Raises ``Unknown``."""
    if visit.path["period"] == RUNNING:
        return services.reviewing.drafting.running(visit.path["workflow"], _kind(visit))
    return _kept(services, visit)


def _kept(services: Services, visit: Visit) -> Review:
    return services.reviewing.reviews.find(visit.path["workflow"], _kind(visit), visit.path["period"])


def _kind(visit: Visit) -> ReviewKind:
    kind = visit.path["kind"]
    if kind not in KINDS:
        raise Unknown(f"no kind of review {kind[:20]!r}: there are {', '.join(KINDS)}")
    return kind


def _owner(services: Services, workflow: str) -> str:
    applied = services.workflows.configuration()
    flow = None if applied is None else applied.configuration.workflows.get(workflow)
    return "" if flow is None else flow.owners.workflow


def _charts(review: Review) -> list[tuple[str, dict[str, Any]]]:
    """Figures over the days; one that has a single day draws nothing."""
    return [(each.name, _chart(each)) for each in review.facts.series if len(each.days) > 1 and any(each.values)]


def _chart(series: Series) -> dict[str, Any]:
    unit = UNITS[series.unit]
    days = [datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() for day in series.days]
    lines: list[dict[str, Any]] = [{"name": series.name, "values": series.values, "unit": unit}]
    if series.limit is not None:
        lines.append({"name": "objective", "values": [series.limit] * len(days), "unit": unit})
    return {"x": days, "lines": lines}


PAGES = [
    Page("GET", "/reviews", "read", listed, anywhere=True),
    Page("GET", "/reviews/{workflow}/{kind}/{period}", "read", shown),
    Page("GET", "/reviews/{workflow}/{kind}/{period}/markdown", "read", markdown),
    Page("POST", "/reviews/{workflow}/{kind}/{period}/decide", "approve", decide),
    Page("POST", "/reviews/{workflow}/{kind}/{period}/sign", "approve", sign),
]
