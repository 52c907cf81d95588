"""Claims about people and the console: who was reached, who answered, what the pages say, and who may walk in."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2

from roadworthy.cli.demo.browsing import Browser
from roadworthy.cli.demo.checking import Broken, audited, expect
from roadworthy.cli.demo.looking import sentences
from roadworthy.cli.demo.proving import checklist
from roadworthy.cli.demo.story import Told
from roadworthy.cli.demo.system import OWNER, WORKFLOW, System

Facts = dict[str, Any]

STARTING = 30.0
ELSEWHERE = {
    "roadworthy.yaml": (
        "version: 1\ntargets:\n  main: {provider: simulated, model: sim, price: {input: 1, output: 2, per: 1M}}\n"
    ),
    "people.yaml": f"people:\n  {OWNER}: {{name: Ines Roth, email: ines@harbour-and-pine.example}}\n",
    "workflows/hello/workflow.yaml": (
        f"owners: {{workflow: {OWNER}, prompt: {OWNER}, cost: {OWNER}}}\ntarget: main\nbypass: app\n"
        "prompt: {mode: managed, system: prompt.md}\ncanned: {text: later}\n"
    ),
    "workflows/hello/prompt.md": "You are kind.\n",
}
"""An install of somebody's own."""


def page_acknowledged(told: Told, system: System) -> str:
    """a human's link acknowledged the test page, and that, with a rotation without gaps, is item 8"""
    paged = told.paged
    incident = system.admin.get(f"/v1/incidents/{paged.incident}")
    told_of = [line["what"] for line in incident["paging"]]
    expect(any(f"{paged.person}-phone took it" in line for line in told_of), f"its time line says {told_of}")
    pressed = [row for row in audited(system, "link.acknowledge") if row["target"] == paged.incident]
    done = [(row["actor"], row["outcome"]) for row in pressed]
    expect(done == [(paged.person, "done")], f"the link was pressed by {done}")
    kept = _evidence(system, paged.evidence)
    found = (kept["figures"].get("acknowledged_by"), kept["run"])
    expect(found == (paged.person, paged.incident), f"{paged.evidence} is of {found}")
    expect(_met(system, told, 8), "item 8 is not shown")
    return f"{paged.person} in {kept['figures']['seconds']:.1f} s"


def alert_arrived(told: Told, system: System) -> str:
    """the test of the cost alert came to the alert desk, signed, and that is item 9"""
    alerted = told.alerted
    came = [each["data"] for each in system.pager.got("notify") if each["data"].get("id") == alerted.incident]
    expect(len(came) == 1, f"{len(came)} messages about {alerted.incident}")
    expect(came[0]["title"] == alerted.title, f"it says {came[0]['title']!r}")
    kept = _evidence(system, alerted.evidence)
    expect(bool(kept["figures"].get("delivered")), f"{alerted.evidence} is of no delivery")
    expect(_met(system, told, 9), "item 9 is not shown")
    return f"{alerted.title!r}"


def people_answered(told: Told, system: System) -> str:
    """under assist two customers read the holding text, one has a person's answer since, and one still waits"""
    answered = told.answered
    rows = {row["id"]: row for row in system.admin.get("/v1/escalations", {"all": "1", "limit": 1000})["items"]}
    done, left = rows.get(answered.answered, {}), rows.get(answered.waits, {})
    expect(done.get("state") == "answered", f"{answered.answered} is {done.get('state')}")
    whole = system.admin.get(f"/v1/escalations/{answered.answered}")["answer"]
    expect(whole["by"] == answered.by, f"answered by {whole['by']}")
    expect(left.get("state") == "queue", f"{answered.waits} is {left.get('state')}")
    for ident in (answered.answered, answered.waits):
        record = system.admin.get(f"/v1/inferences/{ident}")["inference"]
        expect(record["outcome"] == "escalated", f"{ident} ended as {record['outcome']}")
    reported = system.admin.get(f"/v1/incidents/{answered.reported}")
    expect(answered.why in reported["summary"], f"reported was {reported['summary']!r}")
    return f"answered by {whole['by']}, {reported['state']} report"


