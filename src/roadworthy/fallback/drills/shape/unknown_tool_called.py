"""A tool that the model made up: whoever carries out calls must not see it."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    function = {"name": "launch_the_rockets", "arguments": call.text}
    await call.answer(message={"tool_calls": [{"id": f"call_{call.nonce}", "type": "function", "function": function}]})


DRILL = Drill(
    says="The model calls a tool that there is not.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=rule("gateway.checks.structure:ToolCheck.faults"),
    needs=("tools",),
    wait=Wait(2),
    attempts=3,
)
