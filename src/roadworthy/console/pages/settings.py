"""Settings: this person's own, people, keys and targets.

GET  /settings                      your profile: roles, password, sessions, theme
POST /settings/password             {current?, password, again}
POST /settings/sessions/end         {session?}: one of yours, or all but this one
POST /settings/theme                {theme: light | dark | device}
GET  /settings/people               who there is, what they may do, who left
POST /settings/people/invite        {email, role, where} → the link, shown once
POST /settings/people/withdraw      {id}
POST /settings/people/grant         {person, role, where}
POST /settings/people/revoke        {person, role, where}
POST /settings/people/leave         {person}
POST /settings/people/return        {person}
GET  /settings/keys                 keys of apps and testers
POST /settings/keys                 {name, workflow, tester?, days?} → the token, shown once
POST /settings/keys/{id}/rotate     → the new token, shown once
POST /settings/keys/{id}/revoke
GET  /settings/targets              models, with their facts
POST /settings/targets/{name}/try   one real call
"""

from __future__ import annotations

from typing import Any, Final, cast

from starlette.responses import RedirectResponse

from roadworthy.console.access import THEME, Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.operations.keys import KeySpec, NewToken
from roadworthy.operations.services import Services
from roadworthy.people.roles import EVERY_TEAM, ROLES, Grant
from roadworthy.workflow.model import ApiKey, Configuration, Role

PARTS: Final = (
    ("You", "/settings"), ("People", "/settings/people"), ("Keys", "/settings/keys"), ("Targets", "/settings/targets"),
)  # fmt: skip
DAY: Final = 86_400.0
YEAR: Final = 365 * 86_400
MEANS: Final[dict[Role, str]] = {
    "viewer": "reads",
    "scorer": "reads and scores",
    "agent": "reads and answers what waits for a person",
    "operator": "runs tests and drills, stops, configures",
    "owner": "as operator, and makes keys",
    "admin": "everything, everywhere, and says who comes",
}


# --- yours


def profile(services: Services, visit: Visit) -> Answer:
    assert visit.person is not None
    me = visit.person.id
    known = next((each for each in services.accounts.everybody() if each.person.id == me), None)
    session = services.sign_in.session(visit.token)
    return View("settings.html", {
        "known": known, "has_password": services.sign_in.has_password(me), "sessions": services.sign_in.sessions(me),
        "this": "" if session is None else session.id, "by_code": session is not None and session.via == "code",
        "means": MEANS, "parts": PARTS,
    })  # fmt: skip


def password(services: Services, visit: Visit) -> Answer:
    assert visit.person is not None
    new = str(visit.form.get("password", ""))
    if new != str(visit.form.get("again", "")):
        raise Wrong("The two passwords differ.")
    current = str(visit.form.get("current", ""))
    services.sign_in.set_password(visit.person.id, new, current=current, token=visit.token)
    return Redirect("/settings", "Your password is set; you are signed out everywhere else.")


def end_sessions(services: Services, visit: Visit) -> Answer:
    assert visit.person is not None
    one = visit.text("session")
    ended = services.sign_in.sign_out(visit.person.id, only=one or None, but=None if one else visit.token)
    return Redirect("/settings", "That session is over." if one else f"{ended} other sessions are over.")


def theme(services: Services, visit: Visit) -> Answer:
    chosen = visit.text("theme")
    response = RedirectResponse("/settings", 303)
    secure = services.console_url().startswith("https://")
    if chosen in ("light", "dark"):
        response.set_cookie(THEME, chosen, max_age=YEAR, httponly=True, samesite="lax", secure=secure)
    else:
        response.delete_cookie(THEME, httponly=True, samesite="lax", secure=secure)
    return response


# --- people


def people(services: Services, visit: Visit) -> Answer:
    return _people(services, visit)


def invite(services: Services, visit: Visit) -> Answer:
    done = services.accounts.invite(visit.text("email"), [_grant(visit, "")], visit.actor)
    return _people(services, visit, invited=done)


def withdraw(services: Services, visit: Visit) -> Answer:
    ended = services.accounts.withdraw(visit.text("id"), visit.actor)
    return Redirect("/settings/people", f"The invitation of {ended.email} lets nobody in any more.")


