"""Live answers, scored as they come: a sampled share, within so many dollars a day.

The sample is drawn by the inference's id, so it is the same whoever looks, and again after a crash.  What a scorer says
is kept as feedback under the name of its score, so that the guardrails of a ramp count it.  All scores of one answer
are stored in one transaction, and an answer that has one is not scored again: a crash loses nothing and doubles
nothing; at worst its judge is asked twice.

Dollars are spread over the day: by noon about half may be spent, so that an evening is looked at as a morning is.
Shadow calls are scored as well, all of them, by the same purse: they are a sample already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.evals.judges import JudgeState, identity_of
from roadworthy.evals.scorers.base import Asker, Asking, CannotScore, Case, Mark, Pure, Scorer, Unreached, marked, told
from roadworthy.evals.service import Refused
from roadworthy.fallback.drills import reading
from roadworthy.inference_log.model import CALLERS_SAY, SCORER, Batch, Filter
from roadworthy.inference_log.ports import LogStore
from roadworthy.operations.proving.eval_asking import tool_calls_of
from roadworthy.workflow.inference import SERVED_BY_MODEL, Feedback, Inference
from roadworthy.workflow.model import FrozenRelease, Workflow

log = logging.getLogger("roadworthy.online")

MOST: Final = 50
"""Answers of a workflow in a round."""
LOOK_BACK: Final = 86_400.0
"""Seconds; what was not scored within them (control was down, the purse was empty) is left."""
OVERLAP: Final = 600.0
"""Seconds that are looked at again: a worker's journal may be shipped late."""
SETTLED: Final = 2.0
AHEAD: Final = 3600.0
"""Seconds of the day's dollars that may be spent before their time."""
DAY: Final = 86_400.0


class OnlinePorts(msgspec.Struct, frozen=True):
    """What scoring live answers needs of the world."""

    store: LogStore
    state: JudgeState
    workflows: Callable[[], Mapping[str, Workflow]]
    scorers: Callable[[Workflow], Sequence[Scorer]]
    """Those that a workflow declares, as they would be made now.  Raises ``evals.service.Refused``."""
    release: Callable[[str], FrozenRelease | None]
    """By its digest."""
    asker: Callable[[str, float], AbstractAsyncContextManager[Asker]]
    """(on whose behalf, most dollars)."""
    zone: Callable[[], ZoneInfo]
    clock: Callable[[], float]


class Scored(msgspec.Struct):
    """What a round came to."""

    scored: int = 0
    passed_over: int = 0
    """By the day's budget."""
    usd: float = 0.0


class Watching(msgspec.Struct, frozen=True, kw_only=True):
    """What is scored of a workflow, for people."""

    workflow: str
    share: float
    usd_per_day: float
    scorers: list[str]
    left_out: dict[str, str]
    """Score → why it is not given to live answers."""
    scored_today: int
    passed_over_today: int
    usd_today: float


