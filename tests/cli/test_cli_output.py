"""What commands print, word for word: output is user experience.

Set ROADWORTHY_UPDATE_SNAPSHOTS=1 to write the files anew, then read the diff.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fake_admin import ANOMALY, ESCALATIONS, INCIDENTS, NOW, RECOVERED, RELEASES, Cli, explained

SNAPSHOTS = Path(__file__).parent / "snapshots"

CASES: dict[str, tuple[int, list[str]]] = {
    "log": (0, ["log"]),
    "log-window": (0, ["log", "tuesday", "2pm", "--user", "u-42"]),
    "log-json": (0, ["log", "tuesday", "2pm", "--json"]),
    "log-page": (0, ["log", "--limit", "1"]),
    "log-nothing-in-window": (1, ["log", "wednesday", "9am"]),
    "log-nothing-for-filter": (1, ["log", "--user", "nobody"]),
    "show": (0, ["show", RECOVERED["id"]]),
    "show-json": (0, ["show", RECOVERED["id"], "--json"]),
    "stats": (0, ["stats"]),
    "stats-json": (0, ["stats", "--sort", "count", "--json"]),
    "status": (0, ["status"]),
    "keys-list": (0, ["keys", "list", "--all"]),
    "keys-create": (0, ["keys", "create", "mine", "--workflow", "support-triage"]),
    "releases": (0, ["releases"]),
    "diff": (0, ["diff", "support-triage:1", "2"]),
    "freeze": (0, ["freeze", "support-triage"]),
    "approve-list": (0, ["approve", "--list"]),
    "approve": (0, ["approve", "support-triage", "--seen", "5f2c81d09a3e", "--reason", "the fair is on"]),
    "explain": (0, ["explain", "support-triage"]),
    "explain-json": (0, ["explain", "support-triage", "--json"]),
    "people": (0, ["people"]),
    "audit-list": (0, ["audit", "list"]),
    "audit-verify": (0, ["audit", "verify"]),
    "forget": (0, ["forget", "u-42", "--yes"]),
    "anomalies": (0, ["anomalies"]),
    "escalations": (0, ["escalations"]),
    "escalations-show": (0, ["escalations", "show", ESCALATIONS[0]["id"]]),
    "escalations-dead": (0, ["escalations", "--dead"]),
    "escalations-capacity": (0, ["escalations", "capacity", "support-triage"]),
    "reviews": (0, ["review"]),
    "review": (0, ["review", "support-triage"]),
    "incidents": (0, ["incidents"]),
    "incidents-show": (0, ["incidents", "show", INCIDENTS[0]["id"]]),
    "wrong-command": (2, ["statsu"]),
    "wrong-workflow": (2, ["log", "--workflow", "suport-triage"]),
    "wrong-outcome": (2, ["log", "--outcome", "answerd"]),
    "wrong-time": (2, ["log", "teatime", "maybe"]),
    "wrong-id": (2, ["show", "hello"]),
}


@pytest.mark.parametrize("name", CASES)
def test_output_is_as_it_was_agreed(cli: Cli, name: str) -> None:
    code, arguments = CASES[name]
    result = cli(*arguments)
    path = SNAPSHOTS / f"{name}.txt"
    printed = f"$ roadworthy {' '.join(arguments)}\n{result.output}(exit {result.exit_code})\n"
    if os.environ.get("ROADWORTHY_UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(printed, encoding="utf-8")
    assert result.exit_code == code, result.output
    assert printed == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in CASES if not name.endswith("json")])
def test_no_control_character_reaches_the_terminal(cli: Cli, name: str) -> None:
    output = cli(*CASES[name][1]).output
    assert not set(output) & {chr(c) for c in [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E]}
    assert "owned" not in output


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith("json")])
def test_json_is_one_document_in_which_nothing_acts_on_a_terminal(cli: Cli, name: str) -> None:
    output = cli(*CASES[name][1]).stdout
    json.loads(output)
    assert not set(output) & {chr(c) for c in [*range(10), *range(11, 32), *range(0x7F, 0xA0), 0x202E]}


def test_json_keeps_what_the_terminal_does_not_show(cli: Cli) -> None:
    entry = json.loads(cli("show", RECOVERED["id"], "--json").stdout)
    assert "\x1b]0;owned\x07" in entry["inference"]["request"]["messages"][0]["content"]


def test_sums_name_releases_and_hours_as_a_person_does_and_json_keeps_them_whole(cli: Cli) -> None:
    row = {"count": 1, "outcomes": {"answered": 1}}
    digest = RELEASES[0]["digest"]
    groups = [{"release": digest, "hour": "2026-11-17T14:00+00:00"}, {"release": "rel_" + "9" * 64, "hour": None}]
    cli.admin.answers["GET", "/v1/stats"] = (200, {"rows": [{**row, "group": group} for group in groups]})
    table = cli("stats", "--by", "release,hour").stdout
    assert f"{RELEASES[0]['number']} ({digest[:16]})" in table
    assert "2026-11-17 14:00" in table
    assert "rel_999999999999 " in table
    assert digest not in table
    assert digest in cli("stats", "--by", "release,hour", "--json").stdout


@pytest.mark.parametrize(
    ("named", "asked"),
    [("1", "rel_" + "00" * 32), ("rel_29", "rel_29"), ("29a7", "rel_29a7"), ("0000000", "rel_0000000")],
)
def test_a_release_is_found_by_its_number_or_how_its_digest_begins(cli: Cli, named: str, asked: str) -> None:
    cli("log", "--release", named)
    query = next(query for _method, path, query, _body in cli.admin.asked if path == "/v1/log")
    assert query["release"] == asked


def test_a_release_that_there_is_not_is_wrong_input(cli: Cli) -> None:
    result = cli("stats", "--release", "7")
    assert result.exit_code == 2
    assert "there is no release 7" in result.stderr


def test_a_budget_that_is_smaller_than_one_call_is_told_before_it_refuses_every_call(cli: Cli) -> None:
    answer = explained()
    answer["budgets"] = [{"of": "user", "period": "day", "limit": 0.0002, "overshoot": 0.0}]
    cli.admin.answers["GET", "/v1/explain"] = (200, answer)
    output = cli("explain").output
    assert "NOTE: the user's budget of $0.000200 a day is smaller than one such call" in output


def test_one_failure_is_told_step_by_step(cli: Cli) -> None:
    cli.admin.answers["GET", "/v1/explain"] = (200, explained("unavailable"))
    output = cli("explain", "--failure", "unavailable").output
    assert cli.admin.asked[-1][2] == {"failure": "unavailable"}
    steps = [
        line.split(". ", 1)[1] for line in output.splitlines() if line.strip()[:2] in {f"{n}." for n in range(1, 9)}
    ]
    assert steps == [
        "the first attempt",
        "main again, after 200 ms at most or as Retry-After says",
        "main again, after 400 ms at most or as Retry-After says",
        "backup instead, while there is time",
        "a cached answer to the same request, if one is at most 10 min 00 s old → cached",
        "a human, if fewer than 200 are waiting → escalated: “A colleague will answer today. redgnirtsend�” (as the "
        "refusal)",
        'canned: {"topic": "other"}',
    ]
    assert "5 attempts at most, $0.002100 beyond one good answer" in output
    assert "\x1b" not in output


def test_an_anomaly_is_a_negative_answer(cli: Cli) -> None:
    cli.admin.answers["GET", "/v1/anomalies"] = (200, {"items": [ANOMALY]})
    result = cli("anomalies")
    assert result.exit_code == 1
    assert "12 of 40 calls" in result.output


def test_a_dead_process_makes_status_a_negative_answer(cli: Cli) -> None:
    status = cli.admin.answers["GET", "/v1/status"][1]
    dead = {"name": "worker w1", "alive": False, "state": "waiting", "last_exit": "killed by SIGKILL"}
    cli.admin.answers["GET", "/v1/status"] = (200, {**status, "processes": [*status["processes"], dead]})
    result = cli("status")
    assert result.exit_code == 1
    assert "worker w1 is not running: killed by SIGKILL" in result.output


def test_status_says_when_nothing_runs(cli: Cli) -> None:
    status = cli.admin.answers["GET", "/v1/status"][1]
    cli.admin.answers["GET", "/v1/status"] = (200, {**status, "processes": []})
    result = cli("status")
    assert result.exit_code == 3
    assert "roadworthy up" in result.output


def test_a_price_breakdown_multiplies_tokens_by_the_price_and_says_when_it_changed(cli: Cli) -> None:
    from roadworthy.inference_log.telling import breakdown

    attempt = {"target": "main", "tokens": {"input": 1_000_000, "cache_read": 10, "output": 2}, "cost_usd": 0.5}
    text = "\n".join(breakdown(attempt, {"input": 1e-6, "output": 5e-6, "cache_read": None}))
    assert "1,000,000 in × $1/M = $1.00" in text
    assert "10 cache read × $1/M" in text  # a cache without a price of its own costs what input costs
    assert "recorded $0.5000 at the price of that time" in text
    assert next(iter(breakdown(attempt, None))).endswith("= $0.5000")


def test_a_time_line_is_as_long_as_its_attempt() -> None:
    from roadworthy.cli.inference_view import BAR, time_line

    half = time_line({"started": 0.5, "first_token": 0.75, "ended": 1.0}, 1.0)
    assert len(half) == BAR
    assert half.count("·") == BAR // 2
    assert half.count("█") == BAR // 4
    assert "█" in time_line({"started": 1.0, "ended": 1.0}, 1.0)  # never invisible


def test_log_sends_what_was_asked_for(cli: Cli) -> None:
    cli("log", "last hour", "-u", "u-1", "--slower-than", "800ms", "--min-cost", "0.01", "--tag", "a=b", "--class",
        "load", "--route", "release,off", "--text", "parcel", "--failure", "slow", "--release", "rel_ab")  # fmt: skip
    query = next(query for method, path, query, _ in cli.admin.asked if path == "/v1/log")
    assert query == {
        "unit": "u-1", "slower_than": "0.8", "min_cost": "0.01", "tag": "a=b", "traffic": "load",
        "route": "release,off", "text": "parcel", "failure": "slow", "release": "rel_ab",
        "since": repr(NOW - 3600), "until": repr(NOW), "limit": "50",
    }  # fmt: skip


def test_follow_prints_every_inference_once_newest_last(cli: Cli) -> None:
    from fake_admin import inference

    rounds = iter([[inference(NOW + 1, 11)], [inference(NOW + 3, 13), inference(NOW + 2, 12)], None])

    def later(seconds: float) -> None:
        new = next(rounds)
        if new is None:
            raise KeyboardInterrupt
        cli.admin.log = [*new, *cli.admin.log]

    cli.sleep = later
    result = cli("log", "--follow", "--json")
    seen = [json.loads(text)["ts"] for text in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert seen == sorted(seen)
    assert seen[-3:] == [NOW + 1, NOW + 2, NOW + 3]
    assert len(seen) == len(set(seen)) == 6


def test_follow_starts_with_the_first_call_of_an_empty_log(cli: Cli) -> None:
    from fake_admin import inference

    cli.admin.log = []
    rounds = iter([[inference(NOW + 1, 1)], [], None])

    def later(seconds: float) -> None:
        new = next(rounds)
        if new is None:
            raise KeyboardInterrupt
        cli.admin.log = [*new, *cli.admin.log]

    cli.sleep = later
    assert len(cli("log", "-f", "--json").stdout.splitlines()) == 1