def grant(services: Services, visit: Visit) -> Answer:
    wanted = _grant(visit, visit.text("person"))
    note = services.accounts.grant(wanted, visit.actor)
    return Redirect("/settings/people", f"{wanted.person} is {wanted.role} {wanted.where()} now. {note}".strip())


def revoke(services: Services, visit: Visit) -> Answer:
    wanted = _grant(visit, visit.text("person"))
    services.accounts.revoke(wanted, visit.actor)
    return Redirect("/settings/people", f"{wanted.person} is {wanted.role} {wanted.where()} no more.")


def leave(services: Services, visit: Visit) -> Answer:
    done = services.accounts.leave(visit.text("person"), visit.actor)
    services.on_duty.check.round()
    named = f" In their name still: {', '.join(str(each) for each in done.orphans)}." if done.orphans else ""
    return Redirect("/settings/people", f"{done.person} may do nothing any more.{named}")


def come_back(services: Services, visit: Visit) -> Answer:
    back = services.accounts.bring_back(visit.text("person"), visit.actor)
    services.on_duty.check.round()
    return Redirect("/settings/people", f"{back.name} is back, with what people.yaml gives.")


def _people(services: Services, visit: Visit, **more: Any) -> View:
    known = [
        each
        for each in services.accounts.everybody()
        if visit.may("read") or "read" in visit.standing.within(each.person.team) or each.person.id == visit.actor.id
    ]
    admin = visit.may("people")
    return View("settings_people.html", {
        "people": known, "orphans": services.accounts.orphans() if visit.may("read") else [], "admin": admin,
        "invitations": services.accounts.invitations() if admin else [], "roles": ROLES, "means": MEANS,
        "scopes": _places(services), "invited": None, "parts": PARTS, **more,
    })  # fmt: skip


def _places(services: Services) -> list[tuple[str, str]]:
    """Value and words of where a role may be held."""
    configuration = _configuration(services)
    flows = {} if configuration is None else configuration.workflows
    teams = sorted({flow.team for flow in flows.values()})
    first = [(f"team:{team}", f"in team {team}" if len(teams) > 1 else "on every workflow") for team in teams]
    many = [(f"team:{EVERY_TEAM}", "in every team")] if len(teams) > 1 else []
    return [*first, *many, *((f"workflow:{name}", f"on {name} alone") for name in sorted(flows))]


def _grant(visit: Visit, person: str) -> Grant:
    role, (kind, _, name) = visit.text("role"), visit.text("where").partition(":")
    if role not in ROLES:
        raise Wrong(f"role: found {role[:20]!r}, expected one of {', '.join(ROLES)}")
    if role == "admin":
        return Grant(person, "admin", team=EVERY_TEAM)
    return Grant(
        person, cast("Role", role), team=name if kind == "team" else None, workflow=name if kind == "workflow" else None
    )


# --- keys


def keys(services: Services, visit: Visit) -> Answer:
    return _keys(services, visit)


def create_key(services: Services, visit: Visit) -> Answer:
    workflow, tester, days = visit.text("workflow"), visit.text("tester"), visit.text("days")
    if not _may_key(visit, [workflow] if workflow else ["*"], None):
        raise Wrong("You may not make keys for that.")
    if days and not (days.isascii() and days.isdigit() and 1 <= int(days) <= 3650):
        raise Wrong(f"days: found {days[:20]!r}, expected a whole number of days, or nothing for no end")
    spec = KeySpec(
        name=visit.text("name"), workflows=[workflow] if workflow else ["*"], kind="tester" if tester else "live",
        person=tester or None, expires_at=visit.now + int(days) * DAY if days else None,
    )  # fmt: skip
    return _keys(services, visit, made=services.keys.create(spec, visit.actor))


def rotate_key(services: Services, visit: Visit) -> Answer:
    _vet_key(services, visit)
    return _keys(services, visit, made=services.keys.rotate(visit.path["id"], visit.actor))


