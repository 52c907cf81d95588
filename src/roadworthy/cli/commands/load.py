"""``load``: a load test that says what it will do and cost, does it, and stops by itself."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from roadworthy.adapters.files import write_atomically
from roadworthy.cli import load_view as view
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding, Undecided
from roadworthy.cli.words import moment
from roadworthy.operations.loading import words
from roadworthy.workflow import simulation

POLL = 0.5
"""Seconds between two looks at a test."""
SAID_EVERY = 5.0
"""Seconds between two lines of progress where nobody watches a terminal."""
STOPPING = 30.0
"""Seconds that a stopped test may take to end before the command leaves it to control."""
LIMIT_STEP = "60s"
"""Of a search for the limit, unless --duration says otherwise."""


class Rate(click.ParamType[float]):
    """``20/s``, ``90/min``, ``300/h`` or a number of calls a second."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return words.rate_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Span(click.ParamType[float]):
    """``1h``, ``10m``, ``90s`` or a number of seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        try:
            return simulation.duration("duration", float(text) if text.replace(".", "", 1).isdigit() else text)
        except simulation.ProfileError:
            self.fail(f"{text!r} is no duration: give for example 1h, 10m or 90s", param, ctx)


@click.command()
@click.argument("workflow")
@click.option("--peak", type=Rate(), metavar="RATE",
              help="Projected peak.  [default: policy.projected_peak, else the p99 minute of the log]")  # fmt: skip
@click.option("--factor", type=float, default=2.0, show_default=True, help="Times the peak that is tested.")
@click.option("--growth", type=float, default=1.0, help="Times by which the peak of the log will grow.")
@click.option("--duration", type=Span(), metavar="TIME", help="How long the rate is held.  [default: 1h]")
@click.option(
    "--rehearse", is_flag=True, help="In a copy of the install, against a simulated target fitted to the log."
)
@click.option("--probe", type=click.IntRange(0, 1000), default=40, show_default=True,
              help="Live calls that validate a rehearsal.")  # fmt: skip
@click.option("--find-limit", is_flag=True, help="Search the highest rate within the objective.")
@click.option("--with-kill", is_flag=True, help="Press the kill switch under the load.")
@click.option("--shape", type=click.Choice(["constant", "poisson", "gamma", "ramp", "replay"]), default="poisson",
              show_default=True, help="How calls arrive.")  # fmt: skip
@click.option("--burstiness", "cv", type=float, default=3.0, show_default=True,
              help="Of gamma: coefficient of variation of the gaps.")  # fmt: skip
@click.option("--trace", metavar="CSV", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="Replay this trace (TIMESTAMP,ContextTokens,GeneratedTokens) instead of the log.")  # fmt: skip
@click.option(
    "--compression", type=float, default=1.0, show_default=True, help="Of a replay: 60 plays an hour in 60 s."
)
@click.option("--bodies", metavar="log|examples|FILE", default="",
              help="What is asked.  [default: recorded questions, else the published examples]")  # fmt: skip
@click.option("--whole", is_flag=True, help="Ask for whole answers, not streams.")
@click.option("--release", metavar="N|DIGEST", default="", help="Another release than the one that readiness judges.")
@click.option("--max-cost", type=click.FloatRange(min=0, min_open=True), metavar="DOLLARS", help="Stop there.")
@click.option("--max-errors", type=click.FloatRange(min=0, max=1, min_open=True), default=0.2, show_default=True,
              help="Stop at this share of errors.")  # fmt: skip
@click.option("--past-objective", is_flag=True, help="Go on when the objective cannot be met any more.")
@click.option("--past-limits", is_flag=True, help="Go past the provider's limits, though live calls share them.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of arrivals and bodies: the same plan again.")
@click.option("--yes", is_flag=True, help="Do not ask; needs --max-cost where calls cost money.")
@click.option("--preflight", is_flag=True, help="Say what the test would do and cost, and do nothing.")
@click.option("--export", type=click.Choice(["locust"]), help="Write the same workload for another tool; see --out.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), default=Path("locustfile.py"),
              show_default=True, help="Where --export writes.")  # fmt: skip
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a page with plots as well.")  # fmt: skip
@click.option("--list", "listed", is_flag=True, help="The tests that there were.")
@click.option("--run", "shown", metavar="ID", help="Show a test that was made.")
@click.option("--last", is_flag=True, help="Show the last one.")
@json_option
@common
@pass_work
def load(work: Work, /, workflow: str, **asked: Any) -> None:
    """Test WORKFLOW under load: open-loop calls of class `load` through the running gateway.

    Before the first call it says what the test will do, cost and run into, and asks.  It stops by itself on dollars,
    errors, over-saturation, or an objective that cannot be met any more, and 30 s after this command has ended, however
    it comes.  Live calls share no limit, budget, breaker or cache with it.  An hour at twice the projected peak is
    evidence for full traffic (item 1 of `roadworthy ready`).  Exit 0: PASS; 1: FAIL; 2: INSUFFICIENT.
    """
    _vet(asked)
    if asked["listed"]:
        runs = work.admin.get("/v1/loads", {"workflow": workflow})["items"]
        now, zone = work.clock(), work.zone()
        if not runs and not work.json:
            return work.say(f"No load test of {workflow} yet. What one would do and cost: "
                            f"roadworthy load {workflow} --preflight")  # fmt: skip
        return work.emit(runs) if work.json else view.table(work.console, runs, lambda at: moment(at, zone, now=now))
    if asked["shown"] or asked["last"]:
        return _show(work, asked["shown"] or _last(work, workflow), asked["html"])
    order = _order(workflow, asked)
    if asked["export"]:
        return _export(work, order, asked["out"])
    plan = work.admin.post("/v1/loads/plan", order)
    if asked["preflight"] and work.json:
        return work.emit(plan)
    for text in view.preflight(plan):
        work.note(text)
    if asked["preflight"]:
        return None
    _confirmed(work, plan, asked["yes"], asked["max_cost"])
    order["past_limits"] |= not asked["yes"]  # what is foretold was read before it was confirmed
    run = _followed(work, work.admin.post("/v1/loads", order))
    _told(work, run, asked["html"])
    return _conclude(run)


def _vet(asked: dict[str, Any]) -> None:
    modes = [
        name for name, given in (("--rehearse", asked["rehearse"]), ("--find-limit", asked["find_limit"])) if given
    ]
    if len(modes) > 1:
        raise BadInput(
            "--rehearse and --find-limit exclude each other", "search with the real target, or rehearse a rate"
        )
    if asked["trace"] is not None and asked["shape"] not in ("poisson", "replay"):
        raise BadInput(f"--trace is replayed, not played as {asked['shape']}", "leave --shape out")
    for option in ("html", "out"):
        path = asked[option]
        if path is not None and not path.absolute().parent.is_dir():
            raise BadInput(f"--{option} {path}: there is no folder {path.absolute().parent}", "make it first")


def _order(workflow: str, asked: dict[str, Any]) -> dict[str, Any]:
    kind = "rehearsal" if asked["rehearse"] else "limit" if asked["find_limit"] else "live"
    least = Span().convert(LIMIT_STEP, None, None) if kind == "limit" else 3600.0
    order: dict[str, Any] = {
        "workflow": workflow, "release": asked["release"], "kind": kind, "factor": asked["factor"],
        "growth": asked["growth"], "seconds": asked["duration"] if asked["duration"] is not None else least,
        "shape": asked["shape"], "cv": asked["cv"], "compression": asked["compression"], "errors": asked["max_errors"],
        "on_objective": not asked["past_objective"], "past_limits": asked["past_limits"],
        "kill": asked["with_kill"], "probe": asked["probe"],
        "stream": not asked["whole"], "seed": asked["seed"],
    }  # fmt: skip
    for name, key in (("peak", "peak"), ("usd", "max_cost")):
        if asked[key] is not None:
            order[name] = asked[key]
    if asked["trace"] is not None:
        order |= {"shape": "replay", "trace": _trace(asked["trace"]), "trace_from": asked["trace"].name}
    bodies = asked["bodies"]
    if bodies in ("log", "examples"):
        order["bodies"] = bodies
    elif bodies:
        order |= {"bodies": "file", "rows": _rows(Path(bodies))}
    return order


def _trace(path: Path) -> list[list[float | int | None]]:
    from roadworthy.latency.traces import TraceRefused, read_azure

    try:
        return [[each.at, each.input_tokens, each.output_tokens] for each in read_azure(path)]
    except TraceRefused as error:
        raise BadInput(str(error)) from error


def _rows(path: Path) -> list[dict[str, Any]]:
    """Questions of a JSON Lines file: ``{"messages": […], "inputs": {…}}``, or a text alone."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--bodies {path}: {error}", "give log, examples, or a JSON Lines file in UTF-8") from error
    rows = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(
                f"{path}, line {number}: no JSON ({error.msg})", 'write {"messages": […]} on each line'
            ) from error
        if isinstance(found, str):
            found = {"messages": [{"role": "user", "content": found}]}
        messages = found.get("messages") if isinstance(found, dict) else None
        if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
            raise BadInput(
                f"{path}, line {number}: no messages", 'write {"messages": [{"role": "user", "content": "…"}]}'
            )
        rows.append({"messages": messages, "inputs": found.get("inputs") or {}})
    if not rows:
        raise BadInput(f"{path}: holds no question", 'write {"messages": […]} on each line')
    return rows


