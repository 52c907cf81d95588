"""An answer as long as a book, once."""

from roadworthy.fallback.drills.kit import Drill, Exchange, Wait, check

WORDS = "lamp shade cord bulb socket wire order parcel invoice refund friend street letter answer window"


def book(size: int = 1_000_000) -> str:
    """Sentences that differ, so that nothing but their number is wrong."""
    words, sentences, length, state = WORDS.split(" "), [], 0, 1
    while length < size:
        picked = []
        for _ in range(9):
            state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
            picked.append(words[(state >> 16) % len(words)])
        sentences.append(f"The {' '.join(picked)} came. ")
        length += len(sentences[-1])
    return "".join(sentences)


async def fault(call: Exchange) -> None:
    await call.answer(book())


DRILL = Drill(
    says="The model answers once with a megabyte of text.",
    fault=fault,
    times=1,
    failure="invalid",
    guard=check("length"),
    needs=("text",),
    wait=Wait(3),
    attempts=2,
)
