"""The engine's duties of the log, each run once as the engine would."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from records import NOON, batch, inference

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.engine import anomalies, retention, rollup, ship
from roadworthy.engine.supervise import Engine
from roadworthy.inference_log import segments
from roadworthy.inference_log.model import Filter, Shipped
from roadworthy.inference_log.segments import SegmentName, encode
from roadworthy.inference_log.service import Log, Shipper
from roadworthy.workflow.model import Retention


def test_each_duty_does_its_round(tmp_path: Path) -> None:
    import os
    from zoneinfo import ZoneInfo

    store = MemoryLog()
    shipper = Shipper(tmp_path, store)
    told: list[Shipped] = []
    watch = anomalies.AnomalyWatch(Log(store, shipper, zone=ZoneInfo("UTC"), now=lambda: NOON), dict)
    duties = [
        ship.module(shipper, shipped=told.append),
        rollup.module(store, now=lambda: NOON + 900),
        retention.module(store, lambda: Retention(bodies=1.0), now=lambda: NOON + 900),
        anomalies.module(watch),
    ]
    fd = segments.create(tmp_path, SegmentName("w0", 1_763_870_000_000, 1))
    os.write(fd, encode(inference(body="text")))
    os.close(fd)

    async def rounds() -> list[bool]:
        engine = Engine(duties)
        return [await engine.round(duty.name) for duty in duties]

    assert asyncio.run(rounds()) == [True] * 4
    assert told[0].stored == 1
    assert store.rollup(NOON + 900) == 0
    assert next(store.scan(Filter(), bodies=True)).bodies_dropped == "expired"
    assert watch.rounds == 1


def test_shipping_rolling_up_expiring_and_asking_at_once_is_safe(sqlite: SqliteLog) -> None:
    """Four threads, one store: nothing raises, nothing is lost."""
    errors: list[BaseException] = []
    done = threading.Event()

    def guarded(work: object) -> None:
        try:
            while not done.is_set():
                work()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
            errors.append(error)

    from zoneinfo import ZoneInfo

    keep = Retention(bodies=4e7, facts=4e7, cold_after=7 * 86_400.0)
    works = [
        lambda: sqlite.rollup(NOON),
        lambda: sqlite.expire(NOON, keep),
        lambda: (sqlite.stats(("workflow",), Filter(), ZoneInfo("UTC")), sqlite.find(Filter(), 20)),
    ]
    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for n in range(60):
        sqlite.ship(batch(*(inference(NOON - n * 7200 - k * 600, unit=f"u-{k}") for k in range(20))))
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(1 for _ in sqlite.scan(Filter())) == 1200
