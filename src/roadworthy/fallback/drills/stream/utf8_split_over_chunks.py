"""Characters of several bytes that the network cuts in two."""

from roadworthy.fallback.drills.kit import CLEAN, Drill, Exchange, Wait, rule

WORDS = " Thank you for your patience \u2013 and for the caf\u00e9 \u2615 \U0001f642"


async def fault(call: Exchange) -> None:
    await call.begin()
    said = call.text + WORDS
    raw = call.chunk({"content": said})
    cuts = [at for at, byte in enumerate(raw) if 0x80 <= byte < 0xC0]  # before every byte that is not a first one
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        await call.write(raw[begin:end])
    await call.end()
    call.sent.good, call.sent.text = True, said


DRILL = Drill(
    says="The network cuts the provider's stream in the middle of characters.",
    fault=fault,
    failure=None,
    right=CLEAN,
    guard=rule("adapters.providers.sse:EventSplitter.feed"),
    asked="stream",
    wait=Wait(1),
    attempts=1,
)
