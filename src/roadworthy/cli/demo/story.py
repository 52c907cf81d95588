"""What the demo does and says, in order.  It says only what it has just seen, and hands every claim to be checked."""

from __future__ import annotations

import json
import secrets
import shlex
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from rich.console import Console

from roadworthy.cli import words
from roadworthy.cli.demo import looking, measuring, people, pilot, proving, stopping
from roadworthy.cli.demo.bars import Bar, onto
from roadworthy.cli.demo.breaking import Drilled, drill
from roadworthy.cli.demo.looking import Seen
from roadworthy.cli.demo.measuring import Costs, Item, Loaded
from roadworthy.cli.demo.people import Alerted, Answered, Paged
from roadworthy.cli.demo.phrases import about_the_ceiling, allowed, curl_line, example, python_snippet, sentence, split
from roadworthy.cli.demo.pilot import Crowd, Edited, Pilot
from roadworthy.cli.demo.proving import Caught, Checklist, Proof
from roadworthy.cli.demo.stopping import Drill, Stopped
from roadworthy.cli.demo.system import AGENT, AUTHOR, OWNER, WORKFLOW, Message, System, messages
from roadworthy.cli.demo.traffic import Reply, Tally, send, tally
from roadworthy.cli.errors import CliError
from roadworthy.cli.terminal import line


class Size(msgspec.Struct, frozen=True):
    """How much of everything; tests take less."""

    messages: int = 6
    """Sent to each of the two releases."""
    customers: int = 2500
    """25 calls a day are a pilot in any case: of fewer customers more than 1 % would be allowed."""
    examples: int | None = None
    """For the gate; ``None``: all that there are."""
    load: float = 20.0
    """Seconds of the load test."""


class Look(msgspec.Struct, frozen=True):
    """A command that is printed, and what it must find."""

    command: str
    finds: list[str] = []
    code: int = 0
    json: bool = True
    """Is it asked for JSON when it is checked?"""


class Told(msgspec.Struct, kw_only=True):
    """Everything that the demo claimed, for ``claims`` to hold against the running system."""

    url: str
    token: str
    run: str
    first_release: str
    second_release: str
    first: Tally
    second: Tally
    first_ids: list[str]
    second_ids: list[str]
    would: dict[str, int]
    broken: Drilled
    proof: Proof
    loaded: Loaded
    costs: Costs
    measured: list[Item]
    """Of the checklist: what the load test and the forecast came to."""
    pilot: Pilot
    before_stop: Checklist
    edited: Edited
    caught: Caught
    stopped: Stopped
    drilled: Drill
    ready: Checklist
    paged: Paged
    alerted: Alerted
    answered: Answered
    seen: Seen
    explain: str
    failures: str
    insider: str
    curl: str
    snippet: str
    shown: Message
    looks: list[Look]


def tell(system: System, console: Console, size: Size) -> Told:
    """Run the demo on a system that is up."""
    teller = Teller(system, console, size)
    teller.introduce()
    teller.release()
    teller.enforce()
    teller.prove()
    teller.measure()
    teller.accept()
    teller.ramp()
    teller.edit()
    teller.stop()
    teller.answer()
    return teller.close()


