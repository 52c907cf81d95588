"""When a message that was not taken is told again, and when it is given up.  Pure.

Every answer but a 2xx is a failure (Standard Webhooks), redirects included; ``410 Gone`` ends it at once.  The pause
grows tenfold at first and then slowly, with a fifth of it as jitter; ``Retry-After`` makes it longer, never shorter.
"""

from __future__ import annotations

from msgspec.structs import replace

from roadworthy.people.outbox.model import Delivery, Sent

PAUSES = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 4 * 3600.0)
"""Seconds after the first, second… failure; one more failure and the message is dead: about six and a half hours."""
JITTER = 0.2
LONGEST_ASKED = 6 * 3600.0
"""Seconds: the most that ``Retry-After`` is believed."""
GONE = 410


def after(delivery: Delivery, sent: Sent, now: float, jitter: float) -> Delivery:
    """The message after a try.  ``jitter``: a random number in [0, 1)."""
    if not sent.error:
        return replace(delivery, state="delivered", last_status=sent.status, last_error="", ended_at=now)
    tries = delivery.tries + 1
    failed = replace(delivery, tries=tries, last_status=sent.status, last_error=sent.error[:300])
    if sent.final or sent.status == GONE or tries > len(PAUSES):
        return replace(failed, state="dead", ended_at=now)
    pause = PAUSES[tries - 1] * (1.0 - JITTER + 2.0 * JITTER * jitter)
    return replace(failed, due_at=now + max(pause, min(sent.retry_after or 0.0, LONGEST_ASKED)))


def withdrawn(delivery: Delivery, why: str, now: float) -> Delivery:
    """Not told any more; one that has ended stays as it did."""
    if delivery.state != "waiting":
        return delivery
    return replace(delivery, state="withdrawn", last_error=why, ended_at=now)


def again(delivery: Delivery, now: float) -> Delivery:
    """Told anew, from the first pause on, because a person asks for it."""
    return replace(delivery, state="waiting", tries=0, due_at=now, ended_at=None)
