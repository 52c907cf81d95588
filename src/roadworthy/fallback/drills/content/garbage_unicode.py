"""Bytes that are characters and no text: NUL, controls, unassigned and replaced ones."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, check


async def fault(call: Exchange) -> None:
    await call.answer(call.worded("\x00Your\x07 order \ufffd\ufffd\ue000\ufdd0 was \x1b[31msent\x00."))


DRILL = Drill(
    says="The model answers once with NUL and other characters that no reader should see.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=check("garbage"),
    needs=("words",),
    wait=Wait(2),
    attempts=2,
)
