"""The life of a ramp, as a table: (state, move) → state.  Pure; docs draw it from here.

- Upwards one stage at a time, and only when every gate is met; approval is the last (``gates``).
- A guardrail that FAILs rolls back at once, whatever else is missing and whoever holds or locks the ramp: to the last
  share that had its evidence, or away from the release where the guardrail says that the release itself is bad.
- INSUFFICIENT never moves anything.
- The share never exceeds the ceiling: when evidence lapses the share is lowered and raised again with it, and the
  evidence of the stage begins anew.  A ramp that is held, rolled back or locked is not raised.
- ``locked`` widens, begins and resumes nothing.  It never stands in the way of less traffic.
- Sessions keep their release until a rollback or a kill, which raise ``epoch``.
"""

from __future__ import annotations

from typing import Literal, assert_never

from msgspec.structs import replace

from roadworthy.rollout.events import (
    Approve,
    Ask,
    Effect,
    Event,
    Hold,
    Killed,
    Look,
    Resume,
    RollBack,
    Serve,
    SetLock,
    Start,
    Tell,
    Unlock,
)
from roadworthy.rollout.gates import gates, of_this_stage, percent
from roadworthy.rollout.model import ENGINE, Analysis, Lock, Passed, Plan, Rollout, State

MOST_UNKNOWN = 0.05
"""Share of calls without a user above which a ramp is not begun: whoever has no id falls on another side each time."""

Move = Literal["start", "widen", "complete", "hold", "resume", "step_back", "roll_back", "kill"]
"""``step_back``: to the last evidenced share; ``roll_back``: to the release before, or the bypass."""

TRANSITIONS: dict[tuple[State, Move], State] = {
    ("frozen", "start"): "ramping",
    ("frozen", "kill"): "frozen",
    ("ramping", "widen"): "ramping",
    ("ramping", "complete"): "done",
    ("ramping", "hold"): "held",
    ("ramping", "kill"): "held",
    ("ramping", "step_back"): "rolled_back",
    ("ramping", "roll_back"): "rolled_back",
    ("held", "resume"): "ramping",
    ("held", "kill"): "held",
    ("held", "step_back"): "rolled_back",
    ("held", "roll_back"): "rolled_back",
    ("rolled_back", "resume"): "ramping",
    ("rolled_back", "kill"): "rolled_back",
    ("rolled_back", "step_back"): "rolled_back",
    ("rolled_back", "roll_back"): "rolled_back",
    ("done", "kill"): "done",
    ("done", "step_back"): "rolled_back",
    ("done", "roll_back"): "rolled_back",
}

UNDER_LOCK: frozenset[Move] = frozenset({"step_back", "roll_back", "kill"})
"""All that a locked ramp does: less."""

Decided = tuple[Rollout, tuple[Effect, ...]]


class Refused(Exception):
    """The event cannot happen; the message says why, and what would make it acceptable."""


def begin(
    team: str, workflow: str, digest: str, plan: Plan, *, predecessor: str | None = None, before: Rollout | None = None
) -> Rollout:
    """A ramp that is not started yet.  ``before``: the workflow's latest one.  Raises ``Refused``."""
    vet(plan)
    if before is not None:
        if before.lock is not None:
            raise Refused(_locked(before.lock))
        if before.under_way:
            raise Refused(
                f"{before.digest[:12]} is at {before.stage.name} of its ramp ({before.state}): "
                "one release is ramped at a time; let it finish, or roll it back"
            )
        if predecessor == digest or (before.digest == digest and before.state == "done"):
            raise Refused(f"{digest[:12]} is served already: freeze a release that differs")
    epoch = 0 if before is None else before.epoch
    return Rollout(team, workflow, digest, plan, predecessor=predecessor, epoch=epoch)


def predecessor_of(before: Rollout | None) -> str | None:
    """The release that everybody is served when a new ramp begins; ``None``: the bypass."""
    if before is None:
        return None
    return before.digest if before.state == "done" else before.predecessor


