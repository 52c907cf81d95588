"""Each thing that the demo says, held against the running system.  One claim, one function, one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx2

from roadworthy.cli.demo import claims_allowed as allowed
from roadworthy.cli.demo import claims_measured as measured
from roadworthy.cli.demo import claims_people as people
from roadworthy.cli.demo import claims_served as served
from roadworthy.cli.demo.checking import Broken, Claim
from roadworthy.cli.demo.story import Told
from roadworthy.cli.demo.system import System
from roadworthy.cli.errors import CliError

CLAIMS: tuple[Claim, ...] = (
    served.gateway_serves,
    served.second_mends_first,
    served.every_inference_logged,
    allowed.one_in_a_hundred,
    served.drills_pass,
    served.explain_foretold,
    allowed.gate_recounted,
    measured.load_recounted,
    measured.cost_reckoned,
    allowed.four_eyes,
    allowed.capped_at_the_pilot,
    allowed.edit_not_served,
    measured.worse_caught,
    allowed.stopped_under_traffic,
    allowed.restored_by_its_owner,
    allowed.kill_drill_kept,
    people.page_acknowledged,
    people.alert_arrived,
    people.people_answered,
    people.console_tells,
    people.call_found,
    people.login_of_the_demo_alone,
    served.calls_work,
    served.every_format_served,
    served.printed_commands_work,
)


def verify(told: Told, system: System, say: Callable[[str], None], claims: Sequence[Claim] = CLAIMS) -> int:
    """Check each claim and print one line for it.  Returns the exit code: 0, or 1 when one does not hold."""
    system.admin.post("/v1/journal/flush")
    held = 0
    for claim in claims:
        words = (claim.__doc__ or "").strip()
        try:
            found = claim(told, system)
        except (Broken, CliError, httpx2.HTTPError, ValueError, KeyError) as error:
            say(f"FAIL  {words}: {_short(error)}")
            continue
        held += 1
        say(f"ok    {words}: {found}")
    say(f"{held} of {len(claims)} claims hold")
    return 0 if held == len(claims) else 1


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split() if not isinstance(error, Broken) else str(error).split())
