"""What a mailed link would do, said before anybody confirms it, and done when they do.

The link is the authority: for one action, of one person, once.  What that person may not do (any more) it does not do
either.  A link that could not act is given back, so that nobody is left with a spent one at three in the morning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from roadworthy.kill_switch.model import State, severity
from roadworthy.kill_switch.rules import Refused as KillRefused
from roadworthy.kill_switch.service import NotKept
from roadworthy.operations.rights import Rights
from roadworthy.operations.stops.impact import DOES, Impact
from roadworthy.operations.stops.kill_desk import KillDesk, Stand
from roadworthy.people.incident.model import Incident
from roadworthy.people.incident.rules import Refused as IncidentRefused
from roadworthy.people.incident.service import Incidents
from roadworthy.people.links.model import Action, Link
from roadworthy.people.links.service import LinkRefused, Links
from roadworthy.people.paging.writing import LABELS
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.service import Actor, Unknown
from roadworthy.workflow.words import seconds

WAITS: Final = 1.0
"""Seconds that a press waits for gateways to confirm."""
BY_LINK: Final = "link"
PRESSES: Final[dict[Action, State]] = {"last_good": "guarded", "stop": "off"}


class ActRefused(Exception):
    """The link is good, but what it does cannot be done; the message says why, and what can."""


class Shown(msgspec.Struct, frozen=True):
    """What whoever opens a link reads."""

    action: Action
    person: str
    """Name of whom it is for."""
    workflow: str
    incident: str
    line: str
    """What happened."""
    will: list[str]
    """What happens once they confirm."""
    button: str
    """Empty: there is nothing left to do, and ``will`` says why."""
    expires_at: float


class Acted(msgspec.Struct, frozen=True):
    """What came of it."""

    shown: Shown
    said: list[str]


class LinkDesk:
    """Thread-safe; blocking."""

    def __init__(
        self,
        links: Links,
        incidents: Incidents,
        desk: KillDesk,
        rights: Rights,
        *,
        named: Callable[[str], Workflow],
        impact: Callable[[Workflow], Impact],
        name: Callable[[str], str],
    ) -> None:
        """``named``: the workflow of a name, raising ``Unknown``; ``name``: of a person, by id."""
        self._links = links
        self._incidents = incidents
        self._desk = desk
        self._rights = rights
        self._named = named
        self._impact = impact
        self._name = name

    def look(self, token: str) -> Shown:
        """Changes nothing.  Raises ``LinkRefused``."""
        return self._shown(self._links.look(token))

    def act(self, token: str, address: str) -> Acted:
        """Do it, once.  ``address``: of whoever confirmed, for the audit trail.  Raises ``LinkRefused`` and
        ``ActRefused``."""
        shown = self.look(token)
        if not shown.button:
            raise ActRefused(" ".join(shown.will))
        link = self._links.use(token, f"{BY_LINK}:{address}")
        try:
            return Acted(shown, self._done(link, shown))
        except (KillRefused, NotKept, IncidentRefused, Unknown, ActRefused) as error:
            self._links.give_back(link)
            raise ActRefused(str(error)) from error

    def _done(self, link: Link, shown: Shown) -> list[str]:
        actor = Actor(link.person, on_behalf_of=BY_LINK)
        if link.action == "acknowledge":
            self._incidents.acknowledge(link.subject, actor, "link")
            return ["You have it. Nobody else is paged."]
        self._permitted(link, shown.workflow)
        state = PRESSES[link.action]
        why = f"{LABELS[link.action].rstrip('…')}: {shown.line.rstrip('.')}"
        stand = self._desk.press(shown.workflow, state, why, actor, WAITS)
        try:
            self._incidents.acknowledge(link.subject, actor, "stop")
            has = ["You have the incident. Nobody else is paged."]
        except IncidentRefused:
            has = ["The incident was over already."]
        return [_reached(shown.workflow, state, stand), *has]

    def _permitted(self, link: Link, workflow: str) -> None:
        if not self._rights.may(link.person, "stop", workflow=workflow):
            raise ActRefused(f"{self._name(link.person)} may not stop {workflow} any more; its owner or an admin can")

    def _shown(self, link: Link) -> Shown:
        try:
            incident = self._incidents.find(link.subject)
        except Unknown as error:  # forgotten since
            raise LinkRefused from error
        will, button = self._will(link, incident)
        return Shown(
            link.action, self._name(link.person), incident.workflow, incident.id, incident.line, will, button,
            link.expires_at,
        )  # fmt: skip

    def _will(self, link: Link, incident: Incident) -> tuple[list[str], str]:
        if link.action == "acknowledge":
            return _acknowledges(link, incident, self._name)
        state, flow = PRESSES[link.action], self._named_or_none(incident.workflow)
        if flow is None:
            return [f"{incident.workflow} is not configured any more: there is nothing to stop."], ""
        stand = self._desk.stand(flow.name)
        if severity(stand.in_force) >= severity(state):
            return [f"{flow.name} is {stand.in_force} already: there is nothing to do."], ""
        impact = self._impact(flow)
        reads = impact.reads.get(state, "")
        will = [DOES[state][1], impact.says, f"Then {reads}." if reads else ""]
        will.append("You can take it back within ten minutes in the console.")
        name = "Turn AI off" if state == "off" else DOES[state][0]
        return [text for text in will if text], f"{name}: {flow.name}"

    def _named_or_none(self, workflow: str) -> Workflow | None:
        try:
            return self._named(workflow)
        except Unknown:
            return None


def _acknowledges(link: Link, incident: Incident, name: Callable[[str], str]) -> tuple[list[str], str]:
    if incident.over:
        return [f"It is over already: resolved by {name(incident.resolved_by)}. There is nothing to do."], ""
    if incident.acknowledged_by == link.person:
        return ["You have it already. Nobody else is paged."], ""
    if incident.acknowledged_by:
        return [f"{name(incident.acknowledged_by)} has it already. Confirm to take it over."], LABELS["acknowledge"]
    return ["Nobody else is paged, and everybody sees that you have it."], LABELS["acknowledge"]


def _reached(workflow: str, state: State, stand: Stand) -> str:
    """Never ``off`` while a gateway has not confirmed."""
    reached = stand.reached
    if reached is None or not reached.gateways:
        return f"{workflow} is told to be {state}; no gateway is there to confirm it."
    if reached.all:
        took = "" if reached.max is None else f" in {seconds(reached.max)}"
        where = "its gateway" if reached.gateways == 1 else f"all {reached.gateways} gateways"
        return f"{workflow} is {state} on {where}{took}."
    missing = ", ".join(one.gateway for one in reached.missing)
    return f"{workflow} is told to be {state}, but NOT confirmed by {missing}: the console says what to run there."
