"""Words edited in the console: drafts that nobody is served, trials, and the way of a published text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.fallback.drills.model import DrillRun, Expected, Result, RunState, Seen
from roadworthy.fallback.drills.registry import drills
from roadworthy.fallback.drills.rules import expected
from roadworthy.operations.drills.drill_runs import DrillRefused, Order
from roadworthy.operations.drills.failures import catalogue
from roadworthy.operations.proving.vouching import Owed
from roadworthy.operations.wording.desk import NotTheirs, WordDesk, WordsRefused
from roadworthy.operations.wording.shown import spoken, trial
from roadworthy.rollout.model import STAGES, Plan, Rollout
from roadworthy.workflow.model import Canned, Policy, Release
from roadworthy.workflow.service import Actor, Unknown, Workflows

ADA, BO, EVE = Actor("ada"), Actor("bo"), Actor("eve")
FILES = {
    "roadworthy.yaml": "version: 1\ntargets:\n  main:\n    provider: simulated\n    model: sim\n"
    "    price: {input: 1, output: 2}\n",
    "people.yaml": "people:\n  ada: {name: Ada, email: a@example.com}\n  bo: {name: Bo, email: b@example.com}\n"
    "  eve: {name: Eve, email: e@example.com}\n",
    "workflows/triage/workflow.yaml": (
        "owners: {workflow: ada, prompt: bo, cost: eve}\nprompt: {mode: managed, system: prompt.md}\ntarget: main\n"
        "output: {schema: s.json}\nholding: {text: Wait., json: {reply: Wait.}}\n"
        "canned: {text: Later., json: {reply: Later.}}\nbypass: app\nchecks: {secrets: {}}\n"
        "ladder: {unavailable: [escalate, canned], slow: [canned], unsafe: [drop]}\n"
    ),
    "workflows/triage/prompt.md": "Be kind.\n",
    "workflows/triage/s.json": '{"type": "object", "properties": {"reply": {"type": "string"}}, "required": ["reply"]}',
}


def ramp(digest: str, state: Any = "done", at: int = len(STAGES) - 1) -> Rollout:
    return Rollout("default", "triage", digest, Plan(), state=state, at=at, ceiling=1.0)


class Runs:
    """Drill runs that end when the test says so."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.found: dict[str, DrillRun] = {}
        self.refuses = False
        self.held: Callable[[], list[Any]] = list
        self.held_at_start: list[Any] = []

    def start(self, order: Order, actor: Actor, *, leased: bool = True) -> DrillRun:
        assert not leased, "a page that is closed must not end it"
        if self.refuses:
            raise DrillRefused("another run is under way")
        self.held_at_start = self.held()
        self.orders.append(order)
        run = DrillRun(id=f"drl_{len(self.orders)}", team="default", workflow=order.workflow, digest=order.release,
                       behaviour="", handling="", began=1.0, by=actor.id, wanted=5)  # fmt: skip
        self.found[run.id] = run
        return run

    def going(self, workflow: str) -> str:
        return next((run.id for run in self.found.values() if run.state == "running"), "")

    def look(self, ident: str) -> DrillRun:
        if ident not in self.found:
            raise Unknown(ident)
        return self.found[ident]

    def end(self, state: RunState = "done", *results: Result) -> None:
        for run in self.found.values():
            if run.state == "running":
                run.state, run.ended, run.results = state, 2.0, list(results)


class Others:
    """The ramp, and what waits for a name."""

    def __init__(self) -> None:
        self.rollout: Rollout | None = None
        self.waits: list[Owed] = []
        self.accepted: list[str] = []
        self.begun: list[tuple[str | None, str]] = []

    def current(self, workflow: str) -> Rollout | None:
        return self.rollout

    def start(self, order: Any, actor: Actor) -> Rollout:
        self.begun.append((order.release, actor.id))
        return ramp(order.release)

    def owed(self, workflow: str, digest: str | None = None) -> list[Owed]:
        return self.waits

    def accept(self, workflow: str, actor: Actor, roles: Any = (), evidence: str = "") -> list[Any]:
        self.accepted.append(evidence)
        return []


