"""``cost sheet``, ``close``, ``correct``, ``compare``, ``reconcile``: what finance asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roadworthy.adapters.files import write_atomically
from roadworthy.cli import words
from roadworthy.cli.commands.cost import cost
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.terminal import line

if TYPE_CHECKING:
    from roadworthy.cost.sheet import Sheet

LARGEST = 32 * 1024 * 1024
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("workflow", required=False)
@click.option("--team", metavar="TEAM", help="All workflows of a team.")
@click.option("--all", "everything", is_flag=True, help="All workflows.")
@click.option("--month", metavar="YYYY-MM", help="Another month than the one that runs.")
@click.option("--html", metavar="FILE", type=FILE, help="Write it as one page that stands alone.")
@click.option("--markdown", metavar="FILE", type=FILE, help="Write it as Markdown.")
@click.option("--email", is_flag=True, help="Send it to the cost owners.")
@json_option
@common
@pass_work
def sheet(
    work: Work, workflow: str | None, team: str | None, everything: bool, month: str | None, html: Path | None,
    markdown: Path | None, email: bool,
) -> None:  # fmt: skip
    """Show what WORKFLOW can cost in a month at most, will cost, and has cost: the page for whoever pays.

    The most is what enforced budgets let through; where none bounds all calls, it says so.
    """
    if bool(workflow) + bool(team) + everything != 1:
        raise BadInput("say what the sheet is about", "give WORKFLOW, --team TEAM or --all, one of them")
    for path in (html, markdown):
        if path is not None and not path.absolute().parent.is_dir():
            raise BadInput(f"{path}: there is no folder {path.absolute().parent}", "make it first")
    asked = {"workflow": workflow or "", "team": team or "", "month": month or ""}
    found: dict[str, Any] = work.admin.get("/v1/finance/sheet", asked)
    import msgspec

    from roadworthy.cost.sheet import Sheet
    from roadworthy.operations.costing import sheet_page

    page = msgspec.convert(found, Sheet)
    if html is not None:
        write_atomically(html, sheet_page.html(page, work.zone()).encode())
        work.note(f"wrote {html}")
    if markdown is not None:
        write_atomically(markdown, sheet_page.markdown(page, work.zone()).encode())
        work.note(f"wrote {markdown}")
    if email:
        sent = work.admin.post("/v1/finance/mail", asked)
        work.note(f"on its way to {', '.join(line(str(each)) for each in sent['to'])}")
    if work.json:
        derived = {name: getattr(page, name) for name in ("spent", "calls", "resolved", "per_resolved", "safety_usd",
                                                          "unpriced")}  # fmt: skip
        work.emit({**found, "sums": derived})
    else:
        _sheet(work, page)


def _sheet(work: Work, page: Sheet) -> None:
    from roadworthy.cli.tables import Column, print_table
    from roadworthy.operations.costing import sheet_page

    work.say(line(sheet_page.title(page)))
    work.say(line(sheet_page.status(page, work.zone())))
    for each in sheet_page.alarms(page):
        work.say()
        work.say(line(each))
    work.say()
    for card in sheet_page.cards(page):
        work.say(f"{line(card.head)}: {line(card.figure)}")
        work.say(f"    {line(card.below)}")
    for table in sheet_page.tables(page):
        work.say()
        work.say(line(table.title))
        columns = [Column(head, right=at in table.numbers, optional=True) for at, head in enumerate(table.heads)]
        print_table(work.console, columns, [list(row) for row in table.rows])
    work.say()
    for note in sheet_page.notes(page):
        work.say(line(note))


@click.command()
@click.argument("month", metavar="YYYY-MM")
@json_option
@common
@pass_work
def close(work: Work, month: str) -> None:
    """Close a month: the figures of every workflow whose costs are yours are signed and stay as they are.

    What the log says later is shown beside them; `roadworthy cost correct` books it.
    """
    done = work.admin.post("/v1/finance/close", {"month": month})
    if work.json:
        work.emit(done)
        return
    for each in done["items"]:
        figures = each["figures"]
        work.say(f"closed {line(str(figures['workflow']))}, {month}: {words.dollars(figures['spent'])}")
    if not done["items"]:
        work.say(f"every workflow of yours is closed for {month} already; it stays as it was")


@click.command()
@click.argument("month", metavar="YYYY-MM")
@click.argument("workflow")
@click.option("--usd", type=float, required=True, metavar="USD", help="What is added; negative: taken off.")
@click.option("--reason", required=True, metavar="TEXT", help="Why: it is signed, audited and on the sheet.")
@json_option
@common
@pass_work
def correct(work: Work, month: str, workflow: str, usd: float, reason: str) -> None:
    """Book an amount onto a closed month of WORKFLOW, as its cost owner."""
    body = {"month": month, "workflow": workflow, "usd": usd, "reason": reason}
    done = work.admin.post("/v1/finance/correct", body)
    if work.json:
        work.emit(done)
    else:
        work.say(f"booked {words.dollars(done['usd'])} onto {month} of {line(workflow)} as {done['id']}")


@click.command()
@click.argument("workflow")
@click.option("--to", metavar="MODEL", multiple=True,
              help="A target, a model of the public price list or PROVIDER/MODEL; may be repeated.")  # fmt: skip
@click.option("--days", type=click.FloatRange(min=0, min_open=True, max=400), default=30.0, show_default=True,
              help="How far back.")  # fmt: skip
@json_option
@common
@pass_work
def compare(work: Work, workflow: str, to: tuple[str, ...], days: float) -> None:
    """Price the recorded traffic of WORKFLOW on other models, as a month.

    Without --to: on the other targets, and on cheaper models of the same provider.
    """
    if any("," in each for each in to):
        raise BadInput("--to takes one model", "repeat it: --to A --to B")
    asked = {"workflow": workflow, "to": ",".join(to), "days": days}
    found = work.admin.get("/v1/finance/compare", asked)
    if work.json:
        work.emit(found)
    else:
        _compared(work, found)
    unknown = [row["candidate"] for row in found["rows"] if row["month"] is None]
    if to and unknown:
        raise Finding(f"{line(str(unknown[0]['name']))}: {line(str(unknown[0]['why_unknown']))}")


def _span(days: float) -> str:
    return f"{days:.3g} days" if days >= 1 else words.plural(round(days * 24), "hour")


def _compared(work: Work, found: Mapping[str, Any]) -> None:
    from roadworthy.cli.tables import Column, print_table

    recorded = found["recorded"]
    work.say(
        f"{line(str(found['workflow']))}: {recorded['calls']:,} live calls in {_span(recorded['days'])}, "
        f"{words.dollars(recorded['usd'])} recorded; a month of them on each model:"
    )
    work.say()
    columns = [
        Column("model", keep=18), Column("a month", right=True), Column("range", right=True, spare=2),
        Column("saves", right=True), Column("without cache", right=True, spare=3),
        Column("as batch", right=True, spare=1), Column("", optional=True),
    ]  # fmt: skip
    rows = []
    for row in found["rows"]:
        each = row["candidate"]
        if row["month"] is None:
            rows.append([line(str(each["name"])), words.UNKNOWN, "", "", "", "", line(str(each["why_unknown"]))[:60]])
            continue
        exact = row["low"] == row["high"]
        spread = "" if exact else f"{words.dollars(row['low'])}–{words.dollars(row['high'])[1:]}"
        rows.append([
            line(str(each["name"])), words.dollars(row["month"]), spread,
            "" if row["saved"] is None or each["serves"] else f"{row['saved'] * 100:+.0f} %",
            words.dollars(row["uncached"]), "" if row["batch"] is None else words.dollars(row["batch"]),
            "serves now" if each["serves"] else line(str(each["note"])),
        ])  # fmt: skip
    print_table(work.console, columns, rows)
    if recorded["unpriced"]:
        work.say(f"{recorded['unpriced']:,} calls have no known cost; their tokens are priced here all the same")
    work.say()
    for each in found["assumptions"]:
        work.say(line(str(each)))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@common
@pass_work
def reconcile(work: Work, file: Path) -> None:
    """Hold a provider's bill against the log: by UTC day and model, with what explains each difference.

    FILE is the CSV of OpenAI's or Anthropic's usage or cost export, or one of yours with the columns date, model and
    usd (and input_tokens, output_tokens, calls).  Exit 1: something differs by more than 1 % and a cent.
    """
    found = work.admin.post("/v1/finance/reconcile", {"text": _read(file), "name": file.name})
    if work.json:
        work.emit(found)
    else:
        _reconciled(work, found)
    differ = [row for row in found["items"] if not row["agrees"]]
    if differ:
        total = found["billed"] - found["logged"]
        raise Finding(f"{len(differ)} of {len(found['items'])} days and models differ, {_signed(total)} in all")


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise BadInput(f"{file} is larger than {LARGEST >> 20} MiB", "export fewer days at once")
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"{file} does not exist", "export the usage or the costs as CSV") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file} is no text in UTF-8", "export it as CSV, not as a spreadsheet") from None


def _reconciled(work: Work, found: Mapping[str, Any]) -> None:
    from roadworthy.cli.tables import Column, print_table
    from roadworthy.cost.invoices import WHY, in_words

    work.say(
        f"bill {found['since']} to {found['until']}: {words.dollars(found['billed'])} billed, "
        f"{words.dollars(found['logged'])} in the log"
    )
    work.say()
    print_table(
        work.console,
        [Column("day"), Column("model", keep=16), Column("billed", right=True), Column("logged", right=True),
         Column("calls", right=True, spare=1), Column("difference", right=True), Column("why", optional=True)],
        [
            [str(row["day"]), line(str(row["model"])), ("~" if row["estimated"] else "") + words.dollars(row["billed"]),
             words.dollars(row["logged"]), f"{row['calls']:,}", "" if row["agrees"] else _signed(row["difference"]),
             "agrees" if row["agrees"] else _why(row["parts"])]
            for row in found["items"]
        ],
    )  # fmt: skip
    work.say()
    for why in WHY:
        usd = found["parts"].get(why) or 0.0
        if abs(usd) >= 0.005:
            work.say(f"{_signed(usd):>12}  {in_words(why)}")
    if any(row["estimated"] for row in found["items"]):
        work.say("~ the bill has no amounts: its tokens, at the prices that Roadworthy knows")
    for note in found["notes"]:
        work.say(line(str(note)))


SHORT = {"round": "round Roadworthy", "unpriced": "no known price", "price": "other price", "not_billed": "not billed"}


def _why(parts: Mapping[str, float]) -> str:
    told = sorted(parts.items(), key=lambda item: -abs(item[1]))
    return ", ".join(f"{SHORT[why]} {_signed(usd)}" for why, usd in told if abs(usd) >= 0.005)


def _signed(usd: float) -> str:
    return f"{'−' if usd < 0 else '+'}{words.dollars(abs(usd))}"


for _command in (sheet, close, correct, compare, reconcile):
    cost.add_command(_command)
