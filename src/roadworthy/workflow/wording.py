"""The words of a release that customers read, edited apart from everything else.  Pure.

A *slot* is a place where we, and no model, speak to a customer.  Only words change: whatever decides when they are
shown (the ladder, a bypass of another kind) stays as it was frozen, so the new release differs in ``handling`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import msgspec

from roadworthy.workflow.digest import release as release_made_of
from roadworthy.workflow.json_schema import validation_error
from roadworthy.workflow.model import Behaviour, Canned, Handling, Release, Workflow
from roadworthy.workflow.problems import Problem, show

Slot = Literal["holding", "canned", "blocked", "bypass"]
SLOTS: Final[tuple[Slot, ...]] = get_args(Slot)

LONGEST: Final = 4000
"""Characters of one text."""

Words = dict[Slot, Canned]
"""What the words of a release are; a slot that is missing says nothing of its own."""


class Wording(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody has in hand with the words of a workflow: a draft that nobody is served, and what was published."""

    workflow: str
    team: str
    base: str = ""
    """Digest of the release that the draft changes."""
    words: Words = {}
    """The draft: only what differs from its base.  Empty: there is none."""
    by: str = ""
    at: float = 0.0
    test: str = ""
    """Drill run that showed what callers of the draft would read."""
    published: str = ""
    """Digest of the release that was made of a draft last: while it is put forward, the files may lag behind it."""
    published_by: str = ""
    published_at: float = 0.0
    before: str = ""
    """Digest of the release whose words it replaced."""
    proof: str = ""
    """Drill run over everything that the published release does."""


class WordProblem(msgspec.Struct, frozen=True):
    """Why words cannot be used."""

    slot: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.slot}: found {self.found}, expected {self.expected}"


class WordChange(msgspec.Struct, frozen=True):
    """One text in which two sets of words differ."""

    slot: Slot
    before: Canned | None
    after: Canned | None


def words_of(handling: Handling) -> Words:
    """What the release says in its own words."""
    found: dict[Slot, Canned | None] = {
        "holding": handling.holding,
        "canned": handling.canned,
        "blocked": handling.blocked,
        "bypass": Canned(handling.bypass.text or "") if handling.bypass.kind == "canned" else None,
    }
    return {slot: said for slot, said in found.items() if said is not None}


def editable(behaviour: Behaviour, handling: Handling) -> tuple[Slot, ...]:
    """Slots whose words may change without changing what happens: those that are declared, and ``blocked``, which has
    a built-in text."""
    if behaviour.kind == "embeddings":
        return ()  # no text can stand for a vector
    declared = words_of(handling)
    return tuple(slot for slot in SLOTS if slot in declared or slot == "blocked")


def followed(before: Canned, text: str) -> Canned:
    """The same answer with another text: every string of its JSON that was the old text becomes the new one."""

    def through(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: through(item) for key, item in value.items()}
        if isinstance(value, list):
            return [through(item) for item in value]
        return text if value == before.text else value

    return Canned(text, through(before.json))


def with_words(release: Release, words: Mapping[Slot, Canned]) -> Release:
    """The release that says these words instead; slots that are not named keep theirs."""
    old = release.handling
    bypass = old.bypass
    if "bypass" in words and bypass.kind == "canned":
        bypass = msgspec.structs.replace(bypass, text=words["bypass"].text)
    handling = msgspec.structs.replace(
        old,
        holding=words.get("holding", old.holding),
        canned=words.get("canned", old.canned),
        blocked=words.get("blocked", old.blocked),
        bypass=bypass,
    )
    return release_made_of(release.workflow, release.behaviour, handling)


def problems(release: Release, words: Mapping[Slot, Canned]) -> list[WordProblem]:
    """What is wrong with words for a release; empty: nothing.  The rules of the files, which ``apply`` keeps too."""
    found = []
    may = editable(release.behaviour, release.handling)
    for slot, said in words.items():
        if slot not in may:
            found.append(WordProblem(slot, "words for it", f"words for {', '.join(may) or 'nothing'}"))
            continue
        if not said.text.strip():
            found.append(WordProblem(slot, "nothing", "what the customer reads"))
        elif len(said.text) > LONGEST:
            found.append(WordProblem(slot, f"{len(said.text):,} characters", f"at most {LONGEST:,}"))
        schema = release.behaviour.schema
        if said.json is not None and schema is None:
            found.append(WordProblem(f"{slot}.json", "JSON", "only text: the workflow has no schema"))
        elif said.json is not None and schema is not None and (wrong := validation_error(schema, said.json)):
            found.append(WordProblem(f"{slot}.json", wrong, "JSON that validates against the output schema"))
    return found


def changes(before: Mapping[Slot, Canned], after: Mapping[Slot, Canned]) -> list[WordChange]:
    return [
        WordChange(slot, before.get(slot), after.get(slot)) for slot in SLOTS if before.get(slot) != after.get(slot)
    ]


def as_yaml(words: Mapping[Slot, Canned]) -> str:
    """What to write into ``workflow.yaml`` so that the files say the same."""
    import yaml  # a gateway imports this module's neighbours

    said: dict[str, Any] = {}
    for slot in SLOTS:
        if slot in words:
            text = words[slot]
            if slot == "bypass":
                said[slot] = {"canned": text.text}
            else:
                said[slot] = {"text": text.text} if text.json is None else {"text": text.text, "json": text.json}
    return yaml.safe_dump(said, allow_unicode=True, sort_keys=False, width=100) if said else ""


class Behind(msgspec.Struct, frozen=True):
    """How far files are behind words that were published from the console."""

    digest: str = ""
    """Of the published release."""
    changes: list[WordChange] = []
    """From what the files say to what was published."""
    problems: list[Problem] = []
    """The same as warnings."""


def behind(wording: Wording, published: Release, flow: Workflow) -> Behind:
    """``flow``: the workflow as the files have it."""
    if flow.behaviour is None:
        return Behind()
    said = changes(words_of(flow.handling), words_of(published.handling))
    missing = [each for each in said if each.after is not None]
    mend = "write it into the file, or a freeze goes back from it; the page of the words shows what to write"
    found = [
        Problem(
            file=f"workflows/{flow.name}/workflow.yaml",
            line=0,
            field=each.slot,
            found="nothing" if each.before is None else show(each.before.text),
            expected=f"{show(each.after.text)}, as {wording.published_by} published it in the console",
            mend=mend,
            severity="warning",
        )
        for each in missing
        if each.after is not None
    ]
    return Behind(wording.published, missing, found)


def in_words(workflow: str, problem: WordProblem) -> Problem:
    return Problem(
        file=f"words of {workflow}", line=0, field=problem.slot, found=problem.found, expected=problem.expected,
        mend="change it on the page of the words",
    )  # fmt: skip
