"""Fields that nobody has heard of, as providers add them every month."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer(x_new_thing={"nested": [1, 2, {"deep": None}]}, service_tier="surprise")
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider's answer carries fields that nobody knows.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("adapters.providers.openai_shape:read"),
    wait=Wait(1),
    attempts=1,
)
