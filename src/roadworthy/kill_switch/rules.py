"""The kill switch as a table: (state, state) → who may.  Pure; docs draw it from here.

Any state from any other.  Towards ``off`` one person is enough, the reason may come after, and whoever pressed has ten
minutes to take it back.  Back to ``guarded`` (or ``assist``): on-call, once what held it has cleared.  Back to ``on``:
the owner, with a reason.  Each source latches a state of its own and the most restrictive is in force, so no source can
loosen what another holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, assert_never

import msgspec
from msgspec.structs import replace

from roadworthy.kill_switch.model import (
    AT_GATEWAYS,
    EVERY,
    TRIGGERS,
    Held,
    Record,
    Right,
    Source,
    State,
    Switch,
    Undo,
    effective,
    severity,
)

UNDO_SECONDS: Final = 600.0
STALE_SECONDS: Final = 30.0
"""Without contact to control, after which a gateway may be told to stop by itself."""

TRANSITIONS: Final[dict[tuple[State, State], Right]] = {
    ("on", "guarded"): "stop",
    ("on", "assist"): "stop",
    ("on", "off"): "stop",
    ("guarded", "assist"): "stop",
    ("guarded", "off"): "stop",
    ("assist", "off"): "stop",
    ("off", "assist"): "on_call",
    ("off", "guarded"): "on_call",
    ("assist", "guarded"): "on_call",
    ("off", "on"): "owner",
    ("assist", "on"): "owner",
    ("guarded", "on"): "owner",
}

MAY: Final[dict[Right, str]] = {
    "stop": "anybody who may act",
    "on_call": "whoever is on call, or the workflow's owner",
    "owner": "the workflow's owner",
}

EventKind = Literal["press", "restore", "undo", "trip", "clear", "report", "explain", "hold"]
Effect = Literal["push", "record", "tell", "ask_reason"]
"""Tell the gateways; write the kill log; tell the owner and on-call; ask whoever pressed for the reason."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happens to a switch."""

    kind: EventKind
    by: str
    """A person's id, ``os:uid``, ``engine``, or a gateway."""
    to: State = "off"
    """``press``, ``restore``, ``trip``; of ``report`` what the gateway's file says, ``on``: it is gone."""
    source: Source = "control"
    reason: str = ""
    rights: frozenset[Right] = frozenset({"stop"})
    """Of whoever acts; ``owner`` has ``on_call`` with it."""
    on_behalf_of: str = ""
    seq: int = 0
    """``hold``: the highest that gateways know of."""


class Refused(Exception):
    """It cannot be done; the message says why and what can."""


class NotAllowed(Refused):
    """It can be done, by somebody else."""


def step(switch: Switch, event: Event, now: float) -> tuple[Switch, tuple[Effect, ...]]:
    """The switch after ``event`` at ``now`` and what follows.  Raises ``Refused``, and then nothing has changed."""
    match event.kind:
        case "press":
            after = _press(switch, event, now)
        case "restore":
            after = _restore(switch, event, now)
        case "undo":
            after = _undo(switch, event, now)
        case "trip":
            after = _trip(switch, event, now)
        case "clear":
            after = _inactive(switch, event.source, "engine")
        case "report":
            after = _report(switch, event, now)
        case "explain":
            after = _explain(switch, event)
        case "hold":
            after = _hold(switch, event, now)
        case _:
            assert_never(event.kind)
    if after == switch:
        # pressed again: gateways are told again, for one of them may not have heard
        return switch, ("push", "record") if event.kind == "press" else ()
    after = replace(after, seq=max(switch.seq, event.seq) + 1)
    return after, _effects(switch, after, event)


def in_force(switches: Mapping[str, Switch], workflow: str) -> State:
    """Of a workflow: its own switch and the one of all."""
    return effective(switches[name].state for name in (EVERY, workflow) if name in switches)


class Force(NamedTuple):
    """What a gateway acts on, and why."""

    state: State
    sources: tuple[str, ...]
    """Those that ask for it; empty for ``on``."""


def combined(states: Mapping[str, State]) -> Force:
    """At a gateway: source (control, file, environment, link, a trigger, no contact) → state, the most restrictive."""
    state = effective(states.values())
    return Force(state, () if state == "on" else tuple(name for name, each in states.items() if each == state))


