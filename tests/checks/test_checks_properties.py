# ruff: noqa: E501  (texts are read as one line)
"""Whatever a model writes, checks end, and soon: the tempting and the hostile, at lengths that show a square."""

from __future__ import annotations

import pytest
from check_texts import NEEDED, check
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.fallback.checks.model import Context
from roadworthy.fallback.checks.registry import TEXT_KINDS
from roadworthy.fallback.mending import mended

SIZE = 300_000
HOSTILE = {
    "a": "a" * SIZE, "lt": "<" * SIZE, "ticks": "`" * SIZE, "images": "![a](" * (SIZE // 5), "at": "a@" * (SIZE // 2),
    "ats": "A" * SIZE + "@a.b", "figures": "1 " * (SIZE // 2), "digits": "4" * SIZE, "sk": "sk-" * (SIZE // 3),
    "lines": "\n" * SIZE, "dashes": "-" * SIZE, "counting": " ".join(map(str, range(SIZE // 6))), "tags": "<a " * (SIZE // 3),
    "handlers": "<a/on" * (SIZE // 5), "sorry": "I'm sorry, but I can't " * (SIZE // 23), "tokens": "eyJ" * (SIZE // 3),
    "mails": " ".join(f"u{n}@h{n}.org" for n in range(SIZE // 20)), "accents": "é" * SIZE, "quotes": '"a' * (SIZE // 2),
    "hanzi": "好的" * (SIZE // 2), "nul": "\x00" * SIZE, "zalgo": "e\u0301" * (SIZE // 2), "fence": "```\n" * (SIZE // 4),
    "braces": '{"a":' * (SIZE // 5), "mojibake": "Ã" * SIZE,
}  # fmt: skip


@pytest.mark.timeout(60)  # far above what it takes, far below what a square would
@pytest.mark.parametrize("kind", sorted(TEXT_KINDS))
def test_hostile_text_is_judged_in_linear_time(kind: str) -> None:
    judge = check(kind)
    for text in HOSTILE.values():
        context = Context(lambda text=text: text, prompt="You are a helpful assistant. " * 300, canary="rwc-1")  # type: ignore[misc]
        finding = judge(text, context)
        assert finding is None or finding.span is None or 0 <= finding.span[0] <= finding.span[1] <= len(text)


@pytest.mark.timeout(60)
def test_hostile_text_is_mended_or_left_in_linear_time() -> None:
    for text in HOSTILE.values():
        assert mended(text[:200_000], array=True) is None
    assert mended("[" * 100_000, array=True) is None


PIECES = st.sampled_from(
    ["<b>", "I can't help", " with that.", "```", "`", "![x](//", "\x00", "\ufffd", "4539 5787 6362 1486", "a@b.io", "\n", " ", "<",
     "sk-", "{", "}", '"', "'", ":", ",", "1", "true", "ſ", "İ", "ﬁ", "e\u0301", "👍", "好的", "no "]
)  # fmt: skip
TEXT = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=60).map("".join))


@pytest.mark.parametrize("kind", sorted(TEXT_KINDS))
def test_no_text_breaks_a_check(kind: str) -> None:
    judge = check(kind)

    @settings(max_examples=60, deadline=None)
    @given(TEXT, TEXT)
    def claim(text: str, sent: str) -> None:
        finding = judge(text, Context(lambda: sent, prompt=sent, canary="rwc-1"))
        assert finding is None or 0 < finding.score <= 1
        if finding is not None and finding.span is not None:
            assert 0 <= finding.span[0] <= finding.span[1] <= len(text)
        again = judge(text, Context(lambda: sent, prompt=sent, canary="rwc-1"))
        assert again == finding

    claim()


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$"])
@pytest.mark.timeout(20)
def test_a_hostile_pattern_of_the_workflow_cannot_hang(pattern: str) -> None:
    judge = check("forbidden", **{**NEEDED["forbidden"], "patterns": [pattern]})
    judge("a" * 100_000 + "!", Context())
