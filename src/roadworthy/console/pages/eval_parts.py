"""What the pages about evals have in common."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.console.access import Visit
from roadworthy.operations import looking
from roadworthy.operations.services import Services
from roadworthy.workflow.model import DEFAULT_TEAM


def record_reading(services: Services, visit: Visit, action: str, target: str = "", after: object = None) -> None:
    """Audit that somebody read examples or answers, as the admin API calls it."""
    workflow = visit.path["workflow"]
    applied = services.workflows.configuration()
    flow = None if applied is None else applied.configuration.workflows.get(workflow)
    looking.record_reading(
        services, visit.actor, action, target or f"workflow/{workflow}", after,
        team=DEFAULT_TEAM if flow is None else flow.team,
    )  # fmt: skip


def page_of(visit: Visit) -> int:
    """Counted from 0; what is no number is the first."""
    text = visit.query.get("page", "1")
    return max(int(text) - 1, 0) if text.isdigit() and len(text) < 6 else 0


def expected_of(visit: Visit) -> dict[str, object]:
    """What the fields ``expect:NAME`` of a form say: JSON where it is JSON, else the text itself."""
    return {
        name.removeprefix("expect:"): _value(value.strip())
        for name, value in visit.form.multi_items()
        if name.startswith("expect:") and isinstance(value, str) and value.strip()
    }


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
