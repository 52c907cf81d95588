"""Calibrations of judges: planned, run, interrupted, gone on with, concluded.

The judge scores the very answers that people have scored, through the gateway and as it does in a gate.  What it says
is kept as it comes, so the same command goes on after whatever ended it.  A calibration is leased: whoever started it
must look at it, or it stops.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from typing import Literal

import msgspec

from roadworthy.evals.calibration import LEAST, Calibration, Conclusion, Rated, conclude, middle, nearest
from roadworthy.evals.judges import Judges, identity_of
from roadworthy.evals.model import HandScore
from roadworthy.evals.rules import rubric_digest
from roadworthy.evals.scorers.base import Asker, CannotScore, Case, Mark, Unreached, told
from roadworthy.evals.scorers.judge import RubricJudge
from roadworthy.evals.scorers.pairwise import VALUES, Pairwise, swapped
from roadworthy.evals.service import Refused
from roadworthy.evidence.kinds import DAY
from roadworthy.operations.leasing import UNLEASED, led, reasons
from roadworthy.statistics.estimate import Estimate
from roadworthy.statistics.judged import swap_consistency
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

log = logging.getLogger("roadworthy.calibration")

AT_ONCE = 4
RESUMED_WITHIN = DAY
"""Seconds after which one that was left open is begun anew: the judge's model may be another by now."""
LEAST_DOLLARS = 0.01

