"""The words of ``workflow/words.py``, under the name by which commands know them."""

from __future__ import annotations

from roadworthy.workflow.words import (
    UNKNOWN,
    ago,
    count,
    dollars,
    lasting,
    moment,
    plural,
    seconds,
    share,
    size,
    sparkline,
    until,
)

__all__ = [
    "UNKNOWN", "ago", "count", "dollars", "lasting", "moment", "plural", "seconds", "share", "size", "sparkline",
    "until",
]  # fmt: skip
