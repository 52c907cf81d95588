"""The chunk that ends an answer overtakes the last words.  (Words among themselves carry no order to compare.)"""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    *first, last = call.pieces()
    for piece in first:
        await call.say(piece)
    late, ending = call.chunk({"content": last}), call.ending()
    for made in (*ending[:-1], late, ending[-1]):
        await call.write(made)
    await call.close_body()


DRILL = Drill(
    says="The provider ends its answer before the last words of it come.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=rule("adapters.providers.openai:went_on"),
    asked="stream",
    wires=("chat",),
    committed=True,
    wait=Wait(2),
    attempts=2,
)
