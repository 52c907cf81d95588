"""The official clients of OpenAI and Anthropic, for Python and Node, get through a real worker what they would get
from the provider itself, on all three surfaces, passed through and translated."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_support import TOKEN, release
from gateway_workers import Workers

from roadworthy.gateway.snapshot import Endpoint, Ramp, ServedWorkflow
from roadworthy.wiring.folders.data_folder import create_folder
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import (
    Breaker,
    Budgets,
    Canned,
    Capabilities,
    Handling,
    Policy,
    Price,
    Step,
    Target,
    TargetIdentity,
)
from support import drive, official
from support.provider import Rehearsal
from support.sightings import CALLS, NODE_CLIENTS, by_node, check, node
from support.snippets import environment, printed, snippets

LADDER: dict[Any, list[Step]] = {
    "overlimit": [Step("retry", times=1, backoff=0.0)],
    "invalid": [Step("escalate")],
    "misconfigured": [],
    "truncated": [],
    "overspent": [],
}
CANNED, HOLDING, BLOCKED = "We will write to you.", "A colleague answers.", "We cannot say."
TRIES = {
    "answered": "hello", "recovered": "[[fault status code=429 times=1]]", "canned": "[[fault status code=503]]",
    "escalated": "[[fault content as=null]]", "blocked": "[[fault status code=503]]",
    "error": "[[fault status code=401]]", "bad": "[[fault status code=400]]", "limited": "hello", "bypassed": "hello",
}  # fmt: skip
ENDS: dict[str, Any] = {
    "answered": None, "recovered": None, "canned": CANNED, "escalated": HOLDING, "blocked": BLOCKED,
    "error": (503, "misconfigured"), "bad": (400, "bad_request"), "limited": (429, "overspent"),
    "bypassed": (503, "bypassed"),
}  # fmt: skip
ALONE = ("blocked", "limited", "bypassed")
"""Workflows of their own; the other outcomes are steps of one ladder."""


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    with Rehearsal(tmp_path_factory.mktemp("rehearsal"), {"output_tokens": 8}) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, rehearsal: Rehearsal) -> Iterator[Workers]:
    """One worker; ``own``: its target speaks all three formats, ``translated``: chat completions alone."""
    declared = {"canned": Canned(CANNED), "holding": Canned(HOLDING), "blocked": Canned(BLOCKED)}
    served = {
        name: release(name, behaviour={
            "target": target, "targets": {target: TargetIdentity("simulated", "sim", "127.0.0.1")},
            "caller_overrides": ["tools", "response_format", "max_completion_tokens"],
        }, handling=Handling(ladder={**LADDER, "unavailable": [Step(last)]}, **declared))
        for name, target, last in [
            ("translated", "main", "canned"), ("own", "native", "canned"), ("limited", "main", "canned"),
            ("bypassed", "main", "canned"), ("blocked", "main", "drop"),
        ]
    }  # fmt: skip
    workers = Workers(create_folder(tmp_path_factory.mktemp("w")), rehearsal.url, served=served)
    make = {"provider": "simulated", "model": "sim", "endpoint": rehearsal.url, "allow_private": True}
    targets = {
        name: Target(name=name, breaker=Breaker(calls=100_000), capabilities=Capabilities(surfaces=speaks), **make)
        for name, speaks in [("main", ["chat"]), ("native", ["chat", "responses", "messages"])]
    }
    flows = {name: ServedWorkflow(name, "default", "enforce", Policy(), made.digest) for name, made in served.items()}
    flows["limited"] = ServedWorkflow(
        "limited", "default", "enforce", Policy(budgets=Budgets(inference=1e-12)), served["limited"].digest
    )
    flows["bypassed"] = ServedWorkflow(
        "bypassed", "default", "enforce", Policy(), served["bypassed"].digest, ramp=Ramp(0.0)
    )
    workers.publish(
        seq=2, workflows=flows, targets=targets, endpoints={name: Endpoint(rehearsal.url) for name in targets},
        prices={name: Price(0.001, 0.002) for name in targets},
    )  # fmt: skip
    workers.until(lambda: workers.counters()["snapshot_seq"] == 2)
    yield workers
    workers.end()


TASKS = [("chat", "translated"), ("responses", "own"), ("responses", "translated"), ("messages", "own"),
         ("messages", "translated")]  # fmt: skip
"""Chat completions are what every target speaks."""


_number = itertools.count()
"""No call is asked twice: a fault for the first time alone would not strike."""


def task(gateway: Workers, surface: str, workflow: str) -> dict[str, Any]:
    return {
        "url": f"http://127.0.0.1:{gateway.port}", "key": TOKEN, "surface": surface, "workflow": workflow,
        "tries": {
            name: (name if name in ALONE else workflow, f"{text} {next(_number)}") for name, text in TRIES.items()
        },
        "parallel": 200 if workflow == "own" or surface == "chat" else 20,
    }  # fmt: skip


@pytest.mark.parametrize("language", ["python", "node"])
def test_a_client_gets_through_the_gateway_what_it_gets_from_its_provider(gateway: Workers, language: str) -> None:
    before = len(records(gateway))
    tasks = [task(gateway, surface, workflow) for surface, workflow in TASKS]
    seen = by_node(tasks) if language == "node" else official.see(tasks)
    for told, saw in zip(tasks, seen, strict=True):
        check(saw, told, ENDS)
    made = records(gateway)[before:]
    assert len(made) == sum(CALLS + 2 * len(TRIES) + told["parallel"] for told in tasks)  # nothing was tried again
    assert [line.outcome for line in made].count("abandoned") == 2 * len(tasks)  # who hung up, and who was too slow
    gateway.until(lambda: gateway.counters()["in_flight"] == 0 and not any(gateway.counters()["target_slots"].values()))


def records(gateway: Workers) -> list[Inference]:
    gateway.until(lambda: gateway.counters()["in_flight"] == 0)
    return [line for line in gateway.lines() if isinstance(line, Inference)]


OF_OFFICIAL = [name for name in snippets() if name.startswith(("openai-", "anthropic-"))]


@pytest.mark.parametrize("name", OF_OFFICIAL)
def test_the_snippet_of_an_official_client_runs_from_the_page(
    gateway: Workers, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snippet = snippets()[name]
    told = environment(name, f"http://127.0.0.1:{gateway.port}", TOKEN)
    cases = [{**told, "ROADWORTHY_WORKFLOW": workflow} for workflow in ("translated", "own", "bypassed")]
    if snippet.language == "js":
        command = [node()]
        (tmp_path / "node_modules").symlink_to(NODE_CLIENTS / "node_modules")
        said = printed(snippet, cases, tmp_path, command=command)
    else:
        for variable in cases[0]:
            monkeypatch.setenv(variable, "")  # put back afterwards
        said = [drive.run(snippet.text, name, case) for case in cases]
    assert said[0].startswith("answered: ")
    assert said[1].startswith("answered: ")
    assert said[2] == "old path: bypassed\n"
