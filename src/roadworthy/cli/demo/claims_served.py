"""Claims about what was served, broken and printed."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import httpx2

from roadworthy.cli.demo.breaking import drilled, made
from roadworthy.cli.demo.checking import PATIENCE, expect, run
from roadworthy.cli.demo.story import Told
from roadworthy.cli.demo.system import WORKFLOW, System
from roadworthy.cli.demo.traffic import Tally, read_answer
from roadworthy.cli.drill_view import reads
from roadworthy.workflow.inference import SERVED_BY_MODEL

GOOD_SHARE = 0.95
ASKED = "My card was charged twice for the same order, please give me the money back."


def gateway_serves(told: Told, system: System) -> str:
    """the gateway answers at the printed address, serves the sample, and /metrics counts every call"""
    ready = httpx2.get(told.url.removesuffix("/v1") + "/readyz", timeout=5.0, trust_env=False)
    expect(ready.status_code == 200, f"/readyz answered {ready.status_code}")
    headers = {"authorization": f"Bearer {told.token}"}
    served = httpx2.get(f"{told.url}/models", headers=headers, timeout=5.0, trust_env=False).json()
    names = [model["id"] for model in served.get("data", [])]
    expect(WORKFLOW in names, f"/v1/models lists {names}")
    text = httpx2.get(system.metrics_url, timeout=10.0, trust_env=False).text
    rows = [row for row in text.splitlines() if row.startswith("roadworthy_inferences_total{")]
    total = sum(float(row.rsplit(" ", 1)[1]) for row in rows if f'workflow="{WORKFLOW}"' in row)
    sent = told.first.sent + told.second.sent + told.pilot.before.users + told.pilot.after.users
    expect(total >= sent, f"{total:.0f} counted, {sent} sent")
    return f"{total:,.0f} calls"


def second_mends_first(told: Told, system: System) -> str:
    """the answers of both releases are as counted, and the second mends what the first shows"""
    one = _counted(told.first, told.first_ids, told.first_release, system)
    two = _counted(told.second, told.second_ids, told.second_release, system)
    before, after = one / told.first.sent, two / told.second.sent
    expect(after >= GOOD_SHARE > before, f"valid share {100 * before:.0f} % before, {100 * after:.0f} % after")
    return f"{100 * before:.0f} %, then {100 * after:.0f} % valid JSON"


def every_inference_logged(told: Told, system: System) -> str:
    """every message is in the log once, with tokens, cost, latency and what enforcement would have done"""
    items = system.admin.get("/v1/log", {"tag": f"demo={told.run}", "limit": 1000})["items"]
    sent = sorted(told.first_ids + told.second_ids)
    found = sorted(item["id"] for item in items)
    expect(found == sent, f"sent {len(sent)}, found {len(found)} (other ids: {set(found) ^ set(sent)})")
    poor = [i["id"] for i in items if not i.get("tokens") or i.get("cost_usd") is None or not i.get("latency")]
    expect(not poor, f"without tokens, cost or latency: {poor}")
    would = [item.get("would", "") for item in items]
    expect(all(would.count(word) == count for word, count in told.would.items()), f"would: {sorted(set(would))}")
    return f"{len(found)} of {len(sent)} found"


def drills_pass(told: Told, system: System) -> str:
    """each fault was drilled on the gateway that serves, and its customers got what the release declares"""
    kept = system.admin.get(f"/v1/drills/{told.broken.run}")
    expect(kept["digest"] == told.second_release, f"the run drilled {kept['digest'][:16]}")
    expect(drilled(kept) == told.broken, "the kept run is not as it was told")
    failed = [fault.fault for fault in told.broken.faults if fault.verdict != "PASS"]
    expect(not failed, f"failed: {failed}")
    logged = system.admin.get("/v1/stats", {"by": "traffic", "class": "drill", "workflow": WORKFLOW})["rows"]
    count = sum(row["count"] for row in logged)
    here = [result for result in made(kept) if result["row"] != "correlated"]  # these break a copy of the install
    for result in here[:: max(1, len(here) // 10)]:
        record = system.admin.get(f"/v1/inferences/{result['seen']['inference']}")["inference"]
        found = (record["traffic"], record.get("drill"), record["outcome"])
        expect(found == ("drill", result["fault"], result["seen"]["outcome"]), f"{result['fault']}: logged as {found}")
    return f"{len(told.broken.faults)} faults, {count} calls of the class drill"


def explain_foretold(told: Told, system: System) -> str:
    """explain foretells each fault that ends at a human, and failures says what every customer read, to the word"""
    rows = {row["failure"]: row for row in json.loads(run([*shlex.split(told.explain), "--json"], system))["items"]}
    kept = system.admin.get(f"/v1/drills/{told.broken.run}")
    ended = [result for result in made(kept) if result["seen"]["outcome"] == "escalated"]
    for result in ended:
        endings = rows[result["seen"]["failure"]]["endings"]
        foretold = {(ending["outcome"], reads(ending["outcome"], _foretold_text(ending))) for ending in endings}
        found = (result["seen"]["outcome"], reads(result["seen"]["outcome"], result["seen"]["text"]))
        expect(found in foretold, f"{result['fault']}: {found}, and explain says {foretold}")
    expect(bool(ended), "no fault went to a human")
    items = json.loads(run([*shlex.split(told.failures), "--json"], system))["items"]
    shown = {(item["fault"], item["outcome"], reads(item["outcome"], item["reads"])) for item in items}
    missing = [f.fault for f in told.broken.faults if (f.fault, f.outcome, f.reads) not in shown]
    expect(not missing, f"missing or different: {missing}")
    return f"{len(ended)} calls, {len(told.broken.faults)} faults"


def calls_work(told: Told, system: System) -> str:
    """the curl line and the OpenAI client's snippet work as printed"""
    if shutil.which("curl") is None:
        answer = _curl_without_curl(told.curl)
    else:
        answer = json.loads(run(["sh", "-c", told.curl], system))
    outcome = answer.get("roadworthy", {}).get("outcome")
    expect(outcome in ("answered", "recovered"), f"outcome {outcome}: {json.dumps(answer)[:300]}")
    printed = run([sys.executable, "-c", told.snippet], system)
    valid, topic = read_answer(printed)
    expect(valid, f"the snippet printed {printed[:200]!r}")
    return f"{outcome}; topic {topic!r}"


