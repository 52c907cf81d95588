"""What ``ready``, ``accept``, ``waive``, ``evidence`` and ``canary`` print, and what they refuse.

Set ROADWORTHY_UPDATE_SNAPSHOTS=1 to write the files anew, then read the diff.
"""

from __future__ import annotations

import io
import json
import os
import re
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_admin import EVIL, NOW, Cli, refusal
from msgspec.structs import replace
from rich.console import Console

from roadworthy.cli import ready_view as view_of
from roadworthy.cli import words
from roadworthy.cli.ready_words import notes
from roadworthy.evidence.kinds import DAY, Attestation
from roadworthy.evidence.model import Evidence, Waiver
from roadworthy.evidence.service import Known
from roadworthy.operations.proving import ready
from roadworthy.operations.proving.readiness import Traffic, View
from roadworthy.workflow.model import Behaviour, FrozenRelease, Handling, Release, TargetIdentity, Workflow
from support.evidence import BEHAVIOUR, HANDLING, evidence, receipt, waiver
from support.evidence import NOW as SHOWN_AT
from support.readiness import shown, subject

SNAPSHOTS = Path(__file__).parent / "snapshots"
LATER = NOW - SHOWN_AT
"""From the clock of the evidence to the clock of the command line."""
RELEASE = Release(
    "support", "rel_" + "ab12cd34" * 8, BEHAVIOUR, HANDLING,
    Behaviour("chat", None, "main", {"main": TargetIdentity("openai", "m", "h")}), Handling(),
)  # fmt: skip


def view(found: list[Evidence], waivers: list[Waiver] = [], **more: Any) -> View:  # noqa: B006 - never changed
    """Of the workflow ``support``, everything made an hour before ``NOW``."""
    about = subject(receipts=[receipt(issued=NOW - 3600, expires=NOW + 35 * DAY)], **more)
    flow = Workflow("support", "default", about.owners, about.enforcement, policy=about.policy)
    frozen = FrozenRelease(RELEASE, "default", 3, NOW - 5 * DAY, "dev")
    known = Known(found, waivers, about.receipts, [], 0)
    return View(flow, frozen, frozen, known, about, Traffic(None, None, None), None)


def moved(found: list[Evidence]) -> list[Evidence]:
    accepted = {e.id: [replace(a, at=a.at + LATER) for a in e.accepted] for e in found}
    moved = [
        replace(e, made_at=e.made_at + LATER, lapses_at=e.lapses_at + LATER, accepted=accepted[e.id]) for e in found
    ]
    return [
        replace(e, figures=replace(e.figures, covered_until=NOW + 30 * DAY)) if e.kind == "on_call_schedule" else e
        for e in moved
    ]


def pilot() -> dict[str, Any]:
    """Some of it shown, some by a hostile word, one item waived."""
    all_of_it = shown()
    kept = [all_of_it[kind] for kind in ("fallback_drills", "canary", "workflow", "failure_catalogue", "kill_drill")]
    word = Attestation(instead_of="load_test", words=f"It held. {EVIL} | *sure* <script>alert(1)</script>")
    found = moved([*kept, evidence(word)])
    rest = [waiver(9, starts=NOW - 60, ends=NOW + 10 * DAY, reason=f"fair week {EVIL}")]
    report = ready.report(view(found, rest), NOW, demo_days=4)
    owed = [{"role": "cost", "person": "bo", "kind": "acceptance", "evidence": "", "renews": False}]
    made: dict[str, Any] = msgspec.to_builtins(report)
    return {**made, "owed": owed}


def production() -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(ready.report(view(moved(list(shown().values()))), NOW))
    return {**made, "owed": []}


def observed() -> dict[str, Any]:
    rest = [waiver(None, starts=NOW - DAY, ends=NOW + 20 * DAY)]
    made: dict[str, Any] = msgspec.to_builtins(ready.report(view([], rest, enforcement="observe"), NOW))
    return {**made, "owed": []}


