"""Markup that would run in the page that shows the answer."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, check

MARKUP = 'Look <img src="x" onerror="fetch(location)"><script src="//cdn.invalid/a.js"></script> here.'


async def fault(call: Exchange) -> None:
    await call.answer(call.worded(MARKUP))


DRILL = Drill(
    says="The model answers with HTML that runs a script.",
    fault=fault,
    failure="unsafe",
    guard=check("markup"),
    needs=("words",),
    wait=Wait(2),
    attempts=1,
    told="incident",
)
