"""``oncall``: who is woken when it breaks, now and at any time; overrides, gaps, calendars, a test page."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from roadworthy.cli import words
from roadworthy.cli.commands.escalations import ListedFirst, named
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding, Undecided
from roadworthy.cli.terminal import line

LARGEST_CALENDAR = 1_000_000
LOOK = 1.0
MOST_TAKEN = 200
"""Overrides that one file may become."""


@click.group(cls=ListedFirst)
@common
def oncall() -> None:
    """Say who is on call, find gaps, take a shift, read and write calendars, send a test page.

    `roadworthy oncall` says who is on call now for every workflow, to whom a page is handed up, and who is next.
    """


@oncall.command("list")
@click.option("--at", metavar="TIME", help="Then, instead of now: 'tomorrow 09:00', '2026-11-02 09:00'.")
@click.option("--workflow", metavar="WORKFLOW", help="Of this workflow alone.")
@common
@json_option
@pass_work
def list_on_call(work: Work, at: str | None, workflow: str | None) -> None:
    """Say who is on call, now or at TIME: the order in which a page goes, and who takes over when."""
    from roadworthy.cli.tables import Column, print_table

    now = work.clock()
    when = now if at is None else _moment(work, at)
    params = {"at": None if at is None else repr(when), "workflow": workflow}
    answer = work.admin.get("/v1/oncall", params)
    watches = items(work.admin.get("/v1/oncall/rotations", {"at": repr(when), "weeks": 2}), "rotations")
    rows = items(answer, "workflows")
    if work.json:
        work.emit({**answer, "rotations": watches})
        return
    if not rows:
        raise Finding("no workflow is configured, so nobody is on call", "roadworthy init, then roadworthy apply DIR")
    zone = work.zone()
    work.say(f"On call {'now' if at is None else 'at'}, {words.moment(when, zone, now=now)}:")
    print_table(
        work.console,
        [Column("workflow"), Column("on call"), Column("then"), Column("handed up after"), Column("until"),
         Column("next"), Column("by", optional=True)],
        [_row(row, zone, now) for row in rows],
    )  # fmt: skip
    for row in rows:
        _explain(work, row)
    for watch in watches:
        _say_watch(work, watch, zone, now)


def _row(row: dict[str, Any], zone: Any, now: float) -> list[str]:
    people, shift = list(row["people"]), row["shift"]
    on_call = ", ".join(shift.get("people", [])) or "nobody"
    after = [person for person in people if person not in shift.get("people", [])]
    more = bool(row["hands_over_to"])
    return [
        str(row["workflow"]), on_call, " → ".join(after), words.seconds(row["hand_up"]),
        words.moment(shift["end"], zone, now=now) if more else "", str(row["hands_over_to"]), _how(shift),
    ]  # fmt: skip


def _how(shift: dict[str, Any]) -> str:
    how = str(shift.get("how", "rotation"))
    if how == "override":
        return f"override{': ' + str(shift['why']) if shift.get('why') else ''}"
    return "" if how == "rotation" else how


def _explain(work: Work, row: dict[str, Any]) -> None:
    shift = row["shift"]
    if not shift.get("people"):
        work.say(f"\n{line(str(row['workflow']))}: nobody is on call: {line(str(shift.get('why', '')))}")
    if row["problem"]:
        work.say(f"\n{line(str(row['workflow']))}: {line(str(row['problem']))}")


def _say_watch(work: Work, watch: dict[str, Any], zone: Any, now: float) -> None:
    work.say(f"\nRotation {line(str(watch['rotation']))}: {line(str(watch['says']))}")
    for shift in watch["shifts"]:
        who = ", ".join(shift.get("people", [])) or f"nobody: {shift.get('why', '')}"
        mark = f"  (override {line(str(shift['override']))})" if shift.get("override") else ""
        work.say(f"  from {words.moment(shift['start'], zone, now=now):<20} {line(who)}{mark}")
    reading = watch.get("reading")
    if reading is not None:
        read = reading.get("fetched_at")
        said = f"read {words.ago(read, now)}" if read else "not read yet"
        error = f"; the last try failed: {reading['error']}" if reading.get("error") else ""
        work.say(f"  {line(said + error)}")


@oncall.command()
@click.option("--days", type=click.IntRange(1, 366), default=14, show_default=True, help="How far ahead.")
@click.option("--workflow", metavar="WORKFLOW", help="Of this workflow alone.")
@common
@json_option
@pass_work
def gaps(work: Work, days: int, workflow: str | None) -> None:
    """Find times without anybody on call.  Exit 1 when there are any.  This is item 8 of `roadworthy ready`."""
    answer = work.admin.get("/v1/oncall/gaps", {"days": days, "workflow": workflow})
    rows = items(answer, "gaps")
    zone, now = work.zone(), work.clock()
    if work.json:
        work.emit(answer)
    elif not rows:
        work.say(f"Somebody is on call at every moment of the next {words.plural(days, 'day')}.")
    for row in rows if not work.json else ():
        start, end = (words.moment(row[name], zone, now=now) for name in ("start", "end"))
        work.say(f"{line(str(row['workflow']))}: nobody from {start} to {end}: {line(str(row['reason']))}")
    if rows:
        raise Finding(
            f"{words.plural(len(rows), 'gap')} in the next {words.plural(days, 'day')}",
            "roadworthy oncall override PERSON --from TIME --until TIME, or mend on_call in people.yaml",
        )


@oncall.command()
@click.argument("person")
@click.option("--from", "start", metavar="TIME", default="now", show_default=True, help="Takes over then.")
@click.option("--until", metavar="TIME", required=True, help="'+4h', 'friday 18:00', '2026-11-02 09:00'.")
@click.option("--rotation", metavar="NAME", default="", help="Which one.  [default: the only one]")
@click.option("--why", default="", help="For whoever looks at it later.")
@common
@json_option
@pass_work
def override(work: Work, person: str, start: str, until: str, rotation: str, why: str) -> None:
    """Put PERSON on call for a while, whoever else would be.  Done by a named person: `roadworthy login`."""
    began = _moment(work, start)
    body = {"person": person, "start": began, "end": _moment(work, until), "rotation": rotation, "why": why}
    made = work.admin.post("/v1/oncall/override", body)
    if work.json:
        work.emit(made)
        return
    zone, now = work.zone(), work.clock()
    span = " until ".join(words.moment(made[name], zone, now=now) for name in ("start", "end"))
    work.say(f"{line(str(made['person']))} is on call ({line(str(made['rotation']))}) from {span}.")
    work.say(f"To take it back: roadworthy oncall take-back {line(str(made['id']))}")


@oncall.command("take-back")
@click.argument("ident", metavar="ID")
@click.option("--why", default="", help="For whoever looks at it later.")
@common
@json_option
@pass_work
def take_back(work: Work, ident: str, why: str) -> None:
    """End the override ID now; what it covered until now stays as it was."""
    if not ident.replace("_", "").isalnum():
        raise BadInput(f"{ident[:40]!r} is no id of an override", "`roadworthy oncall` lists them")
    ended = work.admin.post(f"/v1/oncall/override/{ident}/take-back", {"why": why})
    if work.json:
        work.emit(ended)
    else:
        work.say(f"{line(str(ended['person']))} is no longer on call by it.")


@oncall.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--days", type=click.IntRange(1, 92), default=42, show_default=True, help="How far ahead.")
@click.option("--tz", metavar="ZONE", default="", help="Of times without one.  [default: the install's]")
@click.option("--rotation", metavar="NAME", help="Take its shifts as overrides of this rotation.")
@common
@json_option
@pass_work
def import_calendar(work: Work, file: Path, days: int, tz: str, rotation: str | None) -> None:
    """Read an iCalendar FILE: who would be on call by it, whom it names that nobody knows, where it has gaps.

    Nothing is kept, unless --rotation takes its shifts as overrides.  To follow a calendar for good, put the file
    beside people.yaml and name it there: `on_call: {default: {ical: FILE, catch_all: PERSON}}`.
    """
    if file.stat().st_size > LARGEST_CALENDAR:
        raise BadInput(f"{file}: larger than {LARGEST_CALENDAR:,} bytes", "export fewer weeks")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file}: not UTF-8 at byte {error.start}", "save it as UTF-8") from error
    answer = work.admin.post("/v1/oncall/read", {"text": text, "zone": tz, "days": days})
    rows = items(answer, "shifts")
    taken = [] if rotation is None else _taken(work, rows, rotation, file.name)
    if work.json:
        work.emit({"items": rows, "overrides": taken})
        return
    zone, now = work.zone(), work.clock()
    for row in rows:
        who = ", ".join(row.get("people", [])) or f"nobody: {row.get('why', '')}"
        work.say(f"from {words.moment(row['start'], zone, now=now):<20} {line(who)}")
    if rotation is not None:
        work.say(f"\n{words.plural(len(taken), 'override')} made in {line(rotation)}.")


def _taken(work: Work, rows: list[dict[str, Any]], rotation: str, name: str) -> list[Any]:
    """An override for each shift with somebody."""
    wanted = [row for row in rows if row.get("people")]
    if len(wanted) > MOST_TAKEN:
        raise BadInput(f"{len(wanted)} shifts; at most {MOST_TAKEN} become overrides", "give fewer --days")
    out = []
    for row in wanted:
        body = {
            "person": row["people"][0], "start": row["start"], "end": row["end"], "rotation": rotation,
            "why": f"from {name}"[:200],
        }  # fmt: skip
        out.append(work.admin.post("/v1/oncall/override", body))
    return out


@oncall.command("export")
@click.option("--rotation", metavar="NAME", default="", help="Which one.  [default: the only one]")
@click.option("--weeks", type=click.IntRange(1, 52), default=12, show_default=True, help="How far ahead.")
@click.option("--ical", is_flag=True, help="As an iCalendar file.  [default]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File.  [default: stdout]")
@common
@json_option
@pass_work
def export_calendar(work: Work, rotation: str, weeks: int, ical: bool, output: Path | None) -> None:
    """Write the shifts of a rotation as an iCalendar file, for everybody's calendar."""
    answer = work.admin.get("/v1/oncall/calendar", {"rotation": rotation or None, "weeks": weeks})
    if work.json:
        work.emit(answer)
    elif output is None:
        click.echo(answer["text"], nl=False)
    else:
        output.write_text(str(answer["text"]), encoding="utf-8", newline="")
        work.say(f"Wrote the next {words.plural(weeks, 'week')} of {line(str(answer['name']))} to {line(str(output))}.")


