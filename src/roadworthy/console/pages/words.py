"""The words that customers read.

GET  /workflows/{workflow}/words            every text, where it is shown, and the draft
POST /workflows/{workflow}/words            {text-SLOT, json-SLOT…}: save the draft; nobody is served it
POST /workflows/{workflow}/words/discard
POST /workflows/{workflow}/words/try        the draft on five failures, under a permit
POST /workflows/{workflow}/words/publish    {note}: a release that differs in words alone; its drills begin
POST /workflows/{workflow}/words/drill      its drills again
POST /workflows/{workflow}/words/serve      accept what they saw, and begin its ramp
"""

from __future__ import annotations

import msgspec

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.operations.drills.drill_runs import DrillRefused
from roadworthy.operations.services import Services
from roadworthy.operations.wording.desk import Editor, changed
from roadworthy.operations.wording.shown import SLOT_OF, TITLES
from roadworthy.workflow.model import Canned
from roadworthy.workflow.wording import SLOTS, followed
from roadworthy.workflow.words import share

LONGEST_NOTE = 500


def show(services: Services, visit: Visit) -> Answer:
    editor = services.overseeing.words.editor(visit.path["workflow"])
    owners = editor.workflow.owners
    me = visit.actor.id
    return View("words.html", {
        "flow": editor.workflow,
        "editor": editor,
        "fields": _fields(editor),
        "changed": changed(editor),
        "unseen": _unseen(editor),
        "may_edit": visit.may("configure") and me in (owners.workflow, owners.prompt),
        "is_owner": visit.may("approve") and me == owners.workflow,
    })  # fmt: skip


def save(services: Services, visit: Visit) -> Answer:
    sent: list[str] = [slot for slot in SLOTS if f"text-{slot}" in visit.form]
    texts = {slot: (visit.text(f"text-{slot}"), visit.text(f"json-{slot}")) for slot in sent}
    words = services.overseeing.words.save(visit.path["workflow"], visit.actor, texts)
    said = "Saved. Nobody is served it before it is published." if words else "Saved: it says what is served already."
    return Redirect("", said)


def discard(services: Services, visit: Visit) -> Answer:
    services.overseeing.words.discard(visit.path["workflow"], visit.actor)
    return Redirect("", "The draft is gone. What is served has not changed.")


def try_out(services: Services, visit: Visit) -> Answer:
    run = services.overseeing.words.try_out(visit.path["workflow"], visit.actor)
    return Redirect("", f"Testing the draft: {run.wanted} calls, about {max(1, round(run.estimate))} s.")


def publish(services: Services, visit: Visit) -> Answer:
    name = visit.path["workflow"]
    try:
        release = services.overseeing.words.publish(name, visit.actor, visit.text("note")[:LONGEST_NOTE])
    except DrillRefused as busy:
        return Redirect("", f"Published, and not drilled yet: {busy}")
    flow = services.workflows.named(name)
    if flow.enforcement == "observe":
        return Redirect("", f"Published as release {release.number}: everybody reads it now.")
    return Redirect("", f"Published as release {release.number}. Its drills run; then read what they saw and serve it.")


def drill(services: Services, visit: Visit) -> Answer:
    run = services.overseeing.words.drill(visit.path["workflow"], visit.actor)
    return Redirect("", f"Its drills run: {run.wanted} calls, about {max(1, round(run.estimate))} s.")


def serve(services: Services, visit: Visit) -> Answer:
    after = services.overseeing.words.serve(visit.path["workflow"], visit.actor, visit.text("reason")[:LONGEST_NOTE])
    return Redirect("", f"Served to {share(after.share)} of the traffic ({after.stage.name}).")


def _unseen(editor: Editor) -> list[str]:
    """Titles of changed texts that no call of the trial came to."""
    seen = {slot for outcome, slot in SLOT_OF.items() if outcome in {each.outcome for each in editor.tried}}
    return [TITLES[slot] for slot in editor.draft if slot not in seen] if editor.tried_this else []


def _fields(editor: Editor) -> list[dict[str, object]]:
    """What stands in the form: the draft where there is one, else what is served."""
    found = []
    for each in editor.spoken:
        said = editor.draft.get(each.slot, each.said)
        follows = each.said.json is not None and followed(each.said, said.text).json == said.json
        found.append(
            {"spoken": each, "said": said, "json": _json(said), "follows": follows, "drafted": said != each.said}
        )
    return found


def _json(said: Canned) -> str:
    if said.json is None:
        return ""
    return msgspec.json.format(msgspec.json.encode(said.json), indent=2).decode()


PAGES = [
    Page("GET", "/workflows/{workflow}/words", "read", show),
    Page("POST", "/workflows/{workflow}/words", "configure", save),
    Page("POST", "/workflows/{workflow}/words/discard", "configure", discard),
    Page("POST", "/workflows/{workflow}/words/try", "tools", try_out),
    Page("POST", "/workflows/{workflow}/words/publish", "approve", publish, publishes=True),
    Page("POST", "/workflows/{workflow}/words/drill", "tools", drill),
    Page("POST", "/workflows/{workflow}/words/serve", "approve", serve, publishes=True),
]