class OnlineScoring:
    """One round at a time."""

    def __init__(self, ports: OnlinePorts) -> None:
        self._ports = ports
        self._since: dict[str, float] = {}
        """Workflow → up to where its calls were looked at."""
        self._seen: dict[str, float] = {}
        """Inference → instant, of those that were dealt with and may be looked at again."""
        self._told: dict[str, str] = {}
        """Workflow → why its answers are not scored, as the log was told."""

    async def round(self) -> Scored:
        """Score what came in since the last round."""
        total = Scored()
        oldest = self._ports.clock() - LOOK_BACK
        self._seen = {ident: ts for ident, ts in self._seen.items() if ts >= oldest}
        for flow in self._ports.workflows().values():
            if flow.evals.online.share <= 0:
                self._since.pop(flow.name, None)
                continue
            scorers = await asyncio.to_thread(self._scorers, flow)
            if scorers:
                await self._workflow(flow, scorers, total)
        return total

    def watching(self, flow: Workflow) -> Watching:
        """Raises ``evals.service.Refused``."""
        fit, left_out = online_scorers(flow, self._ports.scorers(flow))
        usd, scored, passed_over = self._today(flow.name)
        plan = flow.evals.online
        return Watching(
            workflow=flow.name, share=plan.share, usd_per_day=plan.usd_per_day, scorers=[each.name for each in fit],
            left_out=left_out, scored_today=scored, passed_over_today=passed_over, usd_today=usd,
        )  # fmt: skip

    # --- inside

    def _scorers(self, flow: Workflow) -> list[Scorer]:
        try:
            return online_scorers(flow, self._ports.scorers(flow))[0]
        except Refused as error:
            if self._told.get(flow.name) != str(error):
                self._told[flow.name] = str(error)
                log.warning("live answers are not scored", extra={"workflow": flow.name, "error": str(error)})
            return []

    async def _workflow(self, flow: Workflow, scorers: Sequence[Scorer], total: Scored) -> None:
        until = self._ports.clock() - SETTLED
        since = max(self._since.get(flow.name, until - LOOK_BACK) - OVERLAP, until - LOOK_BACK)
        calls = await asyncio.to_thread(self._calls, flow, scorers, since, until)
        asking = [each for each in scorers if isinstance(each, Asking)]
        done = Scored()
        left = self._left(flow) if asking else 0.0
        begun = calls[:MOST]
        try:
            async with self._ports.asker(flow.name, max(left, 0.0)) as asker:
                for call in begun:
                    one = Scored()
                    if asking and left - done.usd <= 0:
                        one.passed_over = 1
                    else:
                        await self._call(flow, call, scorers, asker, one)
                    self._seen[call.id] = call.ts
                    await asyncio.to_thread(self._account, flow, one)
                    for name in done.__struct_fields__:
                        setattr(done, name, getattr(done, name) + getattr(one, name))
        except Unreached as gone:
            log.warning("live answers wait for their scorer", extra={"workflow": flow.name, "error": str(gone)})
            begun = []  # the next round tries again, from where this one began
        if begun or not calls:
            self._since[flow.name] = until if len(calls) <= MOST else begun[-1].ts
        total.scored += done.scored
        total.passed_over += done.passed_over
        total.usd += done.usd

    def _calls(self, flow: Workflow, scorers: Sequence[Scorer], since: float, until: float) -> list[Inference]:
        """Sampled answers that no score was given to, oldest first, with bodies."""
        names = {each.name for each in scorers}
        answered = ",".join(sorted(SERVED_BY_MODEL))
        found: list[Inference] = []
        for traffic, share in (("live", flow.evals.online.share), ("shadow", 1.0)):
            where = Filter(workflow=flow.name, traffic=traffic, outcome=answered, since=since, until=until)
            for row in self._ports.store.sample(where, share):
                if row.id in self._seen or row.kill:
                    continue
                entry = self._ports.store.get(row.id)
                if entry is None or entry.inference.response is None:
                    continue
                if not any(said.name in names and said.by.startswith(SCORER) for said in entry.feedback):
                    found.append(entry.inference)
                if len(found) > MOST:
                    break
        return sorted(found, key=lambda each: (each.ts, each.id))

    async def _call(
        self, flow: Workflow, call: Inference, scorers: Sequence[Scorer], asker: Asker, done: Scored
    ) -> None:
        """Score one answer and keep all of it at once.  Raises ``Unreached``."""
        case = case_of(call, self._ports.release(call.digest or ""))
        if case is None:
            return
        marks = [(each, await _mark(each, case, asker)) for each in scorers]
        done.usd += sum(mark.usd or 0.0 for _, mark in marks)
        lines = [_feedback(call, each, mark, self._ports.clock()) for each, mark in marks if mark.value is not None]
        for each, mark in marks:
            if mark.value is None:
                facts = {"workflow": flow.name, "inference": call.id, "reason": each.name}
                log.warning("a live answer could not be scored", extra={**facts, "error": mark.broke})
        if lines:
            done.scored += await asyncio.to_thread(self._keep, call.id, lines)

    def _keep(self, inference: str, lines: list[Feedback]) -> bool:
        """Of an inference that was forgotten meanwhile nothing is kept."""
        if self._ports.store.get(inference) is None:
            return False
        self._ports.store.ship(Batch(feedback=lines))
        return True

    def _account(self, flow: Workflow, done: Scored) -> None:
        """At once, answer by answer: what was spent is not forgotten in a crash."""
        if done.scored or done.passed_over or done.usd:
            with self._ports.state.write() as tx:
                tx.add_online(flow.team, flow.name, self._day(), done.usd, done.scored, done.passed_over)

    def _today(self, workflow: str) -> tuple[float, int, int]:
        with self._ports.state.read() as tx:
            return tx.online(workflow, self._day())

    def _left(self, flow: Workflow) -> float:
        """US dollars that may be spent now: of the day's, as much as of the day is over, and an hour's more."""
        now = datetime.fromtimestamp(self._ports.clock(), self._ports.zone())
        begun = now.replace(hour=0, minute=0, second=0, microsecond=0)
        over = min((now.timestamp() - begun.timestamp() + AHEAD) / DAY, 1.0)
        return flow.evals.online.usd_per_day * over - self._today(flow.name)[0]

    def _day(self) -> str:
        return datetime.fromtimestamp(self._ports.clock(), self._ports.zone()).date().isoformat()


