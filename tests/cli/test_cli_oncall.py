"""What ``oncall`` and ``monitoring`` print, send, and which exit code they give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_admin import EVIL, NOW, Cli

DAY = 86_400.0
NOW_LINE: dict[str, Any] = {
    "workflow": "support", "team": "default", "kind": "rotation", "name": "default", "people": ["ada", "zoe"],
    "shift": {"start": NOW, "end": NOW + DAY, "people": ["ada"], "how": "override", "why": EVIL},
    "hands_over_to": "bo", "hand_up": 300.0, "problem": "",
}  # fmt: skip
WATCH: dict[str, Any] = {
    "rotation": "default", "says": "schedule P of PagerDuty", "shifts": [
        {"start": NOW, "end": NOW + DAY, "people": ["ada"], "override": "ovr_1"},
        {"start": NOW + DAY, "end": NOW + 2 * DAY, "people": [], "why": "cy has left"},
    ],
    "reading": {"fetched_at": NOW - 7200, "error": "P: PagerDuty answered 503"},
}  # fmt: skip


def page(**more: Any) -> dict[str, Any]:
    proofs = [{"channel": "mail", "taken": True, "said": "250 OK"}]
    return {"person": "ada", "made_at": NOW, "ended_at": None, "ended_by": "", "proofs": proofs, **more}


@pytest.fixture
def on_call(cli: Cli) -> Cli:
    cli.admin.answers |= {
        ("GET", "/v1/oncall"): (200, {"at": NOW, "items": [NOW_LINE]}),
        ("GET", "/v1/oncall/rotations"): (200, {"items": [WATCH]}),
        ("GET", "/v1/oncall/gaps"): (200, {"items": []}),
        ("POST", "/v1/oncall/override"): (
            200, {"id": "ovr_2", "person": "bo", "rotation": "default", "start": NOW, "end": NOW + 14400}
        ),
        ("GET", "/v1/oncall/calendar"): (200, {"name": "default", "text": "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"}),
        ("POST", "/v1/oncall/read"): (200, {"items": [{"start": NOW, "end": NOW + DAY, "people": ["ada"]}]}),
        ("GET", "/v1/objectives"): (
            200, {"items": [{"workflow": "support", "error_share": 0.01, "targets": ["main"]}]}
        ),
    }  # fmt: skip
    return cli


def test_it_says_who_is_on_call_who_then_and_how_old_what_was_read_is(on_call: Cli) -> None:
    result = on_call("oncall")
    assert result.exit_code == 0
    for said in ("support", "ada", "zoe", "5 min 00 s", "bo", "(override ovr_1)", "nobody: cy has left",
                 "read 2 h ago; the last try failed: P: PagerDuty answered 503"):  # fmt: skip
        assert said in result.output
    assert "\x1b" not in result.output


def test_a_time_is_read_where_the_install_is_and_is_to_come(on_call: Cli) -> None:
    on_call("oncall", "--at", "friday 18:00")  # today is Thursday
    assert on_call.admin.asked[0][2] == {"at": repr(1_795_194_000.0)}
    wrong = on_call("oncall", "--at", "whenever")
    assert wrong.exit_code == 2
    assert "tomorrow 09:00" in wrong.output


def test_gaps_are_a_finding(on_call: Cli) -> None:
    assert on_call("oncall", "gaps").exit_code == 0
    gap = {"workflow": "support", "start": NOW, "end": NOW + DAY, "reason": "cy has left"}
    on_call.admin.answers[("GET", "/v1/oncall/gaps")] = (200, {"items": [gap]})
    found = on_call("oncall", "gaps", "--days", "30")
    assert found.exit_code == 1
    assert "cy has left" in found.output
    assert json.loads(on_call("oncall", "gaps", "--json").stdout)["items"] == [gap]


def test_an_override_goes_out_as_instants_and_says_how_to_take_it_back(on_call: Cli) -> None:
    result = on_call("oncall", "override", "bo", "--until", "+4h", "--why", "a dentist")
    assert on_call.admin.asked[-1][3] == {
        "person": "bo", "start": NOW, "end": NOW + 14400, "rotation": "", "why": "a dentist",
    }  # fmt: skip
    assert "roadworthy oncall take-back ovr_2" in result.output


def test_a_calendar_is_read_without_being_kept_unless_it_becomes_overrides(on_call: Cli) -> None:
    file = on_call.home / "rota.ics"
    file.write_text("BEGIN:VCALENDAR\nEND:VCALENDAR\n")
    on_call("oncall", "import", str(file))
    assert [path for _, path, *_ in on_call.admin.asked] == ["/v1/oncall/read"]
    taken = on_call("oncall", "import", str(file), "--rotation", "default")
    assert on_call.admin.asked[-1][3]["why"] == "from rota.ics"
    assert "1 override made in default" in taken.output
    file.write_bytes(b"\xff\xfe")
    assert on_call("oncall", "import", str(file)).exit_code == 2


def test_an_exported_calendar_is_the_text_as_it_came(on_call: Cli) -> None:
    target = on_call.home / "out.ics"
    on_call("oncall", "export", "-o", str(target))
    assert target.read_bytes() == b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


@pytest.mark.parametrize(
    ("verdict", "ended", "code"),
    [("PASS", {"ended_at": NOW + 9, "ended_by": "ada"}, 0), ("FAIL", {"ended_at": NOW + 600}, 1)],
)
def test_a_test_page_waits_for_the_human(on_call: Cli, verdict: str, ended: dict[str, Any], code: int) -> None:
    started = {"incident": "inc_1", "workflow": "support", "page": page(), "verdict": "", "until": NOW + 600}
    over = {**started, "verdict": verdict, "page": page(**ended)}
    on_call.admin.answers |= {
        ("POST", "/v1/oncall/test"): (200, started),
        ("GET", "/v1/oncall/test/inc_1"): (200, over),
    }
    result = on_call("oncall", "test", "support")
    assert result.exit_code == code
    assert "mail: taken: 250 OK" in result.output
    assert on_call("oncall", "test", "support", "--no-wait").exit_code == 2


def test_rules_and_dashboard_are_written_for_machines(on_call: Cli) -> None:
    import yaml

    rules = yaml.safe_load(on_call("monitoring", "rules").stdout)
    names = [rule.get("alert") for group in rules["groups"] for rule in group["rules"]]
    assert {"RoadworthyErrorBurnFast", "RoadworthyTargetsDownSupport", "RoadworthyControlDead"} <= set(names)
    assert json.loads(on_call("monitoring", "dashboard").stdout)["uid"] == "roadworthy"
    target = on_call.home / "rules.yml"
    assert "rules to" in on_call("monitoring", "rules", "-o", str(target)).output
    assert yaml.safe_load(target.read_text()) == rules
