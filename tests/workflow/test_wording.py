"""Words that customers read, edited apart from everything else."""

from __future__ import annotations

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.workflow.model import Canned
from roadworthy.workflow.service import Actor, Refused, Unknown, Workflows
from roadworthy.workflow.source import parse_yaml
from roadworthy.workflow.wording import as_yaml, editable, followed, with_words, words_of

Files = dict[str, str]
FLOW = "workflows/triage/workflow.yaml"
ADA = Actor("ada")
SOON = Canned("We answer by noon.", {"topic": "other"})


@pytest.fixture
def state() -> MemoryState:
    return MemoryState()


@pytest.fixture
def workflows(state: MemoryState, files: Files) -> Workflows:
    made = Workflows(state, clock=iter(range(1000, 2000)).__next__)
    made.apply(files, ADA)
    return made


def test_a_release_with_other_words_differs_in_its_handling_alone(workflows: Workflows) -> None:
    first = workflows.freeze("triage", ADA).release.release
    done = workflows.reword("triage", first.digest, {"canned": SOON}, ADA, "calmer")
    second = done.release.release
    assert (done.release.number, done.release.note) == (2, "calmer")
    assert second.behaviour_digest == first.behaviour_digest
    assert done.diff is not None
    assert {each.field for each in done.diff.differences} == {"canned.text"}
    assert done.diff.lapses == ["fallback drills", "failure catalogue"]
    assert workflows.candidates()["triage"].release.digest == second.digest
    assert workflows.configuration().version == 1  # type: ignore[union-attr]


def test_words_that_are_none_make_no_release(workflows: Workflows, state: MemoryState) -> None:
    first = workflows.freeze("triage", ADA).release.release
    wrong = {
        "nothing; expected what the customer reads": {"canned": Canned("  ", {"topic": "other"})},
        '"weather" is not one of': {"canned": Canned("Soon.", {"topic": "weather"})},
        "words for it; expected words for canned, blocked": {"holding": Canned("Soon.")},
        "4,001 characters": {"blocked": Canned("x" * 4001)},
        "the words of the release": {"canned": first.handling.canned},
    }
    for said, words in wrong.items():
        with pytest.raises(Refused, match=said):
            workflows.reword("triage", first.digest, words, ADA)  # type: ignore[arg-type]
    with pytest.raises(Unknown):
        workflows.reword("triage", "rel_none", {"canned": SOON}, ADA)
    assert len(workflows.releases("triage")) == 1
    with state.read() as tx:
        assert tx.wording("triage") is None


def test_files_that_lag_behind_the_console_are_warned_about_and_a_freeze_from_them_says_what_it_undoes(
    workflows: Workflows, files: Files
) -> None:
    first = workflows.freeze("triage", ADA).release.release
    workflows.reword("triage", first.digest, {"canned": SOON}, ADA)
    (warning,) = workflows.check(files)
    assert (warning.file, warning.field, warning.severity) == (FLOW, "canned", "warning")
    assert warning.found == "'We will answer soon.'"
    assert "We answer by noon." in warning.expected
    peak = files | {FLOW: files[FLOW].replace("testers: [ada]", "testers: []")}
    assert [problem.field for problem in workflows.apply(peak, ADA).problems] == ["canned"]  # warned, and applied
    back = workflows.freeze("triage", ADA)
    assert back.release.number == 1
    assert [problem.field for problem in back.warnings] == ["canned"]
    assert workflows.check(files) == []  # the freeze had the last word, and said so


def test_files_that_say_the_same_words_are_not_warned_about(workflows: Workflows, files: Files) -> None:
    first = workflows.freeze("triage", ADA).release.release
    second = workflows.reword("triage", first.digest, {"canned": SOON}, ADA).release
    mended = files | {FLOW: files[FLOW].replace("We will answer soon.", SOON.text)}
    assert workflows.apply(mended, ADA).problems == []
    again = workflows.freeze("triage", ADA)
    assert (again.release, again.created, again.warnings) == (second, False, [])


def test_what_to_put_into_git_reads_back_as_the_same_words(workflows: Workflows, files: Files) -> None:
    words = {"canned": Canned("On it: “back” by 5 pm\n\n# really", {"topic": "other"}), "blocked": Canned("No: é")}
    tree = parse_yaml("x.yaml", as_yaml(words)).plain()  # type: ignore[arg-type]
    assert tree["canned"] == {"text": words["canned"].text, "json": {"topic": "other"}}
    assert tree["blocked"] == {"text": "No: é"}


def test_json_follows_the_text_that_it_repeats() -> None:
    before = Canned("Later.", {"topic": "other", "reply": "Later.", "more": ["Later.", 1]})
    assert followed(before, "By noon.") == Canned(
        "By noon.", {"topic": "other", "reply": "By noon.", "more": ["By noon.", 1]}
    )
    assert followed(Canned("Later."), "By noon.") == Canned("By noon.")


def test_words_are_edited_only_where_they_decide_nothing(workflows: Workflows) -> None:
    release = workflows.freeze("triage", ADA).release.release
    assert editable(release.behaviour, release.handling) == ("canned", "blocked")
    assert words_of(with_words(release, {"blocked": Canned("No.")}).handling)["blocked"] == Canned("No.")
    assert with_words(release, {}).digest == release.digest