@pytest.fixture
def cli(cli: Cli) -> Cli:
    rows = [msgspec.to_builtins(ready.line(msgspec.convert(each, ready.Report, strict=False))) for each in (
        {name: value for name, value in facts.items() if name != "owed"} for facts in (pilot(), observed())
    )]  # fmt: skip
    found = [each for each in moved(list(shown().values())) if each.kind in ("canary", "cost_forecast")]
    cli.admin.answers |= {
        ("GET", "/v1/readiness"): (200, pilot()),
        ("GET", "/v1/readiness/all"): (200, {"items": rows}),
        ("GET", "/v1/evidence"): (200, {
            "workflow": "support", "items": [{**msgspec.to_builtins(each), "kind": each.kind} for each in found],
            "waivers": [msgspec.to_builtins(waiver(9, starts=NOW, ends=NOW + DAY, reason=f"fair {EVIL}"))],
            "receipts": [msgspec.to_builtins(receipt(expires=NOW + 30 * DAY))], "revocations": [], "forged": 1,
        }),
        ("POST", "/v1/evidence/accept"): (200, {"items": [
            {**msgspec.to_builtins(each), "kind": each.kind}
            for each in moved([shown()["workflow"], shown()["failure_catalogue"]])
        ]}),
        ("POST", "/v1/evidence/attest"): (200, msgspec.to_builtins(moved([
            evidence(Attestation(instead_of="canary", words="I looked"))])[0])),
        ("POST", "/v1/waivers"): (200, msgspec.to_builtins(waiver(9, starts=NOW, ends=NOW + 10 * DAY))),
        ("POST", "/v1/waivers/end"): (200, msgspec.to_builtins(waiver(9))),
        ("POST", "/v1/canary"): (200, {
            "verdict": "PASS", "figure": "found in log, metrics, trace in 0.4 s", "inference": "inf_1",
            "outcome": "answered", "cost_usd": 0.00065, "figures": {}, "evidence": {},
        }),
    }  # fmt: skip
    return cli


CASES: dict[str, tuple[int, list[str]]] = {
    "ready": (1, ["ready", "support"]),
    "ready-all": (1, ["ready"]),
    "ready-markdown": (1, ["ready", "support", "--markdown"]),
    "evidence": (0, ["evidence", "support"]),
    "accept": (0, ["accept", "support"]),
    "accept-word": (0, ["accept", "support", "--word", "I looked", "--instead-of", "canary"]),
    "waive": (0, ["waive", "support", "--item", "9", "--until", "2026-11-29", "--reason", "fair week"]),
    "waive-end": (0, ["waive", "support", "--end", "wvr_1"]),
    "canary": (0, ["canary"]),
}


@pytest.mark.parametrize("name", CASES)
def test_output_is_as_it_was_agreed(cli: Cli, name: str) -> None:
    code, arguments = CASES[name]
    result = cli(*arguments)
    path = SNAPSHOTS / f"{name}.txt"
    printed = f"$ roadworthy {' '.join(arguments)}\n{result.output}(exit {result.exit_code})\n"
    if os.environ.get("ROADWORTHY_UPDATE_SNAPSHOTS"):
        path.write_text(printed, encoding="utf-8")
    assert result.exit_code == code, result.output
    assert printed == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_no_control_character_reaches_the_terminal(cli: Cli, name: str) -> None:
    output = cli(*CASES[name][1]).output
    assert not set(output) & {chr(c) for c in [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E]}
    assert "owned" not in output


def test_production_is_the_only_label_that_exits_with_zero(cli: Cli) -> None:
    cli.admin.answers["GET", "/v1/readiness"] = (200, production())
    result = cli("ready", "support")
    assert result.exit_code == 0, result.output
    assert "support: production, all of its traffic" in result.output
    cli.admin.answers["GET", "/v1/readiness"] = (200, observed())
    result = cli("ready", "support")
    assert result.exit_code == 1
    assert "Extended pilot, not enforced until 2026-12-09, ada" in result.output


def test_what_cannot_be_said_exits_with_two(cli: Cli) -> None:
    cli.admin.answers["GET", "/v1/readiness"] = (
        404,
        refusal("no workflow 'suport': did you mean 'support'?", "not_found"),
    )
    assert cli("ready", "suport").exit_code == 2


