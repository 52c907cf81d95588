"""How shares and differences are said."""

from __future__ import annotations


def percent(share: float, digits: int = 1) -> str:
    """``97.5 %``."""
    return f"{100 * share:.{digits}f} %"


def signed(difference: float) -> str:
    """``-2.5 %``, ``+0.8 %``."""
    return f"{100 * difference:+.1f} %"