def vet(plan: Plan) -> None:
    """Raises ``Refused`` for a plan that cannot be followed."""
    shares = [stage.share for stage in plan.stages]
    live = [share for share in shares if share > 0]
    names = [stage.name for stage in plan.stages]
    if not shares or shares[0] != 0.0 or not live:
        raise Refused(
            "a ramp begins with testers, at 0 % of live traffic, and has a live stage: put them into its stages"
        )
    if sorted(set(live)) != live or shares != [0.0] * (len(shares) - len(live)) + live or live[-1] > 1.0:
        raise Refused(f"stages {', '.join(names)}: expected shares that rise from 0 % to at most 100 %")
    if len(set(names)) != len(names):
        raise Refused(f"stages {', '.join(names)}: expected a name of its own for each")
    for guardrail in plan.guardrails:
        least, most = (-1.0, 1.0) if guardrail.against == "difference" else (0.0, 1.0)
        inside = guardrail.measure == "mean" or guardrail.against == "ratio"
        if guardrail.measure == "quantile":
            if not 0 <= guardrail.budget < guardrail.limit or guardrail.against != "fixed":
                raise Refused(
                    f"guardrail {guardrail.name}: budget {guardrail.budget:g} s, limit {guardrail.limit:g} s: expected "
                    "fixed seconds, with a budget below the limit; latency_ratio compares with the release before"
                )
            continue
        if guardrail.budget >= guardrail.limit or not (inside or least < guardrail.budget < guardrail.limit < most):
            raise Refused(
                f"guardrail {guardrail.name}: budget {guardrail.budget:g}, limit {guardrail.limit:g}: "
                "expected a budget below its limit" + ("" if inside else f", both between {least:g} and {most:g}")
            )
    if not (0 < plan.alpha < 1 and 0 < plan.beta < 1):
        raise Refused(f"alpha {plan.alpha:g} and beta {plan.beta:g}: expected both between 0 and 1")


def decide(rollout: Rollout, event: Event, now: float) -> Decided:
    """The ramp after ``event`` at ``now``, and what follows.  Raises ``Refused``, and then nothing has changed."""
    match event:
        case Start():
            return _start(rollout, event, now)
        case Look():
            return _look(rollout, event, now)
        case Approve():
            return _approve(rollout, event, now)
        case Hold():
            after = _moved(rollout, "hold", event.by, event.reason)
            return after, (Tell("note", f"{_name(after)} is held by {event.by}{_because(event.reason)}"),)
        case Resume():
            return _resume(rollout, event, now)
        case RollBack():
            return _back(rollout, event.to, event.by, event.reason, now)
        case Killed():
            after = _moved(rollout, "kill", event.by, event.reason)
            after = replace(after, epoch=rollout.epoch + 1, entered_at=now, asked="")
            return after, (_serve(after),)
        case SetLock():
            if rollout.lock is not None:
                raise Refused(_locked(rollout.lock))
            return replace(rollout, lock=Lock(event.by, now, event.reason)), ()
        case Unlock():
            if rollout.lock is None:
                raise Refused("it is not locked")
            return replace(rollout, lock=None), ()
        case _:
            assert_never(event)


def _start(rollout: Rollout, event: Start, now: float) -> Decided:
    if event.unknown_share > MOST_UNKNOWN and not event.unknown_accepted:
        unknown = f"{100 * event.unknown_share:.0f} %"
        raise Refused(
            f"{unknown} of its calls carry no user, so they would fall on another side each time: send the header "
            "x-roadworthy-user (or the body's safety_identifier or user) with an id that is no name; "
            f"under {100 * MOST_UNKNOWN:.0f} %, or told to go on all the same (--accept-unknown), it begins"
        )
    at = _first_stage(rollout, event)
    after = _moved(rollout, "start", event.by, "")
    after = replace(after, at=at, entered_at=now, ceiling=event.ceiling)
    return after, (_serve(after), Tell("note", f"{_name(after)} is at {after.stage.name}, by {event.by}"))


def first_stage(plan: Plan, name: str | None) -> int:
    """Index of the stage at which a ramp begins that is told to begin there.  Raises ``Refused``."""
    if name is None:
        return 0
    at = stage_index(plan, name)
    first = next(index for index, stage in enumerate(plan.stages) if stage.share > 0)
    if at > first:
        raise Refused(
            f"a ramp cannot begin at {name}: the evidence for it comes from the stages before; "
            f"expected {' or '.join(stage.name for stage in plan.stages[: first + 1])}"
        )
    return at


