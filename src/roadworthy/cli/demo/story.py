"""What the demo does and says, in order.  It says only what it has just seen, and hands every claim to be checked."""

from __future__ import annotations

import json
import secrets
import shlex
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from roadworthy.cli.demo.breaking import Drilled, drill
from roadworthy.cli.demo.system import WORKFLOW, Message, System, messages
from roadworthy.cli.demo.traffic import Reply, Tally, body, send, tally
from roadworthy.cli.terminal import line
from roadworthy.workflow.inference import SERVED_BY_MODEL

USER = "u-42"
QUESTION = "I was charged twice for my order last week. Please give me my money back!"


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
    broken: Drilled
    explain: str
    drill: str
    failures: str
    curl: str
    snippet: str
    log: str
    show: str
    shown: Message
    stats: str
    diff: str
    next_steps: list[str]


def tell(system: System, console: Console, *, first: int, second: int) -> Told:
    """Run the demo on a system that is up.  ``first``, ``second``: messages sent to each release."""
    run = secrets.token_hex(4)
    say = _speaker(console)
    say(f"gateway      {system.url}")
    say(f"metrics      {system.metrics_url}")
    say(f"everything   {system.place.root}/ (configuration, data, log of this run)")

    token = str(system.admin.post("/v1/keys", {"name": f"demo {run}", "workflows": [WORKFLOW]})["token"])
    pool = messages("test")

    say("\n1. The first release asks for JSON in words only.")
    one = system.apply("first", "asks for JSON in words")
    first_replies = _send(system, console, token, pool[:first], run)
    say(f"   release {one['number']}: {tally(first_replies)}.")
    say(f"   One of them: {_example(first_replies)}")

    say("\n2. The second release gives the model a schema and checks each answer. Same messages, and more.")
    two = system.apply("second", "schema in response_format, checked")
    second_replies = _send(system, console, token, pool[:second], run)
    say(f"   release {two['number']}: {tally(second_replies)}.")
    say(f"   One of them: {_example(second_replies)}")

    say("\n3. Break it. Faults on purpose, on the gateway that serves; no live call feels them.")
    broken = _drill(system, console)
    for fault in broken.faults:
        say(f"   {fault.verdict}  {fault.fault:<25}{fault.outcome:<11}{fault.seconds:5.2f} s  {line(fault.reads, 45)}")
    say(f"   {broken.passed} of {len(broken.faults)} as the release declares it ({broken.calls} calls).")

    told = _closing(system, token, run, (one, two), (first_replies, second_replies), broken)
    say("   Told beforehand; drilled again (--all: the whole catalogue); written down for whoever answers customers:")
    say(f"\n   {told.explain}\n   {told.drill}\n   {told.failures}")
    say("\n4. Call it yourself.")
    say(f"\n{told.curl}\n\n{told.snippet}")
    say("\n5. Find out what happened: what was said to this user, one inference whole, the sums.")
    say(f"\n   {told.log}\n   {told.show}\n   {told.stats}\n   {told.diff}")
    say("\n6. Next.\n")
    for step in told.next_steps:
        say(f"   {step}")
    return told


def _closing(
    system: System,
    token: str,
    run: str,
    releases: tuple[dict[str, Any], dict[str, Any]],
    replies: tuple[list[Reply], list[Reply]],
    broken: Drilled,
) -> Told:
    command = shlex.join(system.command)
    shown = replies[1][0]
    return Told(
        url=system.url,
        token=token,
        run=run,
        first_release=str(releases[0]["digest"]),
        second_release=str(releases[1]["digest"]),
        first=tally(replies[0]),
        second=tally(replies[1]),
        first_ids=[reply.inference for reply in replies[0]],
        second_ids=[reply.inference for reply in replies[1]],
        broken=broken,
        explain=f"{command} explain {WORKFLOW}",
        drill=f"{command} drill {WORKFLOW} --fault {broken.faults[0].fault}",
        failures=f"{command} failures {WORKFLOW}",
        curl=curl_line(system.url, token),
        snippet=python_snippet(system.url, token),
        log=f'{command} log "last hour" --user customer-{shown.message.id}',
        show=f"{command} show {shown.inference}",
        shown=shown.message,
        stats=f"{command} stats --by release,outcome",
        diff=f"{command} diff {releases[0]['number']} {releases[1]['number']}",
        next_steps=[
            f"{command} status",
            f"{command} releases {WORKFLOW}",
            f"{command} check {system.place.config}",
            f"{system.command[0]} init --help",
            f"{system.command[0]} adopt --help",
        ],
    )


def _example(replies: list[Reply]) -> str:
    """What the model wrote to the first customer who read a model's words."""
    written = [reply for reply in replies if reply.outcome in SERVED_BY_MODEL]
    return line((written or replies)[0].text, 110)


def curl_line(url: str, token: str) -> str:
    return (
        f"curl -s {url}/chat/completions \\\n"
        f"  -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(json.dumps(body(QUESTION, USER)))}"
    )


def python_snippet(url: str, token: str) -> str:
    return (
        "from openai import OpenAI\n"
        f'client = OpenAI(base_url="{url}", api_key="{token}")\n'
        f'messages = [{{"role": "user", "content": "{QUESTION}"}}]\n'
        f'answer = client.chat.completions.create(model="{WORKFLOW}", user="{USER}", messages=messages)\n'
        "print(answer.choices[0].message.content)"
    )


def _send(system: System, console: Console, token: str, chosen: list[Message], run: str) -> list[Reply]:
    with _progress(console) as progress:
        bar = progress.add_task("customer messages", total=len(chosen))
        return send(system.url, token, chosen, run, lambda: progress.advance(bar))


def _drill(system: System, console: Console) -> Drilled:
    with _progress(console) as progress:
        bar = progress.add_task("drilled calls", total=None)
        return drill(system.admin, lambda done, wanted: progress.update(bar, completed=done, total=wanted))


def _progress(console: Console) -> Progress:
    columns = (TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _speaker(console: Console) -> Any:
    def say(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False, highlight=False)

    return say
