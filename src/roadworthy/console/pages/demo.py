"""The demo's login: whoever sits at the machine on which ``roadworthy demo`` runs is whom of the sample they choose.

GET  /login       the people of the sample, one button each; ``?code=`` as ever
POST /login/demo  {person, next?} → signed in

These pages are served to ``roadworthy demo`` and to nobody else: no flag of the command line and nothing that is
configured adds them (``wiring.supervisor.Options.demo``).  They answer loopback alone.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from roadworthy.console.access import Visit, local_path
from roadworthy.console.app import Answer, Page, View
from roadworthy.console.pages import login
from roadworthy.operations.services import Services
from roadworthy.people.service import SignInRefused
from roadworthy.workflow.model import Configuration, Person

ROLES = {"operator": "operates it", "agent": "answers customers", "scorer": "scores answers", "viewer": "looks"}


@dataclass(frozen=True)
class Choice:
    """Somebody whom a visitor of the demo may be."""

    person: Person
    does: str
    """In words: ``owns support-triage, pays for it``."""


def form(services: Services, visit: Visit) -> Answer:
    if visit.query.get("code"):
        return login.form(services, visit)
    if not _here(services, visit):
        return View("refused.html", {"status": 403, "message": AWAY}, 403)
    applied = services.workflows.configuration()
    found = [] if applied is None else choices(applied.configuration)
    return View("demo.html", {"choices": found, "next": local_path(visit.query.get("next", "/"))})


def sign_in(services: Services, visit: Visit) -> Answer:
    if not _here(services, visit):
        raise SignInRefused(AWAY)
    code = services.sign_in.code(visit.text("person"), "demo")
    done = services.sign_in.exchange(code, visit.place.actor, visit.place)
    return login.entered(services, visit, done, local_path(visit.text("next", "/")))


AWAY = "The demo is for whoever sits at the machine on which it runs."


def choices(configuration: Configuration) -> list[Choice]:
    """Everybody, whoever owns most first."""
    made = [Choice(each, _does(each, configuration)) for each in configuration.people.values() if not each.left]
    return sorted(made, key=lambda choice: -choice.does.count("owns"))


def _does(person: Person, configuration: Configuration) -> str:
    found: list[str] = []
    for name, flow in configuration.workflows.items():
        owners = flow.owners
        found += [f"owns {name}"] * (owners.workflow == person.id)
        found += [f"owns the prompt of {name}"] * (owners.prompt == person.id)
        found += [f"pays for {name}"] * (owners.cost == person.id)
    return ", ".join(found).replace(f"owns {name}, pays for {name}", f"owns {name} and pays for it") or ", ".join(
        ROLES.get(role, role) for role in person.roles or ["operator"]
    )


def _here(services: Services, visit: Visit) -> bool:
    """Is it a browser of this machine, at an address of this machine?  A proxy in front of us is neither."""
    return _loopback(visit.address) and _loopback(urlsplit(services.console_url()).hostname or "")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


PAGES = [
    Page("GET", "/login", "anyone", form),
    Page("POST", "/login/demo", "anyone", sign_in),
]
"""Added after all others: its ``/login`` stands for theirs."""
