"""The chunk that ends an answer overtakes the last words.  (Words among themselves carry no order to compare.)"""

from roadworthy.fallback.drills.kit import USAGE, Drill, Exchange, Wait, event, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    *first, last = call.pieces()
    for piece in first:
        await call.say(piece)
    await call.write(call.chunk({}, "stop"))
    await call.say(last)
    await call.write(event({"object": "chat.completion.chunk", "choices": [], "usage": USAGE}))
    await call.write(event("[DONE]"))
    await call.close_body()


DRILL = Drill(
    says="The provider ends its answer before the last words of it come.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=rule("adapters.providers.openai:went_on"),
    asked="stream",
    committed=True,
    wait=Wait(2),
    attempts=2,
)
