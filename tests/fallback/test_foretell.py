"""What is foretold is what the ladder does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ladder import FAILED, LADDERS, TARGETS

from roadworthy.fallback.foretell import Foretold, foretell, foretell_all
from roadworthy.fallback.model import Remaining, Tried
from roadworthy.fallback.rules import next_step
from roadworthy.fallback.words import BLOCKED
from roadworthy.workflow.inference import OUTCOMES, Failure, Outcome
from roadworthy.workflow.ladder import LADDER_FAILURES, WITHOUT_CALL, merged
from roadworthy.workflow.model import (
    Behaviour,
    CacheSpec,
    Canned,
    CheckSpec,
    Clocks,
    Handling,
    Hedge,
    Ladder,
    Step,
    TargetIdentity,
)

IDENTITIES = {name: TargetIdentity("openai", name, "example.com") for name in TARGETS}
TEXT = Behaviour("chat", None, "main", IDENTITIES)
JSON = Behaviour("chat", None, "main", IDENTITIES, schema={"type": "object"})
CANNED, HOLDING = Canned("Later.", {"topic": "other"}), Canned("A colleague answers.")


def handling(ladder: Ladder | None = None, **more: object) -> Handling:
    """A release that declares everything."""
    merged_ladder = merged(ladder or {}, canned=True, cache=True, holding=True)
    facts: dict[str, object] = {"canned": CANNED, "holding": HOLDING, "cache": CacheSpec(max_age=600.0), **more}
    return Handling(ladder=merged_ladder, clocks=Clocks(connect=0.5, total=9.5), deadline=25.0, **facts)  # type: ignore[arg-type]


def followed(failure: Failure, made: Handling) -> tuple[Outcome, int]:
    """(outcome, attempts) of an inference that really follows the ladder, with no cached answer and room for more."""
    history, attempts, dropped = [Tried("main", failure)], 1, False
    while True:
        remaining = Remaining(
            25.0, canned=made.canned is not None, escalate=made.holding is not None, repairable=failure == "invalid"
        )
        step = next_step(made.ladder, failure, history, remaining)
        if step is None:
            ends: dict[str, Outcome] = {"throttled": "limited", "overspent": "limited"}
            return "blocked" if dropped else ends.get(failure, "error"), attempts
        if step.kind in ("canned", "escalate"):
            return "canned" if step.kind == "canned" else "escalated", attempts
        dropped = dropped or step.kind == "drop"
        attempts += step.kind not in WITHOUT_CALL
        history.append(Tried(step.target, failure, step.rung))


@given(LADDERS, FAILED.filter(lambda failure: failure != "gateway_lost"), st.booleans(), st.booleans())
def test_the_ladder_ends_as_foretold_after_no_more_attempts(
    ladder: Ladder, failure: Failure, canned: bool, holding: bool
) -> None:
    made = Handling(ladder, CANNED if canned else None, HOLDING if holding else None, deadline=25.0)
    told = foretell(failure, TEXT, made)
    outcome, attempts = followed(failure, made)
    assert told.outcome == outcome
    assert attempts <= told.attempts
    assert 0.0 <= told.longest_wait <= made.deadline
    assert told.endings[-1].when == ""


def by_failure(made: Handling, behaviour: Behaviour = TEXT) -> dict[tuple[Failure, bool], Foretold]:
    return {(told.failure, told.admitted): told for told in foretell_all(behaviour, made)}


def test_every_failure_has_an_ending_that_somebody_reads() -> None:
    told = by_failure(handling())
    assert {failure for failure, _ in told} == set(LADDER_FAILURES)
    for one in told.values():
        assert one.outcome in OUTCOMES
        assert one.reads.text or one.reads.shape in ("error", "provider")


def test_a_silent_provider_ends_with_a_human_after_retries() -> None:
    told = foretell("unavailable", TEXT, handling())
    assert [step.kind for step in told.steps] == ["retry", "retry", "cache", "escalate", "canned"]
    assert [(end.outcome, end.when) for end in told.endings] == [
        ("cached", "cached"),
        ("escalated", "room"),
        ("canned", ""),
    ]
    assert told.endings[0].max_age == 600.0
    assert (told.outcome, told.reads.text, told.attempts) == ("escalated", "A colleague answers.", 3)


def test_the_wait_is_bounded_by_clocks_where_the_provider_cannot_ask_for_patience() -> None:
    assert foretell("slow", TEXT, handling()).longest_wait == pytest.approx(20.2)  # two attempts and a backoff
    assert foretell("refused", TEXT, handling()).longest_wait == 10.0
    assert foretell("overlimit", TEXT, handling()).longest_wait == 25.0  # Retry-After may use up the deadline
    three = handling({"slow": [Step("retry", times=2, backoff=0.0), Step("canned")]})
    assert foretell("slow", TEXT, three).longest_wait == 25.0
    assert [step.when for step in foretell("slow", TEXT, three).steps] == ["", "", ""]
    guarded = handling(checks={"guard": CheckSpec("guard", "unsafe", timeout=3.0)})
    assert foretell("refused", TEXT, guarded).longest_wait == 13.0
    four = handling({"slow": [Step("retry", times=3, backoff=0.0)]})
    assert [step.when for step in foretell("slow", TEXT, four).steps] == ["", "", "time"]


def test_a_caller_that_is_turned_away_waits_for_nothing_and_costs_nothing() -> None:
    for failure in ("throttled", "overspent"):
        told = foretell(failure, TEXT, handling(), admitted=False)
        assert (told.outcome, told.reads.status, told.reads.code) == ("limited", 429, failure)
        assert (told.attempts, told.longest_wait, told.overspend) == (0, 0.0, 0.0)
    kind = handling({"throttled": [Step("retry"), Step("canned")]})
    assert foretell("throttled", TEXT, kind, admitted=False).outcome == "canned"
    assert foretell("throttled", TEXT, handling()).outcome == "escalated"


def test_an_unsafe_answer_is_dropped_and_somebody_is_told() -> None:
    told = foretell("unsafe", TEXT, handling(holding=None, canned=None, cache=None))
    assert [step.kind for step in told.steps] == ["drop"]
    assert (told.outcome, told.reads.text, told.told) == ("blocked", BLOCKED.text, "incident")
    own = handling({"unsafe": [Step("drop")]}, blocked=Canned("Not this."))
    assert foretell("unsafe", TEXT, own).reads.text == "Not this."


def test_where_a_schema_applies_the_customer_reads_declared_json_or_a_refusal() -> None:
    told = by_failure(handling(), JSON)
    assert told["refused", True].reads.shape == "refusal"
    last = told["refused", True].endings[-1].reads
    assert (last.shape, last.json) == ("json", {"topic": "other"})


def test_a_failure_that_the_first_retry_mends_is_recovered() -> None:
    told = foretell("unavailable", TEXT, handling(), lasts=False)
    assert (told.outcome, told.reads.shape, told.attempts) == ("recovered", "model", 2)
    assert [step.kind for step in told.steps] == ["retry"]
    assert foretell("refused", TEXT, handling(), lasts=False).outcome == "escalated"


def test_what_the_caller_must_mend_reaches_it_in_the_provider_s_words() -> None:
    told = foretell("context_length", TEXT, handling())
    assert (told.outcome, told.reads.status, told.reads.code) == ("error", 400, "context_length_exceeded")
    assert told.reads.shape == "provider"


def test_the_overspend_is_what_attempts_cost_beyond_one_good_answer() -> None:
    ladder: Ladder = {"slow": [Step("retry"), Step("target", target="backup"), Step("canned")]}
    costs = {"main": 0.01, "backup": 0.03}
    told = foretell("slow", TEXT, handling(ladder), costs=costs)
    assert told.overspend == pytest.approx(0.04)  # a retry and the other target
    assert foretell("slow", TEXT, handling(ladder), costs=costs, allowance=0.02).overspend == pytest.approx(0.01)
    assert foretell("slow", TEXT, handling(ladder), costs={"main": 0.01, "backup": None}).overspend is None
    hedged = handling(ladder, hedge=Hedge(target="backup"))
    told = foretell("slow", TEXT, hedged, costs=costs)
    assert told.attempts == 4
    assert told.overspend == pytest.approx(0.07)


def test_embeddings_are_never_answered_by_a_text() -> None:
    vectors = Behaviour("embeddings", None, "main", IDENTITIES)
    made = Handling(ladder=merged({}, canned=False, cache=False, holding=False, embeddings=True))
    told = {one.failure: one for one in foretell_all(vectors, made)}
    assert not {"unsafe", "refused"} & set(told)
    assert (told["unavailable"].outcome, told["unavailable"].reads.status) == ("error", 503)
