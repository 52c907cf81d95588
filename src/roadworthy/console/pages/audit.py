"""Who did what.

GET  /audit          ?person=&action=&workflow=&when=&before= → records, newest first, with what each one changed
GET  /audit/who      ?workflow=&at= → who allowed the share of a moment, and on what evidence
GET  /audit/export   the same filters → JSON lines, oldest first, as `roadworthy audit verify` reads them
POST /audit/verify   → the whole chain is verified, from its first record on

A look at the page verifies what is new since the last one, at most some hundred records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.responses import StreamingResponse

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.inference_log.when import Unreadable, Window, parse
from roadworthy.operations.auditing import differences, may_see, seen, targets_of
from roadworthy.operations.services import Services
from roadworthy.rollout.records import allowing, did
from roadworthy.workflow.audit import Which
from roadworthy.workflow.words import plural

ROWS = 50
FIELDS = ("person", "action", "workflow", "when")
_NUMBER = re.compile(r"[0-9]{1,15}")
HOUR = 3600.0
"""A longer time asked about means its end, a shorter one its beginning."""
MOST_CHANGES = 200
"""Changes of a ramp that are read to find the one in force at a moment."""


def show(services: Services, visit: Visit) -> Answer:
    which, window = _which(visit)
    before = visit.query.get("before", "")
    page = seen(services.state, which, visit.standing, int(before) if _NUMBER.fullmatch(before) else None, ROWS)
    with services.state.read() as tx:
        actors, actions = tx.trail_words("actor"), tx.trail_words("action")
    people = [who for who in actors if _may_know(services, visit, who)]
    asked = {name: visit.query.get(name, "") for name in FIELDS}
    return View(
        "audit.html",
        {
            "rows": [(record, differences(record.before, record.after)) for record in page.records],
            "older": _link("/audit", {**asked, "before": str(page.next)}) if page.next else "",
            "first": not before, "asked": asked, "narrowed": any(asked.values()),
            "people": people, "actions": actions, "window": window,
            "workflows": _flows(visit), "checked": services.trail.look(), "file": _link("/audit/export", asked),
        },
    )  # fmt: skip


def who(services: Services, visit: Visit) -> Answer:
    """With nothing asked: the form."""
    workflow, at = visit.query.get("workflow", ""), visit.query.get("at", "").strip()
    told: dict[str, Any] = {
        "workflow": workflow,
        "at": at,
        "workflows": _flows(visit),
        "found": None,
        "window": None,
        "did": did,
    }
    if workflow and not visit.may("read", workflow):
        raise Wrong(visit.why_not("read"))
    if not (workflow and at):
        return View("audit_who.html", told)
    window = _window(visit, at)
    instant = min(window.until, visit.now) - 1e-3 if window.until - window.since > HOUR else window.since
    history = services.rollouts.history(workflow, instant, MOST_CHANGES)
    found = allowing(history)
    after: dict[str, Any] = {} if found is None else found.after or {}
    evidence = {each.id: each for each in services.ledger.known(workflow).evidence}
    return View(
        "audit_who.html",
        {
            **told, "found": found, "after": after, "window": window, "instant": instant,
            "evidence": [(ident, evidence.get(ident)) for ident in after.get("evidence") or ()],
            "receipt": _receipt(services, workflow, str(after.get("receipt") or "")),
            "number": _number(services, str(after.get("release") or "")),
            "changes": history[:10],
        },
    )  # fmt: skip


def export(services: Services, visit: Visit) -> Answer:
    which, _ = _which(visit)

    def lines() -> Iterator[bytes]:
        after = 0
        while True:
            with services.state.read() as tx:
                records = tx.audit(after=after, limit=1000)
            for record in records:
                if which.holds(record) and may_see(record, visit.standing):
                    yield msgspec.json.encode(record.as_dict()) + b"\n"
            if len(records) < 1000:
                return
            after = records[-1].seq

    name = f"audit-{int(visit.now)}.jsonl"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)


def verify(services: Services, visit: Visit) -> Answer:
    found = services.trail.whole()
    if found.broken is not None:
        raise Wrong(f"The audit trail is broken at record {found.broken.seq}: {found.broken.why}.")
    return Redirect("/audit", f"Verified {plural(found.seq, 'record')}: the chain is whole.")


# --- inside


def _which(visit: Visit) -> tuple[Which, Window | None]:
    when = visit.query.get("when", "").strip()
    window = _window(visit, when) if when else None
    workflow = visit.query.get("workflow", "")
    return (
        Which(
            actor=visit.query.get("person", ""), action=visit.query.get("action", ""),
            targets=targets_of(workflow) if workflow else (),
            since=None if window is None else window.since, until=None if window is None else window.until,
        ),
        window,
    )  # fmt: skip


def _window(visit: Visit, text: str) -> Window:
    try:
        return parse(text[:100], now=datetime.fromtimestamp(visit.now, UTC), zone=visit.zone)
    except Unreadable as error:
        raise Wrong(str(error)) from error


def _may_know(services: Services, visit: Visit, who: str) -> bool:
    """Somebody of another team is nobody's business."""
    known = services.sign_in.people().get(who)
    return known is None or visit.may("read") or "read" in visit.standing.within(known.team)


def _flows(visit: Visit) -> list[str]:
    return [name for name in sorted(visit.standing.teams) if visit.may("read", name)]


def _receipt(services: Services, workflow: str, ident: str) -> Any:
    receipts = services.ledger.known(workflow).receipts if ident else []
    return next((each for each in receipts if each.id == ident), None)


def _number(services: Services, digest: str) -> int | None:
    with services.state.read() as tx:
        frozen = tx.release(digest) if digest else None
    return None if frozen is None else frozen.number


def _link(path: str, asked: dict[str, str]) -> str:
    given = {name: value for name, value in asked.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


PAGES = [
    Page("GET", "/audit", "read", show, anywhere=True),
    Page("GET", "/audit/who", "read", who, anywhere=True),
    Page("GET", "/audit/export", "read", export, anywhere=True),
    Page("POST", "/audit/verify", "read", verify, anywhere=True),
]
