"""The finance sheet as a page: HTML that stands alone, Markdown, and plain rows that both are made of.

No script, nothing fetched, text of others escaped.  Amounts are shown in the sheet's currency; the rate and its day
stand on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from html import escape
from typing import NamedTuple

from roadworthy.cost.sheet import Figures, Line, Sheet, read_month
from roadworthy.workflow.model import Finance

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--dim:#5f6368;--line:#d5d8dc;--paper:#fff;--box:#f4f5f7;--good:#0a6b2d;
--bad:#b00020;--warn:#8a5a00;--bar:#2f6fde}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--dim:#9aa0a6;--line:#3c4043;--paper:#17181a;--box:#232528;
--good:#6fd58b;--bad:#ff8a90;--warn:#f2c14e;--bar:#7aa7ff}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:1.5rem 1rem 3rem;color:var(--ink);
background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0 0 .1rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}.dim{color:var(--dim)}p{margin:.3rem 0}
.note{border-left:4px solid var(--warn);background:var(--box);padding:.5rem .8rem;margin:.6rem 0}
.alarm{border-color:var(--bad);font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.7rem;margin:1rem 0}
.card{background:var(--box);border-radius:6px;padding:.7rem .9rem}.card b{display:block;font-size:1.45rem}
.card.first{grid-column:1/-1}.card.first b{font-size:1.9rem}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.bar{position:relative;height:.8rem;background:var(--box);border-radius:4px;margin:.5rem 0;border:1px solid var(--line)}
.bar i{position:absolute;left:0;top:0;height:100%;background:var(--bar);border-radius:3px}
.bar u{position:absolute;top:-4px;bottom:-4px;width:2px;background:var(--bad)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .7rem .35rem 0;
border-bottom:1px solid var(--line);vertical-align:top}th{color:var(--dim);font-weight:600;font-size:.85rem}
.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}tr.sum td{font-weight:600}
.wide{overflow-x:auto;overflow-wrap:normal}
@media print{.card,.note{border:1px solid #999}}
""".replace("\n", "")


class Money:
    """Amounts as the reader counts them."""

    def __init__(self, finance: Finance) -> None:
        self.finance = finance

    def __call__(self, usd: float | None, *, small: bool = False) -> str:
        """``small``: of single cases, with the digits that those need."""
        if usd is None:
            return "unknown"
        amount = usd * self.finance.per_usd
        small = small or 0 < abs(amount) < 0.005  # nothing that was spent is shown as nothing
        digits = 2 if not small or abs(amount) >= 1.0 else 4 if abs(amount) >= 0.01 else 6
        sign = "−" if amount < 0 else ""
        text = f"{abs(amount):,.{digits}f}"
        return f"{sign}${text}" if self.finance.currency == "USD" else f"{sign}{text} {self.finance.currency}"

    @property
    def rate(self) -> str:
        """What the amounts mean."""
        if self.finance.currency == "USD":
            return "All amounts are US dollars."
        day = f" of {self.finance.as_of}" if self.finance.as_of else ""
        return (
            f"Amounts are {self.finance.currency}, at {self.finance.per_usd:g} {self.finance.currency} for one US "
            f"dollar (rate{day}). Providers and limits count in US dollars."
        )


class Card(NamedTuple):
    head: str
    figure: str
    below: str
    mood: str = ""


class Table(NamedTuple):
    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: frozenset[int]
    """Columns that are numbers."""
    sums: bool = False
    """The last row is the sum."""


def title(sheet: Sheet) -> str:
    what = {"all": "all workflows", "team": f"team {sheet.name}", "workflow": sheet.name}[sheet.covers]
    return f"Finance sheet: {what}, {read_month(sheet.month):%B %Y}"


def status(sheet: Sheet, zone: tzinfo) -> str:
    """Under the title: who pays, how far the month is, who closed it."""
    centres = f"Cost centre {', '.join(sheet.cost_centres)}. " if sheet.cost_centres else "No cost centre is declared. "
    made = datetime.fromtimestamp(sheet.made_at, zone).strftime("%Y-%m-%d %H:%M %Z")
    if sheet.closed and len(sheet.closed) == len(sheet.figures):
        by = ", ".join(sorted({each.by for each in sheet.closed}))
        return f"{centres}Closed by {by}; as of {made}."
    over = "The month is over and not closed" if sheet.over else "The month runs"
    return f"{centres}{over}; as of {made}."


def alarms(sheet: Sheet) -> list[str]:
    """What makes every other figure wrong."""
    if not sheet.unpriced:
        return []
    share = sheet.unpriced / sheet.all_calls * 100 if sheet.all_calls else 0.0
    return [
        f"{sheet.unpriced:,} of {sheet.all_calls:,} calls ({share:.1f} %) have no known cost. Every figure here is too "
        "low by what they cost; declare a price on their target."
    ]


