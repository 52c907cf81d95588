"""The checklist as frozen data.  Shares are in [0, 1], instants Unix seconds, durations seconds unless named."""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.evidence.kinds import KINDS, Facet, Role, Verdict
from roadworthy.evidence.model import Age, Mode, Waiver
from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.evidence.rules import GRACE
from roadworthy.workflow.model import Enforcement, Owners, Policy

Label = Literal["pilot", "lapsed pilot", "production"]
Cap = Literal["pilot", "testers"]
StepName = Literal[
    "freeze", "capture", "wire", "fallbacks", "switch", "owner", "load test", "soft launch", "ramp", "operate"
]

NOT_BUILT = "not built yet"
"""In the place of a command whose producer does not exist."""
TESTERS = 0.0
"""Named testers only."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the registry; the CLI, the docs and the README say what stands here."""

    number: int
    name: str
    shows: str
    """What evidence is asked for."""
    kinds: tuple[str, ...]
    step: StepName
    """Of the way to production, where it is first shown."""
    renew: str | None
    """Command, with WORKFLOW where it goes; ``None``: its producer is not built yet."""
    made_by: str | None = None
    """Command that makes what ``renew`` accepts; ``None``: nothing has to be there before."""
    auto: bool
    """May a machine renew it at a quiet hour?"""
    minutes: float
    """Of a person, a month."""
    missing: Cap = "pilot"
    waivable: bool = True

    @property
    def about(self) -> tuple[Facet, ...]:
        return tuple(dict.fromkeys(facet for kind in self.kinds for facet in KINDS[kind].about))

    @property
    def life(self) -> float:
        """Seconds."""
        return min(KINDS[kind].life for kind in self.kinds)

    def command(self, workflow: str) -> str:
        return NOT_BUILT if self.renew is None else self.renew.replace("WORKFLOW", workflow)


class Published(msgspec.Struct, frozen=True):
    """The example set and scorers in force."""

    set_version: str
    scorers: str
    at: float
    forgotten_from: list[str] = []
    """Set versions that this one equals but for users who were forgotten: a gate on one of them still counts."""
    critical: int = 0
    """Critical examples in it."""

    def covers(self, set_version: str, scorers: str) -> bool:
        """Does a gate on these still count?"""
        return set_version in (self.set_version, *self.forgotten_from) and scorers == self.scorers


class Since(msgspec.Struct, frozen=True):
    """When something last changed under the evidence; an earned share has its grace from then.  0: long ago."""

    policy: float = 0.0
    """Projected peak or objective."""
    owners: float = 0.0
    prices: float = 0.0


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the evidence is held against: one workflow, with the release that it would serve."""

    team: str
    workflow: str
    owners: Owners
    policy: Policy
    enforcement: Enforcement
    behaviour: str = ""
    handling: str = ""
    """Digests; empty: there is no release."""
    frozen_by: str = ""
    receipts: list[Receipt] = []
    """Opened: their signatures are good."""
    revocations: list[Revocation] = []
    share: float = 0.0
    """What the release has earned and is served at now."""
    calls_a_day: float | None = None
    """``None``: unknown."""
    prices: str | None = None
    """Hash of the prices in force; empty: one of them is not known; ``None``: nobody looked, so nothing is compared."""
    month_spent: float | None = None
    """US dollars of live calls in the last thirty days."""
    gateways: dict[str, float] | None = None
    """Gateway → when it joined; ``None``: unknown, and not compared."""
    published: Published | None = None
    since: Since = Since()
    grace: float = GRACE
    gone: dict[str, float] = {}
    """Those of its owners who have left → when."""


class Judged(msgspec.Struct, frozen=True):
    """What one piece of evidence is worth by its figures."""

    verdict: Verdict
    figure: str
    """For people, one line."""
    cap: float = 1.0
    """Largest share that it allows while it is fresh; of a PASS."""
    until: float | None = None
    """It lapses then at the latest, because something changed under it."""


class ItemState(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the checklist."""

    item: Item
    verdict: Verdict
    age: Age
    figure: str
    cap: float
    """Largest share that it allows now.  One that is stale allows what is served already, so nothing rises on it."""
    first_at: float | None = None
    """When all of it had been shown for the first time."""
    made_at: float | None = None
    lapses_at: float | None = None
    evidence: list[str] = []
    """Ids that decided."""
    mark: Literal["", "imported", "attested", "mocked"] = ""
    waiver: Waiver | None = None
    soon: bool = False
    """It lapses within seven days."""

    def command(self, workflow: str) -> str:
        """What renews it; what has to be made first comes first."""
        first = self.item.made_by
        if first is not None and self.age == "missing":
            return first.replace("WORKFLOW", workflow)
        return self.item.command(workflow)

    @property
    def met(self) -> bool:
        """Fresh, passed in full and on no waiver: what production asks."""
        return self.verdict == "PASS" and self.age == "fresh" and self.cap >= 1.0 and self.waiver is None


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer for one workflow at one instant."""

    workflow: str
    at: float
    items: list[ItemState]
    label: Label
    ceiling: float
    """Largest share of traffic that the evidence allows; 0: named testers only."""
    held_by: list[int]
    """Numbers of the items that keep it there; empty at 100 %."""
    enforced: bool
    """Under ``observe`` the ceiling is recorded and not kept."""
    notice: str
    """What must show beside the label; empty: nothing."""
    minutes: float
    """Of people, a month."""


class Owed(msgspec.Struct, frozen=True):
    """A role that a named person must accept."""

    role: Role
    person: str


MARK_OF_MODE: dict[Mode, Literal["", "imported", "mocked"]] = {"live": "", "mocked": "mocked", "imported": "imported"}
