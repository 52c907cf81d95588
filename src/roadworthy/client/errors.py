"""What can keep the gateway from doing what it was asked."""

from __future__ import annotations

from roadworthy.client.telling import Told


class RoadworthyError(Exception):
    """Any of them."""


class Unreachable(RoadworthyError):
    """No connection, or it broke."""


class TimedOut(Unreachable):
    """The connection stood and no answer came in time.  The gateway may have done what it was asked."""


class Unreadable(RoadworthyError):
    """What answered is no Roadworthy gateway: look at the base URL, and at what stands in front of it."""


class Refused(RoadworthyError):
    """The gateway said no.  The text is its own."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        should_retry: bool = False,
        told: Told | None = None,
    ) -> None:
        super().__init__(f"{message} ({status}{f' {code}' if code else ''})")
        self.status = status
        """Of HTTP."""
        self.code = code
        """A stable word such as ``invalid_api_key`` or, of flags, ``FLAG_NOT_FOUND``; ``None``: whoever answered is
        not the gateway, a proxy in front of it perhaps."""
        self.message = message
        self.param = param
        """The field at fault."""
        self.retry_after = retry_after
        """Seconds after which to ask again, where the gateway says so."""
        self.should_retry = should_retry
        """Says the gateway that the same request may be sent again at once?  This package never does it by itself."""
        self.told = told


class Limited(Refused):
    """429: a limit or a budget.  ``retry_after`` says when to come again."""


class Unavailable(Refused):
    """5xx: for now."""


MAY_PASS = (Unreachable, Limited, Unavailable)
"""What another time may go well."""
