"""The same workload for another tool: a Locust file, and a permit with which its workers make the calls."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from roadworthy.evidence.permit.tokens import sealed
from roadworthy.latency import locust, traces
from roadworthy.latency.pacing import Unplannable
from roadworthy.operations.loading import asking
from roadworthy.operations.loading.leading import permit_for
from roadworthy.operations.loading.model import LoadRefused
from roadworthy.operations.loading.planning import Ready, most_under_way
from roadworthy.operations.loading.ports import Ports
from roadworthy.workflow.service import Actor


class Exported(msgspec.Struct, frozen=True):
    file: str
    """Text of the Locust file; it holds no secret."""
    token: str
    """Of a permit of class ``load``; shown once."""
    permit: str
    """Its id."""
    calls: int
    usd: float
    """Most that they may cost together."""


def exported(ready: Ready, ports: Ports, actor: Actor) -> Exported:
    """Raises ``LoadRefused``."""
    base = urlsplit(ports.base_url())
    try:
        text = locust.write(
            ready.arrivals, asking.spread(ready.bodies, "locust"), host=f"{base.scheme}://{base.netloc}",
            path=f"{base.path.rstrip('/')}/chat/completions", model=ready.order.workflow, stream=ready.order.stream,
            trace=traces.of_log(ready.trace), most_under_way=most_under_way(ready.order, ready.plan.rate, ready.each),
        )  # fmt: skip
    except (Unplannable, locust.TooLong) as error:
        raise LoadRefused(str(error)) from error
    permit = permit_for(ready, ready.plan.calls, ready.plan.max_usd, now=ports.clock(), by=actor.id)
    return Exported(text, sealed(permit, ports.signer), permit.id, ready.plan.calls, permit.usd)
