"""How soon the console answers on a large log: ``python -m bench.console [--rows N] [--data DIR] [--write FILE]``.

Fills a control with synthetic inferences over 30 days (default 1,000,000; 20 workflows, 20,000 users), 100,000 audit
records and what else pages show, serves its console on loopback as control does, and asks for every GET page of the
page list 20 times over one kept connection, signed in as an admin.  What is told is the time from the request to the
first byte of the answer.  ``--data`` keeps the filled folder and takes it again.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import uvicorn

from bench.log_scale import record as a_call
from bench.machine import facts
from roadworthy.console.app import make_console
from roadworthy.console.routes import PAGES
from roadworthy.inference_log.model import Batch, Filter
from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.data_folder import create_folder, open_folder
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.service import Actor

WORKFLOWS = 20
DAYS = 30.0
DAY = 86_400.0
AUDIT = 100_000
REPEATS = 20
GOAL = 0.1
"""Seconds to the first byte, of every page."""
TARGETS = (
    "version: 1\ntimezone: Europe/Berlin\ntargets:\n"
    "  main: {provider: simulated, model: sim, price: {input: 1, output: 2, per: 1M}}\n"
    "  backup: {provider: simulated, model: sim2, price: {input: 2, output: 4, per: 1M}}\n"
)
PEOPLE = "people:\n  ada: {name: Ada Lovelace, email: ada@example.com, roles: [admin]}\n"
FLOW = (
    "owners: {workflow: ada, prompt: ada, cost: ada}\nprompt: {mode: managed, system: prompt.md}\ntarget: main\n"
    "canned: {text: later}\nbypass: app\nladder: {unavailable: [{target: backup}, canned]}\n"
    "policy: {testers: [ada], projected_peak: 2, budgets: {workflow: {day: 20, month: 200}}}\n"
)
QUESTIONS = (
    "", "?q=user+u-42+last+7+days+error", "?q=workflow-3+error+yesterday", "?q=slow+%3E+30s", "?q=cost+%3E+5",
    "?q=nobody-of-that-name", "?q=overspent", "?q=session+none", "?q=tag+topic", "?q=%22no+such+words%22+yesterday",
)  # fmt: skip
"""Lines of the search box: common ones, and ones that no index answers and nothing matches."""
AUDITED = (
    "",
    "?person=bo",
    "?action=key.create",
    "?workflow=workflow-3",
    "?when=yesterday",
    "?person=bo&when=last+week",
)


def files() -> dict[str, str]:
    found = {"roadworthy.yaml": TARGETS, "people.yaml": PEOPLE}
    for number in range(WORKFLOWS):
        found[f"workflows/workflow-{number}/workflow.yaml"] = FLOW
        found[f"workflows/workflow-{number}/prompt.md"] = f"You are kind, number {number}.\n"
    return found


def fill(control: Control, rows: int) -> None:
    """Calls over the last 30 days, an audit trail, and whatever pages show of a workflow."""
    rng, now = random.Random(1), control.clock()
    done = control.workflows.apply(files(), Actor("ada"), reason="bench")
    assert done.applied, [str(problem) for problem in done.problems]
    releases = {f"workflow-{n}": control.workflows.freeze(f"workflow-{n}", Actor("ada")) for n in range(WORKFLOWS)}
    digests = {name: frozen.release.release.digest for name, frozen in releases.items()}
    began = time.perf_counter()
    instants = sorted(now - 5.0 - DAYS * DAY * rng.random() for _ in range(rows))
    for at in range(0, rows, 5_000):
        calls = [a_call(rng, ts) for ts in instants[at : at + 5_000]]
        ends = [msgspec.structs.replace(each, digest=digests[each.workflow], unit_source="header") for each in calls]
        control.store.ship(Batch(ends=ends))
        if at % 100_000 == 0:
            print(f"  {at:>10,} calls, {time.perf_counter() - began:6.1f} s", file=sys.stderr, flush=True)
    control.store.rollup(now)
    _audit(control, rng, now)
    control.publish()


def _audit(control: Control, rng: random.Random, now: float) -> None:
    actions = ("key.create", "configuration.apply", "evidence.keep", "inference.read", "forecast.make")
    for at in range(0, AUDIT, 1000):
        with control.state.write() as tx:
            last = tx.last_audit()
            for number in range(1000):
                flow = f"workflow/workflow-{rng.randrange(WORKFLOWS)}"
                event = Event(
                    rng.choice(("ada", "bo", "cy")), rng.choice(actions), flow, before={"share": 0.1},
                    after={"share": 0.25, "number": number},
                )  # fmt: skip
                last = chain(last, event, now - DAYS * DAY * (1 - (at + number) / AUDIT))
                tx.append_audit(last)


def urls(control: Control) -> list[tuple[str, str]]:
    """(page, what is asked for) of every GET page that somebody signed in opens."""
    call = control.store.find(Filter(workflow="workflow-0"), 1).items[0]
    old = control.store.find(Filter(until=control.clock() - 20 * DAY), 1).items[0]
    examples = {"/inferences": list(QUESTIONS), "/audit": list(AUDITED),
                "/audit/who": ["", "?workflow=workflow-0&at=yesterday"]}  # fmt: skip
    found = []
    for page in PAGES:
        if page.method != "GET" or page.foreign or page.path in SKIPPED:
            continue
        path = page.path.replace("{workflow}", "workflow-0")
        if page.path.startswith("/inferences/"):
            found += [(page.path, path.replace("{id}", each.id)) for each in (call, old)]
        elif "{" in path:
            continue
        else:
            found += [(page.path, path + more) for more in examples.get(page.path, [""])]
    return found


SKIPPED = frozenset({"/login", "/inferences/export", "/audit/export"})
"""Signed-in people see no login; an export is a stream."""


def served(control: Control) -> tuple[str, uvicorn.Server]:
    """The console as control serves it, on a port of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    app, _ = make_console(control.services, b"bench" * 8, lambda: f"http://{place}", PAGES)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return place, server