def every_format_served(told: Told, system: System) -> str:
    """the same workflow answers apps that speak Responses and Messages, and each call is logged as it was asked"""
    asked = {
        "responses": {"model": WORKFLOW, "input": ASKED, "safety_identifier": told.insider},
        "messages": {
            "model": WORKFLOW,
            "max_tokens": 200,
            "messages": [{"role": "user", "content": ASKED}],
            "metadata": {"user_id": told.insider},
        },
    }
    topics = []
    for surface, body in asked.items():
        headers = {"authorization": f"Bearer {told.token}", "anthropic-version": "2023-06-01"}
        answer = httpx2.post(f"{told.url}/{surface}", json=body, headers=headers, timeout=120.0, trust_env=False).json()
        inference = (answer.get("roadworthy") or {}).get("inference")
        expect(bool(inference), f"{surface}: {json.dumps(answer)[:300]}")
        parts = answer["content"] if surface == "messages" else answer["output"][-1]["content"]
        valid, topic = read_answer(parts[0].get("text"))
        expect(valid, f"{surface}: {json.dumps(answer)[:300]}")
        system.admin.post("/v1/journal/flush")
        record = system.admin.get(f"/v1/inferences/{inference}")["inference"]
        found = (record.get("surface"), record["unit"], record["digest"])
        expect(found == (surface, told.insider, told.second_release), f"{surface}: logged as {found}")
        topics.append(str(topic))
    return f"topics {', '.join(map(repr, topics))}"


def printed_commands_work(told: Told, system: System) -> str:
    """each printed command works, and finds what this story says"""
    system.admin.post("/v1/journal/flush")
    for look in told.looks:
        text = run([*shlex.split(look.command), *(["--json"] if look.json else [])], system, look.code)
        text = " ".join(text.split())
        missing = [each for each in look.finds if each not in text]
        expect(not missing, f"{look.command}: {missing} is not in what it printed")
    return f"{len(told.looks)} commands"


def _counted(claimed: Tally, ids: Sequence[str], release: str, system: System) -> int:
    """Recount from the inference log what the story counted from the answers that the caller read."""
    valid = 0
    for inference in ids:
        record: dict[str, Any] = system.admin.get(f"/v1/inferences/{inference}")["inference"]
        expect(record["digest"] == release, f"{inference} was served by {record['digest']}")
        choices = (record.get("response") or {}).get("choices") or [{"message": {}}]
        if record["outcome"] in SERVED_BY_MODEL:
            valid += read_answer(choices[0]["message"].get("content"))[0]
    expect(len(ids) == claimed.sent, f"{len(ids)} inferences for {claimed.sent} messages")
    expect(valid == claimed.valid, f"the log holds {valid} valid answers, {claimed.valid} were claimed")
    return valid


def _foretold_text(ending: dict[str, Any]) -> str:
    said = ending["reads"]
    return json.dumps(said["json"]) if said["json"] is not None else str(said["text"])


def _curl_without_curl(text: str) -> dict[str, Any]:
    """The printed request, sent by us on a machine without curl."""
    words = shlex.split(text.replace("\\\n", " "))
    headers = dict(words[i + 1].split(": ", 1) for i, word in enumerate(words) if word == "-H")
    content = words[words.index("-d") + 1]
    answer: dict[str, Any] = httpx2.post(
        words[2], headers=headers, content=content, timeout=PATIENCE, trust_env=False
    ).json()
    return answer
