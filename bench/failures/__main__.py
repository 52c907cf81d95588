"""``python -m bench.failures [drills storm tail silence cut]``: the figures of docs/failure-behaviour.md, as tables.

Each figure starts an install of its own and providers that fail on purpose; all of it is over when this ends, Ctrl-C
included.  ``--write PAGE`` replaces the figures in the page, once all of them are there.  Progress goes to stderr.
Exit code 1 when a promise of the page does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import math
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from bench.failures import page
from bench.failures.drilling import drills
from bench.failures.install import Heard, install
from bench.failures.provider import Provider, cut_once, rotating, silent
from bench.failures.tables import at, row, title

CALLS = 10_001
REPEAT = 3
"""Runs of all drills: each fault is met so often, by three workflows, asked in two ways."""
LATE = 0.25
"""Seconds after the deadline that an answer may still take."""

Figure = Callable[[int], Coroutine[Any, Any, bool]]


async def storm(calls: int) -> bool:
    """A target that fails 20 % of the time in rotating ways, with a healthy second one."""
    main, backup = Provider("main", rotating(0.2)), Provider("backup")
    main.siblings, backup.siblings = [backup], [main]
    await asyncio.gather(main.start(), backup.start())
    steps = [{"retry": {"times": 1, "backoff": "20ms"}}, {"target": "backup"}]
    deadline = 10.0
    workflow = {
        "deadline": f"{deadline}s",
        "clocks": {"connect": "1s", "first_token": "1500ms", "idle": "1s", "total": "3s"},
        "continuation": 1,
        "ladder": {
            "unavailable": steps, "overlimit": [{"target": "backup"}], "slow": [{"target": "backup"}],
            "truncated": steps, "invalid": steps, "throttled": [{"target": "backup"}],
        },
    }  # fmt: skip
    targets = {"capabilities": {"prefill": "prompted"}, "limits": {"concurrency": 256}}
    with install({"main": main, "backup": backup}, workflow, targets) as running:
        heard = await running.calls(range(calls), at_once=50)
        records = {record["id"]: record for record in running.records()}
    await asyncio.gather(main.stop(), backup.stop())
    served = [one for one in heard if one.outcome in ("answered", "recovered")]
    matched = [one for one in served if _matches(one, main, backup)]
    attempts = sum(len(record.get("attempts", [])) for record in records.values())
    late = [one for one in heard if one.seconds > deadline + LATE]
    seconds = [one.seconds for one in heard]
    title(
        f"{calls:,} calls, half of them streams, 50 at once; {sum(main.struck.values()):,} requests struck by a fault"
    )
    print(f"| outcomes | {dict(Counter(one.outcome or one.error or 'broke' for one in heard))} | | |")
    return all([
        row("answered or recovered", f"{len(served) / calls:.2%}", "≥ 99.5 %", len(served) / calls >= 0.995),
        row("text and nonce as sent", f"{len(matched)} of {len(served)}", "all", len(matched) == len(served)),
        row("unhandled errors", str(sum(bool(one.broke) for one in heard)), "0", not any(one.broke for one in heard)),
        row("calls past deadline + 250 ms", str(len(late)), "0", not late),
        row("retry amplification", f"{attempts / len(records):.3f}", "≤ 1.3", attempts / len(records) <= 1.3),
        row("in the log exactly once", f"{len(records)} of {calls}", "all", len(records) == calls == len(heard)),
        row("time p50 / p99", f"{at(seconds, 0.5) * 1000:.0f} / {at(seconds, 0.99) * 1000:.0f} ms", "", True),
    ])  # fmt: skip


def _matches(heard: Heard, *providers: Provider) -> bool:
    nonce = heard.text.partition(":")[0]
    sent = next((provider.sent[nonce] for provider in providers if nonce in provider.sent), None)
    return sent is not None and sent.call == heard.call and sent.text == heard.text


async def tail(calls: int) -> bool:
    """p99 with hedging on against off, on a target with a heavy tail."""
    calls = min(calls, 3000)
    found: dict[str, list[float]] = {}
    extra = 0.0
    for name, hedge in (("off", {}), ("on", {"hedge": {"after": "auto", "share": "5%"}})):
        rng = random.Random(5)

        def delay(rng: random.Random = rng) -> float:
            return 2.0 + rng.random() if rng.random() < 0.03 else rng.lognormvariate(math.log(0.05), 0.4)

        main = await Provider("main", delay=delay).start()
        workflow = {"deadline": "20s", "stream": "passthrough", **hedge}
        with install({"main": main}, workflow, {"limits": {"concurrency": 256}}) as running:
            heard = await running.calls(range(calls), at_once=20)
        await main.stop()
        found[name] = [one.first for one in heard if one.first is not None]
        extra = main.requests / calls - 1
    on, off = found["on"], found["off"]
    title(f"time to the first text, {calls:,} calls on a target that takes 2–3 s for 3 % of them (else about 50 ms)")
    for share in (0.5, 0.95, 0.99):
        row(f"p{share * 100:.0f} off / on", f"{at(off, share) * 1000:.0f} / {at(on, share) * 1000:.0f} ms", "", True)
    return all([
        row("p99 on / off", f"{at(on, 0.99) / at(off, 0.99):.2f}", "< 0.5", at(on, 0.99) < 0.5 * at(off, 0.99)),
        row("further calls made", f"{extra:.1%}", "≤ 5 %", extra <= 0.0501),
    ])  # fmt: skip


async def silence(calls: int) -> bool:
    """A provider that is silent for 120 s: the first useful answer comes within the declared first-token clock."""
    calls, clock = min(calls, 100), 2.0
    main, backup = Provider("main", lambda number: silent), Provider("backup")
    await asyncio.gather(main.start(), backup.start())
    workflow = {
        "deadline": "20s", "clocks": {"connect": "1s", "first_token": f"{clock}s", "idle": "1s", "total": f"{clock}s"},
        "ladder": {"slow": [{"target": "backup"}], "unavailable": [{"target": "backup"}]},
    }  # fmt: skip
    with install({"main": main, "backup": backup}, workflow, {}) as running:
        heard = await running.calls(range(calls), at_once=25)
    await asyncio.gather(main.stop(), backup.stop())
    first = [one.first or 0.0 for one in heard]
    good = [one for one in heard if _matches(one, backup)]
    title(f"{calls} calls of a provider that says nothing for 120 s; first-token clock {clock:g} s, a second target")
    return all([
        row("answered by the second target", f"{len(good)} of {calls}", "all", len(good) == calls),
        row("first useful text, worst", f"{max(first):.2f} s", f"≤ {clock + LATE:g} s", max(first) <= clock + LATE),
        row("after the breaker has opened, p50", f"{at(first, 0.5) * 1000:.0f} ms", "", True),
    ])  # fmt: skip


async def cut(calls: int) -> bool:
    """A stream cut in the middle is continued: the final text is complete and marked."""
    calls = min(calls, 500)
    main, backup = Provider("main"), Provider("backup")
    main.choose = lambda number: cut_once
    main.siblings, backup.siblings = [backup], [main]
    await asyncio.gather(main.start(), backup.start())
    workflow = {
        "deadline": "10s",
        "continuation": 2,
        "ladder": {"truncated": [{"retry": {"times": 1}}, {"target": "backup"}]},
    }
    targets = {"capabilities": {"prefill": "prompted"}, "breaker": {"share": 1.0, "calls": 1000}}
    with install({"main": main, "backup": backup}, workflow, targets) as running:
        heard = await running.calls(range(calls), at_once=5, streams=1.0)
    await asyncio.gather(main.stop(), backup.stop())
    whole = [one for one in heard if _matches(one, main, backup)]
    marked = [one for one in heard if "continued" in one.told.get("notes", [])]
    struck = main.struck["cut"]
    title(f"{calls} streams, {struck} cut after two thirds of their text")
    return all([
        row("text complete, word for word", f"{len(whole)} of {calls}", "all", len(whole) == calls),
        row("marked as continued", f"{len(marked)} of {struck}", "every broken one", len(marked) == struck > 0),
    ])  # fmt: skip


FIGURES: dict[str, Figure] = {"drills": drills, "storm": storm, "tail": tail, "silence": silence, "cut": cut}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.failures", description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="which  [all]")
    parser.add_argument("--calls", type=int, default=CALLS, help="of the storm; the others make fewer  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=REPEAT, help="runs of all drills  [%(default)s]")
    parser.add_argument("--write", metavar="PAGE", type=Path, help="replace the figures in this page")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as tidy an end as Ctrl-C
    names = chosen.figures or list(FIGURES)
    figures = FIGURES | {"drills": partial(drills, repeat=chosen.repeat)}
    try:
        if chosen.write is None:
            held = [asyncio.run(figures[name](chosen.calls)) for name in names]
        else:
            held = _written(chosen.write, {name: figures[name] for name in names}, chosen.calls)
    except KeyboardInterrupt:
        print("stopped; nothing was written and nothing is left running", file=sys.stderr)
        return 130
    return 0 if all(held) else 1


def _written(path: Path, figures: dict[str, Figure], calls: int) -> list[bool]:
    """Make the figures, then put them into the page: all of them or none."""
    text = path.read_text(encoding="utf-8")
    page.check(text, figures)  # before minutes are spent
    made: dict[str, str] = {}
    held: list[bool] = []
    for name, figure in figures.items():
        began, out = time.monotonic(), io.StringIO()
        print(f"{name} …", file=sys.stderr, flush=True)
        with redirect_stdout(out):
            held.append(asyncio.run(figure(calls)))
        made[name] = out.getvalue()
        verdict = "holds" if held[-1] else "DOES NOT HOLD"
        print(f"{name} {verdict}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    path.write_text(page.replaced(text, made), encoding="utf-8")
    return held


if __name__ == "__main__":
    sys.exit(main())