def _first_stage(rollout: Rollout, event: Start) -> int:
    stages = rollout.plan.stages
    if event.inherits is not None and event.inherits > 0:
        if not event.drilled:
            raise Refused(
                "it differs from its predecessor in how calls are handled, and its drills have not passed yet: "
                f"`roadworthy drill {rollout.workflow} --all`, then it begins at {percent(event.inherits)}"
            )
        share = min(event.inherits, event.ceiling)
        return max(index for index, stage in enumerate(stages) if stage.share <= share)
    if event.stage is None:
        return 0
    at = first_stage(rollout.plan, event.stage)
    if stages[at].share > event.ceiling:
        raise Refused(
            f"{event.stage} is above the ceiling of {percent(event.ceiling)}: "
            f"`roadworthy ready {rollout.workflow}` shows what raises it"
        )
    return at


def _look(rollout: Rollout, event: Look, now: float) -> Decided:
    if rollout.state == "frozen":
        return rollout, ()
    mine = of_this_stage(rollout, event.analysis)
    if mine is not None and mine.failed:
        return _failed(rollout, mine, event.ceiling, now)
    capped, effects = _capped(rollout, event.ceiling, now)
    if effects or capped.state != "ramping" or capped.lock is not None:
        return capped, effects
    ratio = None if mine is None else mine.sample_ratio
    if ratio is not None and ratio.verdict == "FAIL":
        held = _moved(capped, "hold", ENGINE, ratio.text)
        return held, (Tell("alert", f"{_name(held)} is held at {held.stage.name}: {ratio.text}"),)
    unmet = [
        gate
        for gate in gates(capped, mine, event.ceiling, now, approved=False, room=event.room)
        if gate.verdict != "PASS"
    ]
    if not unmet:
        return _up(capped, mine, ENGINE, "", event.ceiling, now)
    following = capped.next
    if mine is not None and following is not None and unmet[0].name == "approval" and capped.asked != following.name:
        return replace(capped, asked=following.name), (Ask(following.name, mine),)
    return capped, ()


def _approve(rollout: Rollout, event: Approve, now: float) -> Decided:
    following = rollout.next
    if event.stage is not None and rollout.plan.stages[stage_index(rollout.plan, event.stage)] is not following:
        expected = "none is left" if following is None else f"next is {following.name}"
        raise Refused(f"{rollout.digest[:12]} is at {rollout.stage.name}, one stage follows another: {expected}")
    if rollout.lock is not None:
        raise Refused(_locked(rollout.lock))
    if rollout.state != "ramping":
        raise Refused(_why_not(rollout, "widen"))
    found = gates(rollout, event.analysis, event.ceiling, now, approved=True, room=event.room)
    unmet = [gate for gate in found if gate.verdict != "PASS"]
    if unmet:
        raise Refused("approval comes last: " + "; ".join(f"{gate.name}: {gate.detail}" for gate in unmet))
    return _up(rollout, of_this_stage(rollout, event.analysis), event.by, event.reason, event.ceiling, now)


def _up(rollout: Rollout, analysis: Analysis | None, by: str, reason: str, ceiling: float, now: float) -> Decided:
    """All gates are met."""
    passed = (*rollout.passed, Passed(rollout.stage.name, now, by, analysis, reason))
    if rollout.next is None:
        done = replace(_moved(rollout, "complete", by, reason), passed=passed, ceiling=ceiling)
        return done, (Tell("note", f"{_name(done)} has all of its evidence at {done.stage.name}"),)
    after = _moved(rollout, "widen", by, reason)
    after = replace(after, at=rollout.at + 1, entered_at=now, ceiling=ceiling, passed=passed, asked="")
    return after, (_serve(after), Tell("note", f"{_name(after)} is at {after.stage.name}, by {by}"))


def _failed(rollout: Rollout, analysis: Analysis, ceiling: float, now: float) -> Decided:
    """A guardrail is proven to be above its budget."""
    if rollout.share == 0.0 and rollout.state == "rolled_back":
        return rollout, ()
    rails = {guardrail.name: guardrail for guardrail in rollout.plan.guardrails}
    failed = [finding for finding in analysis.findings if finding.verdict == "FAIL"]
    whole = any(rails[one.guardrail].back_to == "release" for one in failed if one.guardrail in rails)
    reason = "; ".join(f"{one.guardrail}: {one.text}" for one in failed)
    lowered = replace(rollout, ceiling=min(rollout.ceiling, ceiling))
    return _back(lowered, "release" if whole else "share", ENGINE, reason, now)