AnyJudge = RubricJudge | Pairwise
StateWord = Literal["running", "done", "interrupted", "failed"]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that people scored."""

    example: str
    answer: str
    """``ans_`` + 32 hex digits of its text."""
    case: Case
    scores: list[HandScore]
    held_out: bool


class Item(msgspec.Struct, frozen=True):
    """One thing that the judge is asked, and what people say of it."""

    name: str
    case: Case
    people: list[str]
    """Named values, one a rater."""
    held_out: bool


class Ports(msgspec.Struct, frozen=True):
    """What wiring gives."""

    flows: Callable[[], dict[str, Workflow]]
    scorers: Callable[[Workflow], Sequence[object]]
    """Those that a workflow declares, as they would be made now.  Raises ``Refused``."""
    subjects: Callable[[str, str], Sequence[Subject]]
    """(workflow, digest of its rubric) → the answers that people scored by it."""
    asker: Callable[[str, float], AbstractAsyncContextManager[Asker]]
    """(workflow on whose behalf, most dollars)."""
    usd: Callable[[AnyJudge, Sequence[Case]], float | None]
    """About the most that asking costs; ``None``: nobody knows."""
    clock: Callable[[], float]


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    scorer: str
    usd: float | None = None
    """Most that it may cost, with what it cost before it was gone on with; ``None``: twice the estimate."""
    anew: bool = False
    """Begin again, though one was left open."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a calibration would do, said before its first question."""

    workflow: str
    scorer: str
    judge: str
    identity: str
    rubric: str
    answers: int
    held_out: int
    twice: int
    """Answers that two people or more scored."""
    calls: int
    resumes: str
    """Id of the one that is gone on with; empty: a new one."""
    spent: float
    usd: float | None
    warnings: list[str]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration as it is now."""

    calibration: Calibration
    state: StateWord
    asked: int
    spent: float
    """US dollars, as far as they are known."""
    detail: str = ""


class _Ready(msgspec.Struct, frozen=True):
    flow: Workflow
    scorer: AnyJudge
    items: list[Item]
    plan: Plan
    values: dict[str, float]


class _Going:
    """One under way, shared between its thread and those that look at it."""

    def __init__(self, calibration: Calibration, ready: _Ready, usd: float, kept: dict[str, Mark], now: float) -> None:
        self.calibration = calibration
        self.ready = ready
        self.usd = usd
        self.asked = len(kept)
        self.spent = ready.plan.spent
        self.pending = [each for each in ready.items if each.name not in kept]
        self.looked = now
        self.stopping = ""
        self.detail = ""
        self.state: StateWord = "running"


class Calibrating:
    """Thread-safe."""

    def __init__(self, judges: Judges, ports: Ports, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.judges = judges
        self._ports = ports
        self._monotonic = monotonic
        self._running: dict[str, _Going] = {}
        self._ended: dict[str, _Going] = {}
        self._lock = threading.Lock()

    def judges_of(self, workflow: str) -> list[AnyJudge]:
        """The judges that a workflow declares, as they are now.  Raises ``Unknown`` and ``Refused``."""
        return [each for each in self._ports.scorers(self._flow(workflow)) if isinstance(each, RubricJudge | Pairwise)]

    def plan(self, order: Order) -> Plan:
        """Raises ``Unknown`` and ``Refused``."""
        return self._ready(order)[0].plan

    def going(self, workflow: str) -> str:
        """Id of the calibration of a workflow that is under way; empty: none is."""
        with self._lock:
            mine = (each for each in self._running.values() if each.ready.plan.workflow == workflow)
            return next((each.calibration.id for each in mine), "")

    def start(self, order: Order, actor: Actor, *, leased: bool = True) -> Status:
        """Begin, or go on with the one that was left open.  ``leased``: it stops when nobody looks.

        Raises ``Unknown`` and ``Refused``.
        """
        if order.usd is not None and order.usd <= 0:
            raise Refused(f"at most {order.usd} dollars: expected more than 0")
        with self._lock:
            other = next((each for each in self._running.values() if each.ready.plan.workflow == order.workflow), None)
            if other is not None:
                raise Refused(
                    f"calibration {other.calibration.id} of '{order.workflow}' is under way; wait for it, or stop it "
                    "where it was begun"
                )
            ready, kept = self._ready(order)
            usd = order.usd if order.usd is not None else ready.plan.spent + _dollars(ready.plan.usd)
            if usd <= ready.plan.spent and ready.plan.calls:
                raise Refused(f"{ready.plan.resumes} has cost {ready.plan.spent:.4f} dollars already; give more")
            made = self.judges.find(ready.plan.resumes) if ready.plan.resumes else self._begun(ready, usd, actor)
            going = _Going(made, ready, usd, kept, self._monotonic() if leased else UNLEASED)
            self._running[made.id] = going
            self._ended.pop(made.id, None)
        threading.Thread(target=self._live, args=(going,), name=f"calibration {made.id}", daemon=True).start()
        return self.look(made.id)

    def look(self, ident: str) -> Status:
        """As it is now; looking renews its lease.  Raises ``Unknown``."""
        with self._lock:
            going = self._running.get(ident) or self._ended.get(ident)
        if going is not None:
            going.looked = max(going.looked, self._monotonic())
            if going.state == "running":
                return Status(calibration=going.calibration, state="running", asked=going.asked, spent=going.spent)
        found, marks = self.judges.find(ident), self.judges.marks(ident)
        state: StateWord = "interrupted" if going is None else going.state
        return Status(
            calibration=found, state="done" if found.concluded is not None else state, asked=len(marks),
            spent=sum(each.usd or 0.0 for each in marks.values()), detail="" if going is None else going.detail,
        )  # fmt: skip

    def stop(self, ident: str) -> Status:
        """Interrupt it; what is under way is lost, the rest is kept.  Raises ``Unknown``."""
        with self._lock:
            going = self._running.get(ident)
        if going is not None:
            going.stopping = going.stopping or "stopped"
        return self.look(ident)

    # --- before

    def _flow(self, workflow: str) -> Workflow:
        flows = self._ports.flows()
        if workflow not in flows:
            raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, flows)}")
        return flows[workflow]

    def _ready(self, order: Order) -> tuple[_Ready, dict[str, Mark]]:
        flow = self._flow(order.workflow)
        scorer = self._judge(flow, order.scorer)
        rubric = rubric_digest(flow.rubric or "")
        subjects = self._ports.subjects(flow.name, rubric)
        items, values = _items(scorer, subjects)
        if not items:
            raise Refused(_nothing(flow.name, scorer, len(subjects)))
        left = None if order.anew else self._left_open(flow.name, scorer, rubric, items)
        kept = {} if left is None else self.judges.marks(left.id)
        pending = [each.case for each in items if each.name not in kept]
        plan = Plan(
            workflow=flow.name, scorer=scorer.name, judge=scorer.workflow, identity=identity_of(scorer), rubric=rubric,
            answers=len(items), held_out=sum(each.held_out for each in items),
            twice=sum(len(each.people) > 1 for each in items), calls=len(pending),
            resumes="" if left is None else left.id, spent=sum(each.usd or 0.0 for each in kept.values()),
            usd=self._ports.usd(scorer, pending),
            warnings=[*_warnings(items), *self._already(flow.name, scorer, rubric)],
        )  # fmt: skip
        return _Ready(flow, scorer, items, plan, values), kept

    def _already(self, workflow: str, scorer: AnyJudge, rubric: str) -> list[str]:
        vouched = self.judges.calibrated(workflow, identity_of(scorer), rubric, self._ports.clock())
        if isinstance(vouched, str):
            return []
        return [
            f"calibration {vouched.id} vouches for it already; this one replaces it, whatever it comes to, and what "
            "the judge says now counts together with what it said then"
        ]

    def _judge(self, flow: Workflow, name: str) -> AnyJudge:
        found = {each.name: each for each in self.judges_of(flow.name)}
        if name not in found:
            if not found:
                raise Refused(
                    f"{flow.name} declares no judge; name one under evals.scorers in its workflow.yaml and apply"
                )
            raise Unknown(f"{flow.name} has no judge '{name}': {did_you_mean(name, found)}")
        return found[name]

    def _left_open(self, workflow: str, scorer: AnyJudge, rubric: str, items: Sequence[Item]) -> Calibration | None:
        """The newest one of the very same that was not concluded."""
        asked = [each.name for each in items]
        for each in self.judges.known(workflow):
            same = each.identity == identity_of(scorer) and each.rubric == rubric and each.items == asked
            if same and each.began >= self._ports.clock() - RESUMED_WITHIN:
                return each if each.concluded is None else None
        return None

    def _begun(self, ready: _Ready, usd: float, actor: Actor) -> Calibration:
        plan = ready.plan
        return self.judges.begin(
            Calibration(
                id=self.judges.new_id(), team=ready.flow.team, workflow=plan.workflow, scorer=plan.scorer,
                identity=plan.identity, judge=plan.judge, rubric=plan.rubric, values=ready.values,
                items=[each.name for each in ready.items], usd=usd, began=self._ports.clock(), by=actor.id,
                on_behalf_of=actor.on_behalf_of,
            )
        )  # fmt: skip

    # --- its thread

    def _live(self, going: _Going) -> None:
        """An event loop of its own, so that nothing of control waits for it."""
        state: StateWord = "failed"
        going.detail = "control failed; its log says where"
        try:
            asyncio.run(led(going, self._asked(going), self._monotonic))
            state, going.detail = ("interrupted", going.stopping) if going.stopping else ("done", "")
            marks = self.judges.marks(going.calibration.id)
            if all(each.name in marks for each in going.ready.items):
                before = self.judges.said_before(going.calibration)
                found = concluded(going.ready, marks, self._ports.clock(), before)
                self.judges.conclude(going.calibration, found)
                state, going.detail = "done", ""
        except* (Refused, Unreached, OSError) as failed:
            state, going.detail = "failed", "; ".join(reasons(failed))
            log.error("calibration failed", extra={"error": going.detail})
        finally:
            with self._lock:
                going.state = state
                self._running.pop(going.calibration.id, None)
                self._ended[going.calibration.id] = going
                while len(self._ended) > 100:
                    self._ended.pop(next(iter(self._ended)))

    async def _asked(self, going: _Going) -> None:
        scorer, waiting = _asker(going.ready.scorer), iter(going.pending)
        async with self._ports.asker(going.ready.plan.workflow, max(going.usd - going.spent, 0.0)) as asker:
            gone: list[Unreached] = []

            async def worker() -> None:
                for item in waiting:
                    if going.spent >= going.usd:
                        going.stopping = f"its {going.usd:.4f} dollars are spent"
                    if going.stopping or gone:
                        return
                    try:
                        mark = await _mark(scorer, item.case, asker)
                    except Unreached as error:  # the others keep what they have paid for
                        gone.append(error)
                        return
                    await asyncio.to_thread(self.judges.keep, going.calibration.id, item.name, mark)
                    going.asked += 1
                    going.spent += mark.usd or 0.0

            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(going.pending))):
                    group.create_task(worker())
            if gone:
                raise gone[0]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A judge as it would be asked now."""

    workflow: str
    scorer: str
    """Its score; empty: the scorers cannot be made, and ``why`` says so."""
    judge: str
    identity: str = ""
    calibration: Calibration | None
    """That vouches for it; ``None``: none does."""
    why: str
    """Why none does, in words; empty: nobody tried yet, or one does."""


