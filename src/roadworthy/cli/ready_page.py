"""The readiness of a workflow as one HTML page."""

from __future__ import annotations

from datetime import tzinfo
from html import escape
from typing import Any

from roadworthy.cli import ready_words as say
from roadworthy.cli import words
from roadworthy.cli.html_page import document
from roadworthy.cli.ready_words import Facts
from roadworthy.cli.terminal import line

_STYLE = """
.note{border-left:4px solid var(--INSUFFICIENT);background:var(--box);padding:.5rem .8rem;margin:.5rem 0}
.bar{width:100%;height:.7rem;background:var(--box);border-radius:4px;overflow:hidden;margin:.6rem 0}
.bar i{display:block;height:100%;background:var(--PASS)}
th,.num{white-space:nowrap}
td b{white-space:nowrap}
@media(max-width:46rem){table,tbody,tr,td{display:block;width:100%}thead{display:none}
tr{border-bottom:1px solid var(--line);padding:.6rem 0}td{border:0;padding:.1rem 0}
td[data-h]::before{content:attr(data-h) ": ";color:var(--dim)}td.none{display:none}
td.first{float:left;width:auto;padding-right:.5rem}}
"""


def page(report: Facts, zone: tzinfo, now: float) -> str:
    word = "PASS" if report["label"] == "production" else "INSUFFICIENT"
    notes = "".join(f'<p class="note">{_text(note)}</p>' for note in say.notes(report))
    share = max(0.0, min(1.0, float(report["ceiling"])))
    following = report.get("next")
    after = f"<p>Next: <code>{_text(following['command'])}</code></p>" if following else ""
    body = (
        f'<p class="sum {word}">{_text(report["label"])}: {_text(say.ceiling(report))}</p>'
        f'<div class="bar" role="img" aria-label="ceiling {words.share(share)}">'
        f'<i style="width:{share * 100:.4g}%"></i></div>'
        f"<p>By {_text(report['why'])}.</p>{notes}"
        f'<p class="dim">{_text(say.release(report))}. As of {say.date(now, zone)}; '
        f"{report['minutes']:.0f} minutes of people a month.</p>"
        f"<h2>Ten items</h2>{_items(report, zone, now)}"
        f"<h2>Way to production</h2>{_steps(report, zone)}{after}"
    )
    return document(f"Readiness of {report['workflow']}", body, _STYLE)


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
