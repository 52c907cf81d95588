"""A figure that comes with how sure it is."""

from __future__ import annotations

import msgspec


class Estimate(msgspec.Struct, frozen=True):
    """A figure with its two-sided interval, both ends included."""

    value: float
    lower: float
    upper: float
