"""Claims about what the evidence will allow later, should nothing be added to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from roadworthy.evidence.kinds import DAY, Attestation
from roadworthy.evidence.model import Accepted, Evidence, Waiver
from roadworthy.readiness.horizon import falls
from roadworthy.readiness.model import Published, Since, Subject
from roadworthy.readiness.rules import ceiling, checklist
from roadworthy.workflow.model import Owners, Policy
from support.evidence import FIGURES, NOW, evidence, receipt, waiver
from support.readiness import shown, subject


def test_the_ceiling_falls_when_grace_ends_and_never_rises_by_itself() -> None:
    evidence, about = list(shown().values()), subject(share=0.5)
    found = falls(evidence, [], about, NOW)
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    assert [top for _, top in found] == sorted((top for _, top in found), reverse=True)
    canary = next(each for each in evidence if each.kind == "canary")
    assert found == [(canary.lapses_at, 0.5), (canary.lapses_at + about.grace, 0.01)]


def test_every_fall_is_what_the_checklist_says_then() -> None:
    evidence, about = list(shown().values()), subject(share=0.25)
    for at, top in falls(evidence, [], about, NOW):
        assert ceiling(checklist(evidence, [], about, at)) == top
        assert ceiling(checklist(evidence, [], about, at - 1)) > top


def test_a_waiver_that_ends_lowers_the_ceiling_at_its_end() -> None:
    evidence = [each for kind, each in shown().items() if kind != "cost_alert_test"]
    rest = [waiver(9, ends=NOW + 2 * DAY)]
    found = falls(evidence, rest, subject(share=0.5), NOW)
    assert found[0] == (NOW + 2 * DAY, 0.01)


dates = st.integers(-60, 40).map(lambda hours_5: NOW + hours_5 * DAY / 4.8)
failing = [
    replace(FIGURES["load_test"], p95=9.0), replace(FIGURES["eval_gate"], verdict="FAIL"),
    replace(FIGURES["fallback_drills"], failures={"slow": "FAIL"}), replace(FIGURES["kill_drill"], late_attempts=1),
]  # fmt: skip
weaker = [replace(FIGURES["load_test"], seconds=60.0), Attestation(instead_of="load_test", words="so it is")]
some = st.lists(
    st.builds(
        lambda kind, made, accepted: evidence(
            kind, id=f"evd_{str(kind)[:20]}_{made}", made_at=made,
            accepted=[Accepted("bo", "cost", made), Accepted("ada", "workflow", made)] if accepted else [],
        ),
        st.sampled_from([*sorted(FIGURES) * 2, *failing, *weaker]), dates, st.booleans(),
    ),
    max_size=8,
)  # fmt: skip
let = st.lists(
    st.builds(
        lambda item, starts, days: waiver(item, id=f"wvr_{item}_{starts}", starts=starts, ends=starts + days * DAY),
        st.sampled_from([1, 2, 3, 5, 8, 9]), dates, st.integers(1, 30),
    ),
    max_size=3,
)  # fmt: skip
subjects = st.builds(
    lambda share, grace, changed, published, gateways, owner, issued, verdict: subject(
        share=share, grace=grace * DAY, since=Since(changed, changed, changed), owners=Owners(owner, "pia", "bo"),
        policy=Policy(projected_peak=11.0 if share > 0.3 else 10.0), prices="p2" if grace % 2 else None,
        gateways={"gw-1": NOW - DAY, "gw-2": changed} if gateways else None,
        published=None if published is None else Published("v2", "s1", published),
        receipts=[receipt(issued=issued, expires=issued + 35 * DAY, verdict=verdict)],
    ),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(0, 30), dates, st.none() | dates, st.booleans(),
    st.sampled_from(["ada", "ada", "eve"]), dates, st.sampled_from(["PASS", "PASS", "INSUFFICIENT"]),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(some, let, subjects, st.lists(st.floats(0, 90 * DAY), min_size=1, max_size=8), st.booleans())
def test_what_is_told_ahead_never_allows_more_than_the_checklist_does_then(
    more: list[Evidence], waivers: list[Waiver], about: Subject, later: list[float], everything: bool
) -> None:
    found = [*(shown().values() if everything else ()), *more]
    ahead, top = falls(found, waivers, about, NOW), ceiling(checklist(found, waivers, about, NOW))
    assert all(share == ceiling(checklist(found, waivers, about, at)) for at, share in ahead)
    steps = [at for at, _ in ahead]
    for at in [*(NOW + each for each in later), *steps, *(each - 0.001 for each in steps), *(s + 0.001 for s in steps)]:
        if at < NOW:
            continue
        told = min([top, *(share for when, share in ahead if when <= at)])
        assert told <= ceiling(checklist(found, waivers, about, at))


def test_where_nothing_is_allowed_nothing_falls() -> None:
    assert falls([], [], subject(receipts=[]), NOW) == []


def test_evidence_of_another_release_changes_nothing() -> None:
    evidence, about = list(shown().values()), subject()
    bound = [each for each in evidence if "behaviour" in each.bound]
    other = [replace(each, bound={**each.bound, "behaviour": "beh_other"}) for each in bound]
    assert falls([*evidence, *other], [], about, NOW) == falls(evidence, [], about, NOW)
