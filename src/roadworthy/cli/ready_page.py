"""The readiness of a workflow as one HTML page: no script, nothing fetched, text of others escaped."""

from __future__ import annotations

from datetime import tzinfo
from html import escape
from typing import Any

from roadworthy.cli import ready_words as say
from roadworthy.cli import words
from roadworthy.cli.ready_words import Facts
from roadworthy.cli.terminal import line

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--dim:#5f6368;--line:#d5d8dc;--paper:#fff;--box:#f4f5f7;
--PASS:#0a6b2d;--FAIL:#b00020;--INSUFFICIENT:#8a5a00}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--dim:#9aa0a6;--line:#3c4043;--paper:#17181a;--box:#232528;
--PASS:#6fd58b;--FAIL:#ff8a90;--INSUFFICIENT:#f2c14e}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;max-width:74rem;margin:0 auto;padding:1.5rem 1rem 3rem;
color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.dim{color:var(--dim)}.sum{font-size:1.15rem;font-weight:600;margin:.2rem 0}
.note{border-left:4px solid var(--INSUFFICIENT);background:var(--box);padding:.5rem .8rem;margin:.5rem 0}
.PASS{color:var(--PASS)}.FAIL{color:var(--FAIL)}.INSUFFICIENT{color:var(--INSUFFICIENT)}
.bar{width:100%;height:.7rem;background:var(--box);border-radius:4px;overflow:hidden;margin:.6rem 0}
.bar i{display:block;height:100%;background:var(--PASS)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.45rem .6rem .45rem 0;
border-bottom:1px solid var(--line)}th,.num{white-space:nowrap}th{color:var(--dim);font-weight:600;font-size:.85rem}
td b{white-space:nowrap}code{font:13px/1.4 ui-monospace,monospace}
@media(max-width:46rem){table,tbody,tr,td{display:block;width:100%}thead{display:none}
tr{border-bottom:1px solid var(--line);padding:.6rem 0}td{border:0;padding:.1rem 0}
td[data-h]::before{content:attr(data-h) ": ";color:var(--dim)}td.none{display:none}
td.first{float:left;width:auto;padding-right:.5rem}}
""".replace("\n", "")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Should anything ever get through: it may load nothing and run nothing."""


def page(report: Facts, zone: tzinfo, now: float) -> str:
    title = _text(f"Readiness of {report['workflow']}")
    word = "PASS" if report["label"] == "production" else "INSUFFICIENT"
    notes = "".join(f'<p class="note">{_text(note)}</p>' for note in say.notes(report))
    share = max(0.0, min(1.0, float(report["ceiling"])))
    following = report.get("next")
    after = f"<p>Next: <code>{_text(following['command'])}</code></p>" if following else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="sum {word}">{_text(report["label"])}: {_text(say.ceiling(report))}</p>'
        f'<div class="bar" role="img" aria-label="ceiling {words.share(share)}">'
        f'<i style="width:{share * 100:.4g}%"></i></div>'
        f"<p>By {_text(report['why'])}.</p>{notes}"
        f'<p class="dim">{_text(say.release(report))}. As of {say.date(now, zone)}; '
        f"{report['minutes']:.0f} minutes of people a month.</p>"
        f"<h2>Ten items</h2>{_items(report, zone, now)}"
        f"<h2>Way to production</h2>{_steps(report, zone)}{after}</body></html>\n"
    )


def _items(report: Facts, zone: tzinfo, now: float) -> str:
    rows = "".join(
        f'<tr><td class="num first">{int(item["number"])}</td><td>{_text(item["name"])}</td>'
        f'<td><b class="{_word(item["verdict"])}">{_text(say.standing(item))}</b></td>'
        f"<td>{_text(item['figure'])}</td>"
        f"{_when('shown', say.shown(item, now))}{_when('lapses', say.lapses(item, zone, now))}"
        f'<td class="num" data-h="allows">{words.share(item["cap"])}</td>'
        f'<td data-h="renewed by"><code>{_text(say.renewal(item))}</code></td>'
        f'<td class="num" data-h="minutes a month">{item["minutes"]:g}</td></tr>'
        for item in report["items"]
    )
    heads = ("", "item", "verdict", "figure", "shown", "lapses", "allows", "renewed by", "min")
    return (
        f"<table><thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _steps(report: Facts, zone: tzinfo) -> str:
    rows = []
    for number, row in enumerate(report["sequence"], 1):
        when, command = say.step(row, zone)
        reached = "PASS" if row.get("reached_at") is not None else ""
        told = f"<code>{_text(command)}</code>" if command else ""
        rows.append(
            f'<tr><td class="num first">{number}</td><td><b class="{reached}">{_text(row["name"])}</b>'
            f' <span class="dim">{_text(row["means"])}</span></td>'
            f"{_when('', when)}<td>{told}</td></tr>"
        )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _when(head: str, text: str) -> str:
    """A cell that is left out on a narrow screen where nothing is known."""
    label = f' data-h="{head}"' if head else ""
    return f'<td class="num{" none" if text == say.EMPTY else ""}"{label}>{_text(text)}</td>'


def _word(verdict: Any) -> str:
    """As a class: one of ours, or none."""
    return str(verdict) if verdict in ("PASS", "FAIL", "INSUFFICIENT") else ""


def _text(text: Any) -> str:
    return escape(line(str(text)))
