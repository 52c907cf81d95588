"""A bill for a hundred times of what was asked and answered."""

import json

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    given, written = 1000 + 25 * len(json.dumps(call.request)), 1000 + 25 * len(call.text)
    usage = {"prompt_tokens": given, "completion_tokens": written, "total_tokens": given + written}
    await call.answer(usage=usage)
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider reports a hundred times the tokens that the call can have had.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("cost.rules:believable"),
    needs=(),
    wait=Wait(1),
    attempts=1,
    told="alert",
    role="cost",
    noted="usage_implausible",
)
