"""Another model than the one that was asked for: the answer counts, and the record must say whose it is."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.answer(model="somebody-else-mini")
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider lets another model answer than it was asked for, and says so.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("gateway.attempt:note_model"),
    needs=(),
    wait=Wait(1),
    attempts=1,
)