def measured(place: str, cookie: str, path: str) -> tuple[int, list[float], float, int]:
    """(status, seconds of each, seconds of processor of one, bytes): the first one warms up and is not told."""
    connection = http.client.HTTPConnection(place)
    seconds, busy, size, status = [], [], 0, 0
    for number in range(REPEATS + 1):
        began, used = time.perf_counter(), time.process_time()
        connection.request("GET", path, headers={"cookie": f"roadworthy={cookie}", "host": place})
        answer = connection.getresponse()
        took = time.perf_counter() - began
        size, status = len(answer.read()), answer.status
        if number:
            seconds.append(took)
            busy.append(time.process_time() - used)
    connection.close()
    return status, seconds, statistics.median(busy), size


def table(control: Control) -> list[str]:
    place, server = served(control)
    cookie = control.services.sign_in.exchange(control.services.sign_in.code("ada", "bench"), "bench").token
    lines = ["| page | asked for | p50 ms | max ms | of processor | kB | |", "|---|---|---:|---:|---:|---:|---|"]
    for page, path in urls(control):
        status, seconds, busy, size = measured(place, cookie, path)
        verdict = "" if status == 200 else f"answered {status}"
        if status == 200 and max(seconds) > GOAL:
            verdict = "**slow**" if statistics.median(seconds) > GOAL else "slow at times"
        said = re.sub(r"inf_[0-9a-f]+", "inf_…", path)
        row = (
            f"| `{page}` | `{said}` | {statistics.median(seconds) * 1e3:.1f} | {max(seconds) * 1e3:.1f} "
            f"| {busy * 1e3:.1f} | {size / 1e3:.0f} | {verdict} |"
        )
        print(row, flush=True)
        lines.append(row)
    server.should_exit = True
    return lines


HEAD = """# How soon the console answers

The first byte of every page of the console, asked for over loopback {repeats} times after one to warm up, with
{rows:,} inferences of {workflows} workflows over {days:g} days in the log and {audit:,} audit records. The goal is
{goal:.0f} ms at most for every page. Made by `python -m bench.console --write docs/console-speed.md`
on {machine}, whose load was {load:.1f} before it began: where that is above the number of its cores, other programs had
a part in every figure but *of processor*, which is what the process itself took. *answered* means that the filled
install has nothing to show there.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        root = asked.data or Path(folder) / "data"
        new = not root.exists()
        control = Control(create_folder(root) if new else open_folder(root))
        if new:
            fill(control, asked.rows)
        lines = table(control)
        control.close()
    if asked.write:
        machine = "{cpu}, {cores} cores, Python {python}, {date}".format(**facts())
        head = HEAD.format(
            repeats=REPEATS, rows=asked.rows, workflows=WORKFLOWS, days=DAYS, audit=AUDIT, goal=GOAL * 1e3,
            machine=machine, load=load,
        )  # fmt: skip
        asked.write.write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
