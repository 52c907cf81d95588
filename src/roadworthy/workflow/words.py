"""Numbers and instants in words for people.  Pure; unknown is ``–``, never zero."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

UNKNOWN = "–"
_BARS = "▁▂▃▄▅▆▇█"


def seconds(value: float | None) -> str:
    """A duration: ``0.4 ms``, ``842 ms``, ``1.24 s``, ``2 min 05 s``, ``3 h 10 min``, ``4 d 2 h``."""
    if value is None:
        return UNKNOWN
    if value < 0.9995:
        milli = value * 1000
        return f"{milli:.1f} ms" if 0 < milli < 9.95 else f"{milli:.0f} ms"
    if value < 59.995:
        return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def dollars(value: float | None) -> str:
    """US dollars with enough digits to see small calls: ``$0.000123``, ``$0.0150``, ``$12.40``."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "$0"
    size = abs(value)
    digits = 2 if size >= 1 else 4 if size >= 0.01 else 6
    return f"${value:,.{digits}f}"


def count(value: float | None) -> str:
    """``987``, ``12.3k``, ``4.56M``."""
    if value is None:
        return UNKNOWN
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    return f"{value:,.0f}"


def size(value: float | None) -> str:
    """Bytes: ``512 B``, ``1.5 MB``."""
    if value is None:
        return UNKNOWN
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.1f} {unit}"
    return f"{value:.0f} B"


def share(value: float | None) -> str:
    """A share in [0, 1] as percent: ``0.5 %``, ``12 %``."""
    if value is None:
        return UNKNOWN
    percent = value * 100
    if 0 < percent < 0.0001:
        return "under 0.0001 %"
    return f"{percent:.0f} %" if percent >= 9.95 or percent == int(percent) else f"{percent:.2g} %"


def moment(ts: float | None, zone: tzinfo, *, now: float | None = None) -> str:
    """An instant: the clock alone when it is today (of ``now``), with its day otherwise."""
    if ts is None:
        return UNKNOWN
    local = datetime.fromtimestamp(ts, zone)
    if now is not None:
        today = datetime.fromtimestamp(now, zone)
        if local.date() == today.date():
            return f"{local:%H:%M:%S}"
        if local.year == today.year:
            return f"{local:%a %d %b %H:%M:%S}"
    return f"{local:%a %d %b %Y %H:%M:%S}"


def ago(ts: float | None, now: float) -> str:
    """``12 s ago``, ``3 min ago``, ``2 h ago``, ``5 d ago``."""
    if ts is None:
        return UNKNOWN
    return f"{_rough(max(now - ts, 0))} ago"


def lasting(ts: float, now: float) -> str:
    """``for 12 min``: since an instant."""
    return f"for {_rough(max(now - ts, 0))}"


def until(ts: float | None, now: float) -> str:
    """``in 40 min``, ``in 3 h``; ``overdue since 2 min`` when it is past."""
    if ts is None:
        return UNKNOWN
    return f"in {_rough(ts - now)}" if ts >= now else f"overdue since {_rough(now - ts)}"


def _rough(span: float) -> str:
    for limit, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if span >= limit:
            return f"{span / limit:.0f} {unit}"
    return f"{span:.0f} s"


def sparkline(values: Sequence[float]) -> str:
    """Counts as bars of eight heights; all-zero gives the lowest bar."""
    top = max(values, default=0)
    if top <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(7, int(value / top * 7 + 0.5)) if value > 0 else 0] for value in values)


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 call``, ``3 calls``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
