"""What an eval run would do, said before its first call: which examples of which release, what is reused, what it
costs, what it can see; and the run itself, fixed then."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from roadworthy.evals.asking import CannotAsk, question
from roadworthy.evals.gate import DEFAULT_FLOOR
from roadworthy.evals.model import Answer, Example, Publication, Purpose, Run
from roadworthy.evals.planning import what_it_sees
from roadworthy.evals.rules import other_targets, policy_hash, rubric_digest, sampled, standing
from roadworthy.evals.scorers.base import Asking, Case, Scorer
from roadworthy.evals.scorers.recorded import of_records
from roadworthy.evals.scorers.registry import UnknownScorer
from roadworthy.evals.scoring import HAND, slots
from roadworthy.evals.service import Evals, Published, Refused
from roadworthy.evidence.kinds import DAY
from roadworthy.evidence.ports import Signer
from roadworthy.evidence.receipt.rules import LEAST_EXAMPLES
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.operations.proving.eval_history import History
from roadworthy.operations.proving.judge_costs import CHARACTERS_A_TOKEN, most_tokens, usd_of
from roadworthy.workflow.model import FrozenRelease, Policy, Workflow
from roadworthy.workflow.ports import State
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import DRAFT, Actor, Unknown, Workflows

RESUMED_WITHIN = DAY
"""Seconds after which a run that was left open is not gone on with: the model may be another by now."""
REUSED_WITHIN = DAY
"""Seconds for which an answer of the same release to the same example may stand for another call."""
AT_ONCE = 4
MOST_AT_ONCE = 64
MOST_REPEATS = 20


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to have run."""

    workflow: str
    release: str = ""
    """Number or digest; empty: the newest frozen one."""
    concurrency: int = AT_ONCE
    usd: float | None = None
    """Most that the run may cost, with what it cost before it was gone on with; ``None``: twice the estimate."""
    purpose: Purpose = "gate"
    against: str = ""
    """Number or digest of the release to hold it against, for a run that is no gate; empty: the newest one before it
    whose gate passed."""
    repeat: int = 1
    """Times that each example is asked."""
    sample: int = 0
    """Examples that are asked; 0: all."""
    fresh: bool = False
    """Reuse no earlier answer."""