def declared_judges(calibrating: Calibrating, judges: Judges, flow: Workflow, now: float) -> list[Declared]:
    """The judges that a workflow declares.  Raises ``Unknown``."""
    try:
        declared = calibrating.judges_of(flow.name)
    except Refused as error:
        return [Declared(workflow=flow.name, scorer="", judge="", calibration=None, why=str(error))]
    found = []
    for each in declared:
        identity = identity_of(each)
        vouched = judges.calibrated(flow.name, identity, rubric_digest(flow.rubric or ""), now, score=each.name)
        known = vouched if isinstance(vouched, Calibration) else None
        found.append(
            Declared(
                workflow=flow.name, scorer=each.name, judge=each.workflow, identity=identity, calibration=known,
                why=vouched if isinstance(vouched, str) else "",
            )
        )  # fmt: skip
    return found


def concluded(ready: _Ready, marks: Mapping[str, Mark], now: float, before: Mapping[str, Sequence[Mark]]) -> Conclusion:
    """What the judge said of everything, compared with what people did.  ``before``: what it said of the same earlier.

    All that it said of an answer counts as one word, the middle one: nobody asks until it looks well.  Raises
    ``Refused``: it said nothing at all.
    """
    said = [(item, [marks[item.name], *before.get(item.name, ())]) for item in ready.items]
    words = [(item, _word([mark.label for mark in found], ready.values)) for item, found in said]
    rated = [Rated(item.name, item.people, word, item.held_out) for item, word in words if word]
    everything = [mark for _, found in said for mark in found]
    if not rated:
        broke = next((mark.broke for mark in everything if mark.broke), "it gave none of the rubric's values")
        raise Refused(f"the judge could make nothing of any answer: {broke}")
    return conclude(rated, ready.values, now, unscored=len(said) - len(rated), swapped=_swapped(everything))


