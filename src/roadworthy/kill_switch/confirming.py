"""Who has confirmed an order, and who has not.  Pure.

Rule: an order is *reached* only when every gateway that is known has confirmed this order, or a later one that is at
least as restrictive.  A gateway that is silent is missing, never forgotten; one that joins in the middle is asked too.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

import msgspec
from msgspec.structs import replace

from roadworthy.kill_switch.files import file_name
from roadworthy.kill_switch.model import State, severity


class Order(msgspec.Struct, frozen=True):
    """A change that gateways must act on."""

    workflow: str
    to: State
    seq: int
    at: float


class Gateway(msgspec.Struct, frozen=True):
    """One that is known, with all of its workers."""

    name: str
    folder: str
    """Its data folder, where a ``KILL`` file works without anybody."""
    seen_at: float


class Confirmations(msgspec.Struct, frozen=True):
    """An order and how far it is."""

    order: Order
    gateways: dict[str, Gateway]
    confirmed: dict[str, float] = {}
    """Gateway → when its last worker had stopped."""


class Missing(msgspec.Struct, frozen=True):
    """A gateway that has not confirmed, and what to run there."""

    gateway: str
    silent_for: float
    """Seconds."""
    run: str


class Report(msgspec.Struct, frozen=True):
    """What ``kill`` may say now."""

    reached: bool
    to: State
    missing: list[Missing]
    p50: float | None
    max: float | None
    """Seconds from the order to the confirmations that came; ``None``: none did."""
    took: dict[str, float] = {}
    """Gateway → seconds from the order until the last of its workers had confirmed; who is missing is left out."""
    at: float = 0.0
    """When the order was given."""


def begin(order: Order, gateways: Mapping[str, Gateway]) -> Confirmations:
    return Confirmations(order, dict(gateways))


def confirm(book: Confirmations, gateway: str, seq: int, state: State, at: float) -> Confirmations:
    """A gateway says which state all of its workers are in, as of ``seq``.  What does not fulfil the order is no
    confirmation, and takes an earlier one back: a gateway that went on is missing again."""
    rest = {name: when for name, when in book.confirmed.items() if name != gateway}
    if seq < book.order.seq:  # about an earlier order: it says nothing of this one
        return book
    if severity(state) < severity(book.order.to):
        return replace(book, confirmed=rest)
    when = book.confirmed.get(gateway, at)
    return replace(book, confirmed={**rest, gateway: when})


def seen(book: Confirmations, gateway: Gateway) -> Confirmations:
    """A gateway gave a sign of life; one that was not known must confirm too."""
    return replace(book, gateways={**book.gateways, gateway.name: gateway})


def ended(book: Confirmations, gateway: str) -> Confirmations:
    """Its supervisor says that its processes are gone: it serves nothing, so it is asked for nothing."""
    return replace(
        book,
        gateways={name: each for name, each in book.gateways.items() if name != gateway},
        confirmed={name: when for name, when in book.confirmed.items() if name != gateway},
    )


def report(book: Confirmations, now: float) -> Report:
    """Never reached while one is missing, nor while no gateway is known at all."""
    order = book.order
    where = file_name(order.workflow)
    missing = [
        Missing(each.name, max(0.0, now - each.seen_at), f"echo {order.to} > {each.folder}/{where}")
        for name, each in sorted(book.gateways.items())
        if name not in book.confirmed
    ]
    took = {name: max(0.0, when - order.at) for name, when in book.confirmed.items() if name in book.gateways}
    return Report(
        reached=bool(book.gateways) and not missing,
        to=order.to,
        missing=missing,
        p50=median(took.values()) if took else None,
        max=max(took.values(), default=None),
        took=took,
        at=order.at,
    )