class Ports(msgspec.Struct, frozen=True):
    """What wiring gives."""

    signer: Signer
    base_url: Callable[[], str]
    """Of the gateway, for clients on this machine."""
    snapshot: Callable[[], Snapshot | None]
    """What gateways were told last."""
    publish: Callable[[], None]
    epoch: Callable[[], int]
    clock: Callable[[], float]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would do."""

    workflow: str
    number: int
    release: str
    """Digest."""
    examples: int
    calls: int
    """Askings that have no answer yet."""
    resumes: str
    """Id of the run that is gone on with; empty: a new one."""
    spent: float = 0.0
    """US dollars that this run has cost until now."""
    set_version: str
    floors: dict[str, float]
    margin: float
    against: int | None
    rubric_signed_by: str
    usd: float | None
    """About the most that it costs, judges and all; ``None``: nobody knows the price."""
    sees: str
    warnings: list[str] = []
    purpose: Purpose = "gate"
    repeat: int = 1
    reused: int = 0
    """Answers of earlier runs that stand for a call."""
    reused_age: float = 0.0
    """Seconds of the oldest of them."""
    critical: int = 0
    targets: list[str] = []
    """Other targets of which the critical examples are asked."""
    asks: list[str] = []
    """Scores for which somebody else is asked: a judge, an endpoint, a function."""
    marks: int = 0
    """Times that somebody is asked for one of them."""
    usd_asks: float | None = 0.0
    """Of ``usd``, what that costs; what an endpoint charges nobody here knows."""


class Question(msgspec.Struct, frozen=True):
    """One asking."""

    slot: str
    example: Example
    target: str
    repeat: int
    body: bytes


class Ready(msgspec.Struct, frozen=True):
    """Everything that a run needs."""

    frozen: FrozenRelease
    flow: Workflow
    run: Run
    """As it would be begun, or as it is gone on with."""
    plan: Plan
    scorers: list[Scorer]
    questions: list[Question]
    """Those without an answer."""
    reused: list[Answer]
    """To be kept as answers of this run."""


class Plans:
    """Blocking."""

    def __init__(
        self, state: State, workflows: Workflows, evals: Evals, history: History, ports: Ports,
    ) -> None:  # fmt: skip
        self._state = state
        self._workflows = workflows
        self._evals = evals
        self._history = history
        self._ports = ports

    def ready(self, order: Order) -> Ready:
        """Raises ``Unknown`` and ``Refused``."""
        _vet(order)
        workflow = order.workflow
        flow, policy, frozen = self._workflows.named(workflow), self._policy(workflow), self.frozen(order)
        published = self._evals.current(workflow)
        try:
            scorers = of_records(published.publication.scorer_records, published.examples)
        except UnknownScorer as error:
            raise Refused(f"the set in force cannot be scored: {error}; publish it again") from error
        template = self._run(order, flow, policy, frozen, published)
        if template.purpose == "gate":
            _vet_floors(workflow, template.floors, [*(scorer.name for scorer in scorers), HAND])
        resumed = self._history.left_open(template, RESUMED_WITHIN)
        run = resumed or template
        asked = slots(run, published.examples.items)
        kept = {} if resumed is None else self._evals.answers(resumed.id)
        reused = {} if order.fresh else self._history.reusable(run, REUSED_WITHIN)
        reused = {where: reused[where] for where, _, _ in asked if where in reused and unanswered(kept.get(where))}
        try:
            questions = [
                Question(where, each, target, _repeat_of(where), _body(frozen, each, _repeat_of(where)))
                for where, each, target in asked
                if unanswered(kept.get(where)) and where not in reused
            ]
        except CannotAsk as error:
            raise Refused(str(error)) from error
        asking = [each for each in scorers if isinstance(each, Asking)]
        jobs = [(scorer, case) for scorer in asking for case in _unmarked(scorer, frozen, asked, {**reused, **kept})]
        calls, judges = self._estimate(frozen, questions), self._judges(jobs)
        n, before = len({each.id for _, each, _ in asked}), self._history.incumbent(run)
        now = self._ports.clock()
        plan = Plan(
            workflow=workflow, number=frozen.number, release=frozen.release.digest, examples=n, calls=len(questions),
            resumes=resumed.id if resumed else "", spent=sum(map(cost, kept.values())),
            set_version=run.set_version, floors=run.floors, margin=run.margin,
            against=None if before is None else before.number, rubric_signed_by=run.signed_by,
            usd=None if calls is None or judges is None else calls + judges,
            sees=what_it_sees(n, run.floors, run.margin, compared=before is not None),
            warnings=_warnings(flow, n, run, published) if run.purpose == "gate" else [],
            purpose=run.purpose, repeat=run.repeat, reused=len(reused),
            reused_age=max((now - each.at for each in reused.values()), default=0.0),
            critical=sum(each.critical for each in published.examples.items), targets=run.targets,
            asks=[each.name for each in asking], marks=len(jobs), usd_asks=judges,
        )  # fmt: skip
        copies = [msgspec.structs.replace(each, run=run.id, reused=each.run) for each in reused.values()]
        return Ready(frozen, flow, run, plan, scorers, questions, copies)

    def begin(self, ready: Ready, actor: Actor) -> Run:
        """The run to go on with, or the new one, fixed now; with the answers that it reuses."""
        run = ready.run
        if not ready.plan.resumes:
            run = self._evals.begin(msgspec.structs.replace(run, by=actor.id, on_behalf_of=actor.on_behalf_of))
        for answer in ready.reused:
            self._evals.keep(answer)
        return run

    def flow(self, workflow: str) -> Workflow:
        """As applied.  Raises ``Unknown``."""
        return self._workflows.named(workflow)

    def frozen(self, order: Order) -> FrozenRelease:
        """Raises ``Unknown`` and ``Refused``."""
        workflow, which = order.workflow, order.release
        if which == DRAFT:
            raise Refused(f"a draft can change under the run; freeze it first: roadworthy freeze {workflow}")
        with self._state.read() as tx:
            releases = tx.releases(workflow)
        if not releases:
            raise Refused(f"{workflow} has no release to judge; freeze one: roadworthy freeze {workflow}")
        return releases[0] if not which else self._named(workflow, which, releases)

    # --- inside

    def _named(self, workflow: str, which: str, releases: Sequence[FrozenRelease]) -> FrozenRelease:
        digest = self._workflows.find(workflow, which)[0].digest
        return next(each for each in releases if each.release.digest == digest)

    def _policy(self, workflow: str) -> Policy:
        """As it is in force: what was loosened waits for its owner."""
        snapshot = self._ports.snapshot()
        served = None if snapshot is None else snapshot.workflows.get(workflow)
        if served is None:
            raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, snapshot.workflows if snapshot else ())}")
        return served.policy

    def _run(self, order: Order, flow: Workflow, policy: Policy, frozen: FrozenRelease, found: Published) -> Run:
        published = found.publication
        release, gate, now = frozen.release, policy.gate, self._ports.clock()
        ident = f"evr_{secrets.token_hex(8)}"
        rubric = rubric_digest(flow.rubric) if flow.rubric else ""
        primary = gate.primary or ""
        floors = dict(gate.floors)
        if primary:
            floors.setdefault(primary, DEFAULT_FLOOR)
        against = ""
        if order.against:
            with self._state.read() as tx:
                against = self._named(flow.name, order.against, tx.releases(flow.name)).release.digest
        everywhere = order.purpose in ("gate", "nightly") and published.critical > 0
        return Run(
            id=ident, team=flow.team, workflow=flow.name, release=release.digest,
            number=frozen.number, behaviour=release.behaviour_digest, handling=release.handling_digest,
            set_version=published.version, scorers=published.scorers, floors=floors, margin=gate.margin,
            policy=policy_hash(policy), rubric=rubric,
            signed_by=self._evals.signed_by(flow.name, rubric, now, flow.owners.workflow) if rubric else "",
            examples=len(sampled(found.examples.items, order.sample, ident)), began=now, by="",
            purpose=order.purpose, against=against, repeat=order.repeat, sample=order.sample,
            targets=other_targets(release.behaviour, release.handling) if everywhere else [], primary=primary,
            slices=list(gate.slices), scorer_records=published.scorer_records,
        )  # fmt: skip

    def _estimate(self, frozen: FrozenRelease, questions: Iterable[Question]) -> float | None:
        snapshot, behaviour = self._ports.snapshot(), frozen.release.behaviour
        prices = {} if snapshot is None else snapshot.prices
        system = len(behaviour.prompt.system) if behaviour.prompt else 0
        output, total = most_tokens(frozen), 0.0
        for each in questions:
            price = prices.get(each.target or behaviour.target)
            if price is None:
                return None
            asked = (system + len(each.body)) / CHARACTERS_A_TOKEN
            total += asked * price.input + output * price.output + price.per_request
        return total if behaviour.target in prices else None

    def _judges(self, jobs: Sequence[tuple[Asking, Case]]) -> float | None:
        """What asking them costs."""
        snapshot, total = self._ports.snapshot(), 0.0
        cases: dict[str, tuple[Asking, list[Case]]] = {}
        for scorer, case in jobs:
            cases.setdefault(scorer.name, (scorer, []))[1].append(case)
        for scorer, found in cases.values():
            usd = usd_of(scorer, found, self._newest(scorer), {} if snapshot is None else snapshot.prices)
            if usd is None:
                return None
            total += usd
        return total

    def _newest(self, scorer: Asking) -> FrozenRelease | None:
        """Of the workflow that it asks."""
        with self._state.read() as tx:
            return next(iter(tx.releases(getattr(scorer, "workflow", ""))), None)


def eased_by(publication: Publication) -> list[str]:
    """What whoever reads a verdict should know of the set that it is about."""
    if not publication.eased:
        return []
    return [f"of the examples of the set before: {', '.join(publication.eased)} (published by {publication.by})"]


def _unmarked(
    scorer: Asking, frozen: FrozenRelease, asked: Sequence[tuple[str, Example, str]], kept: Mapping[str, Answer]
) -> Iterator[Case]:
    """What a scorer is still to be asked about; an answer that is not there yet is thought as long as one can be."""
    longest = "x" * int(most_tokens(frozen) * CHARACTERS_A_TOKEN)
    for where, example, _ in asked:
        answer = kept.get(where)
        there = None if answer is None or unanswered(answer) else answer
        mark = None if there is None else there.marks.get(scorer.name)
        good = there is None or standing(there.outcome, there.failure) == "good"
        if good and (mark is None or mark.again):
            text = longest if there is None else there.text
            yield Case(text, example.expected, example.text, messages=example.messages, inputs=example.inputs)


def cost(answer: Answer) -> float:
    """US dollars of the call and of whoever was asked about it, as far as they are known; what was reused cost
    nothing."""
    if answer.reused:
        return 0.0
    return (answer.usd or 0.0) + sum(mark.usd or 0.0 for mark in answer.marks.values())


def unanswered(answer: Answer | None) -> bool:
    """Is the example still to be asked?"""
    return answer is None or standing(answer.outcome, answer.failure) == "unanswered"


def _repeat_of(slot: str) -> int:
    number = slot.partition("@")[0].partition("#")[2]
    return int(number) if number else 0


def _body(frozen: FrozenRelease, example: Example, repeat: int) -> bytes:
    """A repeat is another user's call: nobody answers it from what the first one was told."""
    found = question(frozen.release, example)
    if repeat:
        found["user"] = f"{found['user']}-{repeat}"
    return msgspec.json.encode(found)


