"""Slices of budgets and limits, lent among workers.  Pure: messages in, messages out, no clock and no I/O.

Every scope (a budget in its period, a limit per minute) is split over the gateways by their numbers of workers, and
each gateway's part evenly over its own; a worker spends within its own slice without asking anybody.  A slice is a
*share* of the whole in parts of ``WHOLE``, so the shares of a scope that nobody has heard of add up already, and
control needs to know only the scopes that are short.  A gateway that joins or is forgotten changes the parts of the
periods that begin after that; what runs keeps its split, and a newcomer begins there with what is lent to it.

The protocol, under which the shares that workers hold never add up to more than the whole:

- A worker obeys an order only if its number (epoch of control, sequence) is above all that it has seen, and answers
  with its word: what it holds now.  So a word voids every earlier order that is still under way.
- Control takes for granted that a worker holds the most that it may hold: what its last word said, or what was sent
  since.  A share is lent on only after the worker that gives it up has said so.
- A worker never gives up what it has spent or reserved.
- Control grows nobody in a scope before it has the word of all workers in its own epoch.  Dead control: no orders, the
  split stays as it is.  A dead worker: control speaks for it, from the table that it left.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

WHOLE = 1 << 30
"""Parts of a whole budget or limit."""
MOST_SCOPES = 1000
"""Scopes of which a message speaks; the rest waits for the next round."""
_LEAST_MOVE = WHOLE >> 10
"""A share is not moved for less, but to grant a call that was refused."""
_HUNGRY_WEIGHT, _QUIET_WEIGHT = 4, 1


class Slice(msgspec.Struct, frozen=True, gc=False):
    """A worker's word on one scope.  Amounts in the scope's own unit (nanodollars, thousandths of calls a minute)."""

    id: str
    limit: int
    """The whole, as the worker knows it; 0: it does not know."""
    held: int
    """Spent and reserved."""
    share: int
    want: int = 0
    """The largest amount that it could not grant, or 1 when it will soon be short; 0: it has enough."""
    fixed: bool = False
    """Its share cannot be changed (its record is shared with another scope)."""


class Word(msgspec.Struct, frozen=True):
    """A worker's answer to ``Orders``."""

    worker: int
    """Its number among all workers of all gateways."""
    number: tuple[int, int]
    """Of the orders that it answers; lower than theirs when they were too old to be obeyed."""
    slices: list[Slice]


class Order(msgspec.Struct, frozen=True, gc=False):
    """What control says about one scope."""

    id: str
    limit: int
    share: int | None = None
    """``None``: only say what you hold."""
    others: int = 0
    """What the other workers hold of it, spent and reserved, as far as control knows."""


class Orders(msgspec.Struct, frozen=True):
    number: tuple[int, int]
    """(epoch of control, sequence)."""
    orders: list[Order] = []


def slice_of(limit: int, share: int) -> int:
    """The amount that a share of ``limit`` is, rounded down: slices never add up to more than the limit."""
    return limit * share // WHOLE


Parts = Sequence[tuple[float, int]]
"""A gateway's part of every scope: (Unix seconds, share), oldest first, each for the periods that begin after it."""

EVERYTHING: Parts = ((0.0, WHOLE),)
"""The only gateway's."""


def part_at(parts: Parts, begin: float) -> int:
    """The gateway's part of a period that began then; of what has no period, at ``inf``, the last one."""
    return next((share for since, share in reversed(parts) if since <= begin), 0)


def first_share(worker: int, workers: int, part: int = WHOLE) -> int:
    """What a worker has of a scope of which nobody has spoken: an even piece of its gateway's part."""
    return part // workers + (1 if worker < part % workers else 0)


