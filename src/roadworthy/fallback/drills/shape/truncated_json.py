"""Half of a body that claims to be whole, as a proxy cuts it that counts wrongly."""

import json

from roadworthy.fallback.drills.kit import USAGE, Drill, Exchange, Wait, step


async def fault(call: Exchange) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": call.text}, "finish_reason": "stop"}
    body = json.dumps({"id": f"chatcmpl-{call.nonce}", "usage": USAGE, "choices": [choice]})
    await call.reply(200, body[: body.index('"content"') + 15])


DRILL = Drill(
    says="The provider's JSON breaks off in its middle, with lengths that say it is whole.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=step("invalid"),
    asked="whole",
    needs=(),
    wait=Wait(2),
    attempts=2,
)