def _confirmed(work: Work, plan: dict[str, Any], yes: bool, max_cost: float | None) -> None:
    free = plan["usd"] is not None and not plan["usd_upper"]
    if yes and max_cost is None and not free:
        raise BadInput("--yes does not say what the test may cost", "add --max-cost DOLLARS")
    if yes:
        return
    if not work.interactive:
        raise BadInput("nobody is there to ask whether this test may be made", "give --yes --max-cost DOLLARS")
    click.confirm("Make this test?", abort=True, err=True)


def _followed(work: Work, run: dict[str, Any]) -> dict[str, Any]:
    """Look until the test is over, telling where it is."""
    live, told, said_at, before = work.interactive, 0, 0.0, ""
    try:
        work.note(f"test {run['id']}; Ctrl-C stops it")
        while True:
            for found in run.get("steps", [])[told:]:
                told += 1
                work.note(view.step(found))
            if run.get("state", "running") != "running":
                return run
            text = view.progress(run.get("progress", {}))
            phase = run.get("progress", {}).get("phase", "")
            if live:
                click.echo(f"\r\x1b[K{text[: (work.console.width or 80) - 1]}", err=True, nl=False)
            elif text and (time.monotonic() - said_at > SAID_EVERY or phase != before):
                said_at, before = time.monotonic(), phase
                work.note(text)
            time.sleep(POLL)
            run = work.admin.get(f"/v1/loads/{run['id']}")
    except KeyboardInterrupt:
        work.note("\nstopping; calls under way are waited for")
        run = work.admin.post(f"/v1/loads/{run['id']}/stop")
        end = time.monotonic() + STOPPING
        while run.get("state", "running") == "running" and time.monotonic() < end:
            time.sleep(POLL)
            run = work.admin.get(f"/v1/loads/{run['id']}")
        raise click.Abort from None
    finally:
        if live:
            click.echo("\r\x1b[K", err=True, nl=False)


