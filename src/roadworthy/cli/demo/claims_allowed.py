"""Claims about what the evidence allowed: the gate, the pilot, the edited prompt and the kill switch."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.cli.demo import pilot
from roadworthy.cli.demo.checking import audited, expect
from roadworthy.cli.demo.proving import checklist
from roadworthy.cli.demo.story import Told
from roadworthy.cli.demo.system import WORKFLOW, System

Facts = dict[str, Any]


def gate_recounted(told: Told, system: System) -> str:
    """the gate judged the second release, and its figures are those of the answers that were kept"""
    proof = told.proof
    found = system.admin.get(f"/v1/evals/runs/{proof.run}/answers")
    expect(found["run"]["release"] == told.second_release, f"the run judged {found['run']['release'][:16]}")
    expect(len(found["items"]) == proof.examples, f"{len(found['items'])} examples are kept")
    for score in proof.scores:
        right = sum(item["scores"].get(score.name, 0) for item in found["items"])
        expect(right == score.right, f"{score.name}: {right:g} right in what was kept, {score.right} were claimed")
        expect(found["run"]["floors"][score.name] == score.floor, f"{score.name}: another floor was declared")
    known = system.admin.get("/v1/evidence", {"workflow": WORKFLOW})
    receipt: Facts = next((each for each in known["receipts"] if each["id"] == proof.receipt), {})
    expect(receipt.get("verdict") == proof.verdict, f"receipt {proof.receipt}: {receipt.get('verdict')}")
    return f"{proof.verdict}, {len(found['items'])} answers, {proof.receipt}"


def four_eyes(told: Told, system: System) -> str:
    """who signed and accepted is logged in, owns the workflow, and did not freeze the release"""
    release = _release(system, told.second_release)
    expect(release["frozen_by"] == told.proof.frozen_by, f"{release['frozen_by']} froze it")
    known = system.admin.get("/v1/evidence", {"workflow": WORKFLOW})["items"]
    accepted = {each["figures"]["role"]: each["by"] for each in known if each["kind"] == "acceptance"}
    signed = {each["figures"].get("rubric_signed_by") for each in known if each["kind"] == "eval_gate"}
    expect(signed == {told.proof.signed_by}, f"the rubric was signed by {signed}")
    expect(accepted.get("workflow") == told.proof.signed_by != told.proof.frozen_by, f"accepted by {accepted}")
    return f"{told.proof.frozen_by} froze, {told.proof.signed_by} signed"


def capped_at_the_pilot(told: Told, system: System) -> str:
    """the checklist is as told, and what is missing keeps the release at the pilot's share"""
    now = checklist(system, told.ready.number)
    expect(msgspec.structs.replace(now, ceiling=told.ready.ceiling) == told.ready, f"now: {now}")  # it goes by volume
    expect(now.label == "pilot" and now.ceiling < 0.1, f"{now.label}, at most {100 * now.ceiling:.1f} %")
    missing = {int(each.split()[0]) for each in now.missing}
    expect(bool(now.held_by) and set(now.held_by) <= missing, f"held by {now.held_by}, missing {sorted(missing)}")
    expect("ceiling" in told.pilot.refused, f"more was refused for: {told.pilot.refused}")
    stand = system.admin.get(f"/v1/rollouts/{WORKFLOW}")
    expect(stand["stage"] == told.pilot.stage and stand["share"] == pilot.SHARE, f"it is at {stand['stage']}")
    return f"{len(now.shown)} of 10 shown, {told.pilot.stage} served, more refused"


def one_in_a_hundred(told: Told, system: System) -> str:
    """nobody reached the AI before the evidence, and in the pilot exactly those whose hash is inside"""
    before, after = told.pilot.before, told.pilot.after
    expect(not before.reached and before.routes == {"bypass": before.users}, f"before: {before.routes}")
    inside = pilot.within(system, pilot.customers(after.users))
    expect(after.reached == inside, f"{len(inside)} are inside, {len(after.reached)} reached it")
    for crowd in (before, after):
        routes = _routes(system, crowd.tag)
        expect(routes == crowd.routes, f"the log of {crowd.tag} holds {routes}, {crowd.routes} were claimed")
    return f"{len(inside)} of {after.users:,}, the others {after.routes.get('bypass', 0):,} times the bypass"


