"""The inbox: customers that wait for a person, and drafts that only a person can send.

GET  /inbox                  ?workflow=&show=waiting|closed: the most urgent first, without a word that anybody said
GET  /inbox/people           what people can carry, and how they treat drafts
POST /inbox/next             {workflow?} claim the most urgent one that nobody has, and open it
GET  /inbox/{id}             ?anew=1: all that whoever answers needs; that it was read is audited
POST /inbox/{id}/claim       → the answer's page; whoever comes second is told who was first
POST /inbox/{id}/hold        renew the claim while somebody types → how long it holds
POST /inbox/{id}/commit      {text} keep what was written, and show the draft that was hidden until then
POST /inbox/{id}/answer      {text, as?: sent, add_example?}
POST /inbox/{id}/return      {reason?}
POST /inbox/{id}/cancel      {reason?}
"""

from __future__ import annotations

from typing import Any, Final

from markupsafe import escape
from starlette.responses import HTMLResponse

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.operations.escalating import words
from roadworthy.operations.escalating.inbox import Done
from roadworthy.operations.services import Services
from roadworthy.people.escalation.model import OPEN_STATES, Action, Escalation
from roadworthy.people.escalation.rules import Refused
from roadworthy.people.escalation.service import NotAllowed
from roadworthy.people.roles import Permission
from roadworthy.workflow.words import until

MOST: Final = 200
SOON: Final = 15 * 60.0
"""Seconds before its time is over at which one is urgent."""


def listed(services: Services, visit: Visit) -> Answer:
    workflow, closed = visit.query.get("workflow", ""), visit.query.get("show", "") == "closed"
    names = _names(services, visit)
    queue = services.escalations
    found = queue.all(workflow or None, MOST) if closed else queue.waiting(workflow or None, MOST)
    rows = [each for each in found if each.workflow in names and (not closed or not each.open)]
    free = [each for each in rows if each.open and not _held(each, visit.now)]
    mine = [each for each in rows if each.open and each.claimed_by == visit.actor.id and _held(each, visit.now)]
    return View("inbox.html", {
        "rows": rows, "workflow": workflow, "closed": closed, "names": names, "mine": mine, "free": len(free),
        "origin": words.origin, "why": words.why, "soon": SOON, "held": lambda each: _held(each, visit.now),
        "may_answer": [name for name in names if visit.may("answer", name)],
    })  # fmt: skip


def people(services: Services, visit: Visit) -> Answer:
    names = _names(services, visit)
    found = []
    for name in names:
        stand = services.ramps.stand(name)
        ahead = [stage for stage in stand.stages if stage.share > stand.share][:1]
        share = ahead[0].share if ahead else 1.0
        found.append((name, services.answering.foreseeing.capacity(name, stand.release, share), stand))
    stamps = [each for each in services.answering.stamps.found() if each.workflow in names]
    return View("inbox_people.html", {"found": found, "stamps": stamps})


def following(services: Services, visit: Visit) -> Answer:
    """The first claim wins, so of two who press at once one gets the next but one."""
    workflow = visit.text("workflow")
    for each in services.escalations.waiting(workflow or None, MOST):
        if not visit.may("answer", each.workflow) or _held(each, visit.now):
            continue
        try:
            services.escalations.claim(each.id, visit.actor)
        except Refused:
            continue  # somebody was faster
        return Redirect(f"/inbox/{each.id}")
    return Redirect("/inbox", "Nobody waits who is not being answered already.")


def shown(services: Services, visit: Visit) -> Answer:
    ident = _ident(services, visit, "read_text")
    view = services.answering.inbox.view(ident, visit.actor, visit.standing)
    row = view.escalation
    mine = row.state == "claimed" and row.claimed_by == visit.actor.id and _held(row, visit.now)
    own = row.committed.text if row.committed is not None and row.committed.by == visit.actor.id else ""
    typed = own if own else "" if visit.query.get("anew") == "1" else row.draft or ""
    return View("inbox_one.html", {
        "view": view, "row": row, "mine": mine, "held": _held(row, visit.now), "own": own, "typed": typed,
        "may_answer": visit.may("answer", row.workflow), "soon": SOON, "open": row.state in OPEN_STATES,
        "lease": _lease(row, visit.now),
    })  # fmt: skip