def _last(work: Work, workflow: str) -> str:
    runs = work.admin.get("/v1/loads", {"workflow": workflow})["items"]
    if not runs:
        raise Finding(f"{workflow} was not tested yet: roadworthy load {workflow}")
    return str(runs[0]["id"])


def _show(work: Work, ident: str, html: Path | None) -> None:
    run = work.admin.get(f"/v1/loads/{ident}")
    if not work.json:
        for text in view.preflight(run["plan"]):
            work.say(text)
    _told(work, run, html)


def _told(work: Work, run: dict[str, Any], html: Path | None) -> None:
    before = work.admin.get(f"/v1/loads/{run['before']}") if run.get("before") else None
    if html is not None:
        from roadworthy.cli.load_page import page

        write_atomically(html, page(run, before, work.clock()).encode())
        work.note(f"wrote {html}")
    if work.json:
        work.emit({**run, "compared_with": before})
    else:
        view.came(work.console, run, before)


def _export(work: Work, order: dict[str, Any], out: Path) -> None:
    made = work.admin.post("/v1/loads/export", order)
    write_atomically(out, made["file"].encode())
    work.note(
        f"wrote {out}: {made['calls']:,} calls in {view.span(order['seconds'])}; the key is a permit of class load for "
        f"at most {made['usd']:g} dollars, good for two hours"
    )
    work.say(f"ROADWORTHY_API_KEY={made['token']} locust -f {out} --headless")


def _conclude(run: dict[str, Any]) -> None:
    state, found = run.get("state", "running"), run.get("came")
    if found is None:
        raise Finding(
            f"the test {'was ' if state in ('interrupted', 'stopped') else ''}{state}: {run.get('detail', '')}"
        )
    why = found["why"][0]
    if found["verdict"] == "FAIL":
        raise Finding(f"FAIL: {why}", "docs/load-test.md says what each figure means")
    if state != "done":
        raise Undecided(f"the test was {state}: {run.get('detail', '')}")
    if found["verdict"] != "PASS":
        raise Undecided(f"INSUFFICIENT: {why}", "docs/load-test.md says what would decide")
