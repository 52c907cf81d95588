"""What a program prints is not JSON yet: an answer in single quotes."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, event, step


async def fault(call: Exchange) -> None:
    printed = str({"id": "chatcmpl-1", "choices": [{"message": {"content": "Hello"}, "finish_reason": None}]})
    if call.stream:
        await call.begin()
        await call.write(event(printed))
        await call.close_body()
    else:
        await call.reply(200, printed)


DRILL = Drill(
    says="The provider answers 200 with a body that is not JSON.",
    fault=fault,
    failure="invalid",
    guard=step("invalid"),
    needs=(),
    wait=Wait(3),
    attempts=4,
)
