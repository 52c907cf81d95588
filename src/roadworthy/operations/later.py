"""Answers that take longer than a page may: worked out once beside it, kept for a while, one at a time.

Who asks waits a moment; what is not there by then is worked out in a thread, and whoever asks again gets it.  An
answer that is too old is given once more while a new one is worked out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

MOST: Final = 200
"""Answers that are kept."""


class Answer(NamedTuple, Generic[T]):
    value: T | None
    """``None``: it is being worked out."""
    at: float
    """Unix seconds when it was asked of the store."""


class _Kept(NamedTuple):
    work: Future[Any]
    at: float


class Later:
    """Thread-safe.  What a question raises is raised to whoever asked it, and it is asked anew the next time."""

    def __init__(self, clock: Callable[[], float], *, patience: float = 0.04) -> None:
        """``patience``: seconds that whoever asks waits."""
        self._clock = clock
        self.patience = patience
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="later")
        self._known: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._under_way: dict[Hashable, _Kept] = {}

    def get(self, key: Hashable, question: Callable[[], T], good_for: float) -> Answer[T]:
        """The answer, at most ``good_for`` seconds old unless a newer one is being worked out."""
        return self.together([(key, question, good_for)])[0]

    def together(self, asked: Sequence[tuple[Hashable, Callable[[], Any], float]]) -> list[Answer[Any]]:
        """The answers to several questions, worked out in this order; whoever asks waits once for all of them."""
        now = self._clock()
        kept = [self._asked(*each, now) for each in asked]
        wait([new.work for old, new in kept if old is None], self.patience)
        return [self._told(key, *pair, now) for (key, *_), pair in zip(asked, kept, strict=True)]

    def _asked(
        self, key: Hashable, question: Callable[[], Any], good_for: float, now: float
    ) -> tuple[_Kept | None, _Kept]:
        """What is known, and what is asked for now; the same where what is known is good."""
        with self._lock:
            known = self._known.get(key)
            if known is not None and now - known.at <= good_for:
                return known, known
            new = self._under_way.get(key)
            if new is None:
                new = self._under_way[key] = _Kept(self._worker.submit(question), now)
            return known, new

    def _told(self, key: Hashable, known: _Kept | None, new: _Kept, now: float) -> Answer[Any]:
        if new.work.done():
            if new is not known:
                self._keep(key, new)
            return Answer(new.work.result(), new.at)
        return Answer(None, now) if known is None else Answer(known.work.result(), known.at)

    def forget(self) -> None:
        """What was changed may have changed every answer."""
        with self._lock:
            self._known.clear()

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _keep(self, key: Hashable, asked: _Kept) -> None:
        with self._lock:
            self._under_way.pop(key, None)
            if asked.work.exception() is None:
                self._known[key] = asked
                self._known.move_to_end(key)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
