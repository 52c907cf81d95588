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


def filled(text: str, names: dict[str, str]) -> list[tuple[bool, str]]:
    """A line of ``check`` or ``do`` in parts: (is it a command, text).  ``names``: what stands in a command for
    ``WORKFLOW``, ``INCIDENT``…; what is empty stays as it is."""
    parts = []
    for number, part in enumerate(text.split("`")):
        command = number % 2 == 1
        for name, value in names.items() if command else ():
            if value:
                part = " ".join(value if word == name else word for word in part.split(" "))
        if part:
            parts.append((command, part))
    return parts