def revoke_key(services: Services, visit: Visit) -> Answer:
    _vet_key(services, visit)
    key = services.keys.revoke(visit.path["id"], visit.actor)
    return Redirect("/settings/keys", f"The key {key.name} opens nothing any more.")


def _keys(services: Services, visit: Visit, made: NewToken | None = None) -> View:
    configuration = _configuration(services)
    flows = {} if configuration is None else configuration.workflows
    mine = sorted(name for name in flows if visit.may("keys", name))
    shown = [key for key in services.keys.all() if visit.may("read") or _may_see(visit, key)]
    shown.sort(key=lambda key: (key.revoked_at is not None, -key.created_at))
    testers = sorted({person for name in mine for person in flows[name].policy.testers})
    return View("settings_keys.html", {
        "keys": shown, "made": made, "base_url": services.base_url(), "workflows": mine, "testers": testers,
        "everywhere": visit.may("keys"), "may": lambda key: _may_key(visit, key.workflows, key.team),
        "parts": PARTS,
    })  # fmt: skip


def _may_see(visit: Visit, key: ApiKey) -> bool:
    return "read" in visit.standing.within(key.team) or any(visit.may("read", name) for name in key.workflows)


def _may_key(visit: Visit, workflows: list[str], team: str | None) -> bool:
    if workflows == ["*"]:
        return visit.may("keys") if team is None else "keys" in visit.standing.within(team)
    return bool(workflows) and all(visit.may("keys", name) for name in workflows)


def _vet_key(services: Services, visit: Visit) -> None:
    found = next((key for key in services.keys.all() if key.id == visit.path["id"]), None)
    if found is None or not _may_key(visit, found.workflows, found.team):
        raise Wrong("You may not change that key.")


# --- targets


def targets(services: Services, visit: Visit) -> Answer:
    return _targets(services, visit)


def try_target(services: Services, visit: Visit) -> Answer:
    return _targets(services, visit, tried=services.targets.try_out(visit.path["name"], visit.actor))


def _targets(services: Services, visit: Visit, **more: Any) -> View:
    status = services.status()
    configuration = _configuration(services)
    known = {} if configuration is None else configuration.targets
    rows = [(known[each.name], each) for each in status.get("targets", ()) if each.name in known]
    used: dict[str, list[str]] = {}
    for name, flow in sorted(({} if configuration is None else configuration.workflows).items()):
        behaviour = flow.behaviour if visit.may("read", name) else None
        for target in [] if behaviour is None else behaviour.targets:
            used.setdefault(target, []).append(name)
    return View("settings_targets.html", {
        "rows": rows, "used": used, "tried": None, "may": visit.may("tools"), "parts": PARTS,
        "price_of": services.costing.costs.price, **more,
    })  # fmt: skip


def _configuration(services: Services) -> Configuration | None:
    applied = services.workflows.configuration()
    return None if applied is None else applied.configuration


PAGES = [
    Page("GET", "/settings", "read", profile, anywhere=True),
    Page("POST", "/settings/password", "read", password, anywhere=True),
    Page("POST", "/settings/sessions/end", "read", end_sessions, anywhere=True),
    Page("POST", "/settings/theme", "read", theme, anywhere=True),
    Page("GET", "/settings/people", "read", people, anywhere=True),
    Page("POST", "/settings/people/invite", "people", invite),
    Page("POST", "/settings/people/withdraw", "people", withdraw),
    Page("POST", "/settings/people/grant", "people", grant),
    Page("POST", "/settings/people/revoke", "people", revoke),
    Page("POST", "/settings/people/leave", "people", leave, publishes=True),
    Page("POST", "/settings/people/return", "people", come_back),
    Page("GET", "/settings/keys", "read", keys, anywhere=True),
    Page("POST", "/settings/keys", "keys", create_key, publishes=True, anywhere=True),
    Page("POST", "/settings/keys/{id}/rotate", "keys", rotate_key, publishes=True, anywhere=True),
    Page("POST", "/settings/keys/{id}/revoke", "keys", revoke_key, publishes=True, anywhere=True),
    Page("GET", "/settings/targets", "read", targets, anywhere=True),
    Page("POST", "/settings/targets/{name}/try", "tools", try_target),
]