def floor_of(held: int, limit: int) -> int:
    """The least share whose slice covers ``held``."""
    return -(-held * WHOLE // limit) if limit > 0 else 0


def obeyed(share: int, held: int, limit: int, ordered: int) -> int:
    """The share that a worker has after an order: never less than it holds, and never more because of that."""
    if ordered >= share:
        return ordered
    return min(share, max(ordered, floor_of(held, limit)))


def split(slices: Sequence[Slice]) -> list[int]:
    """The shares that the workers should have, in their order.  They add up to at most ``WHOLE``.

    Each keeps what it holds; what is free goes to those that are short and, a quarter as much each, to the others, so
    that a caller who turns up elsewhere is not refused.  A call that would fit only if its worker had everything that
    is free gets it.
    """
    limit = min((found.limit for found in slices if found.limit > 0), default=0)
    if limit == 0:
        return [found.share for found in slices]
    floors = [min(WHOLE, floor_of(found.held, limit)) for found in slices]
    free = WHOLE - sum(floors)
    if free <= 0:
        return [min(found.share, floor) for found, floor in zip(slices, floors, strict=True)]
    weights = [_HUNGRY_WEIGHT if found.want else _QUIET_WEIGHT for found in slices]
    parts = [free * weight // sum(weights) for weight in weights]
    for index, found in enumerate(slices):
        wanted = floor_of(found.want, limit)
        if parts[index] < wanted <= free:
            parts = [0] * len(slices)
            parts[index] = free
            break
    return [floor + part for floor, part in zip(floors, parts, strict=True)]


class _Scope:
    """What control knows of one scope in its epoch."""

    __slots__ = ("asking", "granted", "limit", "words")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.words: dict[int, Slice] = {}
        """Last word of each worker that gave one."""
        self.granted: dict[int, int] = {}
        """The most that a worker may hold."""
        self.asking: dict[int, int | None] = {}
        """Worker → the share to order next, ``None``: ask for its word."""


class Lender:
    """Control's side.  One round: ``orders`` for every worker, ``heard`` or ``lost`` for each, then ``decide``.

    Remembers only the scopes that are being settled: one that was forgotten is asked for again.
    """

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._sequence = 0
        self._scopes: dict[str, _Scope] = {}
        self._sent: dict[int, Orders] = {}

    @property
    def scopes(self) -> int:
        """How many are being settled."""
        return len(self._scopes)

    def orders(self, worker: int) -> Orders:
        """What to send to ``worker`` now; empty orders ask what it is short of."""
        self._sequence += 1
        made: list[Order] = []
        for ident, scope in self._scopes.items():
            if worker not in scope.asking or len(made) >= MOST_SCOPES:
                continue
            share = scope.asking[worker]
            if share is not None:
                scope.granted[worker] = max(share, scope.granted[worker])  # a shrink counts when it is acknowledged
            others = sum(word.held for other, word in scope.words.items() if other != worker)
            made.append(Order(ident, scope.limit, share, others))
        self._sent[worker] = orders = Orders((self._epoch, self._sequence), made)
        return orders

    def heard(self, word: Word) -> None:
        """A worker answered.  An answer to anything but the last that was sent to it says nothing."""
        sent = self._sent.pop(word.worker, None)
        if sent is None or word.number != sent.number:
            return
        for found in word.slices:
            scope = self._scopes.get(found.id)
            if scope is None:
                if len(self._scopes) >= MOST_SCOPES:
                    continue
                scope = self._scopes[found.id] = _Scope(found.limit)
            scope.limit = found.limit or scope.limit
            scope.words[word.worker] = found
            scope.granted[word.worker] = found.share  # everything sent earlier is void
            scope.asking.pop(word.worker, None)

    def lost(self, worker: int) -> None:
        """No answer came: what was sent may or may not be obeyed yet."""
        self._sent.pop(worker, None)

    def decide(self, workers: Sequence[int]) -> bool:
        """Work out what to say next to ``workers``, all that there are.  Returns whether there is anything to say."""
        for ident in list(self._scopes):
            scope = self._scopes[ident]
            missing = [worker for worker in workers if worker not in scope.words]
            scope.asking = dict.fromkeys(missing) if missing else self._moves(scope, workers)
            if not scope.asking:
                del self._scopes[ident]
        return bool(self._scopes)

    def forget(self) -> None:
        """End the round.  What is not settled begins anew with the next word: nobody grows before all have spoken, and
        their words void what was sent and not answered."""
        self._scopes.clear()

    def _moves(self, scope: _Scope, workers: Sequence[int]) -> dict[int, int | None]:
        """Orders that bring the workers towards their shares: whoever grows does so within what is free for sure."""
        words = [scope.words[worker] for worker in workers]
        hungry = [worker for worker in workers if _lacks(scope.words[worker])]
        if not hungry or any(word.fixed for word in words):
            return {}
        targets = dict(zip(workers, split(words), strict=True))
        if all(targets[worker] - scope.granted[worker] < _least_move(scope.words[worker]) for worker in hungry):
            return {}
        free = WHOLE - sum(scope.granted.values())
        moves: dict[int, int | None] = {}
        for worker in workers:
            missing = targets[worker] - scope.granted[worker]
            if missing < 0:
                moves[worker] = targets[worker]
            elif missing > 0 and free > 0:
                grown = min(missing, free)
                free -= grown
                moves[worker] = scope.granted[worker] + grown
        return moves


def _lacks(word: Slice) -> bool:
    """Is its share too small, for what it was asked for or for what it holds (a first call larger than its slice)?"""
    return bool(word.want) or floor_of(word.held, word.limit) > word.share


def _least_move(word: Slice) -> int:
    return _LEAST_MOVE if word.want == 1 else 1
