"""An error where nobody looks for one any more: behind status 200 and half of the answer, before a good end."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    for piece in call.pieces()[:2]:
        await call.say(piece)
    await call.write(call.failure("The engine disconnected unexpectedly."))
    await call.end()


DRILL = Drill(
    says="The provider tells an error in the middle of its stream and ends it as if all were well.",
    fault=fault,
    times=1,
    failure="unavailable",
    guard=rule("adapters.providers.openai:OpenAIEvents._chunk"),
    asked="stream",
    committed=True,
    wait=Wait(2),
    attempts=2,
)