def claim(services: Services, visit: Visit) -> Answer:
    ident = _ident(services, visit, "answer")
    services.escalations.claim(ident, visit.actor)
    return Redirect(f"/inbox/{ident}")


def hold(services: Services, visit: Visit) -> Answer:
    ident = _ident(services, visit, "answer")
    try:
        row = services.escalations.claim(ident, visit.actor)
    except Refused as refused:
        said = escape(f"It is not yours any more: {refused}. Copy what you wrote before you leave this page.")
        return HTMLResponse(f'<span id="lease" class="bad-text" role="alert">{said}</span>')
    return HTMLResponse(f'<span id="lease">{escape(_lease(row, visit.now))}</span>')


def commit(services: Services, visit: Visit) -> Answer:
    ident = _ident(services, visit, "answer")
    services.escalations.commit(ident, visit.actor, visit.text("text"))
    return Redirect(f"/inbox/{ident}", "Yours is kept. Here is the draft: send yours, the draft, or a third.")


def answer(services: Services, visit: Visit) -> Answer:
    ident = _ident(services, visit, "answer")
    whole: Action | None = "sent" if visit.text("as") == "sent" else None
    text = "" if whole else visit.text("text")
    wanted = visit.text("add_example") == "1"
    done = services.answering.inbox.answer(ident, visit.actor, text, whole, add_example=wanted)
    return Redirect("/inbox", _said(done))


def give_back(services: Services, visit: Visit) -> Answer:
    ident = _ident(services, visit, "answer")
    services.escalations.give_back(ident, visit.actor, visit.text("reason"))
    return Redirect("/inbox", "It is back in the queue.")


def cancel(services: Services, visit: Visit) -> Answer:
    ident = _ident(services, visit, "answer")
    services.escalations.cancel(ident, visit.actor, visit.text("reason"))
    return Redirect("/inbox", "Closed without an answer; whoever asked is told so.")


# --- inside


def _names(services: Services, visit: Visit) -> list[str]:
    applied = services.workflows.configuration()
    return (
        [] if applied is None else sorted(name for name in applied.configuration.workflows if visit.may("read", name))
    )


def _ident(services: Services, visit: Visit, permission: Permission) -> str:
    """Of an escalation that the visitor may read or answer.  Raises ``Unknown`` and ``NotAllowed``."""
    found = services.escalations.find(visit.path["id"])
    if not visit.may(permission, found.workflow):
        raise NotAllowed(visit.why_not(permission))
    return found.id


def _held(row: Escalation, now: float) -> bool:
    return row.state == "claimed" and now < (row.claimed_until or 0.0)


def _lease(row: Escalation, now: float) -> str:
    return f"Yours: the claim ends {until(row.claimed_until, now)}, and longer while you type."


def _said(done: Done) -> str:
    said = "Answered: whoever asked has it."
    if done.example:
        said += " It waits in the pool of examples."
    if done.not_added:
        said += f" It became no example: {done.not_added}."
    if done.scored:
        said += f" The draft was scored “{done.scored}”."
    elif done.not_scored:
        said += f" The draft has no hand score: {done.not_scored}."
    return said


def _page(method: str, path: str, permission: Permission, handler: Any) -> Page:
    """What an escalation belongs to is known when it is found, so its handler asks for the permission there."""
    return Page(method, path, permission, handler, anywhere=True)


PAGES = [
    _page("GET", "/inbox", "read", listed),
    _page("GET", "/inbox/people", "read", people),
    _page("POST", "/inbox/next", "answer", following),
    _page("GET", "/inbox/{id}", "read_text", shown),
    _page("POST", "/inbox/{id}/claim", "answer", claim),
    _page("POST", "/inbox/{id}/hold", "answer", hold),
    _page("POST", "/inbox/{id}/commit", "answer", commit),
    _page("POST", "/inbox/{id}/answer", "answer", answer),
    _page("POST", "/inbox/{id}/return", "answer", give_back),
    _page("POST", "/inbox/{id}/cancel", "answer", cancel),
]
