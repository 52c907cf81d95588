"""How a ramp looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from roadworthy.cli import words
from roadworthy.cli.commands.releases import short
from roadworthy.cli.context import Work
from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import line
from roadworthy.inference_log.when import Window

Facts = Mapping[str, Any]

NOT_ENFORCED = "not enforced (`enforcement: observe`): everybody is served as before, and the ramp is only recorded"


def overview(work: Work, stands: Sequence[Facts]) -> None:
    if not stands:
        work.say("No workflow yet: `roadworthy init` writes an example.")
        return
    print_table(
        work.console,
        [Column("workflow", keep=8), Column("release", keep=16, optional=True, spare=3), Column("state", keep=8),
         Column("stage", optional=True), Column("share", right=True), Column("ceiling", right=True, spare=1),
         Column("since", optional=True, spare=2), Column("next", wrap=True, keep=30)],
        [
            [
                str(stand["workflow"]), short(stand["release"]) if stand.get("release") else "", state(stand),
                str(stand.get("stage") or ""), words.share(stand["share"]) if stand.get("release") else words.UNKNOWN,
                words.share(stand["ceiling"]) if stand.get("release") else words.UNKNOWN,
                words.ago(stand.get("entered_at"), work.clock()) if stand.get("release") else "",
                str(stand.get("forged") or stand.get("comes") or ""),
            ]
            for stand in stands
        ],
    )  # fmt: skip


def state(stand: Facts) -> str:
    found = "FORGED" if stand.get("forged") else str(stand["state"]).replace("_", " ")
    return found if stand.get("enforced", True) else f"{found}, not enforced"


def brief(work: Work, stand: Facts) -> None:
    """After a command."""
    where = f"at {stand['stage']} ({words.share(stand['share'])})"
    work.say(f"{stand['workflow']} {short(stand['release'])} is {state(stand)} {line(where)}.")
    if not stand.get("enforced", True):
        work.say(NOT_ENFORCED)
    work.say(f"next: {line(str(stand['comes']))}")


def stand(work: Work, found: Facts) -> None:
    """All of it."""
    if found.get("forged"):
        work.say(f"{found['workflow']}: {line(str(found['forged']))}")
        work.say(f"next: {line(str(found['comes']))}")
        return
    if not found.get("release"):
        work.say(f"{found['workflow']} has no ramp: {line(str(found['comes']))}")
        if found.get("notice"):
            work.say(f"note      {line(str(found['notice']))}")
        return
    now, zone = work.clock(), work.zone()
    number = f"release {found['number']} " if found.get("number") else ""
    before = short(found["predecessor"]) if found.get("predecessor") else "the bypass"
    work.say(f"{found['workflow']}  {number}({short(found['release'])}), everybody else: {before}")
    work.say(f"state     {state(found)}" + _acted(found))
    since = f"{words.moment(found['entered_at'], zone, now=now)} ({words.ago(found['entered_at'], now)})"
    held = "" if found["share"] >= _meant(found) else f", under the {words.share(_meant(found))} of its stage"
    work.say(f"stage     {line(str(found['stage']))} since {since}: {words.share(found['share'])} of users{held}")
    label = f" ({found['label']})" if found.get("label") else ""
    work.say(f"ceiling   {words.share(found['ceiling'])}{label}")
    lock = found.get("lock")
    if lock:
        why = f": {line(str(lock['reason']))}" if lock.get("reason") else ""
        work.say(f"lock      {line(str(lock['by']))}, {words.ago(lock['at'], now)}{why}")
    if found.get("shadow"):
        work.say("shadow    a share of the live calls is repeated with it; nobody sees the answers")
    if found.get("notice"):
        work.say(f"note      {line(str(found['notice']))}")
    if not found.get("enforced", True):
        work.say(f"note      {NOT_ENFORCED}")
    _guardrails(work, found.get("analysis"), now)
    if found["state"] == "ramping":
        work.say()
        _gates(work, found)
    _passed(work, found.get("passed") or [])
    work.say()
    work.say(f"next: {line(str(found['comes']))}")


def _acted(found: Facts) -> str:
    if not found.get("by"):
        return ""
    why = f": {line(str(found['reason']))}" if found.get("reason") else ""
    return f", by {line(str(found['by']))}{why}"


def _meant(found: Facts) -> float:
    return next((float(one["share"]) for one in found["stages"] if one["name"] == found["stage"]), 0.0)


def _guardrails(work: Work, analysis: Facts | None, now: float) -> None:
    work.say()
    if analysis is None:
        work.say("Not analysed yet: control looks once a minute.")
        return
    calls = words.plural(int(analysis["calls"]), "call")
    work.say(f"analysed {words.ago(analysis['until'], now)}: {calls} of the release at this stage")
    rows = [*analysis["findings"], *([analysis["sample_ratio"]] if analysis.get("sample_ratio") else [])]
    print_table(
        work.console,
        [Column("guardrail"), Column("verdict"), Column("found", wrap=True, keep=40)],
        [[str(one["guardrail"]).replace("_", " "), str(one["verdict"]), str(one["text"])] for one in rows],
    )


def _gates(work: Work, found: Facts) -> None:
    work.say(f"before {line(str(found['next'] or 'it is done'))}, in this order:")
    print_table(
        work.console,
        [Column("gate"), Column("verdict"), Column("why", wrap=True, keep=40)],
        [[str(gate["name"]), str(gate["verdict"]), str(gate["detail"])] for gate in found["gates"]],
    )


def _passed(work: Work, passed: Sequence[Facts]) -> None:
    if not passed:
        return
    work.say()
    zone, now = work.zone(), work.clock()
    for one in passed:
        why = f": {line(str(one['reason']))}" if one.get("reason") else ""
        calls = one["analysis"]["calls"] if one.get("analysis") else 0
        at = words.moment(one["at"], zone, now=now)
        on = f"{words.plural(int(calls), 'call')}{why}"
        work.say(f"passed {line(str(one['stage']))} at {at}, by {line(str(one['by']))}, on {on}")


def prospect(work: Work, ahead: Facts) -> None:
    """The calendar of a ramp that has not begun."""
    zone, now = work.zone(), work.clock()
    work.say(
        f"{ahead['workflow']} {short(ahead['digest'])}: {ahead['calls_per_day']:,.0f} calls and "
        f"{ahead['users_per_day']:,.0f} users a day; {words.share(ahead['unknown_share'])} of the calls carry no user; "
        f"ceiling {words.share(ahead['ceiling'])}"
    )
    print_table(
        work.console,
        [Column("stage"), Column("share", right=True), Column("from"), Column("until"), Column("calls", right=True),
         Column("what takes so long"), Column("let in by")],
        [
            [
                str(due["stage"]), words.share(due["share"]), _date(due["enters"], zone, now),
                _date(due["leaves"], zone, now), words.count(due["calls"]),
                str(due["bound"]).replace("_", " "), "a person" if due["approval"] else "itself",
            ]
            for due in ahead["calendar"]
        ],
    )  # fmt: skip
    for warning in ahead["warnings"]:
        work.say(f"note: {line(str(warning))}")


def _date(ts: float | None, zone: Any, now: float) -> str:
    return "never, at this volume" if ts is None else words.moment(ts, zone, now=now)


def history(work: Work, changes: Sequence[Facts]) -> None:
    if not changes:
        return
    zone, now = work.zone(), work.clock()
    print_table(
        work.console,
        [Column("time"), Column("who"), Column("for", optional=True), Column("did"), Column("stage", optional=True),
         Column("share", right=True), Column("evidence", optional=True, wrap=True, keep=20, spare=1),
         Column("reason", wrap=True, keep=24, optional=True)],
        [
            [
                words.moment(one["time"], zone, now=now), str(one["actor"]), str(one.get("on_behalf_of") or ""),
                _did(one), str((one.get("after") or {}).get("stage", "")),
                words.share((one.get("after") or {}).get("share")), str(one.get("evidence") or ""),
                str(one.get("reason") or ""),
            ]
            for one in changes
        ],
    )  # fmt: skip


def in_force(work: Work, found: Facts, window: Window) -> None:
    """Who allowed the share of a moment, on what evidence."""
    one, zone = found.get("in_force"), work.zone()
    if one is None:
        work.say(f"{window.reading}: no ramp had been begun.")
        return
    after = one["after"] or {}
    work.say(f"{window.reading}: {found['workflow']} {short(after.get('release'))} had {words.share(after['share'])}")
    behalf = f" (on behalf of {line(str(one['on_behalf_of']))})" if one.get("on_behalf_of") else ""
    work.say(f"allowed   {words.moment(one['time'], zone)}, by {line(str(one['actor']))}{behalf}: {_did(one)}")
    if one.get("reason"):
        work.say(f"reason    {line(str(one['reason']))}")
    work.say(f"stage     {line(str(after.get('stage', '')))}, {line(str(after.get('state', '')))}")
    work.say(f"receipt   {after.get('receipt') or 'none in force'}")
    work.say(f"evidence  {', '.join(after.get('evidence') or []) or 'none'}")
    label = f" ({after['label']})" if after.get("label") else ""
    work.say(f"ceiling   {words.share(after.get('ceiling'))}{label}")
    work.say(f"audit     record {one['seq']}")
    analysis = after.get("analysis")
    if analysis:
        work.say()
        work.say(f"on the analysis of {line(str(analysis['stage']))}: {words.plural(int(analysis['calls']), 'call')}")
        rows: Iterable[Facts] = [*analysis["findings"], *_ratio(analysis)]
        _verdicts(work, "guardrail", [(one["guardrail"], one["verdict"], one["text"]) for one in rows])
        _verdicts(work, "gate", [(one["name"], one["verdict"], one["detail"]) for one in after.get("gates") or []])


def _ratio(analysis: Facts) -> list[Facts]:
    return [analysis["sample_ratio"]] if analysis.get("sample_ratio") else []


def _verdicts(work: Work, what: str, rows: Sequence[tuple[str, str, str]]) -> None:
    columns = [Column(what), Column("verdict"), Column("found", wrap=True, keep=40)]
    print_table(work.console, columns, [[str(cell).replace("_", " ") for cell in row] for row in rows])


def _did(one: Facts) -> str:
    word = str(one["action"]).replace("_", " ")
    return word if one.get("outcome") == "done" else f"{word}: {one.get('outcome')}"
