"""The canary: one marked call through the gateway that serves, looked for wherever a call must show.

It is a real call of the release's own target under a permit of its own (class ``eval``), so it costs what such a call
costs and is counted with no live traffic.  What its answer says does not matter: a call that failed must be found too.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable

import msgspec

from roadworthy.evidence.kinds import Canary
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.evidence.ports import Signer
from roadworthy.fallback.drills.asking import question
from roadworthy.http1.client import Client
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.origin import Origin
from roadworthy.operations.drills.drill import PATIENCE, called
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Release

DOLLARS = 0.25
"""Most that a canary may cost."""
LOOKING = 10.0
"""Seconds in which it must be found everywhere."""
PAUSE = 0.1
"""Seconds between two looks."""
_COUNTED = re.compile(r"^roadworthy_inferences_total\{(.*)\} (\S+)$", re.MULTILINE)


class CanaryRefused(Exception):
    """No canary can be sent; the message says why and what to do."""


class CanaryPorts(msgspec.Struct, frozen=True):
    """What wiring gives.  The callables block."""

    signer: Signer
    base_url: Callable[[], str]
    """Of the gateway, for clients on this machine."""
    record: Callable[[str], Inference | None]
    """Ship the journal, then look in the log."""
    metrics: Callable[[], str]
    """The page ``/metrics``; empty when nobody serves it."""
    watch: Callable[[str], None]
    """Have the export of a trace noted."""
    exported: Callable[[str], bool | None]
    """Did the collector take the trace?  ``None``: no export is configured."""
    clock: Callable[[], float]


class Flown(msgspec.Struct, frozen=True):
    """What came of it."""

    figures: Canary
    inference: str
    outcome: str
    cost_usd: float | None


def fly(ports: CanaryPorts, release: Release, by: str) -> Flown:
    """Send one and look for it.  Blocks for ``LOOKING`` seconds beyond the release's deadline at most.

    Raises ``CanaryRefused``.
    """
    trace = secrets.token_hex(16)
    ports.watch(trace)
    counted = _counted(ports.metrics(), release.workflow)
    began = time.monotonic()
    inference = asyncio.run(_sent(ports, release, trace, by))
    found = _Found()
    while True:
        found.record = found.record or ports.record(inference)
        found.metrics = found.metrics or _counted(ports.metrics(), release.workflow) > counted
        found.exported = found.exported or ports.exported(trace)
        took = time.monotonic() - began
        if found.everywhere or took > LOOKING + release.handling.deadline:
            break
        time.sleep(PAUSE)
    record = found.record
    return Flown(
        figures=Canary(
            log=record is not None,
            metrics=found.metrics,
            trace=record is not None and record.trace == trace and _told(record),
            otlp=found.exported,
            seconds=round(took, 3),
        ),
        inference=inference,
        outcome="" if record is None else record.outcome,
        cost_usd=None if record is None else record.cost_usd,
    )


class _Found(msgspec.Struct):
    record: Inference | None = None
    metrics: bool = False
    exported: bool | None = None

    @property
    def everywhere(self) -> bool:
        return self.record is not None and self.metrics and self.exported is not False


def _told(record: Inference) -> bool:
    """Does the record say what was tried for the call?"""
    return bool(record.attempts) or bool(record.ladder) or record.outcome in ("cached", "bypassed")


async def _sent(ports: CanaryPorts, release: Release, trace: str, by: str) -> str:
    """Id of the inference.  Raises ``CanaryRefused``."""
    now, base = ports.clock(), ports.base_url()
    permit = Permit(
        id=f"prm_{secrets.token_hex(8)}", workflow=release.workflow, digest=release.digest, traffic="eval", calls=1,
        usd=DOLLARS, issued=now, expires=now + release.handling.deadline + PATIENCE + 60.0, by=by,
    )  # fmt: skip
    headers = [(b"traceparent", f"00-{trace}-{secrets.token_hex(8)}-01".encode())]
    client = Client(guard=AddressGuard(allowed=[Origin.from_url(base)]))
    try:
        body = question(release, stream=False, user=f"canary-{trace[:12]}")
        token = sealed(permit, ports.signer)
        seen = await called(client, base, token, release, body, stream=False, headers=headers)
    finally:
        await client.close()
    if not seen.inference:
        said = f"it answered {seen.status}: {seen.text[:200]}" if seen.status else seen.text[:200]
        raise CanaryRefused(
            f"the gateway at {base} took no canary ({said}); roadworthy up serves, roadworthy doctor says what is wrong"
        )
    return seen.inference


def _counted(page: str, workflow: str) -> float:
    """Calls of class ``eval`` of a workflow, on a page of metrics."""
    mine = (f'workflow="{workflow}"', 'class="eval"')
    return sum(float(value) for labels, value in _COUNTED.findall(page) if all(one in labels for one in mine))
