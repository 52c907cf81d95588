"""A provider that is never silent and never done."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, clock


async def fault(call: Exchange) -> None:
    if not call.stream:
        await call.head(200)
        while True:
            await call.silence(call.beat)
            await call.write(b" ")
    await call.begin()
    half = call.text[: len(call.text) // 2]
    tokens = [half[at : at + 4] for at in range(0, len(half), 4)]
    while True:
        await call.silence(call.beat)
        await call.say(tokens.pop(0) if tokens else "")


DRILL = Drill(
    says="The provider writes a token a second, far slower than anybody waits.",
    fault=fault,
    times=1,
    failure="slow",
    guard=clock("total"),
    committed=True,
    wait=Wait(1, total=1),
    attempts=2,
)
