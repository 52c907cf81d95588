"""One workflow: its checklist, its way to production, its ramp, its figures, its releases.

GET  /workflows/{workflow}                  overview
GET  /workflows/{workflow}/charts           latency, outcomes and cost (?span=24h|7d): a part of the overview, fetched
                                            after it
GET  /workflows/{workflow}/releases         releases, and the difference of two (?a=&b=)
POST /workflows/{workflow}/freeze           {note}: the files as they were applied become a release
POST /workflows/{workflow}/accept           {role…, evidence}: by whoever is named
POST /workflows/{workflow}/approve          {seen}: what is looser, by its owner
POST /workflows/{workflow}/renew            {item}: what is quickly done here (3 the canary, 9 a test alert)
POST /workflows/{workflow}/waive            {item, until, reason}, POST …/waive/end {id}
GET  /workflows/{workflow}/ramp             the calendar of a ramp, before it is begun
POST /workflows/{workflow}/ramp/{move}      start, approve, hold, resume, rollback, lock, unlock
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, get_args

from roadworthy.console import charts
from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.evidence.kinds import Role
from roadworthy.evidence.rules import LONGEST_WAIVER
from roadworthy.operations.proving.ready import Line
from roadworthy.operations.services import Services
from roadworthy.operations.waiting import place_of
from roadworthy.people.roles import Permission
from roadworthy.readiness.items import ITEMS
from roadworthy.readiness.judging import canary_judged
from roadworthy.rollout.model import Rollout
from roadworthy.rollout.service import Order, Rollouts
from roadworthy.workflow.service import Actor
from roadworthy.workflow.words import share

ROLES: Final[tuple[Role, ...]] = get_args(Role)
HERE: Final = (3, 9)
"""Items that one press on this page renews."""
VERBS: Final = {1: "Load test", 2: "Forecast", 4: "Drills", 6: "Evals", 7: "Kill drill", 8: "On-call", 10: "Failures"}
LONGEST_REASON: Final = 500


def show(services: Services, visit: Visit) -> Answer:
    name = visit.path["workflow"]
    flow = services.workflows.named(name)
    figures = services.overseeing.overview.figures().get(name)
    cards = services.overseeing.overview.cards(lambda each: each == name)
    ready = None if figures is None else figures.ready
    ramp = services.ramps.stand(name)
    pending = next((each for each in services.approvals.pending() if each.workflow == name), None)
    return View("workflow.html", {
        "flow": flow,
        "card": cards[0] if cards else None,
        "ready": ready,
        "items": [] if ready is None else [_item(line, name, visit) for line in ready.items],
        "owed": [] if figures is None else figures.owed,
        "mine": [] if figures is None else [each for each in figures.owed if each.person == visit.actor.id],
        "pending": pending,
        "ramp": ramp,
        "rails": _rails(ramp),
        "is_owner": flow.owners.workflow == visit.actor.id,
        "releases": services.workflows.releases(name)[:3],
        "longest_waiver": (datetime.fromtimestamp(visit.now + LONGEST_WAIVER, visit.zone) - timedelta(days=1)).date(),
        "tomorrow": (datetime.fromtimestamp(visit.now, visit.zone) + timedelta(days=1)).date(),
    })  # fmt: skip


def figures(services: Services, visit: Visit) -> Answer:
    name, span = visit.path["workflow"], visit.query.get("span", "24h")
    flow = services.workflows.named(name)
    found = charts.gathered(services.log, name, "7d" if span == "7d" else "24h", visit.now)
    return View("workflow_charts.html", {"flow": flow, "span": "7d" if span == "7d" else "24h", "found": found})


def releases(services: Services, visit: Visit) -> Answer:
    name = visit.path["workflow"]
    flow = services.workflows.named(name)
    rows = services.workflows.releases(name)
    a, b = visit.query.get("a", ""), visit.query.get("b", "")
    if not a and len(rows) > 1:
        a, b = str(rows[1].frozen.number), str(rows[0].frozen.number)
    names = ["draft", *(str(row.frozen.number) for row in rows)]
    both = a in names and b in names
    reached = flow.enforcement == "observe" or services.rollouts.current(name) is not None
    return View("releases.html", {
        "flow": flow, "rows": rows, "reached": reached, "a": a, "b": b, "names": names,
        "diff": services.workflows.diff(name, a, b) if both and a != b else None,
        "same": both and a == b,
        "behind": services.workflows.behind(name),
    })  # fmt: skip


def freeze(services: Services, visit: Visit) -> Answer:
    done = services.workflows.freeze(visit.path["workflow"], visit.actor, visit.text("note")[:LONGEST_REASON])
    number = done.release.number
    said = f"Froze release {number}." if done.created else f"Nothing new: that is release {number}."
    if done.warnings:
        lost = ", ".join(each.field for each in done.warnings)
        said += f" It goes back from words that were published here: {lost}."
    return Redirect(f"/workflows/{visit.path['workflow']}/releases", said)


def accept(services: Services, visit: Visit) -> Answer:
    roles = [role for role in ROLES if visit.text("role") == role]
    done = services.vouching.accept(visit.path["workflow"], visit.actor, roles, visit.text("evidence"))
    return Redirect("", "It is on record that you accepted it." if done else "Nothing waited for you.")


def approve(services: Services, visit: Visit) -> Answer:
    done = services.approvals.approve(visit.path["workflow"], visit.actor, visit.text("seen"), (), visit.text("reason"))
    return Redirect("", "Approved: " + ", ".join(each.field for each in done) + ".")


def renew(services: Services, visit: Visit) -> Answer:
    name, item = visit.path["workflow"], visit.text("item")
    if item == "3":
        _, flown = services.canary(name, visit.actor.id)
        return Redirect("", f"The test call {flown.inference}: {canary_judged(flown.figures).figure}.")
    if item == "9":
        arrived = services.finance.tests.run(name, visit.actor)
        return Redirect("", f"The test alert of {name}: {'; '.join(arrived.ways)}.")
    raise Wrong(f"Item: found {item[:10]!r}, expected 3 or 9; the others are renewed on pages of their own.")


def waive(services: Services, visit: Visit) -> Answer:
    name, item, until = visit.path["workflow"], visit.text("item"), visit.text("until")
    if item not in [str(each.number) for each in ITEMS]:
        raise Wrong(f"Item: found {item[:10]!r}, expected a number from 1 to 10.")
    try:
        end = datetime.fromisoformat(until).replace(hour=0, minute=0, tzinfo=visit.zone) + timedelta(days=1)
    except ValueError:
        raise Wrong(f"Until: found {until[:20]!r}, expected a day such as 2026-12-01.") from None
    services.vouching.waive(name, visit.actor, int(item), end.timestamp(), visit.text("reason")[:LONGEST_REASON])
    return Redirect("", f"Item {item} of {name} rests until {until}. It shows everywhere.")


def end_waiver(services: Services, visit: Visit) -> Answer:
    services.vouching.end_waiver(visit.path["workflow"], visit.actor, visit.text("id"))
    return Redirect("", "The waiver has ended.")


# --- the ramp


def before_ramp(services: Services, visit: Visit) -> Answer:
    name = visit.path["workflow"]
    flow = services.workflows.named(name)
    order = Order(name, release=visit.query.get("release") or None, stage=visit.query.get("stage") or None)
    asked = ("prospect", name, order.release, order.stage, visit.actor.id)
    prospect = services.later.get(asked, lambda: services.rollouts.prospect(order, visit.actor), 10.0).value
    if prospect is None:
        doing = "The calls of the last days are counted for its calendar."
        return View("working.html", {"title": f"Start the ramp of {name}", "doing": doing})
    rows = services.workflows.releases(name)
    number = next((row.frozen.number for row in rows if row.frozen.release.digest == prospect.digest), None)
    return View("ramp_start.html", {
        "flow": flow, "prospect": prospect, "number": number, "order": order,
        "is_owner": flow.owners.workflow == visit.actor.id,
    })  # fmt: skip


def _start(services: Services, visit: Visit) -> Rollout:
    order = Order(
        visit.path["workflow"], release=visit.text("release") or None, stage=visit.text("stage") or None,
        accept_unknown=visit.text("accept_unknown") == "yes", reason=visit.text("reason")[:LONGEST_REASON],
    )  # fmt: skip
    return services.rollouts.start(order, visit.actor)


def _approve(services: Services, visit: Visit) -> Rollout:
    name, stage = visit.path["workflow"], visit.text("stage") or None
    return services.rollouts.approve(name, visit.actor, stage, visit.text("reason")[:LONGEST_REASON])


def _rollback(services: Services, visit: Visit) -> Rollout:
    to = visit.text("to", "release")
    if to not in ("share", "release"):
        raise Wrong(f"To: found {to[:20]!r}, expected share or release.")
    return services.rollouts.roll_back(
        visit.path["workflow"], visit.actor, "share" if to == "share" else "release",
        visit.text("reason")[:LONGEST_REASON],
    )  # fmt: skip


def _plain(act: Callable[[Rollouts, str, Actor, str], Rollout]) -> Callable[[Services, Visit], Rollout]:
    def move(services: Services, visit: Visit) -> Rollout:
        return act(services.rollouts, visit.path["workflow"], visit.actor, visit.text("reason")[:LONGEST_REASON])

    return move


MOVES: Final[Mapping[str, Callable[[Services, Visit], Rollout]]] = {
    "start": _start,
    "approve": _approve,
    "rollback": _rollback,
    "hold": _plain(Rollouts.hold),
    "resume": _plain(Rollouts.resume),
    "lock": _plain(Rollouts.lock),
    "unlock": _plain(Rollouts.unlock),
}

NEEDS: Final[Mapping[str, Permission]] = {
    "start": "approve", "approve": "approve", "resume": "approve", "unlock": "approve",
    "hold": "stop", "rollback": "stop", "lock": "stop",
}  # fmt: skip


def _moved(name: str) -> Callable[[Services, Visit], Answer]:
    def handler(services: Services, visit: Visit) -> Answer:
        after = MOVES[name](services, visit)
        where = f"{share(after.share)} of the traffic" if after.share else "testers only"
        said = f"Release at {after.stage.name} ({where}): {after.standing.replace('_', ' ')}."
        return Redirect(f"/workflows/{visit.path['workflow']}#ramp", said)

    return handler


# --- inside


def _item(line: Line, workflow: str, visit: Visit) -> dict[str, Any]:
    """A line of the checklist with what to press."""
    place = place_of(line.number, workflow)
    return {
        "line": line,
        "here": line.number in HERE,
        "place": "" if line.number in (*HERE, 5) else place,
        "verb": VERBS.get(line.number, "Renew"),
        "kind": "good" if line.met else "bad" if line.verdict == "FAIL" else "wait",
        "says": _says(line),
        "waivable": next(each.waivable for each in ITEMS if each.number == line.number),
    }  # fmt: skip


def _says(line: Line) -> str:
    if line.waiver is not None:
        return "Waived"
    if line.age == "missing":
        return "Not shown yet"
    if line.age in ("stale", "lapsed"):
        return "Getting old" if line.age == "stale" else "Lapsed"
    return {"PASS": "Good", "FAIL": "Not good"}.get(line.verdict, "Not enough yet")


def _rails(ramp: Any) -> list[dict[str, Any]]:
    """Guardrails with what would decide them, in words."""
    if ramp.analysis is None:
        return []
    findings = [*ramp.analysis.findings, *([ramp.analysis.sample_ratio] if ramp.analysis.sample_ratio else [])]
    return [
        {
            "name": each.guardrail.replace("_", " "),
            "finding": each,
            "more": _more(each.needs, each.days) if each.verdict == "INSUFFICIENT" else "",
        }
        for each in findings
    ]


def _more(needs: int | None, days: float | None) -> str:
    """``214 more, decision in 2.3 days``."""
    said = [] if needs is None else [f"{needs:,} more"]
    if days is not None:
        said.append(f"decision in {days:.1f} days" if days >= 1 else f"decision in {max(1, round(days * 24))} h")
    return ", ".join(said)


PAGES = [
    Page("GET", "/workflows/{workflow}", "read", show),
    Page("GET", "/workflows/{workflow}/charts", "read", figures),
    Page("GET", "/workflows/{workflow}/releases", "read_text", releases),
    Page("POST", "/workflows/{workflow}/freeze", "configure", freeze, publishes=True),
    Page("POST", "/workflows/{workflow}/accept", "approve", accept, publishes=True),
    Page("POST", "/workflows/{workflow}/approve", "approve", approve, publishes=True),
    Page("POST", "/workflows/{workflow}/renew", "tools", renew, publishes=True),
    Page("POST", "/workflows/{workflow}/waive", "approve", waive, publishes=True),
    Page("POST", "/workflows/{workflow}/waive/end", "approve", end_waiver, publishes=True),
    Page("GET", "/workflows/{workflow}/ramp", "read", before_ramp),
    *(Page("POST", f"/workflows/{{workflow}}/ramp/{move}", needs, _moved(move)) for move, needs in NEEDS.items()),
]
