"""Who speaks for a dead worker: control itself, from the table of what the worker spent and may spend.

So a gateway that is stopped for the night neither holds back its part of every budget nor gets it twice: what is lent
while it is away is written into its own table, with which it starts again.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from roadworthy.cost.budgets import RATE, begin_before, kind_of
from roadworthy.cost.lending import Order, Orders, Slice, Word, first_share, obeyed, part_at
from roadworthy.gateway.limits.ledger import Ledger, LedgerRefused, parsed
from roadworthy.wiring.fleet.gateways import SPAN, Fleet, Known

First = Callable[[int], int]
"""Stamp of a period → what the worker has of a scope of which nobody has spoken."""

_orders = msgspec.json.Decoder(Orders)


class StandIns:
    """For workers that do not answer.  Blocking."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def exchange(self, number: int, orders: bytes) -> bytes | None:
        """The word of a worker that is dead; ``None`` for one whose table somebody holds, or that never had one."""
        asked = _orders.decode(orders)
        slices: list[Slice] = []
        if asked.orders:
            found = self._table(number)
            if found is None:
                return None
            ledger, first = found
            try:
                if not ledger.hold():
                    return None
                slices = [_obey(ledger, order, first) for order in asked.orders]
            finally:
                ledger.close()
        return msgspec.json.encode(Word(number, asked.number, slices))

    def _table(self, number: int) -> tuple[Ledger, First] | None:
        """The worker's table; one that cannot be read says nothing, so nothing of it is lent."""
        retired = self._fleet.retired().get(number)
        try:
            if retired is not None:
                return Ledger(retired, workers=None), lambda stamp: 0
            known = self._known(number)
            if known is None or not known.data.run.is_dir():
                return None
            index, workers = number - known.first, max(1, known.workers)
            parts = self._fleet.parts_of(known.name)

            def first(stamp: int) -> int:
                return first_share(index, workers, part_at(parts, begin_before(stamp)))

            return Ledger(known.data.spend_file(index), workers=workers), first
        except (OSError, LedgerRefused):
            return None

    def _known(self, number: int) -> Known | None:
        return next((one for one in self._fleet.gateways() if one.first <= number < one.first + SPAN), None)


def _obey(ledger: Ledger, order: Order, first: First) -> Slice:
    """As ``Purses.exchange``, for a worker that spends nothing."""
    ident = parsed(order.id)
    at = ledger.find(ident, ident[2], first=first(ident[2]))
    assert at is not None
    held = 0 if kind_of(ident[2]) == RATE else ledger.held(at)
    if not ledger.owns(at, ident):
        return Slice(order.id, order.limit, held, first(ident[2]), 0, True)
    share = ledger.share(at)
    if order.share is not None:
        share = obeyed(share, held, order.limit, order.share)
    ledger.lend(at, share)
    return Slice(order.id, order.limit, held, share)
