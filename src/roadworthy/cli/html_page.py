"""Reports as one HTML page: no script, nothing fetched, dark and light, text of others escaped."""

from __future__ import annotations

from html import escape

from roadworthy.cli.terminal import clean

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--dim:#5f6368;--line:#d5d8dc;--paper:#fff;--box:#f4f5f7;
--PASS:#0a6b2d;--FAIL:#b00020;--INSUFFICIENT:#8a5a00;--a:#1f6fb2;--b:#c2570c;--c:#6a3fa0;--d:#7a7f85}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--dim:#9aa0a6;--line:#3c4043;--paper:#17181a;--box:#232528;
--PASS:#6fd58b;--FAIL:#ff8a90;--INSUFFICIENT:#f2c14e;--a:#6cb2f0;--b:#f0a05a;--c:#b99af0;--d:#9aa0a6}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;max-width:74rem;margin:0 auto;padding:1.5rem 1rem 3rem;
color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .4rem}
.dim{color:var(--dim)}.sum{font-size:1.2rem;font-weight:600;margin:.3rem 0}
.PASS{color:var(--PASS)}.FAIL{color:var(--FAIL)}.INSUFFICIENT{color:var(--INSUFFICIENT)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4rem .7rem .4rem 0;
border-bottom:1px solid var(--line)}th{color:var(--dim);font-weight:600;font-size:.85rem}
code{font:13px/1.4 ui-monospace,monospace}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Should anything ever get through: it may load nothing and run nothing."""


def document(title: str, body: str, style: str = "") -> str:
    """``title``: text; ``body``: HTML, in which text of others went through ``text``; ``style``: rules of this report
    alone."""
    rules = (_STYLE + style).replace("\n", "")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{rules}</style></head><body><h1>{text(title)}</h1>{body}</body></html>\n"
    )


def text(value: object) -> str:
    """Text of others: no markup, no character that acts."""
    return escape(clean(str(value)))
