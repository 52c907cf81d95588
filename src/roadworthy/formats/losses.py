"""What a translation could not say, noted as it is met."""

from __future__ import annotations

from roadworthy.formats.model import Lost


class Losses:
    """The first one counts: it is what a caller is told to mend."""

    def __init__(self) -> None:
        self.first: Lost | None = None
        self.unknown: str | None = None
        """The first member that nobody here knows."""

    def note(self, param: str, why: str, *, unknown: bool = False) -> None:
        if self.first is None:
            self.first = Lost(param, why)
        if unknown and self.unknown is None:
            self.unknown = param
