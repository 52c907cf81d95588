"""What a check that is asked for says, and how the answers of users' checks are read: strictly, for they decide."""

from __future__ import annotations

import math
from typing import Any

import msgspec

MOST_DETAIL = 300
_KEYS = frozenset({"passed", "score", "detail", "span"})


class Result(msgspec.Struct, frozen=True):
    """The verdict of a check that was asked for."""

    passed: bool
    detail: str = ""
    score: float | None = None
    span: tuple[int, int] | None = None
    cost_usd: float | None = 0.0


class CannotTell(Exception):
    """The check could not be done; the message says why and quotes no text.  ``cost_usd``: what trying cost."""

    def __init__(self, why: str, cost_usd: float | None = 0.0) -> None:
        super().__init__(why)
        self.why = why[:MOST_DETAIL]
        self.cost_usd = cost_usd


def late(seconds: float) -> str:
    """Why a check could not be done that was given ``seconds``."""
    return f"was not done in {seconds:.3g} s"


def read_result(given: Any, threshold: float, length: int) -> Result:
    """A user's verdict on a text of ``length`` characters: ``True`` passes, a number is a score (1 is certainly bad),
    an object holds ``passed`` or ``score`` or both, and may hold ``detail`` and ``span``.

    Raises ``CannotTell`` for anything else: what cannot be understood is no verdict.
    """
    if isinstance(given, bool):
        return Result(given, "" if given else "did not pass")
    if isinstance(given, int | float):
        scored = _score(given)
        return Result(scored < threshold, f"scored {scored:.3g}", scored)
    if not isinstance(given, dict):
        raise CannotTell(f"answered {_shown(given)}, not true, false, a score or {{passed, score, detail, span}}")
    unknown = [str(key)[:40] for key in given if key not in _KEYS]
    if unknown:
        raise CannotTell(f"answered with the unknown key '{unknown[0]}'")
    passed, detail, span = given.get("passed"), given.get("detail", ""), given.get("span")
    score = None if given.get("score") is None else _score(given["score"])
    if passed is None and score is not None:
        passed = score < threshold
    if not isinstance(passed, bool):
        raise CannotTell("answered without 'passed' (true or false) and without a score")
    if not isinstance(detail, str):
        raise CannotTell(f"answered with a detail that is {_shown(detail)}, not text")
    said = detail or ("" if passed else "did not pass")
    return Result(passed, said[:MOST_DETAIL], score, None if span is None else _span(span, length))


def _score(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0.0 <= given <= 1.0 or math.isnan(given):
        raise CannotTell(f"answered with the score {_shown(given)}, not a number from 0 to 1")
    return float(given)


def _span(given: Any, length: int) -> tuple[int, int]:
    right = isinstance(given, list | tuple) and len(given) == 2
    if not right or any(isinstance(place, bool) or not isinstance(place, int) for place in given):
        raise CannotTell(f"answered with the span {_shown(given)}, not [begin, end]")
    begin, end = given
    if not 0 <= begin <= end <= length:
        raise CannotTell(f"answered with the span [{begin}, {end}] of a text of {length} characters")
    return begin, end


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else type(value).__name__
