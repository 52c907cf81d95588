"""People are called by their names, and commands by the pages that do the same."""

from __future__ import annotations

import pytest

from roadworthy.console.names import Names
from roadworthy.console.places import places
from roadworthy.workflow.model import Person


@pytest.fixture
def names() -> Names:
    made = Names(lambda: {"ada": Person("ada", "Ada Lovelace"), "will": Person("will", "Will Adams")})
    made.look()
    return made


@pytest.mark.parametrize(
    ("ident", "name"),
    [("ada", "Ada Lovelace"), ("engine", "Roadworthy"), ("os:0", "the command line"), ("gone", "gone"), (None, "")],
)
def test_an_actor_is_called_as_people_call_it(names: Names, ident: str | None, name: str) -> None:
    assert names.name(ident) == name


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("2 failures, accepted by ada", "2 failures, accepted by Ada Lovelace"),
        ("workflow: ada; prompt: bo", "workflow: Ada Lovelace; prompt: bo"),
        ("will, ada on call", "Will Adams, Ada Lovelace on call"),
        ("ada or will, who answers for them, may", "Ada Lovelace or Will Adams, who answers for them, may"),
        ("it will be raised by ada.", "it will be raised by Ada Lovelace."),
    ],
)
def test_in_a_sentence_of_ours_ids_become_names_and_words_stay_words(names: Names, said: str, shown: str) -> None:
    assert names.within(said) == shown


def test_a_refusal_that_names_a_command_leads_to_the_page_that_does_it() -> None:
    said = "no examples; import some (`roadworthy evals import triage FILE`), or `roadworthy doctor`"
    assert places(said, workflows={"triage"}) == [("Import examples", "/evals/triage/import")]
    assert places("run `roadworthy ready lists`") == []
    assert places("`roadworthy rollout approve`", "triage") == [("Open the ramp", "/workflows/triage#ramp")]
