"""Looks for what changed by itself, and tells it once: scores, what comes in, the model that answers.

A drift is an alert to the workflow's owner under a key of its own.  While its alert is open, and for a week after
somebody resolved it (the very calls that showed it are still in sight), it is not told again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.inference_log import drift, features
from roadworthy.inference_log.drift import Asked, Drift, Gated
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.ports import LogStore
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import Incidents
from roadworthy.people.ports import PeopleState
from roadworthy.statistics.topics import Topics
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import DEFAULT_TEAM, Workflow

MOST_READ: Final = 500
"""Questions that are read of a period."""
MIX_EVERY: Final = 6 * 3600.0
"""Seconds between two looks at what comes in; it must show in two in a row."""
QUIET: Final = 7 * 86_400.0
"""Seconds after an alert was resolved in which the same is not told again."""


class DriftPorts(msgspec.Struct, frozen=True):
    """What looking for drift needs of the world."""

    store: LogStore
    people: PeopleState
    incidents: Incidents
    workflows: Callable[[], Mapping[str, Workflow]]
    names: Callable[[Workflow], Sequence[str]]
    """Scores that are given to its live answers."""
    gated: Callable[[str, str, str], Gated | None]
    """(workflow, release, score) → its gate's run."""
    zone: Callable[[], ZoneInfo]
    clock: Callable[[], float]


class DriftWatch:
    """One look at a time; what it found last is there for people to see."""

    def __init__(self, ports: DriftPorts) -> None:
        self._ports = ports
        self._mixed_at: dict[str, float] = {}
        self._suspected: dict[str, frozenset[str]] = {}
        """Workflow → keys that the last look at what comes in had."""
        self._mix: dict[str, list[Drift]] = {}
        self.found: list[Drift] = []

    def look(self) -> None:
        """One round; blocking."""
        now = self._ports.clock()
        found = self._models(now)
        for flow in self._ports.workflows().values():
            found += self._scores(flow, now)
            found += self._mixes(flow, now)
        self.found = found
        self._tell([each for each in found if not self._known(each.key, now)], now)

    def _scores(self, flow: Workflow, now: float) -> list[Drift]:
        names = list(self._ports.names(flow))
        if not names:
            return []
        ratings = self._ports.store.ratings(flow.name, names, now - drift.HISTORY, now)
        return drift.scores(flow.name, ratings, now, lambda digest, name: self._ports.gated(flow.name, digest, name))

    def _models(self, now: float) -> list[Drift]:
        where = Filter(traffic="live", since=now - drift.MODEL_HISTORY)
        by = ("workflow", "release", "target", "model", "hour")
        return drift.models(self._ports.store.stats(by, where, ZoneInfo("UTC")).rows, self._ports.zone())

    # --- what comes in

    def _mixes(self, flow: Workflow, now: float) -> list[Drift]:
        if now - self._mixed_at.get(flow.name, 0.0) < MIX_EVERY:
            return self._mix.get(flow.name, [])
        self._mixed_at[flow.name] = now
        seen = self._shifted(flow, now)
        before = self._suspected.get(flow.name, frozenset())
        self._suspected[flow.name] = frozenset(each.key for each in seen)
        self._mix[flow.name] = [each for each in seen if each.key in before]
        return self._mix[flow.name]

    def _shifted(self, flow: Workflow, now: float) -> list[Drift]:
        store = self._ports.store
        first = store.callers(flow.name, now - drift.HISTORY, now).oldest
        spans, regime = ([], "") if first is None else drift.periods(first, now)
        if not spans:
            return []
        recent = self._read(flow.name, now - drift.DAY, now, MOST_READ)
        if len(recent) < drift.LEAST_USERS:
            return []
        earlier = [each for begin, end in spans for each in self._read(flow.name, begin, end, MOST_READ // len(spans))]
        if len(earlier) < drift.LEAST_USERS:
            return []
        return drift.mixes(flow.name, *_asked(earlier, recent), regime)

    def _read(self, workflow: str, since: float, until: float, most: int) -> list[Inference]:
        """A sample of the live calls, with what they asked."""
        store = self._ports.store
        where = Filter(workflow=workflow, traffic="live", since=since, until=until)
        count = sum(row.count for row in store.stats(("workflow",), where, ZoneInfo("UTC")).rows)
        share = min(1.0, most / count) if count else 0.0
        entries = (store.get(row.id) for row in store.sample(where, share)[: 2 * most])
        return [each.inference for each in entries if each is not None and each.inference.request is not None]

    # --- telling

    def _known(self, key: str, now: float) -> bool:
        with self._ports.people.read() as tx:
            newest = tx.newest_incident(key)
        if newest is None:
            return False
        return not newest.over or now - (newest.resolved_at or 0.0) < QUIET

    def _tell(self, found: Sequence[Drift], now: float) -> None:
        flows = self._ports.workflows()
        notices = [
            Notice(
                kind="alert", alert="drift", key=each.key, team=_team(flows.get(each.workflow)), workflow=each.workflow,
                title=each.title, summary=each.text, role="workflow", at=now, inference=each.inference,
            )
            for each in found
        ]  # fmt: skip
        self._ports.incidents.take(notices)


def _team(flow: Workflow | None) -> str:
    return DEFAULT_TEAM if flow is None else flow.team


def _asked(earlier: Sequence[Inference], recent: Sequence[Inference]) -> tuple[list[Asked], list[Asked]]:
    """Into which buckets each question falls; the kinds of questions are those of the earlier ones."""
    texts = [features.question(each.asked()) for each in (*earlier, *recent)]
    topics = Topics(texts[: len(earlier)])
    kinds = topics.assign(texts)
    found = []
    for call, text, kind in zip((*earlier, *recent), texts, kinds, strict=True):
        buckets = {"length": features.length(text), "language": features.language(text)}
        if kind is not None:
            buckets["kind of question"] = f"like {earlier[kind].id}"
        user = call.id if call.unit is None or call.unit_source == "random" else call.unit
        found.append(Asked(user, call.id, buckets))
    return found[: len(earlier)], found[len(earlier) :]
