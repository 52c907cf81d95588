"""The wall clock leaps a day ahead in the middle of a call, and back again before the next one."""

import asyncio

from roadworthy.fallback.drills.kit import Copy, Drill, Exchange, Missed, Seen, Wait, rule

DAY = 86_400.0


async def scene(copy: Copy) -> Seen:
    called, jumped = asyncio.Event(), asyncio.Event()

    async def fails_after_the_jump(call: Exchange) -> None:
        called.set()
        await jumped.wait()
        await call.refuse(503, "The engine is currently overloaded, please try again later.")

    copy.targets(fails_after_the_jump)
    asking = asyncio.create_task(copy.ask())
    await asyncio.wait({asking, asyncio.ensure_future(called.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await copy.jump_clock(DAY)
    jumped.set()
    seen = await asking
    await copy.jump_clock(-DAY)
    after = await copy.ask()
    if after.outcome != "answered" or after.recorded != "answered":
        raise Missed("the call after the clock went back", "answered", str(after.outcome or after.status))
    return seen


DRILL = Drill(
    says="The clock jumps a day ahead while the provider fails a call once, and then two days back.",
    scene=scene,
    times=1,
    failure="unavailable",
    guard=rule("wiring.gateway:SystemClock.monotonic"),
    wait=Wait(3),
    attempts=2,
)
