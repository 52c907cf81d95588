"""Shadow calls: a share of the live calls is repeated with the release that ramps, and nobody sees the answers.

They go through the gateway that serves, under a permit of class ``shadow``: with limits, breakers and a budget of their
own, and at most so many dollars a day.  What is repeated is the caller's body as the log keeps it, redacted by policy;
without bodies in the log nothing can be repeated.  Their answers count for what is said of answers alone (unsafe, and
what scorers say).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.evidence.ports import Signer
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.ports import LogStore
from roadworthy.rollout.model import Rollout
from roadworthy.rollout.service import Found
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import FrozenRelease, ShadowPolicy, Workflow

log = logging.getLogger("roadworthy.shadow")

MOST = 30
"""Calls of a workflow in a round; a busy workflow repeats a smaller share."""
SETTLED = 5.0
"""Seconds after which a call has been shipped, as a rule."""
PERMIT_LIFE = 600.0
PATIENCE = 5.0
LARGEST = 32 * 1024 * 1024
"""Bytes of an answer."""
TRAFFIC: Final = "shadow"


class Ports(msgspec.Struct, frozen=True):
    """What shadow calls need of the world."""

    store: LogStore
    ramps: Callable[[], Mapping[str, Found]]
    workflows: Callable[[], Mapping[str, Workflow]]
    release: Callable[[str], FrozenRelease | None]
    """By its digest."""
    signer: Signer
    base_url: Callable[[], str]
    """Of the gateway, with its version path."""
    zone: Callable[[], ZoneInfo]
    clock: Callable[[], float]


class Shadowing:
    """One round at a time."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._since: dict[str, float] = {}
        """Workflow → up to where its live calls were looked at; the first round looks at nothing."""

    async def round(self) -> int:
        """Repeat what came in since the last round.  Returns how many calls were made."""
        due = await asyncio.to_thread(lambda: list(self._due()))
        made = 0
        for rollout, release, flow, policy in due:
            calls = await asyncio.to_thread(self._calls, rollout, policy)
            left = await asyncio.to_thread(self._left, rollout.workflow, policy) if calls else 0.0
            if calls and left > 0:
                made += await self._repeat(rollout, release, flow, calls, left)
        return made

    def _due(self) -> Iterator[tuple[Rollout, FrozenRelease, Workflow, ShadowPolicy]]:
        flows = self._ports.workflows()
        for workflow, found in self._ports.ramps().items():
            kept, flow = found.kept, flows.get(workflow)
            if kept is None or flow is None or not kept.shadow or kept.rollout.state != "ramping":
                self._since.pop(workflow, None)
                continue
            release = self._ports.release(kept.rollout.digest)
            if release is not None:
                yield kept.rollout, release, flow, flow.policy.rollout.shadow or ShadowPolicy()

    def _calls(self, rollout: Rollout, policy: ShadowPolicy) -> list[Inference]:
        """The sampled ones, with bodies; the newest where there are too many."""
        until = self._ports.clock() - SETTLED
        since = self._since.get(rollout.workflow, until)
        self._since[rollout.workflow] = until
        if since >= until:
            return []
        where = Filter(workflow=rollout.workflow, traffic="live", since=since, until=until)
        chosen = [row.id for row in self._ports.store.scan(where) if sampled(row.id, policy.share) and not row.kill]
        entries = (self._ports.store.get(ident) for ident in chosen[-MOST:])
        return [entry.inference for entry in entries if entry is not None and entry.inference.request is not None]

    def _left(self, workflow: str, policy: ShadowPolicy) -> float:
        """US dollars that may still be spent today.  A call whose cost nobody knows counts as the others do; fails
        closed: none are left where no cost is known at all."""
        now = datetime.fromtimestamp(self._ports.clock(), self._ports.zone())
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        where = Filter(workflow=workflow, traffic=TRAFFIC, since=midnight)
        rows = self._ports.store.stats(("workflow",), where, self._ports.zone()).rows
        spent, calls = sum(row.cost_usd or 0.0 for row in rows), sum(row.count for row in rows)
        known = calls - sum(row.cost_unknown for row in rows)
        if calls and not known:
            log.warning("no shadow calls: nobody knows what they cost", extra={"workflow": workflow})
            return 0.0
        return policy.usd_per_day - (spent * calls / known if known else 0.0)

    async def _repeat(
        self, rollout: Rollout, release: FrozenRelease, flow: Workflow, calls: list[Inference], left: float
    ) -> int:
        now = self._ports.clock()
        permit = Permit(
            id=f"prm_{secrets.token_hex(8)}", workflow=rollout.workflow, digest=rollout.digest, traffic=TRAFFIC,
            calls=len(calls), usd=left, issued=now, expires=now + PERMIT_LIFE, by="engine",
        )  # fmt: skip
        base = self._ports.base_url()
        origin = Origin.from_url(base)
        path = "/embeddings" if release.release.behaviour.kind == "embeddings" else "/chat/completions"
        path = "/" + base.split("://", 1)[1].partition("/")[2].rstrip("/") + path
        token = sealed(permit, self._ports.signer).encode()
        limit = release.release.handling.deadline + PATIENCE
        clocks = Clocks(PATIENCE, limit, limit, limit)
        client = Client(guard=AddressGuard(allowed=[origin]))
        made = 0
        try:
            for call in calls:
                headers = [(b"authorization", b"Bearer " + token), (b"content-type", b"application/json")]
                if call.unit is not None and call.unit_source != "random" and call.unit.isascii():
                    headers += [(b"x-roadworthy-user", call.unit.encode())] if call.unit.isprintable() else []
                body = again(call, rollout.workflow)
                if body is None:
                    continue
                reply = await client.fetch(
                    origin, head(b"POST", path.encode(), origin, headers), body, clocks, max_body=LARGEST
                )
                made += 1
                if reply.status in (401, 403):
                    log.warning("shadow permit refused", extra={"workflow": rollout.workflow, "status": reply.status})
                    break
        except Http1Error as error:  # of no consequence to anybody: the next round tries other calls
            log.warning("shadow call failed", extra={"workflow": rollout.workflow, "error": type(error).__name__})
        finally:
            await client.close()
        return made


def sampled(inference: str, share: float) -> bool:
    """By the random digits of its id, so the same call is chosen whoever asks."""
    try:
        return int(inference[-8:], 16) / 2**32 < share
    except ValueError:
        return False


def again(call: Inference, workflow: str) -> bytes | None:
    """The body to send; ``None``: it is no JSON object.  Not streamed: nobody reads it."""
    try:
        body = msgspec.json.decode(call.asked() or b"", type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return None
    kept = {name: value for name, value in body.items() if name not in ("stream", "stream_options", "model")}
    return msgspec.json.encode({"model": workflow, **kept})