def without_contact(stale: Literal["hold", "off"], last_contact: float, now: float) -> State:
    """What a gateway adds by itself when control is silent.  ``hold`` (fail-open) goes on; ``off`` fails closed."""
    return "off" if stale == "off" and now - last_contact > STALE_SECONDS else "on"


def with_queue(state: State, waiting: int, capacity: int) -> State:
    """``assist`` ends in ``off`` while people have more than they declared that they can answer."""
    return "off" if state == "assist" and waiting >= capacity else state


def record(before: Switch, after: Switch, event: Event, now: float, ident: str, denied: str = "") -> Record:
    """The line of the kill log for a step, or for one that was refused."""
    return Record(
        id=ident, at=now, workflow=before.workflow, action=event.kind, before=before.state, after=after.state,
        by=event.by, on_behalf_of=event.on_behalf_of, source=event.source, reason=event.reason, seq=after.seq,
        denied=denied,
        gateway=event.by if event.kind == "report" else "",
    )  # fmt: skip


def recovered(records: Iterable[Record]) -> dict[str, Switch]:
    """What was in force by the kill log alone, for when the switches themselves are lost: held by control, so that a
    person restores it."""
    out: dict[str, Switch] = {}
    for each in records:
        if each.denied or each.seq < (out[each.workflow].seq if each.workflow in out else 0):
            continue
        held = Held(each.after, each.at, each.by, each.reason or "taken from the kill log")
        out[each.workflow] = Switch(each.workflow, {} if each.after == "on" else {"control": held}, seq=each.seq)
    return out


def stricter(newer: Switch, older: Switch) -> Switch:
    """Of a restored backup (``older``) and the install that it was made of: what either stops stays stopped, for what
    was stopped may come back with the backup.  Nobody takes it back by ``undo``."""
    held = dict(newer.held)
    for source, each in older.held.items():
        if source not in held or severity(each.state) > severity(held[source].state):
            held[source] = each
    if held == newer.held:
        return newer
    return replace(newer, held=held, undo=None, seq=max(newer.seq, older.seq) + 1)


# --- events


def _press(switch: Switch, event: Event, now: float) -> Switch:
    if event.source not in ("control", "link"):
        raise Refused(f"a person presses at control or by a link, not as '{event.source}'")
    if severity(event.to) < severity(switch.state) or event.to == "on":
        raise Refused(f"it is {switch.state}; the way back to {event.to} is: {_restore_command(switch, event.to)}")
    before = switch.held.get(event.source)
    if before is not None and severity(before.state) >= severity(event.to):
        return switch
    held = Held(event.to, now, event.by, event.reason)
    undo = Undo(event.by, now, event.source, before)
    return replace(switch, held={**switch.held, event.source: held}, undo=undo)


def _restore(switch: Switch, event: Event, now: float) -> Switch:
    to = event.to
    if severity(to) >= severity(switch.state):
        raise Refused(f"it is {switch.state} already; to stop more of it: roadworthy kill {switch.workflow} --to {to}")
    way = TRANSITIONS[switch.state, to]
    if way not in event.rights and not (way == "on_call" and "owner" in event.rights):
        raise NotAllowed(f"{event.by} may not go from {switch.state} to {to}; {MAY[way]} may")
    if way == "owner" and not event.reason.strip():
        raise Refused("going back to on needs a reason that others can read; give one with --reason")
    for source, held in switch.held.items():
        if severity(held.state) > severity(to):
            _check_lifted(switch, source, held, to)
    kept = {source: held for source, held in switch.held.items() if severity(held.state) <= severity(to)}
    if to != "on":
        kept["control"] = Held(to, now, event.by, event.reason)
    return replace(switch, held=kept, undo=None)


