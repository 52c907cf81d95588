"""A worker is killed in the middle of 200 calls.  Each is answered or recorded as lost; none is forgotten."""

import asyncio
from collections.abc import Sequence

from roadworthy.fallback.drills.kit import CLEAN, Copy, Drill, Exchange, Missed, Seen, Wait, rule
from roadworthy.workflow.inference import Inference

CALLS = 200


async def every_other(call: Exchange) -> None:
    if call.number % 2:
        await call.good()
    else:
        await call.silence()


async def scene(copy: Copy) -> Seen:
    copy.targets(every_other)
    asking = asyncio.create_task(copy.ask_many(CALLS))
    await copy.begun(CALLS)
    await copy.kill_gateway()
    accounted(await asking, await copy.records())
    copy.targets(None)
    return await copy.ask()


def accounted(seen: Sequence[Seen], records: Sequence[Inference]) -> None:
    """Raises ``Missed``."""
    by_id = {record.id: record for record in records}
    if (len(records), len(by_id)) != (CALLS, CALLS):
        raise Missed("records", f"{CALLS}, each of another call", f"{len(records)} of {len(by_id)} calls")
    for call in seen:
        record = by_id.get(call.inference) if call.status else None
        if call.status and (record is None or record.outcome != call.outcome):
            raise Missed("record of an answered call", str(call.outcome), "none" if record is None else record.outcome)
    if not any(record.failure == "gateway_lost" for record in records):
        raise Missed("calls that were cut off", "recorded as gateway_lost", "none")


DRILL = Drill(
    says=f"The worker is killed while {CALLS} calls are under way.",
    scene=scene,
    failure=None,
    right=CLEAN,
    guard=rule("gateway.journal:Journal.start"),
    wait=Wait(2),
    attempts=1,
)
