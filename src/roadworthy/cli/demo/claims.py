"""Each thing that the demo says, held against the running system.  One claim, one function, one line."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import httpx2

from roadworthy.cli.demo.breaking import FAULTS, drilled, made
from roadworthy.cli.demo.story import USER, Told
from roadworthy.cli.demo.system import WORKFLOW, System
from roadworthy.cli.demo.traffic import Tally, read_answer
from roadworthy.cli.drill_view import reads
from roadworthy.cli.errors import CliError
from roadworthy.workflow.inference import SERVED_BY_MODEL

PATIENCE = 180.0
"""Seconds that a printed command may take."""
GOOD_SHARE = 0.95

Claim = Callable[[Told, System], str]
"""Returns what it found; raises when the claim does not hold.  Its docstring is the claim in words."""


class Broken(Exception):
    """A claim that does not hold; the message says what was found."""


def gateway_serves(told: Told, system: System) -> str:
    """the gateway answers at the printed address and serves the sample"""
    ready = httpx2.get(told.url.removesuffix("/v1") + "/readyz", timeout=5.0, trust_env=False)
    _expect(ready.status_code == 200, f"/readyz answered {ready.status_code}")
    headers = {"authorization": f"Bearer {told.token}"}
    served = httpx2.get(f"{told.url}/models", headers=headers, timeout=5.0, trust_env=False).json()
    names = [model["id"] for model in served.get("data", [])]
    _expect(WORKFLOW in names, f"/v1/models lists {names}")
    return f"{told.url} serves {WORKFLOW}"


def first_release_counts(told: Told, system: System) -> str:
    """the first release's answers are as counted"""
    return _counts(told.first, told.first_ids, told.first_release, system)


def second_release_counts(told: Told, system: System) -> str:
    """the second release's answers are as counted"""
    return _counts(told.second, told.second_ids, told.second_release, system)


def second_mends_first(told: Told, system: System) -> str:
    """the second release mends what the first shows"""
    before, after = told.first.valid / told.first.sent, told.second.valid / told.second.sent
    _expect(after >= GOOD_SHARE > before, f"valid share {before:.0%} before, {after:.0%} after")
    served = system.admin.get("/v1/releases", {"workflow": WORKFLOW})["items"]
    now = [release["digest"] for release in served if release["served"]]
    _expect(now == [told.second_release], f"the served release is {now}")
    return f"valid JSON rose from {before:.0%} to {after:.0%}"


def every_inference_logged(told: Told, system: System) -> str:
    """every message sent is in the inference log exactly once, with tokens, cost and latency"""
    items = system.admin.get("/v1/log", {"tag": f"demo={told.run}", "limit": 1000})["items"]
    sent = sorted(told.first_ids + told.second_ids)
    found = sorted(item["id"] for item in items)
    _expect(found == sent, f"sent {len(sent)}, found {len(found)} (other ids: {set(found) ^ set(sent)})")
    poor = [i["id"] for i in items if not i.get("tokens") or i.get("cost_usd") is None or not i.get("latency")]
    _expect(not poor, f"without tokens, cost or latency: {poor}")
    return f"{len(found)} of {len(sent)} found, none twice"


def drills_pass(told: Told, system: System) -> str:
    """every fault was drilled on the gateway that serves, and its customers got what the release declares"""
    run = system.admin.get(f"/v1/drills/{told.broken.run}")
    _expect(run["digest"] == told.second_release, f"the run drilled {run['digest'][:16]}")
    kept = drilled(run)
    _expect(kept == told.broken, "the kept run is not as it was told")
    failed = [fault.fault for fault in kept.faults if fault.verdict != "PASS"]
    _expect(not failed and sorted(fault.fault for fault in kept.faults) == sorted(FAULTS), f"failed: {failed}")
    for result in made(run):
        record = system.admin.get(f"/v1/inferences/{result['seen']['inference']}")["inference"]
        found = (record["traffic"], record.get("drill"), record["outcome"])
        _expect(found == ("drill", result["fault"], result["seen"]["outcome"]), f"{result['fault']}: logged as {found}")
    return f"{len(kept.faults)} faults, {kept.calls} calls in the log, none among the live ones"


