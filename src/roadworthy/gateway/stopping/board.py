"""What is in force at this worker: every source that may stop a workflow, and the most restrictive of them.

Sources: the word of control (pushed, or last heard and kept), ``kill.json`` of the same data folder, ``KILL`` files,
the environment, and no contact to control.  A source says what it says until it says something else; no source loosens
what another holds.

Of control's word the higher ``seq`` counts, however it came; a lower one never loosens, so that neither an old
snapshot nor a restored backup starts what was stopped.

Calls ask ``any`` first: while nothing is stopped, that is all that the kill switch costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, Protocol
from weakref import WeakSet

import msgspec

from roadworthy.gateway.snapshot import Stopped
from roadworthy.gateway.stopping.model import KillNews, KillSeen, SeenState
from roadworthy.kill_switch.model import EVERY, State, effective, severity
from roadworthy.kill_switch.rules import STALE_SECONDS, combined, without_contact

if TYPE_CHECKING:
    from roadworthy.gateway.call import Call
    from roadworthy.gateway.world import Serving

Local = Literal["kill.json", "file", "environment"]
"""Sources that are read here, each whole."""

CONTROL: Final = "control"
NO_CONTACT: Final = "no contact"


class Force(msgspec.Struct, frozen=True):
    """What stops a workflow here."""

    state: State
    sources: tuple[str, ...]
    at: float
    """Unix seconds at which the last of them began."""
    cut: bool
    """``off`` ends answers under way."""


class Halted(Exception):
    """The kill switch keeps this call from a target."""

    def __init__(self, force: Force) -> None:
        super().__init__(force.state)
        self.force = force


class Relayed(Protocol):
    """A stream on its way to its reader."""

    @property
    def call(self) -> Call: ...

    def halt(self) -> None:
        """End it now."""
        ...


class _Word(msgspec.Struct, frozen=True):
    """Control's, of one switch."""

    epoch: int
    stopped: Stopped


class _Said(msgspec.Struct, frozen=True):
    """What a local source says of one switch, and since when."""

    state: State
    at: float


