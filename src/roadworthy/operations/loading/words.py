"""A load test in words: what it would do, where it is, what it came to.  Pure.

Takes tests as the admin API tells them, so that the command line and the console say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from roadworthy.operations.leasing import LEASE
from roadworthy.workflow.words import UNKNOWN, count, dollars, plural, seconds, share

Facts = Mapping[str, Any]

PER = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "m": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
KINDS = {"live": "against the real target", "rehearsal": "rehearsed in a copy", "limit": "search for the limit"}


def rate(value: float | None) -> str:
    """Calls a second: ``20/s``, ``0.25/s``."""
    return UNKNOWN if value is None else f"{value:.3g}/s"


def rate_of(text: str) -> float:
    """Calls a second of ``20/s``, ``90/min``, ``300/h`` or a number.  Raises ``ValueError``, which says how."""
    number, sign, unit = text.partition("/")
    try:
        found = float(number) / PER[unit.strip() if sign else "s"]
    except (ValueError, KeyError):
        raise ValueError(f"{text!r} is no rate: give for example 20/s, 90/min or 300/h") from None
    if not 0 < found < float("inf"):
        raise ValueError(f"{text!r} is no rate above 0")
    return found


def span(value: float) -> str:
    """A planned duration: ``60 s``, ``1 h``, ``10 min``."""
    for length, unit in ((3600, "h"), (60, "min")):
        if value >= length and value % length == 0:
            return f"{value / length:.0f} {unit}"
    return f"{value:g} s"


def against(plan: Facts) -> str:
    """What answers the calls of the test."""
    simulated = plan["kind"] == "live" and plan["provider"].startswith("simulated")
    return "against a simulated target" if simulated else KINDS[plan["kind"]]


def preflight(plan: Facts, *, leased: bool = False) -> Iterator[tuple[str, str]]:
    """(what, in words): everything that is said before the first call, but for the title.  ``leased``: it stops when
    nobody looks."""
    peak = plan.get("peak")
    yield "peak", peak["said"] if peak else "not known"
    if plan["kind"] == "limit":
        yield "search", f"doubles the rate until the objective is missed, {span(plan['seconds'])} a step or more"
    else:
        times = "" if plan["shape"] == "replay" else f" = {plan['factor']:g} × peak"
        yield "rate", f"{rate(plan['rate'])}{times}, {plan['shape']}, for {span(plan['seconds'])}"
    at_most = "at most " if plan["kind"] == "limit" else "about "
    yield "calls", f"{at_most}{plan['calls']:,}, of them {plan['live_calls']:,} to {plan['target']}"
    each = plan["per_call"]
    yield "tokens", f"{count(plan['input_tokens'])} in, {count(plan['output_tokens'])} out ({each['said']})"
    yield "cost", f"{cost(plan)}; stops at {dollars(plan['max_usd'])}"
    yield "asks", plan["bodies_from"]
    for room in plan["headroom"]:
        granted = "no limit declared" if room["granted"] is None else f"{room['granted']:,.0f} granted"
        refused = f", {share(room['refused'])} refused" if room["refused"] >= 0.001 else ""
        yield (
            "headroom",
            f"{room['what']} of {room['target']}: {room['wanted']:,.0f} wanted, {room['live']:,.0f} live, "
            f"{granted}{refused}",
        )
    yield "429s", f"{share(plan['predicted_429'])} of the calls, foretold from those limits"
    for text in plan.get("does", ()):
        yield "it", text
    gone = [f"nobody looks at it for {LEASE:g} s (its command ends, or control does)"] if leased else []
    yield "it stops", "when " + "; when ".join([*plan.get("stops", ()), *gone])
    yield "proves", plan["proves"]
    for text in plan.get("warnings", ()):
        yield "WARNING", text


def cost(plan: Facts) -> str:
    """Foretold, with its interval."""
    if plan["usd"] is None:
        return "unknown"
    if not plan["usd_upper"]:
        return "nothing"
    return f"{dollars(plan['usd'])} ({dollars(plan['usd_lower'])} to {dollars(plan['usd_upper'])})"


def progress(now: Facts) -> str:
    """Where it is, on one line."""
    if now.get("said"):
        return str(now["said"])
    parts = [
        f"{now.get('phase', '')} {now.get('seconds', 0.0):.0f} of {now.get('of', 0.0):.0f} s",
        f"{now.get('ended', 0):,} calls at {rate(now.get('rate'))}",
        f"{now.get('under_way', 0)} under way",
        f"p50 {seconds(now.get('p50'))}", f"p95 {seconds(now.get('p95'))}",
    ]  # fmt: skip
    if now.get("first_token") is not None:
        parts.append(f"first token {seconds(now['first_token'])}")
    parts += [f"{now[word]:,} {word}" for word in ("errors", "dropped") if now.get(word)]
    parts.append(dollars(now.get("usd", 0.0)))
    return ", ".join(parts)


def step(found: Facts) -> str:
    """One rate of a search."""
    word = "held" if found["held"] else f"did not hold: {found['why']}"
    return f"{rate(found['rate'])} for {span(round(found['seconds']))}: {word} (p50 {seconds(found['p50'])}, p99 " + (
        f"{seconds(found['p99'])}, errors {share(found['error_share'])})"
    )


def result(run: Facts, before: Facts | None) -> Iterator[str]:
    """A line each, what belongs to the one before further in."""
    found = run["came"]
    yield f"{found['verdict']}: {found['why'][0]}"
    for text in found["why"][1:]:
        yield f"  {text}"
    measured = found.get("measured")
    if measured is not None:
        yield from _measured(measured, found)
    fit = found.get("fit")
    if fit is not None:
        probed = plural(fit.get("probe", 0), "live probe call")
        yield f"  fit: {fit['calls']:,} recorded {fit['traffic']} calls, {probed}"
        for one in fit.get("distances", ()):
            yield (
                f"    {one['clock']}: distance {one['distance']:.2f}, at most {one['allowed']:.2f} at this size "
                f"(p50 {seconds(one['simulated_p50'])} simulated, {seconds(one['live_p50'])} live)"
            )
    kill = found.get("kill")
    if kill is not None:
        took = pressed(kill)
        late = f", {plural(kill['late'], 'attempt')} after the acknowledgement" if kill.get("late") else ""
        yield f"  kill switch: {took}{late}; pressed: {kill['said']}"
    if before is not None and before.get("came") and measured is not None:
        yield from _compared(measured, before)


def pressed(kill: Facts) -> str:
    """How long attempts went on after the press."""
    if kill["seconds"] is None:
        return "not measured"
    last = (
        f"last attempt {seconds(kill['seconds'])} after the press" if kill["seconds"] else "no attempt after the press"
    )
    told = kill.get("acknowledged")
    return last if told is None else f"{last}, every gateway had confirmed after {seconds(told)}"


def _measured(measured: Facts, found: Facts) -> Iterator[str]:
    lost = measured["errors"]
    yield (
        f"  {measured['sent']:,} calls at {rate(measured['rate'])} for {seconds(measured['seconds'])}: "
        f"{measured['answered']:,} answered by the model, {lost:,} errors, {measured.get('fell_back', 0):,} fell back, "
        f"{measured['dropped']:,} never started"
    )
    for name, key in (("whole answer", "whole"), ("first token", "first_token"), ("between tokens", "between")):
        clock = measured.get(key)
        if clock is not None:
            yield f"  {name}: " + ", ".join(f"{p} {_bounded(clock[p], seconds)}" for p in ("p50", "p95", "p99"))
    for figure in found.get("figures", ()):
        ratio = figure["ratio"]
        value = "not known" if ratio is None else f"{ratio['value']:.2f} [{ratio['lower']:.2f}, {ratio['upper']:.2f}]"
        yield f"  {figure['name']}: {value}, {figure['most']:g} at most"
    if measured.get("goodput") is not None:
        yield f"  goodput within the objective: {rate(measured['goodput'])}"
    if measured.get("usd") is not None:
        meant = " at the real target's price; nothing of it was spent" if found.get("fit") else ""
        yield f"  cost: {dollars(measured['usd'])}{meant}"


def _compared(measured: Facts, before: Facts) -> Iterator[str]:
    then = before["came"].get("measured")
    if not then or not then.get("whole") or not measured.get("whole"):
        return
    parts = []
    for name in ("p50", "p95", "p99"):
        was, now = then["whole"][name], measured["whole"][name]
        apart = now["lower"] > was["upper"] or now["upper"] < was["lower"]
        word = ("slower" if now["value"] > was["value"] else "faster") if apart else "no clear difference"
        parts.append(f"{name} {seconds(was['value'])} → {seconds(now['value'])} ({word})")
    yield f"  against {before['id']} at {rate(then['rate'])}: {', '.join(parts)}"


def compared(run: Facts, before: Facts | None) -> list[list[str]]:
    """Row: what, then, now, what to think of it; nothing where one of the two measured nothing."""
    measured = (run.get("came") or {}).get("measured")
    then = ((before or {}).get("came") or {}).get("measured")
    if before is None or not measured or not then or not measured.get("whole") or not then.get("whole"):
        return []
    rows = []
    for title, key in (("whole answer", "whole"), ("first token", "first_token")):
        for name in ("p50", "p95", "p99", "ratio") if measured.get(key) and then.get(key) else ():
            was, now = then[key][name], measured[key][name]
            said = _ratio if name == "ratio" else seconds
            apart = now["lower"] > was["upper"] or now["upper"] < was["lower"]
            word = "no clear difference" if not apart else "more" if now["value"] > was["value"] else "less"
            what = f"{title}, {'p99/p50' if name == 'ratio' else name}"
            rows.append([what, _bounded(was, said), _bounded(now, said), word])
    return [*rows, ["rate", rate(then["rate"]), rate(measured["rate"]), ""]]


def _ratio(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _bounded(found: Facts, said: Callable[[float | None], str]) -> str:
    return f"{said(found['value'])} [{said(found['lower'])}, {said(found['upper'])}]"
