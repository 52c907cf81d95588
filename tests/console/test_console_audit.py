"""The audit trail in the console."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from roadworthy.workflow.audit import Event, chain, verify
from support.console import Browser, Console, text_of


def record(console: Console, event: Event, at: float) -> None:
    with console.control.state.write() as tx:
        tx.append_audit(chain(tx.last_audit(), event, at))


@pytest.fixture(scope="module")
def trail(console: Console) -> Console:
    """A ramp that was widened twice, by two people, and much of no interest."""
    now = console.clock.now
    for number in range(70):
        record(console, Event("bo", "key.create", f"key/{number}"), now - 9000.0 + number)
    steps = (("start", "ada", 0.1, 7200.0), ("widen", "engine", 0.1, 7100.0), ("approve", "bo", 0.25, 3600.0))
    for action, actor, share, ago in steps:
        finding = {"guardrail": "errors", "verdict": "PASS", "text": "1 of 400 <b>bad</b>"}
        after = {
            "release": "rel_a", "stage": f"{share:.0%}", "share": share, "state": "ramping", "ceiling": 1.0,
            "label": "production", "receipt": "rcp_1", "evidence": ["evd_1"], "seq": 1, "epoch": 1,
            "analysis": {"stage": "10 %", "calls": 400, "findings": [finding]},
            "gates": [{"name": "dwell", "verdict": "PASS", "detail": "an hour"}],
        }  # fmt: skip
        event = Event(
            actor, f"rollout.{action}", "rollout/triage", before={"share": 0.1}, after=after, reason="it holds",
            evidence="rcp_1,evd_1",
        )  # fmt: skip
        record(console, event, now - ago)
    record(console, Event("vi", "POST /stop", "workflow/triage", outcome="denied", reason="needs stop"), now - 60.0)
    record(console, Event("sky", "key.create", "key/other", team="other"), now - 50.0)
    return console


@pytest.fixture
def ada(trail: Console) -> Browser:
    return trail.browser("ada")


def seqs(page: str) -> list[int]:
    return [int(seq) for seq in re.findall(r'<tr id="r(\d+)"', page)]


def test_the_newest_come_first_and_older_ones_follow(ada: Browser) -> None:
    first = ada.get("/audit")
    assert seqs(first) == sorted(seqs(first), reverse=True)
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older
    second = ada.get(older.group(1).replace("&amp;", "&"))
    assert seqs(second)[0] == seqs(first)[-1] - 1
    for nonsense in ("x", "9" * 40, "²"):
        assert seqs(ada.get(f"/audit?before={nonsense}")) == seqs(first)


def test_records_are_found_by_who_what_where_and_when(ada: Browser, trail: Console) -> None:
    assert len(seqs(ada.get("/audit?person=vi"))) == 1
    assert len(seqs(ada.get("/audit?action=rollout.approve"))) == 1
    assert len(seqs(ada.get("/audit?workflow=triage&person=bo"))) == 1
    assert len(seqs(ada.get("/audit?when=last%2010%20minutes&action=key.create"))) == 1
    assert "is not a time I can read" in text_of(ada.get("/audit?when=gibberish", 422))


def test_what_a_record_changed_is_told(ada: Browser) -> None:
    page = text_of(ada.get("/audit?action=rollout.approve"))
    assert "share 0.1 0.25" in page
    assert "it holds" in page
    assert "denied" in text_of(ada.get("/audit?person=vi"))


@pytest.mark.parametrize(("ago", "by", "share"), [(3000.0, "Bo Lee", "25 %"), (5000.0, "Ada Lovelace", "10 %")])
def test_who_allowed_a_share_on_what_evidence(ada: Browser, trail: Console, ago: float, by: str, share: str) -> None:
    at = quote(f"{trail.clock.now - ago:.0f}")
    page = ada.get(f"/audit/who?workflow=triage&at={at}")
    told = text_of(page)
    for said in (f"{share} of triage", f"by {by}", "rcp_1", "evd_1", "1 of 400 <b>bad</b>", "an hour"):
        assert said in told, said
    assert "<b>bad" not in page


def test_before_the_first_ramp_nobody_allowed_anything(ada: Browser) -> None:
    assert "No ramp of triage" in text_of(ada.get("/audit/who?workflow=triage&at=yesterday"))
    assert "Tell me" in text_of(ada.get("/audit/who"))


def test_the_chain_is_verified_on_demand(ada: Browser, trail: Console) -> None:
    assert "the chain is whole" in text_of(ada.done("/audit/verify", on="/audit"))
    assert "verified" in text_of(ada.get("/audit"))


def test_what_is_taken_away_verifies_by_itself(ada: Browser) -> None:
    rows = [json.loads(line) for line in ada.get("/audit/export").splitlines()]
    assert verify(rows) is None
    assert len([json.loads(line) for line in ada.get("/audit/export?person=vi").splitlines()]) == 1


def test_everybody_sees_records_of_their_own_team(trail: Console) -> None:
    assert "key/other" not in trail.browser("vi").get("/audit")
    assert "key/other" in trail.browser("sky").get("/audit")
    assert "not allowed" in text_of(trail.browser("sky").get("/audit/who?workflow=triage&at=yesterday", 422))