class World:
    def __init__(self, files: dict[str, str] = FILES) -> None:
        self.state = MemoryState()
        clock = iter(range(1000, 9000)).__next__
        self.workflows = Workflows(self.state, clock=clock)
        assert self.workflows.apply(files, ADA).applied
        self.first = self.workflows.freeze("triage", ADA).release.release
        self.runs, self.others = Runs(), Others()
        self.desk = WordDesk(
            self.state, self.workflows, self.runs, self.others, self.others,  # type: ignore[arg-type]
            publish=lambda: None, clock=clock,
        )  # fmt: skip
        self.runs.held = self.desk.drafts

    def serves(self, release: Release) -> None:
        """Its ramp is over: everybody has it."""
        self.others.rollout = ramp(release.digest)

    def draft(self, **texts: str) -> None:
        self.desk.save("triage", ADA, {slot: (text, "") for slot, text in texts.items()})

    def audit(self) -> list[tuple[str, str, str]]:
        with self.state.read() as tx:
            return [(row.actor, row.action, row.outcome) for row in tx.audit()]


@pytest.fixture
def world() -> World:
    return World()


def seen(text: str, outcome: Any = "canned") -> Result:
    return Result(
        fault="persistent-503", row="server", says="It fails.", guard="step", stream=False, verdict="PASS",
        expected=Expected(frozenset({outcome}), None, 1.0, 1.0, 1, "none"),
        seen=Seen(stream=False, status=200, text=text, finished=True, seconds=0.1, outcome=outcome, failure=None),
    )  # fmt: skip


def test_a_draft_changes_nothing_that_anybody_is_served(world: World) -> None:
    world.draft(canned="By noon.", holding="Wait.", blocked="We cannot show an answer to this request.")
    editor = world.desk.editor("triage")
    assert editor.draft == {"canned": Canned("By noon.", {"reply": "By noon."})}  # what is as served is no draft
    assert (editor.by, editor.outdated, editor.tried_this) == ("ada", False, False)
    assert world.workflows.candidates()["triage"].release == world.first
    assert len(world.workflows.releases("triage")) == 1
    assert ("ada", "words.save", "done") in world.audit()
    world.desk.discard("triage", BO)
    assert world.desk.editor("triage").draft == {}


def test_json_may_say_something_else_than_the_text_and_must_fit_the_schema(world: World) -> None:
    world.desk.save("triage", ADA, {"canned": ("By noon.", '{"reply": "We write by noon."}')})
    assert world.desk.editor("triage").draft["canned"] == Canned("By noon.", {"reply": "We write by noon."})
    for raw, why in (("{", "is no JSON"), ('{"answer": 1}', "reply"), ("[]", "object")):
        with pytest.raises(WordsRefused, match=why):
            world.desk.save("triage", ADA, {"canned": ("By noon.", raw)})
    with pytest.raises(WordsRefused, match="nothing, expected what the customer reads"):
        world.draft(canned=" ")
    with pytest.raises(WordsRefused, match="is no text of triage"):
        world.draft(bypass="Write to us.")


def test_only_those_who_answer_for_the_words_change_them(world: World) -> None:
    with pytest.raises(NotTheirs, match="eve may not change the words of triage: ada or bo"):
        world.desk.save("triage", EVE, {"canned": ("By noon.", "")})
    world.desk.save("triage", BO, {"canned": ("By noon.", "")})
    with pytest.raises(NotTheirs, match="bo may not change the words of triage: ada"):
        world.desk.publish("triage", BO)
    assert ("eve", "words.save", "denied") in world.audit()
    assert ("bo", "words.publish", "denied") in world.audit()
    assert len(world.workflows.releases("triage")) == 1


def test_a_draft_is_tried_before_anybody_freezes_it_and_held_only_while_it_is(world: World) -> None:
    with pytest.raises(WordsRefused, match="no draft"):
        world.desk.try_out("triage", ADA)
    world.draft(canned="By noon.")
    run = world.desk.try_out("triage", BO)
    (held,) = world.runs.held_at_start  # before the run begins gateways must hold it
    assert held.release.digest == world.runs.orders[0].release != world.first.digest
    assert held.release.behaviour_digest == world.first.behaviour_digest
    assert world.desk.draft_of("triage", held.release.digest) == held.release
    assert len(world.desk.drafts()) == 1
    world.runs.end("done", seen("By noon."))
    assert world.desk.drafts() == []
    editor = world.desk.editor("triage")
    assert (editor.run, editor.tried_this) == (run, True)
    assert [each.reads for each in editor.tried] == ["By noon."]
    world.draft(canned="By one.")
    assert world.desk.editor("triage").tried_this is False
    world.runs.refuses = True
    with pytest.raises(DrillRefused):
        world.desk.try_out("triage", ADA)
    assert world.desk.drafts() == []


