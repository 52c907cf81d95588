"""A chunk that comes twice.  Its random padding shows that it is the same one, not the same word once more."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    for at, piece in enumerate(call.pieces()):
        await call.say(piece, obfuscation=f"kT{at}xQ")
        if at == 1:
            await call.say(piece, obfuscation=f"kT{at}xQ")
    await call.end()
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider sends a chunk of its stream twice.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("adapters.providers.openai:told_twice"),
    asked="stream",
    wires=("chat",),  # elsewhere nothing in an event tells that it is the same one again
    wait=Wait(1),
    attempts=1,
)