def edit_not_served(told: Told, system: System) -> str:
    """the edited prompt is frozen, and no live call sent it to the model"""
    edited = told.edited
    release = _release(system, edited.digest)
    expect(release["number"] == edited.number, f"{edited.digest[:16]} is release {release['number']}")
    text = "\n".join(str(each) for each in _differences(system, told.second_release, edited.digest))
    expect(pilot.EDIT in text, "the frozen release does not hold the edit")
    before, after = pilot.inference(system, edited.before), pilot.inference(system, edited.after)
    expect(after["digest"] == told.second_release, f"it was served by {after['digest'][:16]}")
    expect(after["prompt"] == before["prompt"] and pilot.EDIT not in after["prompt"], "the prompt is another")
    received = pilot.received(system, edited.after)
    expect(received == pilot.received(system, edited.before), f"the model received {received} tokens of prompt")
    expect(received == edited.tokens, f"the model received {received} tokens of prompt, {edited.tokens} were claimed")
    found = system.admin.get("/v1/log", {"digest": edited.digest, "class": "live", "limit": 10})["items"]
    expect(not found, f"{len(found)} live calls of the edited release")
    return f"release {edited.number}: 0 live calls"


def stopped_under_traffic(told: Told, system: System) -> str:
    """no call reached for the model after the stop, by the log and by the model's own count"""
    stopped = told.stopped
    items = system.admin.get("/v1/log", {"tag": f"demo={told.run}-stopped", "limit": 1000})["items"]
    routes = [item["route"] for item in items]
    found = (routes.count("release"), routes.count("off"))
    expect(found == (stopped.answered, stopped.bypassed), f"{found[0]} answered and {found[1]} bypassed")
    begun = [
        item["ts"] + attempt["started"]
        for item in items
        for attempt in pilot.inference(system, item["id"]).get("attempts", [])
    ]
    late = sum(at > stopped.at for at in begun)
    expect(bool(begun) and late == stopped.afterwards == 0, f"{late} attempts of {len(begun)} began after it")
    expect(stopped.tasks[0] == stopped.tasks[1], f"the model went on: its calls {stopped.tasks}")
    return f"{found[0]} answered, {found[1]} bypassed"


def restored_by_its_owner(told: Told, system: System) -> str:
    """the stop and the way back are on record, and so is the refusal of whoever may not restore"""
    acts = system.admin.get("/v1/kill/log", {"workflow": WORKFLOW, "limit": 20})["items"]
    done = [(act["action"], act["by"]) for act in acts if not act.get("denied") and act["at"] >= told.stopped.at - 60]
    expect(("restore", told.stopped.restored_by) in done, f"on record: {done}")
    expect(any(action == "press" for action, _ in done), f"on record: {done}")
    denied = audited(system, "kill/restore", outcome="denied")
    expect(bool(denied), "no refusal is on record")
    stand = system.admin.get("/v1/kill", {"workflow": WORKFLOW})["items"][0]
    expect(stand["in_force"] == "on", f"it is {stand['in_force']}")
    return f"on again, by {told.stopped.restored_by}"


def kill_drill_kept(told: Told, system: System) -> str:
    """the kill drill passed, is kept as evidence, and shows item 7"""
    kept = system.admin.get(f"/v1/kill/drills/{told.drilled.run}")
    expect((kept["verdict"], kept["figure"]) == (told.drilled.verdict, told.drilled.figure), f"kept: {kept['verdict']}")
    known = system.admin.get("/v1/evidence", {"workflow": WORKFLOW})["items"]
    found = [each for each in known if each["id"] == told.drilled.evidence and each["kind"] == "kill_drill"]
    expect(kept["verdict"] == "PASS" and len(found) == 1, f"{kept['verdict']}, {len(found)} kept")
    shown = ("7 kill drill" in told.before_stop.shown, "7 kill drill" in told.ready.shown)
    expect(shown[1], "item 7 is not shown")
    return told.drilled.figure


def _routes(system: System, tag: str) -> dict[str, int]:
    rows = system.admin.get("/v1/stats", {"by": "route", "tag": f"demo={tag}"})["rows"]
    return {row["group"]["route"]: row["count"] for row in rows}


def _release(system: System, digest: str) -> Facts:
    rows: list[Facts] = system.admin.get("/v1/releases", {"workflow": WORKFLOW})["items"]
    return next((row for row in rows if row["digest"] == digest), {"number": None, "frozen_by": "nobody"})


def _differences(system: System, a: str, b: str) -> list[Facts]:
    found: list[Facts] = system.admin.get("/v1/releases/diff", {"workflow": WORKFLOW, "a": a, "b": b})["changes"]
    return found
