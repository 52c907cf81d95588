"""What a workflow is judged by: examples, rubric, runs, judges.

GET  /evals                              every workflow, and how its evals stand
GET  /evals/{workflow}                   the gate, what is to score, the set, runs, judges
GET  /evals/{workflow}/examples          the published examples; held-out ones are counted, never shown
GET  /evals/{workflow}/pool              what waits, and what publishing it would make
POST /evals/{workflow}/pool/publish      {reason} → published, by the owner
POST /evals/{workflow}/pool/drop         {examples} → left out
POST /evals/{workflow}/pool/expect       {example, expect:FIELD…, text} → what should be answered
GET  /evals/{workflow}/import            a form for a file
POST /evals/{workflow}/import            the file → what it would become (nothing is changed)
POST /evals/{workflow}/import/take       the same rows → they wait, or are published
GET  /evals/{workflow}/rubric            how people score, and who signed it
POST /evals/{workflow}/rubric/sign       by the owner
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, get_args
from urllib.parse import quote

import msgspec

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.pages.eval_parts import expected_of, page_of, record_reading
from roadworthy.console.pages.scoring import agreement_said
from roadworthy.console.refusals import Wrong
from roadworthy.evals.examples import unread
from roadworthy.evals.formats import Format
from roadworthy.evals.importing import Columns, NotImported
from roadworthy.evals.model import Example
from roadworthy.evals.rubric import Rubric, Unusable, read
from roadworthy.evals.rules import rubric_digest
from roadworthy.evals.service import Refused
from roadworthy.operations import looking
from roadworthy.operations.proving import words
from roadworthy.operations.proving.calibrating import declared_judges
from roadworthy.operations.proving.importing import Importing, Rows
from roadworthy.operations.services import Services
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.service import Unknown
from roadworthy.workflow.words import plural

LARGEST: Final = 2 * 1024 * 1024
"""Bytes of a file that the console takes; ``roadworthy evals import`` takes larger ones."""
SHOWN_RUNS: Final = 20
A_PAGE: Final = 50
FIELDS: Final = ("input", "expect", "expect_text", "tags", "critical", "label", "user", "redact", "format")
SHOWN_ROWS: Final = 20
"""Examples of a file that are previewed."""


def everything(services: Services, visit: Visit) -> Answer:
    applied = services.workflows.configuration()
    flows = {} if applied is None else applied.configuration.workflows
    rows = [_line(services, visit, flow) for name, flow in sorted(flows.items()) if visit.may("read", name)]
    return View("evals_all.html", {"rows": rows})


def overview(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    flow = services.workflows.named(workflow)
    rows = services.evals.gate.history_of(workflow, SHOWN_RUNS, counted=False)
    return View(
        "evals.html",
        {
            "workflow": workflow, "flow": flow, "rows": rows, "set": _set(services, workflow),
            "gate": next((row for row in rows if row["verdict"]), None), "to_score": _to_score(services, visit),
            "pool": services.evals.pool.look(workflow), "changes": words.changes, "rubric": _rubric(services, flow),
            "agreed": agreement_said(services.evals.hand.agreement(workflow)),
            "judges": declared_judges(services.judging.calibrating, services.judging.judges, flow, visit.now),
            "stands": words.stands, "estimate": words.estimate, "builtins": msgspec.to_builtins,
            "calibrating": services.judging.calibrating.going(workflow), "going": services.evals.runs.going(workflow),
            "schedule": _schedule(services, visit),
        },
    )  # fmt: skip


def examples(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    found = services.evals.evals.current(workflow)
    shown = [each for each in found.examples.items if not each.held_out]
    record_reading(services, visit, "examples.read")
    at = page_of(visit)
    return View(
        "eval_examples.html",
        {
            "workflow": workflow, "publication": found.publication, "held_out": len(found.examples.items) - len(shown),
            "items": [row_of(each) for each in shown[at * A_PAGE : (at + 1) * A_PAGE]],
            "at": at, "pages": -(-len(shown) // A_PAGE), "count": len(shown),
        },
    )  # fmt: skip


def pool(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    found = services.evals.pool.look(workflow)
    record_reading(services, visit, "examples.read")
    items = [{**row_of(each.example), "drop": each.drop, "source": each.source, "by": each.by} for each in found.items]
    at = page_of(visit)
    return View(
        "eval_pool.html",
        {
            "workflow": workflow, "pool": found, "said": words.pooled(workflow, msgspec.to_builtins(found), visit.now),
            "items": items[at * A_PAGE : (at + 1) * A_PAGE], "at": at, "pages": -(-len(items) // A_PAGE),
            "mine": visit.actor.id == found.owner, "early": found.due > visit.now,
            "needs": looking.expectations(services, workflow),
        },
    )  # fmt: skip


def publish(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    made = services.evals.pool.publish(workflow, visit.actor, reason=visit.text("reason"))
    count = plural(made.publication.count, "example")
    said = f"Published: {count}, {words.changes(msgspec.to_builtins(made.merge))}; {made.held_out} held out."
    return Redirect(f"/evals/{quote(workflow)}", f"{said} Gates of the set before are old from now on: run the gate.")


def drop(services: Services, visit: Visit) -> Answer:
    chosen = [value for value in visit.form.getlist("example") if isinstance(value, str)]
    if not chosen:
        raise Wrong("Choose the examples to leave out first.")
    pooled, gone = services.evals.pool.drop(visit.path["workflow"], chosen, visit.actor)
    return Redirect(said=f"{pooled} taken out of the pool, {gone} of the set will not be in the next version.")


def expect(services: Services, visit: Visit) -> Answer:
    expected, text = expected_of(visit), visit.text("text") or None
    if not expected and text is None:
        raise Wrong("Say what should be answered first.")
    [changed] = services.evals.pool.mark(
        visit.path["workflow"], [visit.text("example")], visit.actor, expected=expected or None, text=text
    )
    return Redirect(said=f"{changed.label or changed.id} expects that from the next version on.")


# --- a file


def bring(services: Services, visit: Visit) -> Answer:
    flow = services.workflows.named(visit.path["workflow"])
    return _form(flow, {**dict.fromkeys(FIELDS, ""), "label": "id"}, [])


def foresee(services: Services, visit: Visit) -> Answer:
    flow = services.workflows.named(visit.path["workflow"])
    fields = {name: visit.text(name) for name in FIELDS}
    raw, name = visit.file("file"), visit.text("source")
    if not raw and visit.text("pasted"):
        raw = visit.text("pasted").encode()
    if not raw:
        return _form(flow, fields, ["Choose a file, or paste its rows."], visit.text("pasted"))
    if len(raw) > LARGEST:
        why = f"The file has {len(raw):,} bytes; here at most {LARGEST:,} are taken."
        return _form(flow, fields, [f"{why} Larger ones: roadworthy evals import {flow.name} FILE"])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _form(flow, fields, [f"The file is not UTF-8 at byte {error.start}; save it as UTF-8."])
    asked = _rows(flow.name, text, fields, name)
    try:
        seen = _importing(services).look(asked, visit.actor)
    except NotImported as error:
        return _form(flow, fields, list(error.problems), visit.text("pasted"))
    return View(
        "eval_import_seen.html",
        {
            "workflow": flow.name, "seen": seen, "owner": flow.owners.workflow,
            "items": [row_of(each) for each in seen.items[:SHOWN_ROWS]], "asked": msgspec.json.encode(asked).decode(),
            "new": len(seen.items) - seen.known,
            "silent": sum(not each.expected and each.text is None for each in seen.items),
        },
    )  # fmt: skip


def take(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    try:
        asked = msgspec.json.decode(visit.text("asked"), type=Rows)
    except msgspec.DecodeError as error:
        raise Wrong(f"asked: {error}; give the file in once more") from error
    if asked.workflow != workflow:
        raise Wrong(f"asked: these rows are of {asked.workflow[:60]}, not of {workflow}; give the file in once more")
    try:
        taken = _importing(services).take(asked, visit.actor)
    except NotImported as error:
        raise Wrong(str(error)) from error
    if taken.created:
        assert taken.publication is not None
        services.publish()
        return Redirect(f"/evals/{quote(workflow)}", f"Published {plural(taken.publication.count, 'example')}.")
    said = (
        f"{plural(taken.waiting, 'example')} {words.wait(taken.waiting)}"
        if taken.waiting
        else "Nothing new was in the file"
    )
    return Redirect(f"/evals/{quote(workflow)}/pool", f"{said}; {taken.known} were there already.")


# --- the rubric


def rubric(services: Services, visit: Visit) -> Answer:
    flow = services.workflows.named(visit.path["workflow"])
    return View(
        "eval_rubric.html",
        {"workflow": flow.name, "flow": flow, "mine": visit.actor.id == flow.owners.workflow,
         **_rubric(services, flow)},
    )  # fmt: skip


def sign(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    services.evals.evals.sign(workflow, visit.actor)
    return Redirect(said="You signed the rubric. What people score from now on counts.")


# --- inside


def row_of(example: Example) -> dict[str, Any]:
    """Of a held-out one, not what it asks."""
    told: dict[str, Any] = msgspec.to_builtins(unread(example))
    return {
        "id": example.id, "label": example.label or example.id, "asked": words.asked(told),
        "expected": words.expected(told), "critical": example.critical, "tags": example.tags,
        "held_out": example.held_out,
    }  # fmt: skip


def _line(services: Services, visit: Visit, flow: Workflow) -> dict[str, Any]:
    rows = services.evals.gate.history_of(flow.name, SHOWN_RUNS, counted=False)
    published = services.evals.evals.published(flow.name)
    return {
        "name": flow.name, "published": published, "gate": next((row for row in rows if row["verdict"]), None),
        "going": services.evals.runs.going(flow.name), "to_score": _to_score(services, visit, flow.name),
    }  # fmt: skip


def _to_score(services: Services, visit: Visit, workflow: str = "") -> dict[str, Any]:
    """What this person has to score: a count and minutes, or why nobody can score yet."""
    workflow = workflow or visit.path["workflow"]
    if not visit.may("score", workflow):
        return {"count": 0, "why": "You have no role that scores.", "minutes": 0.0, "mine": 0}
    try:
        desk = services.evals.hand.desk(workflow, visit.actor)
    except Refused as error:
        return {"count": 0, "why": str(error), "minutes": 0.0, "mine": 0}
    pace = services.evals.hand.pace_of(workflow, visit.actor.id, desk.digest)
    return {"count": len(desk.items), "why": "", "minutes": len(desk.items) * pace / 60, "mine": desk.mine}


def _set(services: Services, workflow: str) -> dict[str, Any] | None:
    try:
        found = services.evals.evals.current(workflow)
    except Refused:
        return None
    tags = Counter(f"{name} = {value}" for each in found.examples.items for name, value in each.tags.items())
    return {
        "publication": found.publication, "count": len(found.examples.items), "tags": tags.most_common(12),
        "held_out": sum(each.held_out for each in found.examples.items),
        "critical": sum(each.critical for each in found.examples.items),
        "expecting": sum(bool(each.expected) or each.text is not None for each in found.examples.items),
    }  # fmt: skip


def _rubric(services: Services, flow: Workflow) -> Mapping[str, Any]:
    """The rubric as it is applied, and who signed it."""
    text = flow.rubric or ""
    found: Rubric | None = None
    why = "" if text.strip() else f"{flow.name} has no rubric: write workflows/{flow.name}/rubric.md and apply."
    try:
        found = read(text, f"workflows/{flow.name}/rubric.md") if text.strip() else None
    except Unusable as error:
        why = str(error)
    signed = services.evals.evals.signed_by(
        flow.name, rubric_digest(text), services.clock(), flow.owners.workflow
    )  # fmt: skip
    return {"text": text, "values": [] if found is None else found.values, "why": why, "signed_by": signed}


def _schedule(services: Services, visit: Visit) -> list[str]:
    try:
        found = services.evals.nightly.schedule(visit.path["workflow"])
    except (Refused, Unknown) as error:
        return [str(error)]
    return words.schedule(msgspec.to_builtins(found), visit.zone, visit.now)


def _form(flow: Workflow, fields: Mapping[str, str], problems: list[str], pasted: str = "") -> View:
    return View(
        "eval_import.html",
        {"workflow": flow.name, "fields": fields, "problems": problems, "pasted": pasted, "largest": LARGEST},
        422 if problems else 200,
    )  # fmt: skip


def _rows(workflow: str, text: str, fields: Mapping[str, str], source: str) -> Rows:
    def several(name: str) -> list[str]:
        return [part.strip() for part in fields[name].split(",") if part.strip()]

    columns = Columns(
        input=fields["input"], expect=several("expect"), expect_text=fields["expect_text"], tags=several("tags"),
        critical=fields["critical"], label=fields["label"] or "id", user=fields["user"], format=_format(text, fields),
    )  # fmt: skip
    return Rows(workflow, text, columns, source or "console", redact=fields["redact"] == "yes")


def _format(text: str, fields: Mapping[str, str]) -> Format:
    """As it was chosen, else by its beginning: a browser tells us the file's bytes, and pasted rows have no name."""
    named: str = fields["format"]
    known: dict[str, Format] = {each: each for each in get_args(Format) if each}
    if named in known:
        return known[named]
    begin = text.lstrip()[:1]
    if begin in ("{", "["):
        return "jsonl" if begin == "{" else "json"
    return "promptfoo" if re.search(r"(?m)^tests:", text) else "csv"


def _importing(services: Services) -> Importing:
    return Importing(services.workflows, services.evals.pool, services.evals.redactor)


PAGES = [
    Page("GET", "/evals", "read", everything, anywhere=True),
    Page("GET", "/evals/{workflow}", "read", overview),
    Page("GET", "/evals/{workflow}/examples", "read_text", examples),
    Page("GET", "/evals/{workflow}/pool", "read_text", pool),
    Page("POST", "/evals/{workflow}/pool/publish", "approve", publish, publishes=True),
    Page("POST", "/evals/{workflow}/pool/drop", "configure", drop),
    Page("POST", "/evals/{workflow}/pool/expect", "configure", expect),
    Page("GET", "/evals/{workflow}/import", "configure", bring),
    Page("POST", "/evals/{workflow}/import", "configure", foresee),
    Page("POST", "/evals/{workflow}/import/take", "configure", take),
    Page("GET", "/evals/{workflow}/rubric", "read", rubric),
    Page("POST", "/evals/{workflow}/rubric/sign", "approve", sign),
]
