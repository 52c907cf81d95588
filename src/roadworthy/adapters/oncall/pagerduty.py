"""Who is on call by a schedule of PagerDuty: its REST API v2, read only.

``GET /schedules/{id}?since&until&time_zone=UTC`` gives the final schedule (layers and overrides laid together) with
references to users; ``GET /schedules/{id}/users?since&until`` gives those users with their mail addresses, by which
they are known here.  Shapes as the reference of REST v2 gives them (``application/vnd.pagerduty+json;version=2``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from roadworthy.adapters.outbound import Outbound, OutboundFailed
from roadworthy.http1.messages import Reply
from roadworthy.people.oncall.schedules import ScheduleUnreadable
from roadworthy.workflow.calendars import Entry
from roadworthy.workflow.rotation import PagerDutySchedule

TRIES = 3
LONGEST_WAIT = 20.0
"""Most seconds between two tries; whoever asks for more is asked again in the next round."""
PAGE = 100
MOST_PAGES = 50


class _User(msgspec.Struct):
    id: str
    summary: str | None = None
    name: str | None = None
    email: str = ""


class _Rendered(msgspec.Struct):
    start: datetime
    end: datetime
    user: _User | None = None


class _Final(msgspec.Struct):
    rendered_schedule_entries: list[_Rendered] = []


class _Schedule(msgspec.Struct):
    final_schedule: _Final


class _ScheduleAnswer(msgspec.Struct):
    schedule: _Schedule


class _UsersAnswer(msgspec.Struct):
    users: list[_User]
    more: bool = False


class PagerDuty:
    """``people.oncall.schedules.ReadSchedule``."""

    def __init__(
        self, outbound: Outbound | None = None, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._outbound = outbound or Outbound()
        self._sleep = sleep

    async def read(self, place: PagerDutySchedule, token: str, since: float, until: float) -> list[Entry]:
        """Entries in ``[since, until)``, in their order.  Raises ``ScheduleUnreadable``."""
        span = {"since": _written(since), "until": _written(until)}
        path = f"/schedules/{quote(place.schedule, safe='')}"
        answer = await self._get(place, token, path, {**span, "time_zone": "UTC"}, _ScheduleAnswer)
        mails = await self._mails(place, token, f"{path}/users", span)
        out = []
        for each in answer.schedule.final_schedule.rendered_schedule_entries:
            name = "" if each.user is None else (each.user.name or each.user.summary or "")
            mail = "" if each.user is None else mails.get(each.user.id, each.user.email)
            words = tuple(word for word in (mail or name,) if word)
            start, end = each.start.timestamp(), each.end.timestamp()
            if start < end:
                out.append(Entry(start, end, words, name))
        return sorted(out, key=lambda each: (each.start, each.end))

    async def _mails(self, place: PagerDutySchedule, token: str, path: str, span: dict[str, str]) -> dict[str, str]:
        """Id of a user → mail address."""
        out: dict[str, str] = {}
        for page in range(MOST_PAGES):
            asked = {**span, "limit": str(PAGE), "offset": str(page * PAGE)}
            answer = await self._get(place, token, path, asked, _UsersAnswer)
            out |= {user.id: user.email for user in answer.users if user.email}
            if not answer.more:
                return out
        raise ScheduleUnreadable(f"{place.schedule}: more than {MOST_PAGES * PAGE:,} users")

    async def _get(
        self, place: PagerDutySchedule, token: str, path: str, query: dict[str, str], shape: type[Any]
    ) -> Any:
        url = f"{place.url}{path}?{urlencode(query)}"
        headers = {"authorization": f"Token token={token}", "accept": "application/vnd.pagerduty+json;version=2"}
        said = ""
        for attempt in range(TRIES):
            try:
                reply = await self._outbound.call("GET", url, headers, allow_private=place.allow_private)
            except OutboundFailed as error:
                said, wait = str(error), 2.0**attempt
            else:
                if reply.status == 200:
                    return _decoded(reply.body, shape, place)
                said, wait = _refusal(reply.status, place), _wait(reply, attempt)
                if reply.status != 429 and reply.status < 500:
                    break
            if wait > LONGEST_WAIT or attempt == TRIES - 1:
                break
            await self._sleep(wait)
        raise ScheduleUnreadable(f"{place.schedule}: {said}")


def _refusal(status: int, place: PagerDutySchedule) -> str:
    if status in (401, 403):
        return f"PagerDuty refused the key ({status}); {place.token} must hold an API key that may read schedules"
    if status == 404:
        return "PagerDuty knows no such schedule (404); its id is the last part of its page's address"
    return f"PagerDuty answered {status}"


def _wait(reply: Reply, attempt: int) -> float:
    """Seconds to the next try: what it asks for, else one, two, four."""
    for name in (b"retry-after", b"ratelimit-reset"):
        text = (reply.header(name) or b"").decode("latin-1").strip()
        if text.isdigit():
            return float(text[:6])
    return 2.0**attempt


def _decoded(body: bytes, shape: type[Any], place: PagerDutySchedule) -> Any:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ScheduleUnreadable(f"{place.schedule}: an answer that is not PagerDuty's ({str(error)[:120]})") from error


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