def test_a_trial_shows_each_text_that_drills_can_and_most_of_what_was_changed(world: World) -> None:
    known = drills()
    for touched, most in (([], ""), (["canned"], "canned"), (["holding"], "escalated")):
        names = trial(world.first, Policy(), list(known.values()), touched)  # type: ignore[arg-type]
        ends = [next(iter(expected(known[name], world.first, stream=False).outcomes)) for name in names]
        assert len(set(names)) == 5
        assert set(ends) == {"escalated", "canned"}
        assert not most or ends.count(most) >= 3
        assert len({known[name].failure for name in names}) >= 2


def test_a_run_of_a_draft_is_no_catalogue_of_what_customers_see() -> None:
    run = DrillRun(id="drl_1", team="", workflow="triage", digest="rel_draft", behaviour="", handling="", began=2.0,
                   by="ada", results=[seen("By noon.")], draft=True)  # fmt: skip
    before = DrillRun(id="drl_0", team="", workflow="triage", digest="rel_1", behaviour="", handling="", began=1.0,
                      by="ada", results=[seen("Later.")])  # fmt: skip
    assert [each.reads for each in catalogue([run, before])] == ["Later."]


def test_published_words_are_drilled_read_and_then_served(world: World) -> None:
    world.serves(world.first)
    world.draft(canned="By noon.")
    release = world.desk.publish("triage", ADA, "calmer")
    assert (release.number, release.note) == (2, "calmer")
    assert world.runs.orders[-1] == Order("triage", release=release.release.digest)  # everything, not five
    editor = world.desk.editor("triage")
    assert editor.draft == {}
    assert editor.published is not None
    assert editor.published.step == "drilling"
    assert [each.slot for each in editor.behind] == ["canned"]
    assert editor.yaml == "canned:\n  text: By noon.\n  json:\n    reply: By noon.\n"
    assert world.desk.wait_for("ada") == []
    world.runs.end("done", seen("By noon."))
    assert world.desk.wait_for("ada") == [("triage", "read")]
    assert world.desk.wait_for("bo") == []
    with pytest.raises(NotTheirs):
        world.desk.serve("triage", BO)
    world.others.waits = [Owed("workflow", "ada", "failure_catalogue", "evd_1"), Owed("cost", "eve", "acceptance")]
    world.desk.serve("triage", ADA)
    assert world.others.accepted == ["evd_1"]
    assert world.others.begun == [(release.release.digest, "ada")]
    world.serves(release.release)
    assert world.desk.wait_for("ada") == []
    published = world.desk.editor("triage").published
    assert published is not None
    assert published.step == "served"


@pytest.mark.parametrize(
    ("state", "verdict", "step"),
    [("done", "FAIL", "failed"), ("interrupted", "PASS", "interrupted"), ("failed", "PASS", "interrupted")],
)
def test_drills_that_did_not_pass_wait_for_the_owner(world: World, state: RunState, verdict: Any, step: str) -> None:
    world.serves(world.first)
    world.draft(canned="By noon.")
    world.desk.publish("triage", ADA)
    result = seen("By noon.")
    result.verdict = verdict
    world.runs.end(state, result)
    assert world.desk.wait_for("ada") == [("triage", step)]
    world.desk.drill("triage", BO)
    assert world.desk.wait_for("ada") == []
    world.runs.found.clear()  # control ended in the middle of the run
    assert world.desk.wait_for("ada") == [("triage", "interrupted")]


def test_words_of_an_observed_workflow_are_served_as_they_are_published() -> None:
    flow = "workflows/triage/workflow.yaml"
    world = World({**FILES, flow: FILES[flow] + "enforcement: observe\n"})
    world.draft(canned="By noon.")
    world.desk.publish("triage", ADA)
    published = world.desk.editor("triage").published
    assert published is not None
    assert published.step == "served"
    assert world.runs.orders == []


def test_a_ramp_that_is_under_way_comes_first(world: World) -> None:
    world.others.rollout = ramp(world.first.digest, "ramping", 1)
    world.draft(canned="By noon.")
    world.desk.publish("triage", ADA)
    world.runs.end()
    published = world.desk.editor("triage").published
    assert published is not None
    assert (published.step, published.share) == ("waits", None)
    assert "let it finish, or roll it back" in published.detail
    assert world.desk.wait_for("ada") == []


def test_every_text_says_where_it_is_shown(world: World) -> None:
    shown = {each.slot: each for each in spoken(world.first)}
    assert list(shown) == ["holding", "canned", "blocked"]
    assert "the model could not be reached" in shown["holding"].shown
    assert any("waiting for a person already" in when for when in shown["canned"].shown)
    assert shown["blocked"].declared is False
    assert shown["blocked"].shown == ["the model's answer was withheld"]