def _word(labels: Sequence[str], values: Mapping[str, float]) -> str:
    """The middle one; empty: of half of its askings, or more, nothing could be made."""
    read = [each for each in labels if each in values]
    return middle(read, values) if 2 * len(read) > len(labels) else ""


def _asker(scorer: AnyJudge) -> AnyJudge:
    """As it is asked here: two answers that people scored are compared, whichever it compares in a gate."""
    return msgspec.structs.replace(scorer, against="before") if isinstance(scorer, Pairwise) else scorer


async def _mark(scorer: AnyJudge, case: Case, asker: Asker) -> Mark:
    """Raises ``Unreached``: nobody is there to ask, which must not count against the judge."""
    try:
        return await scorer.ask(case, asker)
    except Unreached:
        raise
    except CannotScore as cannot:
        return told(cannot)


def _swapped(marks: Sequence[Mark]) -> Estimate | None:
    """How often a pairwise judge held to its word in the other order; ``None``: it is none."""
    both = [found for found in map(swapped, marks) if found is not None]
    return swap_consistency([one for one, _ in both], [two for _, two in both]).consistent if both else None


def _items(scorer: AnyJudge, subjects: Sequence[Subject]) -> tuple[list[Item], dict[str, float]]:
    """What the judge is asked, by name, and the values that it may give."""
    if isinstance(scorer, Pairwise):
        return sorted(_pairs(subjects), key=lambda each: each.name), VALUES
    found = [
        Item(
            f"{each.example}/{each.answer}", each.case,
            [_valued(score, scorer.values) for score in each.scores], each.held_out,
        )
        for each in subjects
    ]  # fmt: skip
    return sorted(found, key=lambda each: each.name), scorer.values


def _valued(score: HandScore, values: dict[str, float]) -> str:
    """The judge's word for what a person said: the same name, else the value that scores nearest (of two the worse)."""
    if score.value in values:
        return score.value
    return nearest(score.score, values)


def _pairs(subjects: Sequence[Subject]) -> Iterator[Item]:
    """Two answers to one question, each scored by the same people: whichever scored higher is better."""
    by_example: dict[str, list[Subject]] = {}
    for each in subjects:
        by_example.setdefault(each.example, []).append(each)
    for example, found in by_example.items():
        ordered = sorted(found, key=lambda each: each.answer)
        for one, other in pairwise(ordered):
            theirs = {score.rater: score.score for score in other.scores}
            people = [_better(score.score, theirs[score.rater]) for score in one.scores if score.rater in theirs]
            if people:
                case = msgspec.structs.replace(one.case, other=other.case.text)
                yield Item(f"{example}/{one.answer}/{other.answer}", case, people, one.held_out)


def _better(one: float, other: float) -> str:
    return "tie" if one == other else "better" if one > other else "worse"


def _nothing(workflow: str, scorer: AnyJudge, subjects: int) -> str:
    if subjects and isinstance(scorer, Pairwise):
        return (
            f"{scorer.name} compares two answers, and no question of {workflow} has two that one person scored; score "
            f"the answers of a second release: roadworthy evals score {workflow}"
        )
    return (
        f"nobody has scored an answer of {workflow} by its rubric as it stands now; at least {LEAST} are needed: "
        f"roadworthy evals score {workflow}"
    )


def _warnings(items: Sequence[Item]) -> list[str]:
    said = []
    if len(items) < LEAST:
        said.append(f"{len(items)} hand-scored answers: under {LEAST} nothing is decided")
    if not any(each.held_out for each in items):
        said.append("none of them is held out, so what the judge's prompt was tuned on judges it")
    if not any(len(each.people) > 1 for each in items):
        said.append("no answer was scored by two people, so nobody knows how far people agree among themselves")
    return said


def _dollars(estimate: float | None) -> float:
    """Most that it may cost whose caller set no limit.  Raises ``Refused`` where nobody knows a price."""
    if estimate is None:
        raise Refused("nobody knows what the judge costs; say what it may: --max-usd DOLLARS")
    return max(2 * estimate, LEAST_DOLLARS)