def console_tells(told: Told, system: System) -> str:
    """the console's first page lists what waits for whoever walked in, as many as there are"""
    seen = told.seen
    with Browser(seen.console) as browser:
        expect(browser.page("/").headers.get("location", "").startswith("/login"), "it is open without the click")
        expect(browser.enter(seen.person).status_code == 303, f"{seen.person} could not go in")
        now = sentences(browser.page("/").text)
    missing = [each for each in seen.waiting if not any(_stem(each) == _stem(other) for other in now)]
    expect(not missing, f"it says {now}, and not {missing}")
    waits = system.admin.get("/v1/escalations", {"workflow": WORKFLOW})["items"]
    said = [int(found[1]) for each in now if (found := re.match(rf"Answer (\d+) customers? of {WORKFLOW}", each))]
    expect(said == [len(waits)], f"{len(waits)} customers wait, and it says {said}")
    return f"{len(now)} things"


def call_found(told: Told, system: System) -> str:
    """one line in the search box finds what the model did for that user in that hour, and the page shows it"""
    seen = told.seen
    with Browser(seen.console) as browser:
        browser.enter(seen.person)
        found = browser.page(f"/inferences?{urlencode({'q': seen.search})}").text
        expect(f"/inferences/{seen.finds}" in found, f"“{seen.search}” does not find {seen.finds}")
        others = set(re.findall(r"/inferences/(inf_[0-9a-f]+)", found)) - {seen.finds}
        users = {system.admin.get(f"/v1/inferences/{each}")["inference"].get("unit") for each in others}
        expect(users <= {seen.search.split()[1]}, f"it also finds calls of {users}")
        page = browser.read(f"/inferences/{seen.finds}")
    expect(" ".join(told.shown.message.split())[:40] in page, f"the page of {seen.finds} lacks the question")
    return f"“{seen.search}”"


def login_of_the_demo_alone(told: Told, system: System) -> str:
    """the one-click login works here, without a password, and does not exist under `roadworthy up`"""
    with Browser(told.seen.console) as browser:
        expect(browser.enter(told.seen.person).status_code == 303, "it does not work here")
        expect(browser.page("/").status_code == 200, "it opens nothing here")
    with tempfile.TemporaryDirectory(prefix="roadworthy-") as folder:
        there, process = _up_elsewhere(Path(folder), system)
        try:
            with Browser(there) as browser:
                found = browser.enter(told.seen.person).status_code
                expect(found in (404, 405), f"there it answers {found}")
                expect("one-time code" in browser.read("/login").lower(), "there is no login there")
                expect(browser.page("/").status_code == 303, "the console there is open")
        finally:
            process.terminate()
            process.wait(timeout=30)
    return f"{found} there"


# --- inside


def _up_elsewhere(folder: Path, system: System) -> tuple[str, subprocess.Popen[bytes]]:
    """An ordinary ``up`` on an install of its own → where its console is."""
    for name, text in ELSEWHERE.items():
        path = folder / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = [*system.command[:-2], "--data", str(folder / "data"), "up", str(folder / "config"), "--workers", "1"]
    command += ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--console", "127.0.0.1:0", "--grace", "1"]
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline and process.poll() is None:
        try:
            facts = json.loads((folder / "data" / "run" / "processes.json").read_bytes())
            httpx2.get(f"http://{facts['console']}/login", timeout=STARTING, trust_env=False)
        except (OSError, ValueError, KeyError, httpx2.TransportError):
            time.sleep(0.1)
            continue
        return f"http://{facts['console']}", process
    said = (folder / "up.log").read_text(encoding="utf-8", errors="replace")[-300:]
    process.kill()
    process.wait()
    raise Broken(f"`roadworthy up` did not come up: {said}")


def _evidence(system: System, ident: str) -> Facts:
    known = system.admin.get("/v1/evidence", {"workflow": WORKFLOW})["items"]
    found: Facts | None = next((each for each in known if each["id"] == ident), None)
    if found is None:
        raise Broken(f"no evidence {ident}")
    return found


def _met(system: System, told: Told, number: int) -> bool:
    return any(each.split()[0] == str(number) for each in checklist(system, told.ready.number).shown)


def _stem(sentence: str) -> str:
    """What stays as it is while time passes."""
    return re.split(r"[,:(]", sentence)[0]
