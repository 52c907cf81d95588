"""A stream without the marker at its end, as many servers leave it out: the finish and a clean end say enough."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    for piece in call.pieces():
        await call.say(piece)
    await call.end(done=False)
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider ends its stream cleanly and leaves out [DONE].",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("gateway.streaming.live:LiveStream.end"),
    asked="stream",
    wires=("chat", "messages"),  # in Responses the marker is the answer
    wait=Wait(1),
    attempts=1,
)
