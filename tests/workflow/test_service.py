"""Plans, freezing, diffs and their audit: what a person reads before and after a change."""

from __future__ import annotations

import json

import pytest

from roadworthy.adapters.memory.sealed_log import MemorySealedLog
from roadworthy.adapters.memory.state import MemoryState
from roadworthy.operations.publication.agreements import SealedAgreements
from roadworthy.workflow.audit import verify
from roadworthy.workflow.model import Target
from roadworthy.workflow.rules import EVIDENCE_ABOUT, lapses
from roadworthy.workflow.service import Actor, Refused, Unknown, Workflows
from support.evidence import TestSigner, TestVerifier

Files = dict[str, str]
MAIN, FLOW, PROMPT = "roadworthy.yaml", "workflows/triage/workflow.yaml", "workflows/triage/prompt.md"
ADA = Actor("ada")


@pytest.fixture
def agreements() -> SealedAgreements:
    return SealedAgreements(MemorySealedLog(), TestSigner(), TestVerifier(), clock=lambda: 1000.0)


@pytest.fixture
def state(agreements: SealedAgreements) -> MemoryState:
    return MemoryState(agreements.in_force)


@pytest.fixture
def workflows(state: MemoryState, agreements: SealedAgreements) -> Workflows:
    return Workflows(state, clock=iter(range(1000, 2000)).__next__, agreements=agreements)


def edited(files: Files, file: str, old: str, new: str) -> Files:
    assert old in files[file]
    return files | {file: files[file].replace(old, new)}


def effects(workflows: Workflows, files: Files) -> dict[str, str]:
    return {change.subject: change.effect for change in workflows.apply(files, ADA, dry_run=True).plan}


def test_a_plan_says_what_acts_when(workflows: Workflows, files: Files) -> None:
    workflows.apply(files, ADA)
    assert effects(workflows, edited(files, MAIN, "0.15", "0.20")) == {"target main: price": "acts in 1 s"}
    assert effects(workflows, edited(files, PROMPT, "You", "We")) == {"workflow triage: prompt": "needs freeze"}
    assert effects(workflows, edited(files, FLOW, "20s", "9s")) == {"workflow triage: deadline": "needs freeze"}
    assert effects(workflows, edited(files, FLOW, "cost: bo", "cost: ada")) == {
        "workflow triage: owners.cost": "loosens: waits for ada, `roadworthy approve triage`"
    }
    narrower = edited(files, FLOW, "testers: [ada]", "testers: []")
    assert effects(workflows, narrower) == {"workflow triage: policy.testers": "acts in 1 s"}
    workers = edited(files, MAIN, "version: 1", "version: 1\nworkers: 2")
    assert effects(workflows, workers) == {"settings: workers": "acts at the next start"}
    model = effects(workflows, edited(files, MAIN, "gpt-4o-mini", "gpt-5-mini"))
    assert model["target main: model and endpoint"].startswith("needs freeze: triage")
    assert effects(workflows, files) == {}


def test_a_dry_run_and_a_mistake_change_nothing(workflows: Workflows, state: MemoryState, files: Files) -> None:
    assert workflows.apply(files, ADA, dry_run=True).plan
    broken = workflows.apply(edited(files, FLOW, "bypass: app", "bypas: app"), ADA)
    assert (broken.applied, len(broken.problems)) == (False, 1)
    with state.read() as transaction:
        assert transaction.applied() is None
        assert transaction.audit() == []


def test_loosening_is_marked_in_the_plan_and_in_the_audit(
    workflows: Workflows, state: MemoryState, files: Files
) -> None:
    workflows.apply(files, ADA)
    looser = edited(files, FLOW, "testers: [ada]", "testers: [ada, bo]")
    plan = workflows.apply(looser, ADA).plan
    assert [(change.subject, change.loosens) for change in plan] == [("workflow triage: policy.testers", True)]
    assert workflows.named("triage").policy.testers == ["ada"]
    assert workflows.apply(looser, ADA).plan == []
    assert [change.loosens for change in workflows.apply(files, ADA).plan] == [False]
    with state.read() as transaction:
        assert [record.after["loosens"] for record in transaction.audit()] == [
            [],
            ["workflow triage: policy.testers"],
            [],
        ]


