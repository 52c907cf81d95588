"""The inference log in memory: the twin of ``SqliteLog`` for tests.  Exact sums, no retention of days."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from zoneinfo import ZoneInfo

from roadworthy.inference_log.counting import counts, side_of
from roadworthy.inference_log.model import (
    ANY,
    BUCKET,
    SCORER,
    Batch,
    Callers,
    Counting,
    Cursor,
    Entry,
    Expired,
    Filter,
    FilterRefused,
    Page,
    Progress,
    Quarantined,
    Rating,
    Reach,
    Shipped,
    Side,
    Stats,
    StatsRow,
)
from roadworthy.inference_log.rules import DRAWN, drawn_below, labels, matches, may_rate, needles, sorted_rows
from roadworthy.inference_log.segments import SegmentName
from roadworthy.statistics.robust import percentile
from roadworthy.workflow.inference import Feedback, Inference, InferenceStart, Tokens
from roadworthy.workflow.model import Retention

_FIELD = {"release": "digest", "model": "model_answered"}


class MemoryLog:
    """``LogStore`` that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rows: dict[str, Inference] = {}
        self._feedback: dict[tuple[str, float, str, str], Feedback] = {}
        self._starts: dict[str, tuple[str, int, InferenceStart]] = {}
        self._progress: dict[SegmentName, Progress] = {}
        self._counts: dict[str, int] = {}
        self._stones: dict[str, float] = {}
        self._dirty: set[tuple[int, str]] = set()
        self.quarantine: list[Quarantined] = []

    # shipping

    def progress(self) -> dict[SegmentName, Progress]:
        return dict(self._progress)

    def open_boots(self) -> set[tuple[str, int]]:
        return {(worker, boot) for worker, boot, _ in self._starts.values()}

    def open_starts(self, worker: str, boot: int) -> list[InferenceStart]:
        return [start for w, b, start in self._starts.values() if (w, b) == (worker, boot)]

    def ship(self, batch: Batch) -> Shipped:
        with self._lock:
            done = Shipped(torn=batch.torn, malformed=len(batch.malformed))
            for inference in (*batch.ends, *batch.lost):
                done.replaced += self._store(inference, done)
            for worker, boot, start in batch.starts:
                if start.id not in self._rows and not self._covered(start.unit, start.ts):
                    self._starts.setdefault(start.id, (worker, boot, start))
            for said in batch.feedback:
                rated = self._rows.get(said.inference)
                about = None if rated is None else (rated.team, rated.workflow)
                if not may_rate(said, about) or self._covered(said.by, said.ts):
                    continue
                key = (said.inference, said.ts, said.name, said.by)
                done.feedback += key not in self._feedback
                self._feedback.setdefault(key, said)
            self._progress.update(batch.progress)
            for name in batch.deleted:
                self._progress.pop(name, None)
            self.quarantine += batch.malformed
            for field in (name for name in done.__struct_fields__ if name != "replaced"):
                self._counts[field] = self._counts.get(field, 0) + getattr(done, field)
            self._counts["lost"] -= done.replaced
            return done

    def _store(self, inference: Inference, done: Shipped) -> bool:
        """Returns whether a lost call was replaced by its real end."""
        self._starts.pop(inference.id, None)
        if self._covered(inference.unit, inference.ts):
            done.forgotten += 1
            return False
        known = self._rows.get(inference.id)
        lost = inference.code == "gateway_lost"
        if known is not None and (known.code != "gateway_lost" or lost):
            done.duplicates += 1
            return False
        self._rows[inference.id] = copy(inference)
        self._dirty.add((int(inference.ts // BUCKET), inference.workflow))
        done.stored += known is None
        done.lost += known is None and lost
        return known is not None

    def _covered(self, unit: str | None, ts: float) -> bool:
        return unit is not None and ts <= self._stones.get(unit, float("-inf"))

    def counters(self) -> dict[str, int]:
        counts = {**self._counts, "in_flight": len(self._starts)}
        counts["accepted"] = counts.get("stored", 0) + counts["in_flight"] + counts.get("forgotten", 0)
        return counts

    # reading

    def get(self, inference: str) -> Entry | None:
        found = self._rows.get(inference)
        if found is None:
            return None
        said = sorted(
            (said for said in self._feedback.values() if said.inference == inference), key=lambda f: (f.ts, f.name)
        )
        return Entry(copy(found), said)

    def reach(self) -> Reach | None:
        times = [row.ts for row in self._rows.values()]
        return Reach(min(times), max(times), min(times)) if times else None

    def find(self, where: Filter, limit: int = 50, after: Cursor | None = None, before: Cursor | None = None) -> Page:
        rows = [row for row in self._sorted(where) if after is None or Cursor.of(row) < after]
        if before is not None:
            rows = [row for row in rows if Cursor.of(row) > before]
            cut, more = rows[-limit:], True
        else:
            cut, more = rows[:limit], len(rows) > limit
        if not cut:
            return Page([])
        items = [_bare(row) for row in cut]
        return Page(items, str(Cursor.of(cut[-1])) if more else None, str(Cursor.of(cut[0])))

    def _sorted(self, where: Filter) -> list[Inference]:
        """Matches, newest first."""
        sought = needles(where.text) if where.text is not None else ()
        with self._lock:
            found = [row for row in self._rows.values() if matches(where, row) and (not sought or _holds(row, sought))]
        return sorted(found, key=Cursor.of, reverse=True)

    def scan(self, where: Filter, bodies: bool = False) -> Iterator[Inference]:
        for row in reversed(self._sorted(where)):
            yield copy(row) if bodies else _bare(row)

    def stats(self, by: Sequence[str], where: Filter, zone: ZoneInfo) -> Stats:
        _refuse_text(where)
        by = tuple(dict.fromkeys(by))
        groups = by if "traffic" in by else (*by, "traffic")
        label = labels(zone)
        found: dict[tuple[str | None, ...], list[Inference]] = {}
        for row in self._sorted(where):
            found.setdefault(tuple(_value(row, name, label) for name in groups), []).append(row)
        rows = [_sums(dict(zip(groups, group, strict=True)), members) for group, members in found.items()]
        return Stats(by, sorted_rows(rows, by), "facts", 0.0)

    # cost

    def sample(self, where: Filter, share: float) -> list[Inference]:
        _refuse_text(where)
        below = drawn_below(share)
        return [_bare(row) for row in reversed(self._sorted(where)) if row.id[slice(*DRAWN)] < below]

    def customers(self, where: Filter) -> int:
        _refuse_text(where)
        return len({row.unit for row in self._sorted(where) if row.unit is not None and row.unit_source != "random"})

    # scores

    def ratings(self, workflow: str, names: Sequence[str], since: float, until: float) -> list[Rating]:
        found = []
        with self._lock:
            for said in self._feedback.values():
                row = self._rows.get(said.inference)
                if row is None or row.workflow != workflow or row.traffic != "live" or not since <= row.ts < until:
                    continue
                if said.name in names and said.by.startswith(SCORER) and said.score is not None:
                    user = row.id if row.unit is None or row.unit_source == "random" else row.unit
                    found.append(Rating(row.id, row.ts, user, row.digest, said.name, said.score))
        return sorted(found, key=lambda each: (each.ts, each.inference, each.name))

    # ramps

    def count(self, asked: Counting) -> dict[str, Side]:
        with self._lock:
            rows = [row for row in self._rows.values() if counts(asked, row)]
            return {
                digest: side_of(asked, [row for row in rows if row.digest == digest], self._said)
                for digest in asked.digests
            }

    def _said(self, inference: str, name: str) -> list[Feedback]:
        """The last word of each who said something."""
        last: dict[str, Feedback] = {}
        for said in sorted(self._feedback.values(), key=lambda said: said.ts):
            if (said.inference, said.name) == (inference, name):
                last[said.by] = said
        return list(last.values())

    def sides(self, workflow: str, since: float, digest: str) -> tuple[int, int]:
        mine = Filter(workflow=workflow, traffic="live", since=since, route="release,previous,bypass")
        named = [
            row for row in self._sorted(mine) if row.unit is not None and row.unit_source != "random" and not row.kill
        ]
        inside = [row.digest == digest and row.route != "bypass" for row in named]
        sides = [{row.unit for row, mine in zip(named, inside, strict=True) if mine is side} for side in (True, False)]
        return len(sides[0]), len(sides[1])

    def callers(self, workflow: str, since: float, until: float) -> Callers:
        rows = self._sorted(Filter(workflow=workflow, since=since, until=until))
        live = [row for row in rows if row.traffic == "live"]
        named = {row.unit for row in live if row.unit_source != "random" and row.unit is not None}
        return Callers(
            calls=len(live),
            unknown=sum(row.unit_source == "random" for row in live),
            users=len(named),
            tester_calls=sum(row.traffic == "tester" for row in rows),
            oldest=min((row.ts for row in live), default=None),
        )

    def would(self, since: float, until: float) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for row in self._sorted(Filter(since=since, until=until, would=ANY)):
            counted = found.setdefault(row.workflow, {})
            counted[row.would] = counted.get(row.would, 0) + 1
        return found

    # keeping

    def rollup(self, now: float) -> int:
        due = {(start, workflow) for start, workflow in self._dirty if (start + 1) * BUCKET <= now}
        self._dirty -= due
        return len(due)

    def expire(self, now: float, keep: Retention) -> Expired:
        bodies = facts = 0
        with self._lock:
            for row in list(self._rows.values()):
                if row.ts < now - keep.facts:
                    del self._rows[row.id]
                    facts += 1
                elif row.ts < now - keep.bodies and _has_bodies(row):
                    row.request = row.prompt = row.response = None
                    row.bodies_dropped = "expired"
                    bodies += 1
        return Expired(bodies=bodies, facts=facts)

    def train(self, samples: Sequence[bytes]) -> None:
        """Nothing to learn: memory packs nothing."""

    def covers(self, unit: str | None, ts: float) -> bool:
        return self._covered(unit, ts)

    def unit_hash(self, unit: str) -> str:
        return hashlib.blake2b(unit.encode(), digest_size=16).hexdigest()

    def covers_hash(self, hashed: str, ts: float) -> bool:
        return any(self.unit_hash(unit) == hashed and ts <= at for unit, at in self._stones.items())

    def forget(self, unit: str, at: float) -> dict[str, int]:
        with self._lock:
            self._stones[unit] = max(at, self._stones.get(unit, at))
            gone = [row for row in self._rows.values() if row.unit == unit and row.ts <= at]
            ids = {row.id for row in gone}
            feedback = [key for key in self._feedback if key[0] in ids]
            starts = [start.id for _, _, start in self._starts.values() if start.unit == unit and start.ts <= at]
            quarantine = [bad for bad in self.quarantine if unit.encode() not in bad.data]
            counts = {
                "facts": len(gone),
                "bodies": sum(_has_bodies(row) for row in gone),
                "feedback": len(feedback),
                "open starts": len(starts),
                "quarantine": len(self.quarantine) - len(quarantine),
                "cold facts": 0,
            }
            self.quarantine = quarantine
            for identity in ids:
                del self._rows[identity]
            for key in feedback:
                del self._feedback[key]
            for identity in starts:
                del self._starts[identity]
        return counts

    def search(self, needle: str) -> dict[str, int]:
        rows = sum(row.unit == needle for row in self._rows.values())
        rows += sum(start.unit == needle for _, _, start in self._starts.values())
        return {"rows": rows}

    def close(self) -> None:
        """Nothing to close."""


def _refuse_text(where: Filter) -> None:
    if where.text is not None:
        raise FilterRefused("text cannot be summed: search with `log --text`, sum by another filter")


def _has_bodies(row: Inference) -> bool:
    return row.request is not None or row.prompt is not None or row.response is not None


def _bare(row: Inference) -> Inference:
    bare = copy(row)
    bare.request = bare.prompt = bare.response = None
    return bare


def _holds(row: Inference, sought: Sequence[bytes]) -> bool:
    texts = [bytes(body).lower() for body in (row.request, row.response) if body is not None]
    if row.prompt is not None:
        texts += [needle for needle in needles(row.prompt)]
    return any(needle in text for needle in sought for text in texts)


def _value(row: Inference, name: str, label: dict[str, Callable[[float], str]]) -> str | None:
    if name in label:
        return label[name](row.ts)
    if name.startswith("tag:"):
        return row.tags.get(name[4:]) or None
    if name == "stream":
        return "yes" if row.stream else "no"
    value = getattr(row, _FIELD.get(name, name))
    return str(value) if value else None


def _sums(group: dict[str, str | None], rows: Sequence[Inference]) -> StatsRow:
    latencies = [row.latency for row in rows if row.failure != "gateway_lost"]
    outcomes: dict[str, int] = {}
    for row in rows:
        outcomes[row.outcome] = outcomes.get(row.outcome, 0) + 1
    costs = [row.cost_usd for row in rows if row.cost_usd is not None]
    return StatsRow(
        group=group,
        count=len(rows),
        outcomes=outcomes,
        p50=percentile(latencies, 0.5),
        p95=percentile(latencies, 0.95),
        p99=percentile(latencies, 0.99),
        first_token_p50=percentile([row.first_token for row in rows if row.first_token is not None], 0.5),
        tokens=sum((row.tokens for row in rows), Tokens()),
        cost_usd=sum(costs) if costs else None,
        cost_unknown=len(rows) - len(costs),
    )
