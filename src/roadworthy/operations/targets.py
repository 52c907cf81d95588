"""Trying a target out: one real call, small and bounded, which says whether key, way and model are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from roadworthy.cost.rules import cost_of
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Price, Target
from roadworthy.workflow.ports import State
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

MOST_TOKENS = 16
"""Of the answer: the call costs a fraction of a cent at any price."""


class Tried(msgspec.Struct, frozen=True):
    """What one call of a target came to."""

    target: str
    good: bool
    seconds: float
    said: str
    """The beginning of the answer, or why there is none, in words."""
    model: str | None = None
    """As the provider says."""
    tokens: Tokens | None = None
    usd: float | None = None
    """``None``: the price or the tokens are not known."""


class Caller(Protocol):
    def call(self, target: Target, most_tokens: int) -> Tried:
        """One call, never repeated.  Whatever a network or a provider does becomes a ``Tried``."""
        ...


class TargetTrials:
    """Blocking; every trial is audited."""

    def __init__(
        self,
        state: State,
        caller: Caller,
        *,
        price_of: Callable[[Target], Price | None],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._caller = caller
        self._price_of = price_of
        self._clock = clock

    def try_out(self, name: str, actor: Actor) -> Tried:
        """Raises ``Unknown``."""
        with self._state.read() as tx:
            applied = tx.applied()
        known = {} if applied is None else applied.configuration.targets
        if name not in known:
            raise Unknown(f"no target {name[:80]!r}: {did_you_mean(name, known)}")
        target = known[name]
        done = self._caller.call(target, MOST_TOKENS)
        price = self._price_of(target)
        if done.tokens is not None and price is not None:
            done = msgspec.structs.replace(done, usd=cost_of(done.tokens, price))
        event = Event(
            actor=actor.id, on_behalf_of=actor.on_behalf_of, action="target.try", target=f"target/{name}",
            after={"good": done.good, "seconds": round(done.seconds, 3), "usd": done.usd},
        )  # fmt: skip
        with self._state.write() as tx:
            tx.append_audit(chain(tx.last_audit(), event, self._clock()))
        return done