def _vet(order: Order) -> None:
    if not 1 <= order.concurrency <= MOST_AT_ONCE:
        raise Refused(f"concurrency {order.concurrency}: expected 1 to {MOST_AT_ONCE} calls at once")
    if not 1 <= order.repeat <= MOST_REPEATS:
        raise Refused(f"repeat {order.repeat}: expected 1 to {MOST_REPEATS} askings of each example")
    if order.usd is not None and order.usd <= 0:
        raise Refused(f"at most {order.usd} dollars: expected more than 0")
    if order.sample < 0:
        raise Refused(f"a sample of {order.sample} examples: expected 1 or more")
    if order.against and order.purpose == "gate":
        raise Refused(
            "a gate is held against the newest release before it that passed, not against one that somebody names; "
            "to see the two beside each other: roadworthy evals run --against N"
        )
    if order.sample and order.purpose == "gate":
        raise Refused("a gate asks every example; a sample is asked by: roadworthy evals run --sample N")


def _vet_floors(workflow: str, floors: Mapping[str, float], names: Sequence[str]) -> None:
    if not floors:
        example = ", ".join(f"{name}: {0.95 if name == 'valid_json' else 0.8}" for name in names[:2] if name != HAND)
        raise Refused(
            f"nobody has said what is good enough for {workflow}; declare it before the first run, in "
            f"workflows/{workflow}/workflow.yaml, and apply:\n"
            f"  policy:\n    gate: {{floors: {{{example or 'hand: 0.8'}}}}}"
        )
    for name in floors:
        if name not in names:
            raise Refused(
                f"policy.gate.floors names '{name}', and the examples are scored on {', '.join(names)}; "
                f"{did_you_mean(name, names)}"
            )


def _warnings(flow: Workflow, n: int, run: Run, found: Published) -> list[str]:
    said = eased_by(found.publication)
    missing = [tag for tag in run.slices if not any(tag in each.tags for each in found.examples.items)]
    said += [f"no example has the tag '{tag}', so policy.gate.slices judges nothing by it" for tag in missing]
    if n < LEAST_EXAMPLES:
        said.append(f"{n} examples: under {LEAST_EXAMPLES} no gate passes")
    owner = flow.owners.workflow
    if run.signed_by != owner:
        said.append(f"{owner} has not signed the rubric, so this run cannot PASS: roadworthy evals sign {flow.name}")
    return said
