"""Who scores which answer at this moment, so that two people never score the same one at once.

Kept in memory: control is the only writer of scores, so it sees every turn.  When it starts anew all turns are free,
and two people may then look at one answer; whoever scores it first has scored it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

LIFE: Final = 120.0
"""Seconds that a turn lasts after its page was heard of last."""
SITTING: Final = 12 * 3600.0
"""Seconds for which what somebody passed over stays away from them, and for which a score can be taken back by its
age alone."""

Key = tuple[str, str]
"""(example, digest of the answer's text)."""


class Turns:
    """Thread-safe.  A person has one turn of a workflow at a time; taking another gives the first one back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[tuple[str, Key], tuple[str, float]] = {}
        """(workflow, answer) → (person, end)."""
        self._skipped: dict[tuple[str, str], dict[Key, float]] = {}
        """(workflow, person) → what they passed over, and when."""

    def next(self, workflow: str, person: str, keys: Sequence[Key]) -> Key | None:
        """The answer that the person has, where it is one of these; else the first that nobody has.

        ``None``: others have all of them.
        """
        with self._lock:
            self._forget_lapsed()
            mine = next((key for key in keys if self._holder(workflow, key) == person), None)
            chosen = mine or next((key for key in keys if not self._holder(workflow, key)), None)
            if chosen is not None:
                self._give(workflow, person, chosen)
            return chosen

    def take(self, workflow: str, person: str, key: Key) -> str:
        """Have this very one, or have it longer → who has it instead; empty: the person does now."""
        with self._lock:
            self._forget_lapsed()
            holder = self._holder(workflow, key)
            if holder in ("", person):
                self._give(workflow, person, key)
                return ""
            return holder

    def other(self, workflow: str, person: str, key: Key) -> str:
        """Who else has it; empty: nobody."""
        with self._lock:
            self._forget_lapsed()
            holder = self._holder(workflow, key)
            return "" if holder == person else holder

    def leave(self, workflow: str, person: str) -> None:
        """Give back what the person has."""
        with self._lock:
            self._held = {at: held for at, held in self._held.items() if (at[0], held[0]) != (workflow, person)}

    # --- what somebody passes over

    def skip(self, workflow: str, person: str, key: Key) -> None:
        """Give it back, and be shown it no more in this sitting."""
        self.leave(workflow, person)
        with self._lock:
            mine = self._skipped.setdefault((workflow, person), {})
            mine.pop(key, None)
            mine[key] = self._clock()

    def skipped(self, workflow: str, person: str) -> dict[Key, float]:
        """What the person passed over, and when, the last one last."""
        since = self._clock() - SITTING
        with self._lock:
            mine = self._skipped.get((workflow, person), {})
            return {key: at for key, at in mine.items() if at > since}

    def unskip(self, workflow: str, person: str, key: Key | None = None) -> None:
        """Be shown it again; ``None``: all of them."""
        with self._lock:
            if key is None:
                self._skipped.pop((workflow, person), None)
            else:
                self._skipped.get((workflow, person), {}).pop(key, None)

    def others(self, workflow: str, person: str) -> list[str]:
        """Who else is scoring answers of it now."""
        with self._lock:
            self._forget_lapsed()
            return sorted({who for (name, _), (who, _) in self._held.items() if name == workflow and who != person})

    def _give(self, workflow: str, person: str, key: Key) -> None:
        for at, (who, _) in list(self._held.items()):
            if at[0] == workflow and who == person:
                del self._held[at]
        self._held[workflow, key] = (person, self._clock() + LIFE)

    def _holder(self, workflow: str, key: Key) -> str:
        return self._held.get((workflow, key), ("", 0.0))[0]

    def _forget_lapsed(self) -> None:
        now = self._clock()
        self._held = {at: held for at, held in self._held.items() if held[1] > now}