def explain_foretold(told: Told, system: System) -> str:
    """the printed explain command foretells each fault that the release cannot mend, to the word"""
    rows = {row["failure"]: row for row in json.loads(_run([*shlex.split(told.explain), "--json"]))["items"]}
    run = system.admin.get(f"/v1/drills/{told.broken.run}")
    ended = [result for result in made(run) if result["seen"]["outcome"] not in SERVED_BY_MODEL]
    for result in ended:
        endings = rows[result["seen"]["failure"]]["endings"]
        foretold = {(ending["outcome"], reads(ending["outcome"], _foretold_text(ending))) for ending in endings}
        found = (result["seen"]["outcome"], reads(result["seen"]["outcome"], result["seen"]["text"]))
        _expect(found in foretold, f"{result['fault']}: {found}, and explain says {foretold}")
    _expect(bool(ended), "no fault ended without the model")
    return f"{len(ended)} calls ended as it says"


def drill_works(told: Told, system: System) -> str:
    """the printed drill command passes"""
    run = json.loads(_run([*shlex.split(told.drill), "--json"]))
    verdicts = [result["verdict"] for result in made(run)]
    _expect(set(verdicts) == {"PASS"}, f"verdicts: {verdicts}")
    return f"{len(verdicts)} of {len(verdicts)} calls as declared"


def failures_work(told: Told, system: System) -> str:
    """the printed failure catalogue says what the customer read in each drill"""
    items = json.loads(_run([*shlex.split(told.failures), "--json"]))["items"]
    shown = {(item["fault"], item["outcome"], reads(item["outcome"], item["reads"])) for item in items}
    missing = [f.fault for f in told.broken.faults if (f.fault, f.outcome, f.reads) not in shown]
    _expect(not missing, f"missing or different: {missing}")
    return f"{len(told.broken.faults)} faults shown"


def curl_works(told: Told, system: System) -> str:
    """the curl line works as printed"""
    if shutil.which("curl") is None:
        answer = _curl_without_curl(told.curl)
    else:
        answer = json.loads(_run(["sh", "-c", told.curl]))
    outcome = answer.get("roadworthy", {}).get("outcome")
    _expect(outcome in ("answered", "recovered"), f"outcome {outcome}: {json.dumps(answer)[:300]}")
    return f"outcome {outcome}, {answer['roadworthy']['inference']}"


def snippet_works(told: Told, system: System) -> str:
    """the OpenAI client's snippet works as printed"""
    printed = _run([sys.executable, "-c", told.snippet])
    valid, topic = read_answer(printed)
    _expect(valid, f"it printed {printed[:200]!r}")
    return f"five lines, topic {topic!r}"


def snippet_call_is_found(told: Told, system: System) -> str:
    """the calls just made are found by their user"""
    system.admin.post("/v1/journal/flush")  # the calls were made this very moment
    items = system.admin.get("/v1/log", {"unit": USER, "limit": 50})["items"]
    recent = [item for item in items if item["digest"] == told.second_release]
    _expect(len(recent) >= 2, f"{len(recent)} inferences of user {USER}")
    return f"{len(recent)} inferences of user {USER}"


def log_works(told: Told, system: System) -> str:
    """the printed log command finds the customer's inference"""
    found = json.loads(_run([*shlex.split(told.log), "--json"]))
    ids = [item["id"] for item in found["items"]]
    _expect(told.second_ids[0] in ids, f"it found {ids}")
    return f"{len(ids)} found"


def show_works(told: Told, system: System) -> str:
    """the printed show command shows the customer's words and the answer"""
    text = " ".join(_run(shlex.split(told.show)).split())
    words = " ".join(told.shown.message.split())[:40]
    _expect(words in text, f"{words!r} is not in what it printed")
    return "message and answer shown"


def stats_work(told: Told, system: System) -> str:
    """the printed sums count both releases"""
    rows = json.loads(_run([*shlex.split(told.stats), "--json"]))["rows"]
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row["group"]["release"]] += row["count"]
    for digest, sent in ((told.first_release, told.first.sent), (told.second_release, told.second.sent)):
        _expect(counted[digest] >= sent, f"release {digest[:16]}: {counted[digest]} of {sent}")
    return f"{sum(counted.values())} inferences in {len(rows)} rows"


