"""Finding past calls, and one of them whole.

GET  /inferences               ?q=&after=&before=&live= → the search box and a page of calls, newest first; no texts
GET  /inferences/export        ?q=&format=csv|json&texts= → what the search finds, streamed
GET  /inferences/{id}          one call: attempts on a time line, checks, cost, who allowed it, texts where permitted
GET  /inferences/{id}/json     the same for machines
POST /inferences/{id}/report   {why} → an incident for the workflow's owner
POST /inferences/{id}/example  {expect:NAME…, text, critical} → into the pool of examples

That somebody read a text (opened a call, searched in texts, exported them) is audited every time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response, StreamingResponse

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.pages.eval_parts import expected_of
from roadworthy.console.pages.inference_parts import facts_of, passages, timeline
from roadworthy.console.refusals import Wrong
from roadworthy.cost.model import PART_WORDS
from roadworthy.inference_log import telling
from roadworthy.inference_log.export import Format
from roadworthy.inference_log.model import Entry
from roadworthy.inference_log.model import Page as LogPage
from roadworthy.inference_log.searching import Missed, Search, quoted
from roadworthy.operations import looking
from roadworthy.operations.services import Services
from roadworthy.rollout.records import did
from roadworthy.workflow.service import Unknown

ROWS = 50
WHOLE_ID = 36
"""Characters of an id with all of its digits."""
QUICK = (
    ("Customers only", "live"),
    ("Failed", "error"),
    ("Unsafe", "unsafe"),
    ("Handed to a person", "escalated"),
    ("Another target", "recovered"),
    ("Over 5 s", "slow > 5s"),
    ("Over 1 cent", "cost > 0.01"),
    ("Last hour", "last hour"),
    ("Yesterday", "yesterday"),
)
"""Buttons under the search box: what they say, and the words that they add."""
SETTLED = 2.0
"""Seconds after the end of a window in which calls of it may still arrive."""
KINDS: dict[str, Format] = {"csv": "csv", "json": "json"}
MEDIA = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


# --- the list


def show(services: Services, visit: Visit) -> Answer:
    search = looking.understood(services, visit.query.get("q", ""), visit.now)
    if search.ident:
        whole = _whole(services, search.ident)
        if len(whole) == 1:
            return Redirect(f"/inferences/{whole[0]}")
        why = "several calls begin so: give more digits" if whole else "no call in the log begins so"
        search = msgspec.structs.replace(search, missed=[*search.missed, Missed(search.ident, why)])
    page = LogPage([]) if search.ident else _page(services, visit, search)
    over = search.window is not None and search.window.until < visit.now - SETTLED
    first = not (visit.query.get("after") or visit.query.get("before"))
    may_live = first and not over and search.where.text is None and not search.ident
    live = may_live and visit.query.get("live") != "0"
    return View(
        "inferences.html",
        {
            "search": search, "page": page, "live": live, "may_live": may_live, "first": first,
            "quick": [(name, here(f"{search.text} {word}".strip())) for name, word in QUICK if word not in search.text],
            "here": here, "answered": answered_by, "user": named_user,
            "may_texts": visit.may("read_text", anywhere=True),
            "in_texts": here(f"text {quoted(search.text)}") if len(search.missed) > 0 else "",
        },
    )  # fmt: skip


def _page(services: Services, visit: Visit, search: Search) -> LogPage:
    where = search.where
    if where.text is not None:
        looking.record_reading(
            services, visit.actor, "inference.search_texts", "inferences", looking.asked(services, where)
        )
    where = looking.readable(where, visit.standing, "read" if where.text is None else "read_text")
    before = visit.query.get("before") or None
    return services.log.search(where, ROWS, after=None if before else visit.query.get("after") or None, before=before)


def _whole(services: Services, ident: str) -> list[str]:
    return [ident] if len(ident) == WHOLE_ID else services.log.begin_with(ident)


def here(text: str = "", **more: str) -> str:
    """The list with another line in its search box."""
    asked = {name: value for name, value in {"q": text, **more}.items() if value}
    return "/inferences" + (f"?{urlencode(asked)}" if asked else "")


def answered_by(row: Any) -> str:
    return str(row.target or "")


def named_user(row: Any) -> str:
    """Who was served, unless the call named nobody."""
    return str(row.unit or "") if row.unit_source != "random" else ""


def export(services: Services, visit: Visit) -> Answer:
    kind = KINDS.get(visit.query.get("format", "csv"))
    if kind is None:
        raise Wrong(f"format: is {visit.query.get('format', '')[:20]!r}, expected csv or json")
    texts = visit.query.get("texts") == "1"
    search = looking.understood(services, visit.query.get("q", ""), visit.now)
    if search.missed:
        said = "; ".join(f"“{each.typed}”: {each.hint}" for each in search.missed)
        raise Wrong(f"Not all of the search was understood, so the file would hold something else. {said}")
    where = search.where
    wanted = looking.readable(where, visit.standing, "read_text" if texts or where.text is not None else "read")
    about = {"format": kind, "texts": texts, **looking.asked(services, where)}
    looking.record_reading(services, visit.actor, "inference.export", "inferences", about)
    chunks = services.log.export(wanted, kind, bodies=texts)
    name = f"inferences-{int(visit.now)}.{kind}"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(chunks, media_type=MEDIA[kind], headers=headers)


# --- one


def one(services: Services, visit: Visit) -> Answer:
    entry = _entry(services, visit)
    call = entry.inference
    texts = visit.may("read_text", call.workflow) and not call.bodies_dropped
    if texts:
        looking.record_reading(services, visit.actor, "inference.read", f"inference/{call.id}", team=call.team)
    facts = facts_of(entry)
    around = looking.around(services, call)
    prices = {name: msgspec.structs.asdict(price) for name, price in around.prices.items()}
    release = {"release": {"number": around.number}}
    attempts = facts.get("attempts") or ()
    priced = [line for each in attempts for line in telling.breakdown(each, prices.get(each["target"]))]
    return View(
        "inference.html",
        {
            "call": call, "facts": facts, "around": around, "feedback": entry.feedback,
            "served": telling.served(facts, release), "answered": telling.answered(facts), "user": telling.user(facts),
            "named": named_user(call), "bars": timeline(call), "priced": priced,
            "said": passages(facts) if texts else [], "texts": texts,
            "dropped": telling.DROPPED.get(call.bodies_dropped, call.bodies_dropped),
            "same_user": here(f"user {quoted(call.unit or '')} {_flow(call.workflow)}".strip()),
            "same_minute": here(f"{_minute(call.ts, visit)} {_flow(call.workflow)}".strip()),
            "same_session": here(f"session {quoted(call.session)} {_day(call.ts, visit)}") if call.session else "",
            "part_words": PART_WORDS, "did": did,
            "may_add": visit.may("configure", call.workflow), "needs": looking.expectations(services, call.workflow),
        },
    )  # fmt: skip


def _entry(services: Services, visit: Visit) -> Entry:
    """Raises ``Unknown`` for what is not there, and for what is not theirs to see: which of the two is not told."""
    entry = looking.found(services, visit.path["id"])
    if not visit.may("read", entry.inference.workflow):
        raise Unknown(f"no inference {visit.path['id'][:80]!r} in the log that you may read")
    return entry


def _flow(workflow: str) -> str:
    return f"workflow {quoted(workflow)}" if workflow else ""


def _minute(ts: float, visit: Visit) -> str:
    """The minute of an instant, in the words of the search box."""
    begin = datetime.fromtimestamp(ts // 60 * 60, visit.zone)
    return f"{begin:%Y-%m-%dT%H:%M%z}..{begin + timedelta(minutes=1):%Y-%m-%dT%H:%M%z}"


def _day(ts: float, visit: Visit) -> str:
    """The day of an instant: no index knows sessions, and a day is read in no time."""
    return f"{datetime.fromtimestamp(ts, visit.zone):%Y-%m-%d}"


def whole(services: Services, visit: Visit) -> Answer:
    entry = _entry(services, visit)
    call = entry.inference
    if visit.may("read_text", call.workflow):
        looking.record_reading(services, visit.actor, "inference.read", f"inference/{call.id}", team=call.team)
    else:
        bare = msgspec.structs.replace(call, request=None, response=None, prompt=None)
        entry = msgspec.structs.replace(entry, inference=bare)
    return Response(msgspec.json.format(msgspec.json.encode(entry), indent=2), media_type="application/json")


def report(services: Services, visit: Visit) -> Answer:
    call = _entry(services, visit).inference
    flow = services.workflows.named(call.workflow)
    made = services.incidents.report(call.id, call.workflow, call.team, visit.actor, visit.text("why"))
    said = f"Reported as {made.id}. {flow.owners.workflow}, who owns {call.workflow}, has it now."
    return Redirect(f"/inferences/{call.id}", said)


def example(services: Services, visit: Visit) -> Answer:
    call = _entry(services, visit).inference
    if not visit.may("configure", call.workflow):
        raise Unknown(visit.why_not("configure"))
    expected = expected_of(visit)
    text = visit.text("text") or None
    critical = visit.text("critical") == "1"
    made, _ = services.judging.add(call.id, visit.actor, expected, text, critical)
    judged = "" if expected or text else " Nothing is expected of its answer, so only scorers that need none judge it."
    return Redirect(
        f"/inferences/{call.id}",
        f"{made.id} waits in the pool of {call.workflow}{', critical' if critical else ''}, for the next version of "
        f"the set.{judged}",
    )


PAGES = [
    Page("GET", "/inferences", "read", show, anywhere=True),
    Page("GET", "/inferences/export", "read", export, anywhere=True),
    Page("GET", "/inferences/{id}", "read", one, anywhere=True),
    Page("GET", "/inferences/{id}/json", "read", whole, anywhere=True),
    Page("POST", "/inferences/{id}/report", "read", report, anywhere=True),
    Page("POST", "/inferences/{id}/example", "configure", example, anywhere=True),
]
