"""A run of drills as one HTML page, on which what models wrote can do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from roadworthy.cli.drill_view import asked, left_out
from roadworthy.cli.html_page import document
from roadworthy.cli.html_page import text as _text
from roadworthy.cli.words import plural
from roadworthy.operations.drills.words import wires

Result = Mapping[str, Any]

LONGEST_TEXT = 4000
"""Characters of one message that are shown."""

_STYLE = """
h2::first-letter{text-transform:uppercase}
details{border-bottom:1px solid var(--line)}
summary{display:flex;flex-wrap:wrap;gap:.1rem .8rem;padding:.45rem .1rem;cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}summary:hover{background:var(--box)}
summary b{min-width:2.8rem}.name{flex:1 1 15rem}.name i{font-style:normal;color:var(--dim)}
.fact{min-width:5.2rem;text-align:right}
.open{padding:.2rem 0 1rem}.open p{margin:.3rem 0}.open ul{margin:.3rem 0;padding-left:1.2rem}
h3{font-size:.85rem;margin:.7rem 0 .2rem;color:var(--dim);font-weight:600}
pre{font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;
background:var(--box);padding:.6rem;margin:0;max-height:22rem;overflow:auto;border-radius:4px}
@media(max-width:40rem){.name{flex-basis:70%}.fact{min-width:0;text-align:left}summary b{min-width:0}}
"""

_UNSEEN: dict[str, Any] = {
    "asked": [], "outcome": None, "status": 0, "seconds": 0.0, "attempts": 0, "told": None, "text": "",
}  # fmt: skip


def page(run: Mapping[str, Any], now: float) -> str:
    """The verdicts by row of the catalogue, and behind each what the customer said and read.  Misses stand open."""
    drilled = [result for result in run["results"] if result["verdict"] != "SKIPPED"]
    passed = sum(result["verdict"] == "PASS" for result in drilled)
    made = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    verdict = "PASS" if passed == len(drilled) and run["state"] == "done" else "FAIL"
    ended = "" if run["state"] == "done" else f", {run['state']}: {run['detail']}"
    rows = "".join(
        f"<h2>{_text(row)}</h2>{''.join(map(_drill, results))}"
        for row, results in groupby(drilled, key=lambda result: result["row"])
    )
    body = (
        f'<p class="sum {verdict}">{passed} of {len(drilled)} passed</p>'
        f'<p class="dim">Run {_text(run["id"])} of release <code>{_text(run["digest"][:16])}</code>{_text(ended)}. '
        f"Page made {made}. A line opens to what the customer said and read. "
        f"{_text(wires(run.get('wire')))}</p>{rows}{_rest(run)}"
    )
    return document(f"Drills of {run['workflow']}", body, _STYLE)


def _rest(run: Mapping[str, Any]) -> str:
    found = left_out(run["results"])
    if not found:
        return ""
    items = "".join(f"<li>{_text(', '.join(faults))}: {_text(why)}</li>" for why, faults in found.items())
    return f"<h2>Means nothing for this workflow</h2><ul>{items}</ul>"


def _drill(result: Result) -> str:
    seen = result["seen"] or _UNSEEN
    verdict, told = result["verdict"], seen["told"] or "none"
    facts = [
        seen["outcome"] or "no answer", f"{seen['seconds']:.2f} s", plural(seen["attempts"], "attempt"),
        "" if told == "none" else told,
    ]  # fmt: skip
    shown = "".join(f'<span class="fact">{_text(fact)}</span>' for fact in facts)
    return (
        f"<details{' open' if verdict == 'FAIL' else ''}><summary><b class={verdict}>{verdict}</b>"
        f'<span class="name">{_text(result["fault"])} <i>{asked(result)}</i></span>{shown}</summary>'
        f'<div class="open">{_inside(result, seen)}</div></details>'
    )


def _inside(result: Result, seen: Mapping[str, Any]) -> str:
    must = result["expected"]
    misses = "".join(f"<li>{_text(miss)}</li>" for miss in result["misses"])
    limits = "" if must is None else f" At most {must['wait']:.1f} s and {plural(must['attempts'], 'attempt')}."
    said = "".join(
        f"<h3>{_text(message.get('role'))}</h3><pre>{_cut(message.get('content'))}</pre>" for message in seen["asked"]
    )
    return (
        f'<p>{_text(result["says"])}</p><p class="dim">Guard: {_text(result["guard"])}.{limits}</p>'
        f"{f'<ul class=FAIL>{misses}</ul>' if misses else ''}{said}"
        f"<h3>the customer reads (HTTP {seen['status']})</h3><pre>{_cut(seen['text'])}</pre>"
    )


def _cut(value: object) -> str:
    text = str(value)
    more = len(text) - LONGEST_TEXT
    return _text(text) if more <= 0 else f"{_text(text[:LONGEST_TEXT])}…\n({more:,} further characters)"