class Board:
    """The kill switch of one worker."""

    def __init__(
        self,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        *,
        worker: str = "w0",
        gateway: str = "local",
        environment: Mapping[str, State] | None = None,
        keep: Callable[[bytes], None] | None = None,
    ) -> None:
        """``now``: Unix seconds; ``environment``: what ``ROADWORTHY_KILL`` said at start; ``keep`` stores control's
        word (``kept``) for this gateway's next start, whenever a push changed it."""
        self._now = now
        self._monotonic = monotonic
        self._worker = worker
        self._gateway = gateway
        self._keep = keep
        self._words: dict[str, _Word] = {}
        self._said: dict[Local, dict[str, _Said]] = {}
        self._ready: dict[str, Force] = {}
        self._all: Force | None = None
        self._contact = monotonic()
        self._silent = False
        self._relays: WeakSet[Relayed] = WeakSet()
        self.any = False
        """Something may be stopped."""
        self.look_again: Callable[[], None] = lambda: None
        """Looks at ``kill.json`` now.  Control keeps a way back there before it tells it, so that a worker that answers
        is not held by what the file said a moment ago.  A stop waits for no disk."""
        if environment:
            self.look("environment", environment)

    # --- what calls ask

    def of(self, serving: Serving) -> Force | None:
        """What stops a workflow; ``None``: it is on."""
        found = self._ready.get(serving.name, self._all)
        kill = serving.policy.kill
        if self._silent and without_contact(kill.stale, self._contact, self._monotonic()) == "off":
            since = self._now() - (self._monotonic() - self._contact) + STALE_SECONDS
            if found is None or found.state != "off":
                found = Force("off", (NO_CONTACT,), since, cut=False)
            else:
                found = msgspec.structs.replace(found, sources=(*found.sources, NO_CONTACT), at=max(found.at, since))
        if found is not None and kill.streams == "cut" and not found.cut:
            return msgspec.structs.replace(found, cut=True)
        return found

    def halting(self, call: Call) -> Force | None:
        """What stops this very call; ``None``: nothing.

        ``off`` stops every class of traffic but an eval permit that was issued after it began.  ``guarded`` and
        ``assist`` are about what people read, so they hold for callers with keys; a permit names its own release.
        """
        serving = call.serving
        assert serving is not None
        found = self.of(serving)
        if found is None:
            return None
        if call.key.permit:
            after = call.traffic == "eval" and call.key.issued > found.at
            return None if found.state != "off" or after else found
        return found

    def vet(self, call: Call) -> None:
        """Before every attempt.  Raises ``Halted`` for ``off``, and for ``assist`` unless the answer is to be a draft:
        then a call that needs another attempt is handed over with what it has."""
        found = self.halting(call)
        if found is not None and (found.state == "off" or (found.state == "assist" and not call.drafted)):
            raise Halted(found)

    def vet_answer(self, call: Call) -> None:
        """Before an answer that was under way is given.  Raises ``Halted`` where those are cut."""
        found = self.halting(call)
        if found is not None and found.state == "off" and found.cut:
            raise Halted(found)

    def follow(self, relay: Relayed) -> None:
        """End this stream too, should its workflow be stopped with ``cut``."""
        self._relays.add(relay)

    # --- what sources say

    def hear(self, news: KillNews) -> KillSeen:
        """A push or heartbeat of control.  It is acted on when this returns."""
        self._contact = self._monotonic()
        before = dict(self._words)
        for name, stopped in news.states.items():
            self._take(name, stopped, news.epoch)
        if self._may_be_old():
            self.look_again()
        self._settle()
        if self._words != before and self._keep is not None:
            self._keep(self.kept())
        return self.seen(news.states)

    def learn(self, states: Mapping[str, Stopped], epoch: int | None = None) -> None:
        """Control's word as a snapshot or ``kill.json`` (which knows no epoch) holds it."""
        for name, stopped in states.items():
            self._take(name, stopped, epoch)
        self._settle()

    def look(self, source: Local, states: Mapping[str, State], since: Mapping[str, float] | None = None) -> None:
        """All that a local source says now; what it does not name (any more) is on.  ``since``: where it is known."""
        before = self._said.get(source, {})
        said = {}
        for name, state in states.items():
            if state == "on":
                continue
            earlier = before.get(name)
            at = earlier.at if earlier is not None and earlier.state == state else self._now()
            said[name] = _Said(state, since.get(name, at) if since else at)
        if said != before:
            self._said[source] = said
            self._settle()

    def tick(self) -> None:
        """Notice that control is silent.  Called several times a second."""
        silent = self._monotonic() - self._contact > STALE_SECONDS
        if silent != self._silent:
            self._settle()

    # --- what is told

    def kept(self) -> bytes:
        """Control's word, for ``restore`` after a restart."""
        return msgspec.json.encode(self._words)

    def restore(self, kept: bytes) -> None:
        """Raises ``ValueError`` or ``RecursionError`` for what ``kept`` did not make."""
        for name, word in msgspec.json.decode(kept, type=dict[str, _Word]).items():
            self._take(name, word.stopped, word.epoch)
        self._settle()

    def seen(self, asked: Mapping[str, object] | None = None) -> KillSeen:
        names = {*(asked or ()), *self._ready}
        if self._all is not None:
            names.add(EVERY)
        return KillSeen(
            worker=self._worker,
            gateway=self._gateway,
            states={name: SeenState(self._state(name), self._seq(name)) for name in sorted(names)},
            files={name: said.state for name, said in self._said.get("file", {}).items()},
            environment={name: said.state for name, said in self._said.get("environment", {}).items()},
        )

    def state_of(self, serving: Serving) -> State:
        found = self.of(serving) if self.any else None
        return "on" if found is None else found.state

    def _state(self, name: str) -> State:
        found = self._all if name == EVERY else self._ready.get(name, self._all)
        return "on" if found is None else found.state

    def _seq(self, name: str) -> int:
        word = self._words.get(name)
        return 0 if word is None else word.stopped.seq

    # --- how they are joined

    def _may_be_old(self) -> bool:
        """Does ``kill.json``, as it was read last, hold what control has let go?"""
        return any(
            severity(said.state) > severity(word.stopped.state)
            for name, said in self._said.get("kill.json", {}).items()
            if (word := self._words.get(name)) is not None
        )

    def _take(self, name: str, stopped: Stopped, epoch: int | None) -> None:
        known = self._words.get(name)
        if epoch is None:
            epoch = 0 if known is None else known.epoch
        if known is None:
            self._words[name] = _Word(epoch, stopped)
        elif _counts(stopped, epoch, known):
            seq = max(stopped.seq, known.stopped.seq)
            self._words[name] = _Word(max(epoch, known.epoch), msgspec.structs.replace(stopped, seq=seq))

    def _settle(self) -> None:
        self._silent = self._monotonic() - self._contact > STALE_SECONDS
        names = {*self._words, *(name for said in self._said.values() for name in said)}
        ready = {name: force for name in names - {EVERY} if (force := self._joined((EVERY, name))) is not None}
        self._ready, self._all = ready, self._joined((EVERY,))
        self.any = bool(ready) or self._all is not None or self._silent
        if self.any:
            for relay in list(self._relays):
                try:
                    self.vet_answer(relay.call)
                except Halted:
                    relay.halt()

    def _joined(self, names: tuple[str, ...]) -> Force | None:
        words = [word.stopped for name in names if (word := self._words.get(name)) is not None]
        said = {source: [told[name] for name in names if name in told] for source, told in self._said.items()}
        states: dict[str, State] = {CONTROL: effective(word.state for word in words)}
        states.update({source: effective(each.state for each in told) for source, told in said.items()})
        state, sources = combined(states)
        if state == "on":
            return None
        since = [word.at for word in words if word.state == state]
        since += [each.at for told in said.values() for each in told if each.state == state]
        return Force(state, sources, max(since), cut=any(w.state == state and w.streams == "cut" for w in words))


def _counts(stopped: Stopped, epoch: int, known: _Word) -> bool:
    """Does this word replace the one that is known?  Fails closed: in doubt only a tighter one does."""
    tighter = severity(stopped.state) > severity(known.stopped.state)
    if stopped.seq > known.stopped.seq:
        return tighter or epoch >= known.epoch
    if stopped.seq == known.stopped.seq:
        return tighter
    return tighter and epoch > known.epoch  # a control that lost its place; an old push that came late is passed over