def test_json_is_the_report_as_it_came(cli: Cli) -> None:
    result = cli("ready", "support", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == json.loads(json.dumps(pilot()))


LOADING = ("src", "href", "srcset", "action", "data")


class Page(HTMLParser):
    """What a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [f"{name}={value}" for name, value in attrs if name in LOADING]
        self.loads += [name for name, _ in attrs if name.startswith("on")]


def test_the_page_stands_alone_and_nothing_in_it_runs(cli: Cli) -> None:
    path = cli.home / "ready.html"
    assert cli("ready", "support", "--html", str(path)).exit_code == 1
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.loads == []
    assert not page.tags & {"script", "img", "link", "iframe", "object", "form"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_markdown_of_others_has_no_markup_of_its_own(cli: Cli) -> None:
    output = cli("ready", "support", "--markdown").stdout
    assert "\\| \\*sure\\* &lt;script&gt;" in output
    rows = [row for row in output.splitlines() if re.match(r"\| 1 \| latency", row)]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 10


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["ready", "--markdown"], "are about one workflow"),
        (["ready", "support", "--html", "/nowhere/at/all/x.html"], "there is no folder"),
        (["accept", "support", "--word", "trust me"], "belong together"),
        (["accept", "support", "--word", "w", "--instead-of", "canary", "--role", "cost"], "--word excludes"),
        (["accept", "support", "--role", "on_call"], "is not one of"),
        (["waive", "support"], "say what rests"),
        (["waive", "support", "--item", "9", "--enforcement"], "say what rests"),
        (["waive", "support", "--item", "9"], "needs an end and a reason"),
        (["waive", "support", "--item", "9", "--until", "soon", "--reason", "r"], "expected a day as 2026-11-30"),
        (["waive", "support", "--end", "wvr_1", "--item", "9"], "goes with nothing else"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(cli: Cli, arguments: list[str], why: str) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert why in result.stderr
    assert cli.opened == 0


def test_until_a_day_means_to_its_end_where_the_install_is(cli: Cli) -> None:
    cli("waive", "support", "--item", "9", "--until", "2026-11-29", "--reason", "r")
    body = next(body for _, path, _, body in cli.admin.asked if path == "/v1/waivers")
    assert body["until"] == 1_795_993_200.0  # 2026-11-30 00:00 Europe/Berlin
    cli("waive", "support", "--item", "9", "--until", "14d", "--reason", "r")
    body = [body for _, path, _, body in cli.admin.asked if path == "/v1/waivers"][-1]
    assert body["until"] == NOW + 14 * DAY


def test_a_canary_that_was_not_found_everywhere_is_a_finding(cli: Cli) -> None:
    answer = cli.admin.answers["POST", "/v1/canary"][1]
    cli.admin.answers["POST", "/v1/canary"] = (
        200, {**answer, "verdict": "INSUFFICIENT", "figure": "the canary was not found in OTLP export"},
    )  # fmt: skip
    result = cli("canary")
    assert result.exit_code == 1
    assert "not found in OTLP export" in result.output


@pytest.mark.parametrize("width", [80, 100, 109])
def test_on_a_narrow_terminal_every_item_is_whole_and_no_word_is_cut(width: int) -> None:
    report = pilot()
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    view_of.tell(console, report, UTC, NOW)
    told = console.export_text()
    for item in report["items"]:
        assert f"{item['number']:>2}  {item['verdict']}" in told
        assert f"allows {words.share(item['cap'])}: {item['name']}" in " ".join(told.split())
        assert str(item["command"]) in " ".join(told.split())
    checklist = told[told.index(" 1  ") : told.index("ceiling: ")]
    assert max(len(each) for each in checklist.splitlines()) <= width


def test_what_waits_for_one_person_is_one_line() -> None:
    owed = [
        {"role": "workflow", "person": "ada", "kind": "acceptance", "evidence": "", "renews": False},
        {"role": "prompt", "person": "bo", "kind": "acceptance", "evidence": "", "renews": False},
        {"role": "", "person": "ada", "kind": "failure_catalogue", "evidence": "evd_1", "renews": True},
    ]
    assert [each for each in notes({**pilot(), "notice": "", "owed": owed}) if each.startswith("waits")] == [
        "waits for ada: accept the role of workflow owner, the failure catalogue evd_1 again: "
        "roadworthy accept support",
        "waits for bo: accept the role of prompt owner: roadworthy accept support",
    ]


def test_a_pilot_whose_calls_a_day_are_all_of_its_traffic_is_not_said_to_have_shown_all() -> None:
    all_of_it = shown()
    kept = moved([each for kind, each in all_of_it.items() if kind != "load_test"])
    report = ready.report(view(kept, calls_a_day=20.0), NOW)
    assert (report.label, report.ceiling) == ("pilot", 1.0)
    assert report.why == "the 25 calls a day of a pilot: it has no more; items that are not shown: 1"