def _check_lifted(switch: Switch, source: Source, held: Held, to: State) -> None:
    if not held.active:
        return
    if source == "file":
        name = "KILL" if switch.workflow == EVERY else f"KILL.{switch.workflow}"
        raise Refused(
            f"the file {name} still says {held.state} on {_names(held.active)}; remove it there, then restore "
            "(roadworthy gateways names its folder)"
        )
    if source == "environment":
        raise Refused(
            f"ROADWORTHY_KILL still says {held.state} at {_names(held.active)}; unset it, restart there, then restore"
        )
    if to != "on":  # the owner may go back to on with a reason; what goes on then trips it anew
        raise Refused(f"what tripped it has not cleared ({source}: {held.reason}); wait, or ask the owner")


def _undo(switch: Switch, event: Event, now: float) -> Switch:
    undo = switch.undo
    if undo is None:
        raise Refused(f"nothing to take back; {_restore_command(switch, 'guarded')}")
    if undo.by != event.by:
        raise NotAllowed(f"only {undo.by}, who pressed, may take it back; else {_restore_command(switch, 'guarded')}")
    if now > undo.at + UNDO_SECONDS:
        raise Refused(f"it was pressed more than ten minutes ago; {_restore_command(switch, 'guarded')}")
    held = {source: each for source, each in switch.held.items() if source != undo.source}
    if undo.before is not None:
        held[undo.source] = undo.before
    return replace(switch, held=held, undo=None)


def _trip(switch: Switch, event: Event, now: float) -> Switch:
    if event.source not in TRIGGERS:
        raise Refused(f"'{event.source}' is no trigger; there are {', '.join(TRIGGERS)}")
    return _latch(switch, event, now, "engine")


def _report(switch: Switch, event: Event, now: float) -> Switch:
    if event.source not in AT_GATEWAYS:
        raise Refused(f"a gateway reports its file or its environment, not '{event.source}'")
    if event.to == "on":
        return _inactive(switch, event.source, event.by)
    return _latch(switch, event, now, event.by)


def _latch(switch: Switch, event: Event, now: float, asker: str) -> Switch:
    """A source asks for a state: it only ever tightens what the source holds."""
    before = switch.held.get(event.source)
    active = sorted({*(before.active if before is not None else ()), asker})
    if before is None or severity(event.to) > severity(before.state):
        held = Held(event.to, now, event.by, event.reason, active)
    else:
        held = replace(before, active=active)
    return replace(switch, held={**switch.held, event.source: held})


def _inactive(switch: Switch, source: Source, asker: str) -> Switch:
    """The file is gone, the trigger has cleared: it stays latched until a person restores."""
    before = switch.held.get(source)
    if before is None or asker not in before.active:
        return switch
    held = replace(before, active=[each for each in before.active if each != asker])
    return replace(switch, held={**switch.held, source: held})


def _hold(switch: Switch, event: Event, now: float) -> Switch:
    """Keep a state by itself, without an undo: what everything was stopped for when only a part goes back, or what a
    gateway knows of a change that control lost (``seq``; fails closed)."""
    before = switch.held.get("control")
    held = dict(switch.held)
    if event.to != "on" and (before is None or severity(event.to) > severity(before.state)):
        held["control"] = Held(event.to, now, event.by, event.reason)
    lost = replace(switch, seq=event.seq) if event.seq > switch.seq else switch
    return replace(lost, held=held)


def _explain(switch: Switch, event: Event) -> Switch:
    before = switch.held.get(event.source)
    if before is None:
        raise Refused(f"{event.source} holds nothing of {switch.workflow}, so there is nothing to explain")
    if before.reason:
        raise Refused(f"its reason is given already: {before.reason}")
    if not event.reason.strip():
        raise Refused("the reason is empty; give one with --reason")
    return replace(switch, held={**switch.held, event.source: replace(before, reason=event.reason)})


def _effects(before: Switch, after: Switch, event: Event) -> tuple[Effect, ...]:
    effects: list[Effect] = ["push", "record"]
    if before.state != after.state:
        effects.append("tell")
    if event.kind == "press" and not event.reason.strip():
        effects.append("ask_reason")
    return tuple(effects)


def _restore_command(switch: Switch, to: State) -> str:
    name = "--all" if switch.workflow == EVERY else switch.workflow
    return f"roadworthy restore {name} --to {to}, by {MAY['owner' if to == 'on' else 'on_call']}"


def _names(gateways: list[str]) -> str:
    return ", ".join(gateways)