def cards(sheet: Sheet) -> list[Card]:
    money = Money(sheet.currency)
    most = sheet.most
    limit = Card(
        "The most this can cost in a month",
        "nothing limits it" if most.usd is None else money(most.usd),
        most.by if most.usd is None else f"Enforced before a provider is called, for all that callers and testers ask: "
        f"{most.by}. Beyond it come what calls under way write past their reserve, and evals, judges, load tests and "
        f"shadow calls, each under a permit with a cap of its own: {money(sheet.permitted)} in this month.",
        "bad" if most.usd is None else "",
    )  # fmt: skip
    return [
        limit,
        Card("Spent in this month" if sheet.over else "Spent so far", money(sheet.spent), _against(sheet, money)),
        _expected(sheet, money),
        Card(
            "Cost per resolved case",
            "unknown" if sheet.per_resolved is None else money(sheet.per_resolved, small=True),
            f"All that was spent, over {sheet.resolved:,} of {sheet.calls:,} live calls that ended with an answer of "
            "the workflow itself.",
        ),
        Card("Safety spend", money(sheet.safety_usd), _safety(sheet)),
    ]  # fmt: skip


def _against(sheet: Sheet, money: Money) -> str:
    if sheet.approved is None:
        return "No budget of a month is approved for all of it."
    share = sheet.spent / sheet.approved if sheet.approved else 0.0
    return f"{_share(share)} of the approved {money(sheet.approved)}."


def _expected(sheet: Sheet, money: Money) -> Card:
    head = "Expected for the month"
    if sheet.expected is None:
        return Card(head, "–", "The month is over." if sheet.over else "No full day was seen yet.")
    found = sheet.expected
    spread = f"80 % between {money(found.low)} and {money(found.high)}: {found.basis}"
    if found.assumption:
        spread += " (an assumption, not a forecast: under 7 days were seen)"
    mood = ""
    if sheet.approved is not None:
        over = found.point > sheet.approved
        mood = "bad" if over else "warn" if found.high > sheet.approved else "good"
        verdict = "over" if over else "inside, though the interval is not" if mood == "warn" else "inside"
        spread = f"{verdict} the approved {money(sheet.approved)}. {spread}"
    if sheet.most.usd is not None and found.point > sheet.most.usd:
        spread += f". The limit stops it at {money(sheet.most.usd)}"
    return Card(head, money(found.point), f"{spread[0].upper()}{spread[1:]}.", mood)


def _safety(sheet: Sheet) -> str:
    parts = "evals, load tests, shadow calls, testers, hedges."
    share = sheet.safety_usd / sheet.spent if sheet.spent > 0 else 0.0
    return f"{_share(share)} of what was spent: {parts}" if share else f"What it would be for: {parts}"


def _share(share: float) -> str:
    """Whole percents; what is something is never told as nothing."""
    return "under 1 %" if 0 < share < 0.01 else f"{max(share, 0.0) * 100:.0f} %"


def tables(sheet: Sheet) -> list[Table]:
    money = Money(sheet.currency)
    found = []
    if len(sheet.figures) > 1:
        found.append(_by_workflow(sheet.figures, money))
    found.append(_made_of(sheet, money))
    if sheet.prices:
        found.append(_prices(sheet, money))
    return found


def _by_workflow(figures: Sequence[Figures], money: Money) -> Table:
    rows = [
        (each.workflow, each.cost_centre, f"{each.calls:,}", f"{each.unpriced:,}", money(each.safety_usd),
         money(each.spent))
        for each in sorted(figures, key=lambda each: -each.spent)
    ]  # fmt: skip
    total = sum(each.spent for each in figures)
    rows.append(
        ("all", "", f"{sum(each.calls for each in figures):,}", f"{sum(each.unpriced for each in figures):,}",
         money(sum(each.safety_usd for each in figures)), money(total))
    )  # fmt: skip
    heads = ("workflow", "cost centre", "live calls", "unpriced", "safety", "spent")
    return Table("By workflow", heads, rows, frozenset({2, 3, 4, 5}), sums=True)


_CLASSES = {
    "eval": "evals and judges", "load": "load tests", "shadow": "shadow calls",
    "tester": "testers", "hedges": "of live calls: hedges",
}  # fmt: skip


def _made_of(sheet: Sheet, money: Money) -> Table:
    live = sum(each.live for each in sheet.figures)
    rows = [("live calls", f"{sheet.calls:,}", money(live), "")]
    for line in sheet.safety:
        calls = f"{line.calls:,.0f}" if line.calls else ""
        rows.append((_CLASSES.get(line.name, line.name), calls, money(line.usd), _unknown(line)))
    rows += [
        (f"correction of {correction.workflow}", "", money(correction.usd), f"{correction.reason} ({correction.by})")
        for correction in sheet.corrections
    ]
    rows.append(("spent", f"{sheet.all_calls:,}", money(sheet.spent), ""))
    return Table("What it was spent on", ("", "calls", "spent", ""), rows, frozenset({1, 2}), sums=True)


def _unknown(line: Line) -> str:
    return f"{line.unknown:,} without a known cost" if line.unknown else line.note if line.name != "hedges" else ""


