"""A load test as one HTML page: plots drawn here as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from roadworthy.cli import load_view as view
from roadworthy.cli.html_page import document
from roadworthy.cli.html_page import text as _text
from roadworthy.cli.words import dollars, plural, seconds, share
from roadworthy.operations.loading import words

Facts = Mapping[str, Any]
Point = tuple[float, float]

_STYLE = """
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.8rem;margin:1rem 0}
.tile{background:var(--box);border-radius:6px;padding:.7rem .9rem}
.tile b{display:block;font-size:1.5rem;line-height:1.3}
.tile span{color:var(--dim);font-size:.85rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(30rem,100%),1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600;margin-bottom:.2rem}svg{width:100%;height:auto;display:block}
svg text{font:11px system-ui,sans-serif;fill:var(--dim)}.grid{stroke:var(--line);stroke-width:1}
.key{font-size:.85rem;color:var(--dim)}.key i{display:inline-block;width:.9rem;height:.2rem;vertical-align:middle;
margin:0 .3rem 0 .8rem}
.stack{display:flex;height:1.4rem;border-radius:4px;overflow:hidden;background:var(--box)}
.stack i{display:block;height:100%}
td.n,th.n{text-align:right;white-space:nowrap}ul{padding-left:1.2rem;margin:.3rem 0}
"""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560.0, 230.0, 54.0, 10.0, 10.0, 26.0
COLOURS = {"queue": "var(--c)", "provider": "var(--a)", "checks": "var(--b)", "overhead": "var(--d)"}


def page(run: Facts, before: Facts | None, now: float) -> str:
    """``run`` as the admin API tells it; ``before``: the test that it is compared with."""
    body = f"{_summary(run, now)}{_result(run, before)}{_plan(run['plan'])}"
    return document(f"Load test of {run['workflow']}", body, _STYLE)


def _summary(run: Facts, now: float) -> str:
    found, plan = run.get("came"), run["plan"]
    began = datetime.fromtimestamp(run["began"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    made = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    about = f"Release {plan['number']} ({run['digest'][:16]}), {view.against(plan)}, by {run['by']}, {began}."
    if found is None:
        state = run.get("state", "running")
        return f'<p class="sum">{_text(state)}: {_text(run.get("detail", ""))}</p><p class="dim">{_text(about)}</p>'
    rest = "".join(f"<p>{_text(why)}</p>" for why in found["why"][1:])
    judged = f"<p>Readiness, item 1: {_text(found['judged'])}</p>" if found.get("judged") else ""
    return (
        f'<p class="sum {found["verdict"]}">{found["verdict"]}: {_text(found["why"][0])}</p>{rest}{judged}'
        f'<p class="dim">{_text(about)} Test {_text(run["id"])}; page made {made}.</p>'
    )


def _result(run: Facts, before: Facts | None) -> str:
    found = run.get("came")
    if found is None:
        return ""
    parts = [
        _tiles(found),
        _plots(found),
        _limit(found),
        _where(found),
        _compared(run, before),
        _fit(found),
        _kill(found),
    ]
    return "".join(parts)


def _tiles(found: Facts) -> str:
    tiles = []
    for figure in found.get("figures", ()):
        ratio, passes = figure["ratio"], figure["passes"]
        word = "" if passes is None else "PASS" if passes else "FAIL"
        value = "not known" if ratio is None else f"{ratio['value']:.2f}"
        bounds = "" if ratio is None else f" [{ratio['lower']:.2f}, {ratio['upper']:.2f}]"
        tiles.append(_tile(value, f"{figure['name']}, at most {figure['most']:g}{bounds}", word))
    measured = found.get("measured")
    if measured is not None:
        sent = measured["sent"]
        tiles.append(_tile(f"{sent:,}", f"calls at {view.rate(measured['rate'])} for {seconds(measured['seconds'])}"))
        lost = measured["errors"] + measured.get("fell_back", 0) + measured["dropped"]
        tiles.append(
            _tile(
                share(lost / max(measured["planned"], 1)),
                f"without a model's answer: {lost:,} of {measured['planned']:,}",
            )
        )
        for name, key in (("whole answer", "whole"), ("first token", "first_token")):
            if measured.get(key):
                clock = measured[key]
                said = f"p99 of the {name}; p50 {seconds(clock['p50']['value'])}, p95 {seconds(clock['p95']['value'])}"
                tiles.append(_tile(seconds(clock["p99"]["value"]), said))
        if measured.get("goodput") is not None:
            tiles.append(_tile(view.rate(measured["goodput"]), "goodput within the objective"))
        if measured.get("usd") is not None:
            tiles.append(
                _tile(dollars(measured["usd"]), "at the real price, not spent" if found.get("fit") else "spent")
            )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(value: str, said: str, word: str = "") -> str:
    return f'<div class="tile"><b class="{word}">{_text(value)}</b><span>{_text(said)}</span></div>'


# --- plots


def _plots(found: Facts) -> str:
    slots: Sequence[Facts] = found.get("slots") or ()
    if not slots:
        return ""

    def of(key: str, scale: Callable[[Facts], float] = lambda slot: 1.0) -> list[Point]:
        return [(slot["at"], slot[key] * scale(slot)) for slot in slots if slot.get(key) is not None]

    def a_second(slot: Facts) -> float:
        return 1.0 / float(slot["seconds"])

    objective = found.get("objective", {})
    lines = [("p99", "var(--b)", of("p99")), ("p95", "var(--c)", of("p95")), ("p50", "var(--a)", of("p50"))]
    level = objective.get("p95")
    drawn = [
        _plot("Latency from the intended start, s", lines, level=level, level_name="objective p95"),
        _plot("Time to the first token, s",
              [("p99", "var(--b)", of("first_p99")), ("p50", "var(--a)", of("first_p50"))]),
        _plot("Calls a second by their intended start",
              [("started", "var(--d)", of("started", a_second)), ("good", "var(--a)", of("good", a_second)),
               ("errors", "var(--FAIL)", of("errors", a_second)), ("dropped", "var(--c)", of("dropped", a_second))]),
        _plot("Calls under way", [("under way", "var(--a)", of("under_way"))]),
        _spread(found),
    ]  # fmt: skip
    return f'<h2>Over the test</h2><div class="plots">{"".join(drawn)}</div>'


def _spread(found: Facts) -> str:
    named = [("whole answer", "var(--a)", "spread"), ("first token", "var(--b)", "first_spread")]
    lines = [
        (name, colour, [(at, share_) for share_, at in found[key]]) for name, colour, key in named if found.get(key)
    ]
    return _plot("Share of the calls that took at most so long", lines, x_unit=" s", percent=True) if lines else ""


def _plot(
    title: str, lines: Sequence[tuple[str, str, Sequence[Point]]], *, level: float | None = None, level_name: str = "",
    x_unit: str = " s", percent: bool = False,
) -> str:  # fmt: skip
    """Lines over one axis; a series that is nothing but zeros is left out."""
    shown = [(name, colour, points) for name, colour, points in lines if any(y for _, y in points)]
    if not shown:
        return ""
    every = [point for _, _, points in shown for point in points]
    x_most = _round_up(max(x for x, _ in every)) if percent else max(x for x, _ in every) or 1.0
    y_most = 1.0 if percent else _round_up(max([y for _, y in every] + ([level] if level else [])) or 1.0)

    def at(x: float, y: float) -> str:
        across = LEFT + (WIDTH - LEFT - RIGHT) * x / x_most
        return f"{across:.1f},{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(y, y_most) / y_most:.1f}"

    drawn = [_axes(x_most, y_most, x_unit, percent)]
    if level:
        begin, end = at(0, level), at(x_most, level)
        drawn.append(_stroke(f"{begin} {end}", "var(--PASS)", dashed=True))
    for _, colour, points in shown:
        drawn.append(_stroke(" ".join(at(x, y) for x, y in points), colour))
    names = [(name, colour) for name, colour, _ in shown] + ([(level_name, "var(--PASS)")] if level else [])
    key = "".join(f'<i style="background:{colour}"></i>{_text(name)}' for name, colour in names)
    return (
        f"<figure><figcaption>{_text(title)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{_text(title)}">{"".join(drawn)}</svg>'
        f'<div class="key">{key}</div></figure>'
    )


def _axes(x_most: float, y_most: float, x_unit: str, percent: bool) -> str:
    parts = []
    for step in range(5):
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * step / 4
        said = f"{25 * step} %" if percent else _number(y_most * step / 4)
        parts.append(f'<line class="grid" x1="{LEFT:.0f}" y1="{y:.1f}" x2="{WIDTH - RIGHT:.0f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6:.0f}" y="{y + 4:.1f}" text-anchor="end">{said}</text>')
    for step in range(5):
        x = LEFT + (WIDTH - LEFT - RIGHT) * step / 4
        anchor = "start" if step == 0 else "end" if step == 4 else "middle"
        said = f"{_number(x_most * step / 4)}{x_unit}"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8:.0f}" text-anchor="{anchor}">{said}</text>')
    return "".join(parts)


def _stroke(points: str, colour: str, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<polyline points="{points}" fill="none" style="stroke:{colour}" stroke-width="1.6" '
        f'stroke-linejoin="round"{dashes}/>'
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 4, 5, 8 and 10 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((step * power for step in (1, 2, 2.5, 4, 5, 8) if step * power >= value * 0.9999), 10 * power)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


# --- the rest


def _limit(found: Facts) -> str:
    limit = found.get("limit")
    if limit is None:
        return ""
    rows = [
        [view.rate(step["rate"]), seconds(step["seconds"]), "held" if step["held"] else step["why"],
         seconds(step["p50"]), seconds(step["p99"]), share(step["error_share"])]
        for step in limit["steps"]
    ]  # fmt: skip
    return "<h2>The search</h2>" + _table(["rate", "for", "came to", "p50", "p99", "errors"], rows)


def _where(found: Facts) -> str:
    parts = found.get("parts") or ()
    if not parts:
        return ""
    bars = "".join(
        f'<i style="width:{100 * part["share"]:.3f}%;background:{COLOURS[part["name"]]}"></i>' for part in parts
    )
    key = "".join(
        f'<i style="background:{COLOURS[part["name"]]}"></i>{part["name"]} {share(part["share"])} '
        f"(p50 {seconds(part['p50'])}, p99 {seconds(part['p99'])})"
        for part in parts
    )
    helps = "".join(f"<li>{_text(text)}</li>" for text in found.get("helps", ()))
    would = f"<h2>What would help</h2><ul>{helps}</ul>" if helps else ""
    return f'<h2>Where the time went</h2><div class="stack">{bars}</div><div class="key">{key}</div>{would}'


def _compared(run: Facts, before: Facts | None) -> str:
    rows = words.compared(run, before)
    if before is None or not rows:
        return ""
    return f"<h2>Against the last test</h2>{_table(['', before['id'], run['id'], ''], rows)}"


def _fit(found: Facts) -> str:
    fit = found.get("fit")
    if fit is None:
        return ""
    rows = [
        [one["clock"], f"{one['distance']:.3f}", f"{one['allowed']:.3f}", str(one["simulated"]), str(one["live"]),
         seconds(one["simulated_p50"]), seconds(one["live_p50"])]
        for one in fit.get("distances", ())
    ]  # fmt: skip
    head = ["clock", "distance", "at most", "simulated", "live", "p50 simulated", "p50 live"]
    calls = plural(fit["calls"], "recorded call")
    why = f'<p class="INSUFFICIENT">{_text(fit["why"])}</p>' if fit.get("why") else ""
    return (
        f"<h2>The fit</h2><p>Simulated from {calls} of class {_text(fit['traffic'])}; two-sample Kolmogorov distance "
        f"from {plural(fit.get('probe', 0), 'live probe call')}.</p>{why}{_table(head, rows) if rows else ''}"
    )


def _kill(found: Facts) -> str:
    kill = found.get("kill")
    if kill is None:
        return ""
    late = f", {plural(kill['late'], 'attempt')} after the acknowledgement" if kill.get("late") else ""
    took = view.pressed(kill)
    return f"<h2>The kill switch under load</h2><p>{_text(took + late)}. Pressed: {_text(kill['said'])}.</p>"


def _plan(plan: Facts) -> str:
    lines = "".join(f"<li>{_text(text.strip())}</li>" for text in list(view.preflight(plan))[1:])
    return f"<h2>As it was planned</h2><ul>{lines}</ul>"


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    made = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{made}</tr></thead><tbody>{body}</tbody></table>"
