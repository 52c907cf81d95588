"""Claims about what was measured: the load test, the cost, and the gate on the worse prompt."""

from __future__ import annotations

import json
import shlex
from statistics import mean, median_low
from typing import Any

from roadworthy.cli.demo import proving
from roadworthy.cli.demo.checking import expect, run
from roadworthy.cli.demo.measuring import asked, item, sizes
from roadworthy.cli.demo.story import Told
from roadworthy.cli.demo.system import OWNER, WORKFLOW, System
from roadworthy.inference_log.model import NOT_JUDGED
from roadworthy.workflow.inference import SERVED_BY_MODEL

Facts = dict[str, Any]

APART = 0.05
"""Of two figures that should be the same, as a share."""
SLACK = 0.5
"""Seconds that the gateway's clock and the generator's may be apart: the one begins when a call is there."""


def load_recounted(told: Told, system: System) -> str:
    """the load test's calls are in the log, as many and as fast as told, and so short a test does not show item 1"""
    loaded = told.loaded
    kept = system.admin.get(f"/v1/loads/{loaded.run}")
    asked_for = (kept["order"]["seconds"], kept["plan"]["rate"], kept["plan"]["peak"]["rate"])
    expect(asked_for == (loaded.seconds, loaded.rate, loaded.peak), f"it asked for {asked_for}")
    _, *calls = _logged(system, "load", since=kept["began"], until=kept["ended"])  # the first one only knocks
    expect(len(calls) == loaded.calls, f"the log holds {len(calls)} calls, {loaded.calls} were claimed")
    good = [call for call in calls if call["outcome"] in SERVED_BY_MODEL]
    expect(len(good) == loaded.answered, f"{len(good)} were answered, {loaded.answered} were claimed")
    took = median_low(call["latency"] for call in good)
    expect(abs(took - loaded.whole) <= SLACK + APART * loaded.whole, f"median {took:.2f} s, {loaded.whole:.2f} claimed")
    now = item(system, told.ready.number, 1)
    expect(now == told.measured[0], f"now {now}")
    expect(now.verdict != "PASS" and "1 load test" not in told.ready.shown, f"{now} is shown")
    expect(kept["came"]["judged"].startswith(now.verdict), f"the test says {kept['came']['judged']}")
    known = system.admin.get("/v1/evidence", {"workflow": WORKFLOW})["items"]
    expect(any(each["id"] == loaded.evidence for each in known), f"no evidence {loaded.evidence}")
    return f"{len(good)} of {len(calls)} calls; {now.verdict}"


def cost_reckoned(told: Told, system: System) -> str:
    """the cost is that of the eval calls at the stated volume, here and as listed, and item 2 says what it is"""
    costs = told.costs
    answers = asked(system, told.proof.run)
    given, written = (sum(each) / len(answers) for each in zip(*map(sizes, answers), strict=True))
    expect(
        (round(given), round(written)) == (costs.input, costs.output), f"{given:.1f} and {written:.1f} tokens a call"
    )
    made = system.admin.get("/v1/cost/forecasts", {"workflow": WORKFLOW})["items"]
    kept: Facts = next((each["figures"] for each in made if each["figures"]["id"] == costs.id), {})
    expect(kept.get("basis") == costs.basis, f"forecast {costs.id} is {kept.get('basis', 'not kept')}")
    evals = _logged(system, "eval", digest=told.second_release, until=kept["made_at"])  # also those asked once more
    paid = mean(each["cost_usd"] for each in evals if each["outcome"] not in NOT_JUDGED)
    expect(_close(costs.unit, paid), f"the eval calls cost {paid:.3g} dollars each, {costs.unit:.3g} were claimed")
    flat = 30 * costs.volume * paid
    expect(costs.low < flat < costs.high, f"{flat:.2f} dollars are outside {costs.low:.2f} to {costs.high:.2f}")
    expect(_close(costs.month, flat, 0.2), f"{flat:.2f} dollars a month without growth, {costs.month:.2f} were claimed")
    now = item(system, told.ready.number, 2)
    expect(now == told.measured[1], f"now {now}")
    expect(("assumption" in now.figure) == (costs.basis == "assumption"), f"{costs.basis}, but {now}")
    expect(f"accepted by {OWNER}" in now.figure, f"{now}")
    listed = json.loads(run([*system.command, *shlex.split(costs.calculate), "--json"], system))
    price = listed["price"]
    there = 30 * costs.volume * (costs.input * price["input"] + costs.output * price["output"])
    expect(_close(costs.listed, there, 1e-6), f"{there:.2f} dollars by its list price, {costs.listed:.2f} were claimed")
    return f"{len(evals)} calls recounted; {costs.basis}, accepted by {OWNER}"


def worse_caught(told: Told, system: System) -> str:
    """the gate fails the careless edit by the answers that were kept, says what it could see, and no customer got it"""
    caught, edited = told.caught, told.edited
    found = system.admin.get(f"/v1/evals/runs/{caught.run}/answers")
    expect(found["run"]["release"] == edited.digest, f"the run judged {found['run']['release'][:16]}")
    items = found["items"]
    expect(len(items) == caught.examples == told.proof.examples, f"{len(items)} examples are kept")
    short = []
    for score in caught.scores:
        right = sum(each["scores"].get(score.name, 0) for each in items)
        expect(right == score.right, f"{score.name}: {right:g} right in what was kept, {score.right} were claimed")
        short += [score.name] * (right < score.floor * len(items))
    expect(bool(short), "every floor that was declared is reached")
    concluded = system.admin.get(f"/v1/evals/runs/{caught.run}")["concluded"]
    expect(concluded["verdict"] == caught.verdict == "FAIL", f"{concluded['verdict']}, {caught.verdict} was claimed")
    expect(concluded["why"] == caught.why, f"it failed for {concluded['why']}")
    expect(concluded["judgement"]["sees"] == caught.sees, f"it could see: {concluded['judgement']['sees']}")
    expect(f"{len(items)} " in caught.sees, "what it could see is about another number of examples")
    expect(proving.checklist(system, caught.number).ceiling == 0.0, "the checklist lets live users to it")
    live = _logged(system, "live", digest=edited.digest)
    expect(not live, f"{len(live)} live calls of it")
    return f"{caught.verdict} on {len(items)}: {', '.join(short)} below the floor; 0 live calls"


def _logged(
    system: System, traffic: str, *, digest: str = "", since: float = 0.0, until: float = float("inf")
) -> list[Facts]:
    """Calls of one class in the log, oldest first; the times in Unix seconds."""
    asked_for = {"workflow": WORKFLOW, "class": traffic, "limit": 1000} | ({"digest": digest} if digest else {})
    found = system.admin.get("/v1/log", asked_for)["items"]
    return sorted((each for each in found if since <= each["ts"] <= until), key=lambda each: float(each["ts"]))


def _close(claimed: float, found: float, apart: float = APART) -> bool:
    return abs(claimed - found) <= apart * found
