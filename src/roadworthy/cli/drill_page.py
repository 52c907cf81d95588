"""A run of drills as one HTML page: no script, nothing fetched, and what models wrote can do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from typing import Any

from roadworthy.cli.drill_view import asked, left_out
from roadworthy.cli.terminal import clean
from roadworthy.cli.words import plural

Result = Mapping[str, Any]

LONGEST_TEXT = 4000
"""Characters of one message that are shown."""

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--dim:#5f6368;--line:#d5d8dc;--paper:#fff;--box:#f4f5f7;
--good:#0a6b2d;--bad:#b00020}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--dim:#9aa0a6;--line:#3c4043;--paper:#17181a;--box:#232528;
--good:#6fd58b;--bad:#ff8a90}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:1.5rem 1rem 3rem;
color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.05rem;margin:2rem 0 .3rem}h2::first-letter{text-transform:uppercase}
.dim{color:var(--dim)}.PASS{color:var(--good)}.FAIL{color:var(--bad)}.sum{font-size:1.15rem;font-weight:600}
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
""".replace("\n", "")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Should anything ever get through: it may load nothing and run nothing."""

_UNSEEN: dict[str, Any] = {
    "asked": [], "outcome": None, "status": 0, "seconds": 0.0, "attempts": 0, "told": None, "text": "",
}  # fmt: skip


def page(run: Mapping[str, Any], now: float) -> str:
    """The verdicts by row of the catalogue, and behind each what the customer said and read.  Misses stand open."""
    drilled = [result for result in run["results"] if result["verdict"] != "SKIPPED"]
    passed = sum(result["verdict"] == "PASS" for result in drilled)
    made = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    title = _text(f"Drills of {run['workflow']}")
    verdict = "PASS" if passed == len(drilled) and run["state"] == "done" else "FAIL"
    ended = "" if run["state"] == "done" else f", {run['state']}: {run['detail']}"
    rows = "".join(
        f"<h2>{_text(row)}</h2>{''.join(map(_drill, results))}"
        for row, results in groupby(drilled, key=lambda result: result["row"])
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="sum {verdict}">{passed} of {len(drilled)} passed</p>'
        f'<p class="dim">Run {_text(run["id"])} of release <code>{_text(run["digest"][:16])}</code>{_text(ended)}. '
        f"Page made {made}. A line opens to what the customer said and read.</p>"
        f"{rows}{_rest(run)}</body></html>\n"
    )


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


def _text(value: object) -> str:
    """Text of others: no markup, no character that acts."""
    return escape(clean(str(value)))
