"""Line ends of three kinds, comments and fields that nobody uses: all of them events by the standard."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule


async def fault(call: Exchange) -> None:
    await call.begin()
    events = [call.chunk({"content": piece}) for piece in call.pieces()] + call.ending()
    for at, made in enumerate(events):
        await call.write(
            b": comment\r\nid: 7\revent: message\n" + made.replace(b"\n\n", (b"\r\n\n", b"\r\n\r\n")[at % 2])
        )
    await call.close_body()
    call.sent.good, call.sent.text = True, call.text


DRILL = Drill(
    says="The provider mixes line ends and adds comments to its stream.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("adapters.providers.sse:EventSplitter._unify"),
    asked="stream",
    wait=Wait(1),
    attempts=1,
)
