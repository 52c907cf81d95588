"""What changed by itself is found and told with its counts; what only wavers is not."""

from __future__ import annotations

import random
from zoneinfo import ZoneInfo

import pytest
from records import NOON

from roadworthy.inference_log import drift, features
from roadworthy.inference_log.drift import Asked, Gated
from roadworthy.inference_log.model import Rating, StatsRow
from roadworthy.workflow.inference import Tokens

DAY, UTC = 86_400.0, ZoneInfo("UTC")
REL = "rel_" + "a" * 64


def rated(days: float, share: float, a_day: int, seed: int, until: float = NOON, user: str = "") -> list[Rating]:
    """Scores of the last ``days`` before ``until``, of which ``share`` are good."""
    rng = random.Random(seed)
    at = [until - days * DAY + n * DAY / a_day for n in range(int(days * a_day))]
    return [
        Rating(f"inf_{n}", ts, user or f"u{n}", REL, "polite", float(rng.random() < share)) for n, ts in enumerate(at)
    ]


def nobody(digest: str, name: str) -> Gated | None:
    return None


def test_a_fall_of_a_score_is_told_against_the_first_weeks_with_both_counts() -> None:
    rows = rated(30, 0.95, 20, 1, NOON - 14 * DAY) + rated(3, 0.75, 20, 2)
    [found] = drift.scores("triage", rows, NOON, nobody)
    assert (found.what, found.key) == ("score", f"drift/score/triage/{REL}/polite")
    assert "its first weeks" in found.text
    assert "roadworthy evals add inf_" in found.text
    assert found.title.startswith("triage: polite fell from 0.9")


def test_without_weeks_of_its_own_a_score_is_held_against_the_gates_run() -> None:
    rows = rated(3, 0.7, 20, 3)
    assert drift.scores("triage", rows, NOON, nobody) == []
    [found] = drift.scores("triage", rows, NOON, lambda digest, name: Gated(0.95, 124))
    assert "its gate's run (124 scores)" in found.text
    assert drift.scores("triage", rows, NOON, lambda digest, name: Gated(0.95, 49)) == []


def test_a_score_that_only_wavers_is_not_told() -> None:
    """Twenty installs without a change, looked at three times in a week: a level of 1 in 1,000 for each start."""
    told = 0
    for seed in range(20):
        rows = rated(45, 0.9, 10, seed)
        told += any(drift.scores("triage", rows, NOON - day * DAY, nobody) for day in range(0, 7, 3))
    assert told == 0


def test_one_user_who_is_badly_served_in_a_loop_is_no_drift() -> None:
    rows = rated(30, 0.95, 20, 4, NOON - 14 * DAY) + rated(2, 0.95, 20, 5) + rated(0.5, 0.0, 60, 6, user="loop")
    rows.sort(key=lambda each: each.ts)
    assert drift.scores("triage", rows, NOON, nobody) == []


def test_a_few_bad_answers_are_no_drift() -> None:
    rows = rated(30, 1.0, 20, 7, NOON - 15 * DAY) + rated(1, 0.0, drift.LEAST_SCORES - 1, 8)
    assert drift.scores("triage", rows, NOON, nobody) == []


def asked(n: int, returns: float, seed: int, start: int = 0) -> list[Asked]:
    rng = random.Random(seed)
    return [
        Asked(f"u{start + at}", f"inf_{start + at}", {"language": "Dutch" if rng.random() < returns else "English"})
        for at in range(n)
    ]


def test_another_mix_of_questions_is_told_with_shares_users_and_an_example() -> None:
    [found] = drift.mixes("triage", asked(300, 0.05, 1), asked(150, 0.35, 2, 1000), "the days before")
    assert (found.what, found.key) == ("mix", "drift/mix/triage/language")
    assert "150 calls of 150 users looked at" in found.text
    assert found.inference.startswith("inf_1")


@pytest.mark.parametrize("now", [asked(150, 0.06, 3, 1000), asked(drift.LEAST_USERS - 1, 0.9, 4, 1000)])
def test_chance_and_few_users_are_no_other_mix(now: list[Asked]) -> None:
    assert drift.mixes("triage", asked(300, 0.05, 1), now, "the days before") == []


def test_the_last_day_is_held_against_days_and_from_three_weeks_on_against_the_same_day() -> None:
    assert drift.periods(NOON - 2 * DAY, NOON) == ([], "")
    spans, regime = drift.periods(NOON - 5 * DAY, NOON)
    assert (spans, regime) == ([(NOON - 5 * DAY, NOON - DAY)], "the days before")
    spans, regime = drift.periods(NOON - 40 * DAY, NOON)
    assert [round((NOON - end) / DAY) for _, end in spans] == [7, 14, 21]
    assert regime == "the same day of the 3 weeks before"


def answered(model: str | None, hour: int, count: int, digest: str | None = REL) -> StatsRow:
    group = {
        "workflow": "triage", "release": digest, "target": "main", "model": model, "traffic": "live",
        "hour": f"2026-11-02T{hour:02}:00+00:00",
    }  # fmt: skip
    return StatsRow(group, count, {"answered": count}, None, None, None, None, Tokens(), None, count)


def test_a_provider_that_answers_with_another_model_is_told_since_when_and_how_often() -> None:
    rows = [answered("m-0806", 8, 700), answered("m-0806", 14, 15), answered("m-1120", 14, 37)]
    [found] = drift.models(rows, UTC)
    assert found.title == "triage: target main answers with another model (m-1120)"
    assert "m-1120 answered 37 of the 52 calls since Mon 02 Nov 14:00" in found.text
    assert "m-0806 did before (700 of 700 in 7 days)" in found.text


@pytest.mark.parametrize(
    "rows",
    [
        [answered("m-0806", 8, 700), answered("m-1120", 14, 2)],
        [answered("m-0806", 8, 19), answered("m-1120", 14, 400)],
        [answered("m-0806", 8, 700), answered("m-1120", 14, 400, "rel_" + "b" * 64)],
        [answered("m-0806", 8, 700, None), answered("m-1120", 14, 400, None)],
        [answered("m-0806", 8, 700), answered(None, 14, 400)],
        [answered("m-0806", 8, 700), answered("m-1120", 8, 400)],
    ],
    ids=["two calls", "nothing usual yet", "another release", "no release", "no model named", "both from the start"],
)
def test_what_does_not_show_a_change_of_the_provider_is_not_told(rows: list[StatsRow]) -> None:
    assert drift.models(rows, UTC) == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my parcel?", "English"), ("Wo ist mein Paket? Ich warte schon", "German"),
        ("¿Dónde está mi paquete?", "Spanish"), ("Je n'ai pas reçu mon colis", "French"),
        ("где моя посылка", "Cyrillic script"), ("荷物はどこですか", "Japanese"), ("1234 ??", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_languages_are_told_roughly(text: str, language: str) -> None:
    assert features.language(text) == language


def test_lengths_have_buckets_and_broken_bodies_are_empty_questions() -> None:
    assert features.length("x" * 49) == "under 50 characters"
    assert features.length("x" * 50) == "50 to 149 characters"
    assert features.length("x" * 20_000) == "10,000 characters or more"
    parts = b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]}'
    assert features.question(parts) == "a"
    assert features.question(b'{"input": ["one", "two"]}') == "one\ntwo"
    for broken in (None, b"", b"[1]", b'{"messages": 3}', b'{"messages": [{"role": "user", "content": 3}]}'):
        assert features.question(broken) == ""
