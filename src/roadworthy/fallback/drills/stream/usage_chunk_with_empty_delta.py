"""Usage in a chunk with a choice that says nothing, after the choice has ended."""

from roadworthy.fallback.drills.kit import CLEAN, USAGE, Drill, Exchange, Wait, event, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    for piece in call.pieces():
        await call.say(piece)
    await call.write(call.ending()[0])
    await call.write(event({"object": "chat.completion.chunk", "choices": [{"delta": {}}], "usage": USAGE}))
    await call.write(event("[DONE]"))
    await call.close_body()
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider tells the usage in a chunk with an empty delta instead of one without choices.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("adapters.providers.openai_shape:carries"),
    asked="stream",
    wires=("chat",),
    wait=Wait(1),
    attempts=1,
)