class Teller:
    """One telling: the acts in their order, and what they found."""

    def __init__(self, system: System, console: Console, size: Size) -> None:
        self.system = system
        self.console = console
        self.size = size
        self.command = shlex.join(system.command)
        self.run = secrets.token_hex(4)
        self.token = ""
        self.found: dict[str, Any] = {}
        """Of the fields of ``Told``."""

    def say(self, text: str = "") -> None:
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)

    def introduce(self) -> None:
        self.say(f"console {self.system.console}/  (be one of its people by one click: no password, this machine only)")
        self.say(f"gateway {self.system.url}, metrics {self.system.metrics_url}")
        self.say(f"everything in {self.system.place.root}/ (configuration, data, log of this run)")
        afresh(self.system)
        order = {"name": f"demo {self.run}", "workflows": [WORKFLOW]}
        self.token = str(self.system.admin.post("/v1/keys", order)["token"])

    def release(self) -> None:
        self.say("\n1. Two releases, served to everybody while they are measured (enforcement: observe).")
        pool = messages("test")[: self.size.messages]
        one, first = self._serve("first", "which asks for JSON in words", pool)
        two, second = self._serve("second", "which has a schema and checks", pool)
        self.say(f"     {example(second)}")
        self.system.admin.post("/v1/journal/flush")
        ids = [reply.inference for reply in (*first, *second)]
        would = Counter(str(pilot.inference(self.system, ident).get("would", "")) for ident in ids)
        said = "; ".join(f"{count} × {word}" for word, count in would.most_common())
        self.say(f"   What enforcement would have done is in the log: {said}.")
        self.found |= {
            "first_release": one["digest"], "second_release": two["digest"], "first": tally(first),
            "second": tally(second), "first_ids": ids[: len(first)], "second_ids": ids[len(first) :],
            "would": dict(would), "shown": second[0].message,
        }  # fmt: skip
        self.numbers = one["number"], two["number"]
        self.second = second

    def enforce(self) -> None:
        self.say("\n2. One line of workflow.yaml (enforcement: enforce), and from now on traffic follows evidence.")
        pilot.enforce(self.system)
        self.before = self._crowd("enforced")
        self.say(f"   {split(self.before)} The app is told:\n     {sentence(self.before.reads)}")

    def prove(self) -> None:
        self.say("\n3. Prove it: break it, judge it by examples, load it, price it. No live call feels any of it.")
        number = self.numbers[1]
        with self._progress("drilled calls") as (bar, drilled), ThreadPoolExecutor(1) as beside:
            judged = bar.add_task("hand-labelled messages", total=None)
            drilling = beside.submit(drill, self.system.admin, onto(bar, drilled))
            proof = proving.prove(self.system, number, self.size.examples, onto(bar, judged))
            broken = drilling.result()
            if broken.failed:  # on a busy machine a clock may be overrun; an operator would look, and drill again
                self.say(f"   drills: FAIL {'; '.join(map(line, broken.failed))}; drilled again")
                broken = drill(self.system.admin, onto(bar, drilled))
        if broken.failed:
            raise CliError(f"the drills failed again, so only testers may get it: {'; '.join(broken.failed)}")
        self.say(f"   drills: {broken}")
        self.say(f"   gate:   {proof}")
        self.found |= {"proof": proof, "broken": broken}

    def measure(self) -> None:
        number = self.numbers[1]
        with self._progress("calls of the load test") as (bar, task):
            loaded = measuring.load(self.system, number, self.size.load, onto(bar, task))
        self.say(f"   load:   {loaded}")
        costs = measuring.forecast(self.system, number, self.size.customers, self.found["proof"].run)
        self.say(f"   cost:   {costs}")
        self.found |= {"loaded": loaded, "costs": costs}

    def accept(self) -> None:
        number, proof = self.numbers[1], self.found["proof"]
        proving.accept(self.system)
        self.say(
            f"   people: {proof.frozen_by} froze it; {proof.signed_by}, the owner, signed the rubric and accepted, "
            "the cost too"
        )
        paged, alerted = people.page(self.system), people.alert(self.system)
        self.say(
            f"   reach:  {paged.person}, on call, got a test page; we play {paged.person} and press its link: "
            f"acknowledged after {words.seconds(paged.seconds)}. A test of the cost alert arrived as well"
        )
        ready = proving.counted(self.system, number, below(self.size))
        measured = [measuring.item(self.system, number, each) for each in (1, 2)]
        self.say(f"   ready:  {allowed(ready)}")
        self.say(f"     shown:   {', '.join(ready.shown)}\n     missing: {ready.told_missing()}")
        for each in measured:
            self.say(f"     {each}")
        self.found |= {"before_stop": ready, "measured": measured, "paged": paged, "alerted": alerted}

    def ramp(self) -> None:
        self.say(f"\n4. Pilot. {OWNER}: rollout start {WORKFLOW} --stage 1%")
        pilot.begin(self.system, self.numbers[1])
        after = self._crowd("pilot")
        refused = pilot.ask_for_more(self.system)
        self.say(f"   {split(after)}")
        self.say(f"   {OWNER} asks for {pilot.MORE}. Refused: {about_the_ceiling(refused)}.")
        self.found["pilot"] = Pilot(self.before, after, pilot.STAGE, refused)

    def edit(self) -> None:
        self.say(f"\n5. A careless edit. {AUTHOR} wants short replies, adds to the prompt: {pilot.EDIT}")
        crowd = self.found["pilot"].after
        if not crowd.reached:
            raise CliError(f"none of {crowd.users} customers is inside {pilot.STAGE}", "take more of them")
        edited = pilot.edit(self.system, self.token, crowd, crowd.reached[0], f"{self.run}-edited")
        self.say(
            f"   He freezes it. {edited.user}, who is inside, gets release {self.numbers[1]} as before: "
            f"the model received a prompt of {edited.tokens} tokens, and not the edit."
        )
        with self._progress("hand-labelled messages") as (bar, task):
            caught = proving.judge_worse(self.system, edited.number, onto(bar, task))
        self.say(f"   gate:   {caught}. Only testers may get release {caught.number}.")
        self.say(f"     what it could see: {sentence(caught.sees)}")
        self.found |= {"edited": edited, "caught": caught}

    def stop(self) -> None:
        self.say(f"\n6. Stop it while customers call. Anybody: kill {WORKFLOW}")
        tag = f"{self.run}-stopped"
        stopped = stopping.stop(self.system, self.token, self.found["pilot"].after.reached, tag)
        self.say(
            f"   off on {words.plural(stopped.workers, 'worker')} in {words.seconds(stopped.seconds)}; "
            f"{words.plural(stopped.answered, 'call')} answered until then, {stopped.bypassed} bypassed since, "
            f"{stopped.afterwards} sent to the model since."
        )
        self.say(f"   Customers: {line(stopped.reads)}.")
        self.say(f"   Restored by {stopped.restored_by}, its owner. Without a login: {sentence(stopped.refused)}.")
        drilled = stopping.drill(self.system)
        ready = proving.checklist(self.system, self.numbers[1])
        self.say(f"   drill kill, item 7: {drilled.verdict}, {drilled.figure}. So {allowed(ready)}.")
        self.found |= {"stopped": stopped, "drilled": drilled, "ready": ready}

    def answer(self) -> None:
        self.say(f"\n7. People answer instead (assist): {OWNER} lets {AGENT} and the model's drafts do it for a while.")
        users, tag = self.found["pilot"].after.reached, f"{self.run}-people"
        answered = people.answer(self.system, self.token, users, tag, self.second)
        self.say(f"   2 customers read: {line(answered.read)}")
        self.say(f"   {answered.by} answers one of them, which is an example from now on; the other one waits.")
        self.say(f"   {answered.by} also reports what the AI wrote to another: {answered.why}")
        self.found["answered"] = answered

    def close(self) -> Told:
        seen = looking.look(self.system, self.found["shown"], self.found["second_ids"][0])
        self.found["seen"] = seen
        insider = self.found["pilot"].after.reached[0]
        told = Told(
            url=self.system.url,
            token=self.token,
            run=self.run,
            insider=insider,
            curl=curl_line(self.system.url, self.token, insider),
            snippet=python_snippet(self.system.url, self.token, insider),
            explain=f"{self.command} explain {WORKFLOW}",
            failures=f"{self.command} failures {WORKFLOW}",
            looks=self._looks(),
            **self.found,
        )
        self.say(f"\n8. Open the console, {self.system.console}/ and be {OWNER}, who owns it all. What waits for her:")
        for each in seen.waiting:
            self.say(f"   {each}")
        self.say(f"   What did the model do for one of them? Inferences: {seen.search}")
        self.say(f"\n9. Call it yourself, as {insider}, who is inside.")
        self.say(f"\n{told.curl}\n\n{told.snippet}")
        self.say("\n10. The same on the command line: what was foretold, read, allowed and by whom, a user, a call.")
        for text in (told.explain, told.failures, *(look.command for look in told.looks)):
            self.say(f"   {text}")
        return told

    # --- inside

    def _serve(self, variant: str, note: str, pool: list[Message]) -> tuple[dict[str, Any], list[Reply]]:
        frozen = self.system.freeze(variant, note)
        with self._progress("customer messages", len(pool)) as (bar, task):
            replies = send(self.system.url, self.token, pool, self.run, lambda: bar.advance(task))
        self.say(f"   release {frozen['number']}, {note}: {tally(replies)}")
        return frozen, replies

    def _crowd(self, name: str) -> Crowd:
        with self._progress("customers", self.size.customers) as (bar, task):
            users = pilot.customers(self.size.customers)
            return pilot.call(self.system, self.token, users, f"{self.run}-{name}", lambda: bar.advance(task))

    def _looks(self) -> list[Look]:
        two = self.numbers[1]
        edited, stopped, proof = self.found["edited"], self.found["stopped"], self.found["proof"]
        caught, loaded, costs = self.found["caught"], self.found["loaded"], self.found["costs"]
        seen, shown = self.found["second_ids"][0], self.found["shown"]
        command = self.command
        return [
            Look(f"{command} ready {WORKFLOW}", [f'"number": {two}', '"pilot"'], code=1),
            Look(f"{command} rollout history {WORKFLOW}", [OWNER, pilot.STAGE, stopped.restored_by]),
            Look(f"{command} evals show {proof.run} --wrong", [proof.run]),
            Look(f"{command} load {WORKFLOW} --last", [loaded.run, *([loaded.evidence] if loaded.evidence else [])]),
            Look(f"{command} forecast {WORKFLOW} --past", [costs.id, f'"{costs.basis}"']),
            Look(f"{command} {costs.calculate}", [f'"model": "{measuring.LISTED}"']),
            Look(f"{command} diff {two} {edited.number}", [json.dumps(pilot.EDIT)[1:-1]]),
            Look(f"{command} evals compare {proof.run} {caught.run}", [proof.run, caught.run]),
            Look(f'{command} log "last hour" --user customer-{shown.id}', [seen]),
            Look(f"{command} show {seen}", [" ".join(shown.message.split())[:40]], json=False),
            Look(f"{command} login {self.system.code}", [f"Logged in as {OWNER}"], json=False),
        ]

    def _progress(self, what: str, total: int | None = None) -> Bar:
        return Bar(self.console, what, total)


def afresh(system: System) -> None:
    """Let a demo that took up the folder of an earlier one begin where the first began.

    What that one switched off, ramped and enforced is its owner's to undo: the demo asks as the owner.
    """
    owner = system.person(OWNER)
    if owner.get("/v1/kill", {"workflow": WORKFLOW})["items"][0]["state"] != "on":
        owner.post("/v1/kill/restore", {"workflow": WORKFLOW, "reason": "a new demo"})
    for row in owner.get("/v1/pending")["items"]:
        if row["workflow"] == WORKFLOW:
            owner.post("/v1/approve", {"workflow": WORKFLOW, "seen": row["id"], "reason": "a new demo"})
    if owner.get(f"/v1/rollouts/{WORKFLOW}")["share"] > 0:
        owner.post(f"/v1/rollouts/{WORKFLOW}/rollback", {"reason": "a new demo"})


def below(size: Size) -> float:
    """The most that a pilot may be of so many calls a day: 1 %, or 25 calls."""
    return max(pilot.SHARE, 25 / size.customers)
