"""Slowing down whoever guesses: failed log-ins of an account, and from an address, cost ever longer waits.

Kept in memory: a restart of control forgets them.  That helps nobody who cannot restart control, and leaves no trace of
who mistyped.  The wait is a quarter of an hour at most, so an account cannot be locked for good by somebody else, and a
one-time code gets its person in meanwhile.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

FREE_OF_ACCOUNT = 5
FREE_OF_ADDRESS = 20
"""More people than one sit behind an address."""
LONGEST = 900.0
FORGOTTEN_AFTER = 3600.0
MOST = 20_000
"""Names that are remembered; the oldest go first."""


class TooManyAttempts(Exception):
    """Too many failed tries; ``wait`` seconds until the next one is looked at."""

    def __init__(self, wait: float) -> None:
        super().__init__(
            f"Too many tries failed. Wait {_words(wait)}, or sign in with a one-time code "
            "(whoever runs Roadworthy prints one: roadworthy up --login PERSON)."
        )
        self.wait = wait


@dataclass
class _Tries:
    failed: int = 0
    last: float = 0.0


class Attempts:
    """Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def begin(self, account: str, address: str) -> None:
        """Before a try is looked at.  It counts as failed until it has ``succeeded``: of a thousand that come at once
        no more are looked at than of a thousand that come one by one.  Raises ``TooManyAttempts``."""
        now = self._clock()
        names = _names(account, address)
        with self._lock:
            wait = max(self._wait(name, free, now) for name, free in names.items())
            if wait > 0.0:
                raise TooManyAttempts(wait)
            for name in names:
                tries = self._tries.pop(name, None)
                if tries is None or now - tries.last > FORGOTTEN_AFTER:
                    tries = _Tries()
                tries.failed, tries.last = tries.failed + 1, now
                self._tries[name] = tries
            while len(self._tries) > MOST:
                self._tries.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """The account is forgiven; its address only this try, or one good account would buy guesses at others."""
        with self._lock:
            for name in _names(account, address):
                if name.startswith("account "):
                    self._tries.pop(name, None)
                elif name in self._tries:
                    self._tries[name].failed -= 1

    def _wait(self, name: str, free: int, now: float) -> float:
        tries = self._tries.get(name)
        if tries is None or tries.failed < free:
            return 0.0
        pause = min(LONGEST, 2.0 ** min(tries.failed - free, 20))
        return tries.last + pause - now


def _names(account: str, address: str) -> Mapping[str, int]:
    return {f"account {account}": FREE_OF_ACCOUNT, f"address {address}": FREE_OF_ADDRESS}


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