def _prices(sheet: Sheet, money: Money) -> Table:
    spent: dict[str, float] = {}
    for each in sheet.figures:
        for line in each.targets:
            spent[line.name] = spent.get(line.name, 0.0) + (line.usd or 0.0)
    rows: list[tuple[str, ...]] = []
    for price in sheet.prices:
        costs = [money(value, small=True) for value in (price.input, price.output, price.cache_read)]
        source = "contract" if price.source == "declared" else price.source
        if price.discount and "less" not in source:
            source += f", less {price.discount * 100:g} %"
        rows.append((price.target, price.model, *costs, money(spent.get(price.target, 0.0)), source))
    heads = ("target", "model", "input", "output", "cached input", "spent", "price from")
    return Table("Prices now, a million tokens", heads, rows, frozenset({2, 3, 4, 5}))


def notes(sheet: Sheet) -> list[str]:
    money = Money(sheet.currency)
    found = [
        f"{name} was closed with another figure: the log now says {money(abs(usd))} {'more' if usd > 0 else 'less'}. "
        f"Book it with `roadworthy cost correct {sheet.month} {name} --usd … --reason …`, or find out why."
        for name, usd in sheet.differs.items()
    ]
    open_ones = len(sheet.figures) - len(sheet.closed)
    if sheet.closed and open_ones:
        found.append(f"{open_ones} of {len(sheet.figures)} workflows are not closed; their figures may still change.")
    return [*found, *sheet.notes, money.rate]


# --- as text


def html(sheet: Sheet, zone: tzinfo) -> str:
    """One page.  It loads and runs nothing."""
    head = _text(title(sheet))
    warned = "".join(f'<p class="note alarm">{_text(each)}</p>' for each in alarms(sheet))
    shown = "".join(
        f'<div class="card{" first" if not number else ""}">{_text(card.head)}<b class="{card.mood}">'
        f'{_text(card.figure)}</b><span class="dim">{_text(card.below)}</span></div>'
        for number, card in enumerate(cards(sheet))
    )
    body = "".join(_html_table(table) for table in tables(sheet))
    said = "".join(f'<p class="dim">{_text(each)}</p>' for each in notes(sheet))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{head}</title><style>{_STYLE}</style></head><body><h1>{head}</h1>"
        f'<p class="dim">{_text(status(sheet, zone))}</p>{warned}<div class="cards">{shown}</div>{_bar(sheet)}{body}'
        f"<h2>Notes</h2>{said}</body></html>\n"
    )


def _bar(sheet: Sheet) -> str:
    """What was spent, on the way to the limit, with a mark at the approved budget."""
    whole = max(filter(None, (sheet.most.usd, sheet.approved, sheet.spent)), default=0.0)
    if whole <= 0.0 or (sheet.most.usd is None and sheet.approved is None):
        return ""
    money = Money(sheet.currency)
    filled = max(0.0, min(1.0, sheet.spent / whole)) * 100
    mark = "" if sheet.approved is None else f'<u style="left:calc({sheet.approved / whole * 100:.4g}% - 2px)"></u>'
    label = f"{money(sheet.spent)} spent of {money(whole)}"
    said = f"{label}{'' if sheet.approved is None else f'; the mark is the approved {money(sheet.approved)}'}"
    return (
        f'<div class="bar" role="img" aria-label="{_text(label)}"><i style="width:{filled:.4g}%"></i>{mark}</div>'
        f'<p class="dim">{_text(said)}</p>'
    )


def _html_table(table: Table) -> str:
    def cell(tag: str, at: int, text: str) -> str:
        number = ' class="num"' if at in table.numbers else ""
        return f"<{tag}{number}>{_text(text)}</{tag}>"

    heads = "".join(cell("th", at, head) for at, head in enumerate(table.heads))
    rows = ""
    for number, row in enumerate(table.rows, 1):
        sums = ' class="sum"' if table.sums and number == len(table.rows) else ""
        rows += f"<tr{sums}>{''.join(cell('td', at, text) for at, text in enumerate(row))}</tr>"
    whole = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<h2>{_text(table.title)}</h2><div class="wide">{whole}</div>'


def markdown(sheet: Sheet, zone: tzinfo) -> str:
    lines = [f"# {_md(title(sheet))}", "", _md(status(sheet, zone)), ""]
    lines += [f"**{_md(each)}**\n" for each in alarms(sheet)]
    lines += [f"- **{_md(card.head)}: {_md(card.figure)}**. {_md(card.below)}" for card in cards(sheet)]
    for table in tables(sheet):
        rule = ["---:" if at in table.numbers else "---" for at in range(len(table.heads))]
        lines += ["", f"## {_md(table.title)}", "", _row(table.heads), _row(rule), *(_row(row) for row in table.rows)]
    lines += ["", "## Notes", "", *(f"- {_md(each)}" for each in notes(sheet)), ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell if set(cell) <= set('-:') and cell else _md(cell) for cell in cells)} |"


def _md(text: str) -> str:
    """Nothing in it is markup, a new line or another column."""
    flat = " ".join(text.split())
    for mark in "\\|*_<>[]#":
        flat = flat.replace(mark, f"\\{mark}")
    return flat


def _text(text: str) -> str:
    return escape(" ".join(text.split()))