def online_scorers(flow: Workflow, declared: Sequence[Scorer]) -> tuple[list[Scorer], dict[str, str]]:
    """Those that can be given to live answers, and why the others cannot: nobody says what a live call expects."""
    wanted = flow.evals.online.scorers
    fit: list[Scorer] = []
    left_out: dict[str, str] = {}
    for each in declared:
        if wanted and each.name not in wanted:
            left_out[each.name] = "evals.online.scorers does not name it"
        elif each.expects:
            left_out[each.name] = "it needs an expected answer, which a live call has not"
        elif each.name in CALLERS_SAY:
            left_out[each.name] = "callers give feedback of this name; call the score otherwise"
        else:
            fit.append(each)
    return fit, left_out


def case_of(call: Inference, frozen: FrozenRelease | None) -> Case | None:
    """What the model answered to a live call; ``None``: the log has no body that says it."""
    if call.response is None:
        return None
    said = call.said()
    body, answer = _json(call.asked()), _json(said)
    messages = [each for each in body.get("messages") or [] if isinstance(each, dict)]
    ours = body.get("roadworthy")
    inputs = ours.get("inputs") if isinstance(ours, dict) else None
    return Case(
        reading.whole(200, {}, bytes(said or b"null"), 0.0).text,
        schema=None if frozen is None else frozen.release.behaviour.schema,
        messages=messages,
        inputs={name: str(value) for name, value in inputs.items()} if isinstance(inputs, dict) else {},
        tool_calls=tool_calls_of(answer),
        seconds=call.latency,
        usd=call.cost_usd,
    )


async def _mark(scorer: Scorer, case: Case, asker: Asker) -> Mark:
    """Raises ``Unreached``."""
    if isinstance(scorer, Pure):
        return marked(scorer, case)
    if not isinstance(scorer, Asking):
        return Mark(None, broke="it neither scores nor asks")
    try:
        return await scorer.ask(case, asker)
    except Unreached:
        raise
    except CannotScore as cannot:
        return told(cannot)


def _feedback(call: Inference, scorer: Scorer, mark: Mark, now: float) -> Feedback:
    by = f"{SCORER}{scorer.word}:{identity_of(scorer)[4:16]}"
    return Feedback(call.id, now, scorer.name, mark.value, mark.label or None, by)


def _json(raw: msgspec.Raw | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw or b"")
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