def test_the_same_content_is_the_same_release(workflows: Workflows, state: MemoryState, files: Files) -> None:
    workflows.apply(files, ADA)
    first = workflows.freeze("triage", ADA, "the first")
    again = workflows.freeze("triage", ADA)
    assert (first.created, again.created) == (True, False)
    assert first.release == again.release
    workflows.apply(edited(files, PROMPT, "You", "We"), ADA)
    second = workflows.freeze("triage", ADA)
    assert (second.release.number, second.created) == (2, True)
    assert second.diff is not None
    workflows.apply(files, ADA)
    back = workflows.freeze("triage", ADA)
    assert (back.release.number, back.created) == (1, False)
    assert [(one.frozen.number, one.served) for one in workflows.releases("triage")] == [(2, False), (1, True)]
    with state.read() as transaction:
        records = transaction.audit()
    assert [record.action for record in records] == [
        "configuration.apply",
        "release.freeze",
        "configuration.apply",
        "release.freeze",
        "configuration.apply",
        "release.serve",
    ]
    assert verify(json.loads(json.dumps([record.as_dict() for record in records]))) is None


def test_a_diff_shows_the_text_and_ends_with_what_lapses(workflows: Workflows, files: Files) -> None:
    workflows.apply(files, ADA)
    workflows.freeze("triage", ADA)
    workflows.apply(edited(files, PROMPT, "shop }}.", "shop }}.\nBe brief."), ADA)
    diff = workflows.diff("triage", "served", "draft")
    assert [(one.facet, one.field) for one in diff.differences] == [("behaviour", "prompt.system")]
    assert "+Be brief." in diff.differences[0].text
    assert diff.lapses == list(EVIDENCE_ABOUT)
    workflows.apply(edited(files, FLOW, "answer soon", "answer today"), ADA)
    handling = workflows.diff("triage", "1", "draft")
    assert [one.facet for one in handling.differences] == ["handling"]
    assert handling.lapses == ["fallback drills", "failure catalogue"]


def test_releases_are_found_by_number_and_by_the_beginning_of_a_digest(workflows: Workflows, files: Files) -> None:
    workflows.apply(files, ADA)
    digest = workflows.freeze("triage", ADA).release.release.digest
    assert workflows.diff("triage", "1", digest[4:12]).differences == []
    with pytest.raises(Unknown, match="no release '7' of triage; releases: 1"):
        workflows.diff("triage", "7", "draft")
    with pytest.raises(Unknown, match="did you mean 'triage'"):
        workflows.freeze("triag", ADA)


def test_freezing_is_refused_when_the_draft_has_become_wrong(state: MemoryState, files: Files) -> None:
    known = {"main", "backup"}

    def price_known(target: Target) -> bool:
        return target.name in known

    workflows = Workflows(state, clock=lambda: 0.0, price_known=price_known)
    with pytest.raises(Unknown, match="roadworthy apply"):
        workflows.freeze("triage", ADA)
    workflows.apply(files, ADA)
    known.discard("backup")
    with pytest.raises(Refused, match="no price for anthropic"):
        workflows.freeze("triage", ADA)
    assert workflows.served() == {}


def test_a_launched_target_stays_while_a_served_release_names_it(workflows: Workflows, files: Files) -> None:
    local = "    provider: local\n    model: small\n"
    mine = edited(files, MAIN, "    provider: openai\n    model: gpt-4o-mini\n    key: env:OPENAI_API_KEY\n", local)
    workflows.apply(mine, ADA)
    workflows.freeze("triage", ADA)
    refused = workflows.apply(edited(mine, MAIN, "model: small", "model: large"), ADA)
    assert not refused.applied
    assert "served release of triage" in refused.problems[0].expected


def test_what_lapses_follows_from_the_facets() -> None:
    assert lapses([]) == []
    assert lapses(["handling"]) == ["fallback drills", "failure catalogue"]
    assert set(lapses(["behaviour"])) == set(EVIDENCE_ABOUT)