def _back(rollout: Rollout, to: str, by: str, reason: str, now: float) -> Decided:
    """To the last live stage that was passed, or to none: the release before serves, or the bypass."""
    if rollout.state == "frozen":
        raise Refused("its ramp has not begun, so there is nothing to roll back")
    names = {stage.name: index for index, stage in enumerate(rollout.plan.stages)}
    evidenced = [names[one.stage] for one in rollout.passed if names[one.stage] < rollout.at]
    at = max(evidenced, default=0) if to == "share" else 0
    at = at if rollout.plan.stages[at].share > 0 else 0
    if rollout.state == "rolled_back" and rollout.at == at:
        return rollout, ()
    after = _moved(rollout, "step_back" if at else "roll_back", by, reason)
    after = replace(
        after,
        at=at,
        entered_at=now,
        asked="",
        epoch=rollout.epoch + 1,
        passed=tuple(one for one in rollout.passed if names[one.stage] < at),
    )
    where = after.stage.name if at else "the release before" if after.predecessor else "the bypass"
    text = f"{_name(after)} was rolled back from {rollout.stage.name} to {where} by {by}{_because(reason)}"
    return after, (_serve(after), Tell("incident" if by == ENGINE else "note", text))


def _resume(rollout: Rollout, event: Resume, now: float) -> Decided:
    """What a person held goes on with its evidence; after a rollback or a wrong ratio it begins anew."""
    after = replace(_moved(rollout, "resume", event.by, event.reason), ceiling=event.ceiling)
    if rollout.state == "rolled_back" or rollout.by == ENGINE or after.share != rollout.share:
        after = replace(after, entered_at=now, asked="")
    return after, (_serve(after), Tell("note", f"{_name(after)} goes on at {after.stage.name}, by {event.by}"))


def _capped(rollout: Rollout, ceiling: float, now: float) -> Decided:
    """Under the ceiling of this moment.  What changes the share begins the stage's evidence anew."""
    may_rise = rollout.state in ("ramping", "done") and rollout.lock is None
    after = replace(rollout, ceiling=ceiling if may_rise else min(ceiling, rollout.ceiling))
    if after.share == rollout.share:
        return after, ()
    after = replace(after, entered_at=now, asked="")
    word = "lowered" if after.share < rollout.share else "raised again"
    text = f"{_name(after)} is {word} to {percent(after.share)}: its evidence allows {percent(ceiling)}"
    return after, (_serve(after), Tell("alert" if word == "lowered" else "note", text))


def _moved(rollout: Rollout, move: Move, by: str, reason: str) -> Rollout:
    if rollout.lock is not None and move not in UNDER_LOCK:
        raise Refused(_locked(rollout.lock))
    state = TRANSITIONS.get((rollout.state, move))
    if state is None:
        raise Refused(_why_not(rollout, move))
    return replace(rollout, state=state, by=by, reason=reason)


def stage_index(plan: Plan, name: str) -> int:
    """``1%`` and ``1 %`` are the same.  Raises ``Refused`` for a stage that there is not."""
    wanted = name.replace(" ", "")
    for index, stage in enumerate(plan.stages):
        if stage.name.replace(" ", "") == wanted:
            return index
    raise Refused(f"no stage {name!r}: expected one of {', '.join(stage.name for stage in plan.stages)}")


def _serve(rollout: Rollout) -> Serve:
    return Serve(rollout.digest, rollout.predecessor, rollout.share, rollout.stage.name, rollout.epoch)


def _why_not(rollout: Rollout, move: Move) -> str:
    moves: list[Move] = [one for state, one in TRANSITIONS if state == rollout.state and one != "kill"]
    at = "" if rollout.state == "frozen" else f" at {rollout.stage.name}"
    return f"it is {rollout.state.replace('_', ' ')}{at}, so it cannot {_WORDS[move]}: it can {_or(moves)}"


def _or(moves: list[Move]) -> str:
    return " or ".join(_WORDS[move] for move in moves)


_WORDS: dict[Move, str] = {
    "start": "be started",
    "widen": "be widened",
    "complete": "be completed",
    "hold": "be held",
    "resume": "be resumed",
    "step_back": "go back to the last share with evidence",
    "roll_back": "be rolled back",
    "kill": "be killed",
}


def _locked(lock: Lock) -> str:
    return f"{lock.by} has locked it{_because(lock.reason)}: less traffic is always possible, more after it is unlocked"


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _name(rollout: Rollout) -> str:
    return f"{rollout.workflow} {rollout.digest[:12]}"
