"""What services refuse, as people read it.  Nothing else becomes a message: a defect travels on and is logged."""

from __future__ import annotations

import msgspec

from roadworthy.cost.sheet import BadMonth
from roadworthy.evidence.rules import Refused as EvidenceRefused
from roadworthy.inference_log.model import FilterRefused
from roadworthy.kill_switch.rules import Refused as KillRefused
from roadworthy.kill_switch.service import NotKept
from roadworthy.operations.costing.alert_test import NothingToTest
from roadworthy.operations.costing.comparing import NothingRecorded
from roadworthy.operations.costing.finance import Refused as BooksRefused
from roadworthy.operations.costing.mailing import NotMailed
from roadworthy.operations.drills.canary import CanaryRefused
from roadworthy.operations.drills.drill_runs import DrillRefused
from roadworthy.operations.drills.kill_drill_runs import KillDrillRefused
from roadworthy.operations.keys import KeyRefused
from roadworthy.operations.loading.model import LoadRefused
from roadworthy.operations.proving.vouching import NotYours
from roadworthy.operations.publication.approvals import ApprovalRefused, NotTheOwner
from roadworthy.operations.wording.desk import NotTheirs, WordsRefused
from roadworthy.people.accounts.attempts import TooManyAttempts
from roadworthy.people.accounts.identity import IdentityRefused
from roadworthy.people.accounts.service import (
    InvitationRefused,
    NotAdmin,
    PeopleRefused,
    ProviderRefused,
    WrongPerson,
)
from roadworthy.people.escalation.rules import Refused as EscalationRefused
from roadworthy.people.escalation.service import NotAllowed
from roadworthy.people.incident.rules import Refused as IncidentRefused
from roadworthy.people.oncall.moments import NoMoment
from roadworthy.people.oncall.rules import SpanRefused
from roadworthy.people.oncall.service import OverrideRefused
from roadworthy.people.review.rules import Refused as ReviewRefused
from roadworthy.people.review.service import NotTheOwner as ReviewNotTheirs
from roadworthy.people.service import NoSuchPerson, PasswordRefused, SignInRefused
from roadworthy.rollout.rules import Refused as RolloutRefused
from roadworthy.rollout.service import NotAllowed as RolloutNotAllowed
from roadworthy.workflow.calendars import CalendarUnreadable
from roadworthy.workflow.ports import StateConflict
from roadworthy.workflow.service import Refused, Unknown


class Refusal(msgspec.Struct, frozen=True):
    status: int
    message: str


class Wrong(Exception):
    """What was typed into a form is not what its field takes; the message names the field and how to mend it."""


STATUS: dict[type[Exception], int] = {
    Unknown: 404,
    NoSuchPerson: 404,
    Refused: 422,
    KeyRefused: 422,
    FilterRefused: 422,
    Wrong: 422,
    SignInRefused: 401,
    TooManyAttempts: 429,
    PasswordRefused: 422,
    PeopleRefused: 422,
    NotAdmin: 403,
    InvitationRefused: 404,
    WrongPerson: 409,
    IdentityRefused: 401,
    ProviderRefused: 403,
    NotAllowed: 403,
    NotYours: 403,
    NotTheirs: 403,
    NotTheOwner: 403,
    RolloutNotAllowed: 403,
    NothingToTest: 422,
    BadMonth: 422,
    NothingRecorded: 409,
    BooksRefused: 409,
    NotMailed: 409,
    KillRefused: 409,
    NotKept: 503,
    WordsRefused: 409,
    ApprovalRefused: 409,
    RolloutRefused: 409,
    EscalationRefused: 409,
    IncidentRefused: 409,
    ReviewRefused: 409,
    ReviewNotTheirs: 403,
    DrillRefused: 409,
    KillDrillRefused: 409,
    EvidenceRefused: 409,
    CanaryRefused: 409,
    LoadRefused: 409,
    OverrideRefused: 409,
    SpanRefused: 422,
    NoMoment: 422,
    CalendarUnreadable: 422,
    StateConflict: 409,
}


def refusal_of(error: Exception) -> Refusal | None:
    """``None``: nobody refused anything, something is broken."""
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return Refusal(status, str(error))
    return None