def diff_works(told: Told, system: System) -> str:
    """the printed diff names what changed between the releases"""
    text = _run(shlex.split(told.diff))
    _expect("schema" in text, "it does not name the schema")
    return "names the schema"


def next_steps_exist(told: Told, system: System) -> str:
    """each next command exists and works"""
    for step in told.next_steps:
        _run(shlex.split(step))
    return f"{len(told.next_steps)} commands ran"


def metrics_count(told: Told, system: System) -> str:
    """/metrics is served and counts the inferences"""
    text = httpx2.get(system.metrics_url, timeout=10.0, trust_env=False).text
    rows = [row for row in text.splitlines() if row.startswith("roadworthy_inferences_total{")]
    total = sum(float(row.rsplit(" ", 1)[1]) for row in rows if f'workflow="{WORKFLOW}"' in row)
    sent = told.first.sent + told.second.sent
    _expect(total >= sent, f"{total:.0f} counted, {sent} sent")
    return f"{total:.0f} inferences counted"


CLAIMS: tuple[Claim, ...] = (
    gateway_serves,
    first_release_counts,
    second_release_counts,
    second_mends_first,
    every_inference_logged,
    drills_pass,
    explain_foretold,
    drill_works,
    failures_work,
    curl_works,
    snippet_works,
    snippet_call_is_found,
    log_works,
    show_works,
    stats_work,
    diff_works,
    next_steps_exist,
    metrics_count,
)


def verify(told: Told, system: System, say: Callable[[str], None], claims: Sequence[Claim] = CLAIMS) -> int:
    """Check each claim and print one line for it.  Returns the exit code: 0, or 1 when one does not hold."""
    system.admin.post("/v1/journal/flush")
    held = 0
    for claim in claims:
        words = (claim.__doc__ or "").strip()
        try:
            found = claim(told, system)
        except (Broken, CliError, httpx2.HTTPError, ValueError, KeyError) as error:
            say(f"FAIL  {words}: {_short(error)}")
            continue
        held += 1
        say(f"ok    {words}: {found}")
    say(f"{held} of {len(claims)} claims hold")
    return 0 if held == len(claims) else 1


def _counts(claimed: Tally, ids: Sequence[str], release: str, system: System) -> str:
    """Recount from the inference log what the story counted from the answers that the caller read."""
    valid = 0
    for inference in ids:
        record: dict[str, Any] = system.admin.get(f"/v1/inferences/{inference}")["inference"]
        _expect(record["digest"] == release, f"{inference} was served by {record['digest']}")
        choices = (record.get("response") or {}).get("choices") or [{"message": {}}]
        if record["outcome"] in SERVED_BY_MODEL:
            valid += read_answer(choices[0]["message"].get("content"))[0]
    _expect(len(ids) == claimed.sent, f"{len(ids)} inferences for {claimed.sent} messages")
    _expect(valid == claimed.valid, f"the log holds {valid} valid answers, {claimed.valid} were claimed")
    return f"{valid} of {len(ids)} valid in the log"


def _foretold_text(ending: dict[str, Any]) -> str:
    said = ending["reads"]
    return json.dumps(said["json"]) if said["json"] is not None else str(said["text"])


def _curl_without_curl(line: str) -> dict[str, Any]:
    """The printed request, sent by us on a machine without curl."""
    words = shlex.split(line.replace("\\\n", " "))
    headers = dict(words[i + 1].split(": ", 1) for i, word in enumerate(words) if word == "-H")
    content = words[words.index("-d") + 1]
    answer: dict[str, Any] = httpx2.post(
        words[2], headers=headers, content=content, timeout=PATIENCE, trust_env=False
    ).json()
    return answer


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Broken(f"{shlex.join(command)[:120]}: {error}") from error
    if done.returncode != 0:
        raise Broken(f"exit {done.returncode} from {shlex.join(command)[:120]}: {done.stderr.strip()[-300:]}")
    return done.stdout


def _expect(holds: bool, found: str) -> None:
    if not holds:
        raise Broken(found)


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split() if not isinstance(error, Broken) else str(error).split())