@oncall.command("test")
@click.argument("workflow")
@click.option("--no-wait", is_flag=True, help="Do not wait for the acknowledgement.")
@common
@json_option
@pass_work
def test_page(work: Work, workflow: str, no_wait: bool) -> None:
    """Page whoever is on call for WORKFLOW, as a test that they must acknowledge.  It is item 8 of `roadworthy ready`.

    Exit 1 when nobody acknowledged it in time, 2 when that is not known yet.
    """
    tested = work.admin.post("/v1/oncall/test", {"workflow": workflow})
    incident, page = str(tested["incident"]), tested["page"]
    if not work.json:
        work.note(f"Paged {page['person']}; acknowledge by the message, in the console, or with: "
                  f"roadworthy acknowledge {incident}")  # fmt: skip
    while not no_wait and not tested["verdict"]:
        work.sleep(LOOK)
        tested = work.admin.get(f"/v1/oncall/test/{named(incident)}")
    _tested(work, tested)


def _tested(work: Work, tested: dict[str, Any]) -> None:
    page, incident = tested["page"], str(tested["incident"])
    if work.json:
        work.emit(tested)
    else:
        for proof in page.get("proofs", []):
            taken = "taken" if proof.get("taken") else "not taken"
            work.say(
                f"  {line(str(proof['channel']))}: {taken}{line(': ' + proof['said'] if proof.get('said') else '')}"
            )
    if tested["verdict"] == "PASS":
        if not work.json:
            took = words.seconds(page["ended_at"] - page["made_at"])
            work.say(f"PASS  {line(str(page['ended_by']))} acknowledged it after {took}.")
    elif tested["verdict"] == "FAIL":
        arrived = any(proof.get("taken") for proof in page.get("proofs", []))
        mend = "acknowledge it in time, by its link" if arrived else "mend the channels: docs/paging.md"
        raise Finding(f"nobody acknowledged the test page to {page['person']}", mend)
    else:
        raise Undecided(f"{page['person']} has not acknowledged it yet", f"roadworthy incidents show {incident}")


def _moment(work: Work, text: str) -> float:
    """Raises ``BadInput``."""
    from zoneinfo import ZoneInfo

    from roadworthy.people.oncall.moments import NoMoment, moment

    try:
        return moment(text, work.clock(), cast(ZoneInfo, work.zone()))
    except NoMoment as error:
        raise BadInput(str(error)) from error
