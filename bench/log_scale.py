"""How fast the inference log answers when it is large: ``python bench/log_scale.py [ROWS] [FOLDER]``.

Fills a log with synthetic inferences over 30 days (default 1,000,000; 20 workflows, 20,000
users, bodies of about 1 KB), rolls it up, and times the questions of the design's budgets: a
point look-up <= 50 ms, a dashboard <= 200 ms.  Prints a table; medians and the worst of the repeats, warm cache.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.inference_log.model import Batch, Filter
from roadworthy.workflow.inference import Attempt, Inference, Tokens, new_inference_id
from roadworthy.workflow.model import Retention

DAYS = 30
END = 1_793_620_800.0
UTC = ZoneInfo("UTC")
OUTCOMES = ["answered"] * 93 + ["recovered"] * 4 + ["canned"] * 2 + ["error"]
WORDS = ["order", "parcel", "invoice", "refund", "login", "password", "delay", "address", "cancel", "account"]


def record(rng: random.Random, ts: float) -> Inference:
    workflow = f"workflow-{min(int(rng.expovariate(0.4)), 19)}"
    text = " ".join(rng.choices(WORDS, k=60))
    latency = rng.lognormvariate(-0.3, 0.6)
    request = {"model": workflow, "messages": [{"role": "user", "content": text}], "temperature": 0.2}
    response = {"object": "chat.completion", "choices": [{"index": 0, "message": {"content": text[::-1]}}]}
    return Inference(
        id=new_inference_id(ts, rng.getrandbits(80)),
        ts=ts,
        team="default",
        workflow=workflow,
        outcome=rng.choice(OUTCOMES),  # type: ignore[arg-type]
        digest=f"rel_{workflow:a<64}",
        unit=f"u-{rng.randrange(20_000)}",
        key=f"key_{rng.randrange(5)}",
        target=rng.choice(["main", "main", "main", "backup"]),
        model_asked="gpt-4o-mini",
        model_answered="gpt-4o-mini-2024-07-18",
        attempts=[Attempt(target="main", ended=latency, status=200, model_asked="gpt-4o-mini")],
        tokens=Tokens(input=rng.randrange(100, 900), output=rng.randrange(10, 300)),
        cost_usd=rng.random() / 1000,
        latency=latency,
        first_token=latency / 3,
        request=msgspec.Raw(msgspec.json.encode(request)),
        response=msgspec.Raw(msgspec.json.encode(response)),
    )


def fill(store: SqliteLog, rows: int) -> None:
    rng = random.Random(1)
    span = DAYS * 86_400.0
    instants = sorted(END - span + span * rng.random() for _ in range(rows))
    started = time.perf_counter()
    for at in range(0, rows, 5_000):
        store.ship(Batch(ends=[record(rng, ts) for ts in instants[at : at + 5_000]]))
        if at % 100_000 == 0:
            print(f"  {at:>10,} rows, {time.perf_counter() - started:6.1f} s", file=sys.stderr, flush=True)
    print(f"filled {rows:,} rows in {time.perf_counter() - started:.1f} s (making them included)")


def timed(name: str, question: Callable[[], object], repeats: int = 9) -> None:
    question()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        question()
        seconds.append(time.perf_counter() - started)
    print(f"| {name} | {statistics.median(seconds) * 1000:.1f} | {max(seconds) * 1000:.1f} |", flush=True)


def questions(store: SqliteLog) -> None:
    rng = random.Random(2)
    some = [item.id for item in store.find(Filter(workflow="workflow-0"), 1000).items]
    old = [item.id for item in store.find(Filter(until=END - 20 * 86_400), 1000).items]
    tuesday = END - 6 * 86_400 + 2 * 3600
    print("\n| question | median ms | worst ms |\n|---|---|---|")
    timed("point look-up: one of the newest inferences with its bodies", lambda: store.get(rng.choice(some)))
    timed("point look-up: one of 20 days ago", lambda: store.get(rng.choice(old)))
    timed(
        "one user, one workflow, one hour",
        lambda: store.find(Filter(workflow="workflow-0", unit="u-42", since=tuesday, until=tuesday + 3600)),
    )
    timed("one user over all time", lambda: store.find(Filter(unit="u-42")))
    timed("newest 50", lambda: store.find(Filter()))
    timed("newest 50 errors", lambda: store.find(Filter(outcome="error")))
    timed(
        "a text within one hour", lambda: store.find(Filter(text="no such words", since=tuesday, until=tuesday + 3600))
    )
    timed("dashboard: 30 days by workflow", lambda: store.stats(("workflow",), Filter(), UTC))
    timed("dashboard: 30 days by day and outcome", lambda: store.stats(("day", "outcome"), Filter(), UTC))
    timed(
        "dashboard: one workflow, 7 days by hour",
        lambda: store.stats(("hour",), Filter(workflow="workflow-0", since=END - 7 * 86_400), UTC),
    )
    timed("dashboard: last 24 h by workflow", lambda: store.stats(("workflow",), Filter(since=END - 86_400), UTC))
    timed("from facts: 24 h by key", lambda: store.stats(("key",), Filter(since=END - 86_400), UTC), repeats=3)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        path = Path(folder) / "log.db"
        store = SqliteLog(path)
        fill(store, rows)
        started = time.perf_counter()
        print(f"rolled up {store.rollup(END):,} buckets in {time.perf_counter() - started:.1f} s")
        print(f"log.db {path.stat().st_size / 1e6:,.0f} MB, {path.stat().st_size / rows:,.0f} bytes an inference")
        questions(store)
        started = time.perf_counter()
        done = store.expire(END, Retention(cold_after=7 * 86_400.0))
        print(f"\nmoved {done.moved:,} facts into {done.days} Parquet days in {time.perf_counter() - started:.1f} s")
        cold = sum(file.stat().st_size for file in (Path(folder) / "cold").iterdir())
        print(f"cold {cold / 1e6:,.0f} MB, {cold / max(done.moved, 1):,.0f} bytes a fact")
        questions(store)
        store.close()


if __name__ == "__main__":
    main()
