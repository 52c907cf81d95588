"""A drill of a target that speaks another format than chat completions is read by that format's own wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from drill_support import Ran, applicable, run_all
from msgspec import Raw, to_builtins

from roadworthy.adapters.providers.registry import wire_for
from roadworthy.fallback.drills.registry import drills
from roadworthy.fallback.drills.wires import played, speech_of, spoken_to
from roadworthy.formats.model import Format
from roadworthy.operations.drills.words import wires
from roadworthy.workflow.model import Capabilities, ProviderKind, Target

LIVE = {name: drill for name, drill in drills().items() if drill.row != "correlated"}
CASES = {"text", "relayed", "json", "tools", "checked"}
WIRES: list[Format] = ["responses", "messages"]
Swept = dict[tuple[str, Format], dict[tuple[str, bool], Ran]]


@pytest.fixture(scope="module")
def swept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Of the drills that were selected: ``-k`` runs no others."""
    params: list[dict[str, Any]] = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    selected = {(each["name"], each["wire"]) for each in params if "wire" in each and "name" in each}
    wanted = [
        (LIVE[name], case, stream, case)
        for name, wire in sorted(selected)
        for case, stream in applicable(LIVE[name], wire)
        if case.name in CASES
    ]
    found: Swept = {}
    ran = asyncio.run(run_all(wanted, tmp_path_factory.mktemp("wires")))
    for (drill, case, stream, _), each in zip(wanted, ran, strict=True):
        found.setdefault((drill.name, case.wire), {})[case.name, stream] = each
    return found


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", LIVE)
def test_a_fault_is_read_by_the_wire_of_the_target(swept: Swept, name: str, wire: Format) -> None:
    ran = swept.get((name, wire), {})
    missed = {key: [str(miss) for miss in each.misses] for key, each in ran.items() if each.misses}
    assert not missed
    assert {sent.wire for each in ran.values() for sent in each.seen.sent} <= {wire}


def target(provider: ProviderKind, *surfaces: Format) -> Target:
    return Target("main", provider, "m", capabilities=Capabilities(surfaces=list(surfaces) or None))


@pytest.mark.parametrize(
    ("given", "wire", "own"),
    [
        (target("openai"), "chat", True),
        (target("openai", "chat", "responses"), "chat", True),
        (target("openai", "responses"), "responses", True),
        (target("openai", "messages"), "chat", True),
        (target("anthropic"), "messages", True),
        (target("simulated"), "chat", True),
        (target("simulated", "messages"), "messages", True),
        (target("simulated", "messages", "responses"), "responses", True),
        (target("local"), "chat", True),
        (target("gemini"), "chat", False),
        (target("bedrock", "messages"), "chat", False),
    ],
)
def test_a_drill_foretells_how_the_target_is_asked(given: Target, wire: Format, own: bool) -> None:
    found = played(given)
    assert (found.format, found.own) == (wire, own)
    asked = wire_for(spoken_to(given), b"/v1", "sk").encode(
        "chat", {"model": Raw(b'"m"'), "messages": Raw(b'[{"role":"user","content":"Hi"}]')}, stream=False
    )
    assert speech_of(asked.path.decode(), asked.body, "n", "m").format == wire


def test_a_report_says_when_the_wire_was_not_the_targets_own() -> None:
    assert wires(to_builtins(played(target("anthropic")))) == (
        "The first target (anthropic) was asked in Messages. Customers asked in chat completions."
    )
    assert "not its own wire" in wires(to_builtins(played(target("gemini"))))
    assert wires(None) == ""
