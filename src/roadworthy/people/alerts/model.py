"""One alert as frozen data."""

from __future__ import annotations

from typing import Literal

import msgspec

AlertClass = Literal["page", "notify"]
"""``page``: somebody is woken, at any hour; ``notify``: told in the working hours of the owner."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What an alert is.  Its texts are its page in ``docs/alerts``, and what the console shows beside an incident."""

    name: str
    """Lower case with underscores: the name of its page."""
    cls: AlertClass
    """Fixed: nothing that is configured makes another class of it."""
    title: str
    means: str
    """What has happened, and to whom."""
    check: tuple[str, ...]
    """Where to look, in this order."""
    do: tuple[str, ...]
    """What helps, the quickest first."""
    minimum: int = 1
    """Bad events below which it is not raised."""
    resolves_by_itself: bool = False
    """Is its incident over when what it is about has been good again for a while?"""
    group: str = ""
    """Alerts of one group and one workflow are one incident; empty: each key is one of its own."""

    @property
    def pages(self) -> bool:
        return self.cls == "page"
