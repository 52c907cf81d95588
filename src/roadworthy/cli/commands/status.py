"""``status``: the whole install on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.commands.budgets import STATES, resets, used
from roadworthy.cli.commands.gateway import gateway_words, missing_of
from roadworthy.cli.commands.measure import cost, outcomes
from roadworthy.cli.commands.releases import short
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import Finding, Unreachable
from roadworthy.cli.terminal import line

Facts = Mapping[str, Any]


@click.command()
@common
@json_option
@pass_work
def status(work: Work) -> None:
    """Show the install on one screen: workflows, outcomes and spend today, journal, processes, what waits for whom.

    Exit 1 when a process is down, a background duty fails or the journal is not
    shipped, 3 when the gateway is not running.
    """
    answer: Facts = work.admin.get("/v1/status")
    if work.json:
        work.emit(answer)
    else:
        _tell(work, answer)
    if not is_running(answer):
        raise Unreachable("the gateway is not running", "roadworthy up")
    troubles = trouble(answer)
    if troubles:
        raise Finding("; ".join(troubles), "roadworthy doctor")


def _tell(work: Work, answer: Facts) -> None:
    now = work.clock()
    running = is_running(answer)
    work.say(f"gateway   {answer.get('base_url')}" + ("" if running else ", not running: `roadworthy up` starts it"))
    control: Facts = answer.get("control") or {}
    published = words.ago(control["published_at"], now) if control.get("published_at") else "never"
    work.say(f"snapshot  {control.get('epoch')}.{control.get('seq')}, published {published}")
    applied: Facts = answer.get("configuration") or {}
    if applied:
        by = line(str(applied.get("applied_by")))
        work.say(
            f"config    version {applied.get('version')}, applied {words.ago(applied.get('applied_at'), now)} by {by}"
        )
    work.say(f"journal   {journal_words(answer.get('journal') or {})}")
    gateways: list[Facts] = list(answer.get("gateways") or [])
    for item in gateways if len(gateways) > 1 else ():
        work.say(f"gateway   {line(str(item['name']))}: {gateway_words(item, now)}")
    for process in (answer.get("processes") or ()) if running else ():
        work.say(f"{line(str(process.get('name', ''))):<9} {_process(process, now)}")
    _targets(work, answer.get("targets") or [])
    workflows = answer.get("workflows") or []
    work.say()
    if workflows:
        _workflows(work, workflows)
    else:
        work.say("No workflow yet: `roadworthy init` writes an example, `roadworthy apply DIR` puts it in force.")
    for would in answer.get("would") or []:
        work.say(f"{line(str(would.get('workflow')))}: {line(str(would.get('says')))}")
    for stand in answer.get("kill") or []:
        work.say(stop_line(stand, now))
    _budgets(work, answer.get("budgets") or [])
    waiting = answer.get("waiting") or []
    if waiting:
        work.say()
    for entry in waiting:
        do = f": {line(str(entry['do']))}" if entry.get("do") else ""
        work.say(f"waits for {line(str(entry.get('who')))}: {line(str(entry.get('what')))}{do}")


def stop_line(stand: Facts, now: float) -> str:
    """``kill      support is off for 3 min, by ada (control): refunds; 1 gateway has not confirmed``."""
    what = "every workflow" if stand["workflow"] == "*" else line(str(stand["workflow"]))
    by = ", ".join(source["source"] for source in stand["sources"])
    why = line(str(stand["reason"])) or "no reason given yet"
    missing = (stand.get("reached") or {}).get("missing") or []
    names = ", ".join(line(str(each["gateway"])) for each in missing)
    text = f"kill      {what} is {stand['state']} {words.lasting(stand['since'], now)}, by {line(str(stand['by']))}"
    return f"{text} ({by}): {why}" + (f"; NOT confirmed by {names}" if missing else "")


def journal_words(journal: Facts) -> str:
    """``accepted 1,204, stored 1,204, dropped 0, lag 0 s``, and what a full disk did to it."""
    dropped = sum(int(journal.get(name, 0)) for name in ("dropped", "malformed", "torn"))
    full = "".join(
        f", {text} {int(journal[name]):,}"
        for name, text in (("waiting", "waiting for disk"), ("bodies_dropped", "without bodies"))
        if journal.get(name)
    )
    return (
        f"accepted {int(journal.get('accepted', 0)):,}, stored {int(journal.get('stored', 0)):,}, "
        f"in flight {int(journal.get('in_flight', 0)):,}, lost {int(journal.get('lost', 0)):,}, dropped {dropped:,}, "
        f"lag {words.seconds(float(journal.get('pending_seconds', 0.0)))} "
        f"({words.size(journal.get('pending_bytes', 0))}){full}"
    )


def _process(process: Facts, now: float) -> str:
    text = f"{process.get('state', 'unknown')}"
    if process.get("pid") and process.get("state") == "running":
        text += f" (pid {process['pid']})"
    if process.get("since"):
        text += f" {words.lasting(process['since'], now)}"
    if process.get("restarts"):
        text += f", {words.plural(int(process['restarts']), 'restart')}: {line(str(process.get('last_exit', '')))}"
    return text


def _targets(work: Work, targets: list[Facts]) -> None:
    for target in targets:
        where = line(str(target["url"])) if target.get("url") else "down: its calls are unavailable"
        name, model = line(str(target.get("name"))), line(str(target.get("model")))
        work.say(f"target    {name} ({target.get('provider')} / {model}) {where}{_borne(target)}")


def _borne(target: Facts) -> str:
    """What its breaker and its limit hold back now; empty: nothing."""
    held = ""
    if target.get("shut"):
        of = f" on {target['shut']} of {words.plural(int(target['workers']), 'worker')}"
        probe = float(target.get("probe_in") or 0.0)
        when = f"next probe in {words.seconds(probe)}" if probe else "probed now or with the next call"
        held += f"; breaker open{of}, {when}"
    if target.get("at_once") is not None:
        held += f"; lets {words.plural(int(target['at_once']), 'call')} through at once"
    if target.get("waiting"):
        held += f"; {words.plural(int(target['waiting']), 'call')} waiting"
    return held


def _workflows(work: Work, workflows: list[Facts]) -> None:
    from roadworthy.cli.tables import Column, print_table

    print_table(
        work.console,
        [
            Column("workflow", keep=12), Column("state", keep=9), Column("serves", keep=9),
            Column("share", right=True, spare=2), Column("owner", spare=3), Column("calls/h", right=True),
            Column("testers/h", right=True, optional=True, spare=4),
            Column("outcomes", wrap=True, keep=20, optional=True), Column("p95", right=True, optional=True, spare=1),
            Column("spent today", right=True),
        ],
        [
            [
                str(row.get("name", "")), _state(row), _serves(row), words.share(row.get("share")),
                str(row.get("owner") or ""), f"{int(row.get('calls', 0)):,}",
                f"{row['tester_calls']:,}" if row.get("tester_calls") else "", outcomes(row),
                words.seconds(row.get("p95")),
                cost({"cost_usd": row.get("spend_today"), "cost_unknown": row.get("spend_unknown")}),
            ]
            for row in workflows
        ],
    )  # fmt: skip


def _budgets(work: Work, budgets: list[Facts]) -> None:
    """Of teams and workflows; ``roadworthy budgets`` tells those of keys and users."""
    if budgets:
        work.say()
    zone, now = work.zone(), work.clock()
    for row in budgets:
        what = f"{row['scope']} {line(str(row['owner']))}, a {row['period']}"
        state = f", {STATES[str(row['state'])]}" if STATES.get(str(row["state"])) else ""
        work.say(
            f"budget    {what}: {words.dollars(row['spent'])} of {words.dollars(row['limit'])} ({used(row)}), "
            f"begins anew {resets(row, zone, now)}{state}"
        )


def _state(row: Facts) -> str:
    """Of the kill switch; while it is on, whether anything but enforcement holds."""
    state, watch = str(row.get("state", "on")), row.get("watch")
    if state != "on":
        return state
    return {"observed": "observed", "lapsed": "lapsed pilot"}.get(str(watch), state)


def _serves(row: Facts) -> str:
    release = row.get("release")
    if isinstance(release, dict):
        return f"release {release.get('number')} ({short(release.get('digest'))})"
    return "passed through" if row.get("serves") == "passthrough" else "nothing yet"


def is_running(answer: Facts) -> bool:
    """Does the gateway of this install run?"""
    return any(process.get("alive") for process in answer.get("processes") or ())


def trouble(answer: Facts) -> list[str]:
    """What is broken: dead processes, failing duties, a journal that is not shipped or not readable."""
    found = [
        f"{process.get('name')} is not running: {process.get('last_exit') or process.get('state')}"
        for process in answer.get("processes") or ()
        if not process.get("alive")
    ]
    found += [
        f"{duty.get('name')} fails: {duty.get('last_error')}"
        for duty in (answer.get("control") or {}).get("engine") or ()
        if duty.get("failures_in_a_row")  # its state reads `running` while it is tried again
    ]
    found += missing_of([item for item in answer.get("gateways") or [] if item.get("name") != "local"])
    journal: Facts = answer.get("journal") or {}
    if float(journal.get("pending_seconds", 0.0)) > 60:
        found.append(f"the journal has not been shipped for {words.seconds(float(journal['pending_seconds']))}")
    if int(journal.get("waiting", 0)):
        found.append(f"the disk is full: {words.plural(int(journal['waiting']), 'inference')} cannot be written")
    if int(journal.get("malformed", 0)):
        found.append(f"{words.plural(int(journal['malformed']), 'journal line')} could not be read")
    return found
