"""The pool: examples that wait until the workflow's owner publishes the next version of the set.

Anybody who may configure puts examples in; nothing is judged by them before the owner has published, at most once in
the time that the workflow says (``evals: {publish_every: …}``), so that results can be compared over a while.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from roadworthy.evals.examples import Merge, eased, identified, is_held_out, marks, merged, set_of, with_held_out
from roadworthy.evals.importing import MOST_CHARACTERS, MOST_EXAMPLES, TAKEN, Columns, Imported, read_rows
from roadworthy.evals.model import Captured, Example, Publication, Waiting
from roadworthy.evals.ports import EvalState, EvalTransaction
from roadworthy.evals.sealed import Sealed
from roadworthy.evals.service import Evals, Refused, named
from roadworthy.evals.tokens import CAPTURED, WAITING
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.digest import canonical
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.service import Actor, Unknown

MOST_WAITING: Final = 20_000
MOST_TAGS: Final = 20
DAY: Final = 86_400.0


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What came of examples that were given in."""

    publication: Publication | None = None
    """The set in force, where they were published at once or are in force already."""
    created: bool = False
    """They were published at once: the owner gave them in, and there was no set before."""
    waiting: int = 0
    """That wait now."""
    known: int = 0
    """That were in the set or the pool already, as they are."""
    imported: Imported | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of examples that are given in."""

    imported: Imported
    items: list[Example]
    """As they would be kept."""
    known: int
    """Of them, that are in the set or the pool already, as they are."""
    at_once: bool
    """They would be published at once: the owner's first ones."""


class Pooled(msgspec.Struct, frozen=True, kw_only=True):
    """The pool, and what publishing it would make of the set."""

    items: list[Waiting]
    merge: Merge
    """Without its items."""
    count: int
    """Examples of the next version."""
    held_out: int
    """Of them."""
    critical: int
    publication: Publication | None
    """In force."""
    eased: list[str]
    """What would become of examples of the set in force, in words."""
    anew: bool
    """What it is scored by is not what the workflow declares now."""
    due: float
    """From when on the owner may publish without a reason."""
    owner: str


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What publishing came to."""

    publication: Publication
    created: bool
    merge: Merge
    """Without its items."""
    held_out: int


class Pool:
    """Thread-safe as its store is; blocking."""

    def __init__(
        self, state: EvalState, evals: Evals, sealed: Sealed, *, clock: Callable[[], float],
        unit: Callable[[str], str] = lambda unit: "",
    ) -> None:  # fmt: skip
        """``unit``: keyed hash of a user, by which their examples are found when they are forgotten."""
        self._state = state
        self._evals = evals
        self._sealed = sealed
        self._clock = clock
        self._unit = unit

    # --- in

    def take(
        self, workflow: str, text: str, columns: Columns, actor: Actor, source: str = "",
        redacted: Callable[[Example], Example] | None = None,
    ) -> Taken:  # fmt: skip
        """Rows of a file.  The owner's first set is published at once; anything else waits.

        Raises ``Unknown``, ``NotImported`` and ``Refused``; nothing is changed.
        """
        imported, items = self._rows(text, columns, source, redacted)
        with self._state.write() as tx:
            flow = named(tx, workflow)
            if is_owner(flow, actor) and self._evals.newest(tx, workflow) is None:
                examples = set_of(with_held_out(items, flow.evals.held_out))
                made, created = self._evals.publishing(tx, flow, examples, actor, source)
                return Taken(publication=made, created=created, imported=imported)
            taken = self._put(tx, flow, items, actor, source, "evals.import")
        return msgspec.structs.replace(taken, imported=imported)

    def foresee(
        self, workflow: str, text: str, columns: Columns, actor: Actor, source: str = "",
        redacted: Callable[[Example], Example] | None = None,
    ) -> Seen:  # fmt: skip
        """The same, without taking them.  Raises ``Unknown`` and ``NotImported``."""
        imported, items = self._rows(text, columns, source, redacted)
        with self._state.read() as tx:
            flow = named(tx, workflow)
            there = {ident: _said(each) for ident, each in self._known(tx, workflow).items()}
            first = self._evals.newest(tx, workflow) is None
        known = sum(there.get(each.id) == _said(each) for each in items)
        return Seen(imported=imported, items=items, known=known, at_once=first and is_owner(flow, actor))

    def add(
        self, workflow: str, found: Sequence[tuple[Example, Captured | None]], actor: Actor, source: str,
        action: str = "evals.capture",
    ) -> Taken:  # fmt: skip
        """Examples from traffic, with what was answered to them.  They wait.  Raises ``Unknown`` and ``Refused``."""
        with self._state.write() as tx:
            flow = named(tx, workflow)
            taken = self._put(tx, flow, [each for each, _ in found], actor, source, action)
            for _, captured in found:
                if captured is not None:
                    tx.put_captured(captured, self._sealed.seal(CAPTURED, captured))
        return taken

    def mark(
        self, workflow: str, idents: Sequence[str], actor: Actor, *, critical: bool | None = None,
        tags: Mapping[str, str] | None = None, expected: Mapping[str, Any] | None = None, text: str | None = None,
    ) -> list[Example]:  # fmt: skip
        """Say something about examples of the set or the pool; it waits, too.  ``tags``: an empty value takes one away.

        ``expected`` (fields beside those that are there; ``None`` takes one away) and ``text`` (the whole answer) make
        another example of it, which stands for the old one: answers from traffic go with it, hand scores do not.
        Raises ``Unknown`` and ``Refused``.
        """
        with self._state.write() as tx:
            flow = named(tx, workflow)
            changed = []
            for each in self._named(tx, workflow, idents):
                said = {**each.tags, **(tags or {})}
                said = {name: value for name, value in said.items() if value}
                if len(said) > MOST_TAGS:
                    raise Refused(f"{each.id} would have {len(said)} tags, at most {MOST_TAGS} are kept")
                chosen = each.critical if critical is None else critical
                marked = _expecting(msgspec.structs.replace(each, critical=chosen, tags=said), expected, text)
                if marked.id != each.id:
                    tx.drop_waiting(workflow, [each.id])
                    self._move_captured(tx, workflow, each.id, marked.id)
                changed.append(marked)
            self._put(tx, flow, changed, actor, "marked", "evals.mark")
        return changed

    def drop(self, workflow: str, idents: Sequence[str], actor: Actor) -> tuple[int, int]:
        """Leave examples out → (taken from the pool, that the next version will not hold any more).

        Raises ``Unknown`` and ``Refused``.
        """
        with self._state.write() as tx:
            flow = named(tx, workflow)
            found = self._named(tx, workflow, idents)
            there = {each.id for each in self._set(tx, workflow)}
            pooled = tx.drop_waiting(workflow, [each.id for each in found])
            now = self._clock()
            gone = [each for each in found if each.id in there]
            for each in gone:
                waiting = Waiting(
                    team=flow.team, workflow=workflow, example=each, at=now, by=actor.id, source="dropped", drop=True
                )
                tx.put_waiting(waiting, self._sealed.seal(WAITING, waiting))
            after = {"examples": [each.id for each in found][:100], "count": len(found)}
            self._audit(tx, _event(actor, "evals.drop", flow, after))
        return pooled, len(gone)

    # --- out

    def look(self, workflow: str, *, replace: bool = False) -> Pooled:
        """Raises ``Unknown``."""
        with self._state.read() as tx:
            flow = named(tx, workflow)
            items = self._waiting(tx, workflow)
            publication, due = self._evals.newest(tx, workflow), self._due(tx, flow)
            merge = _merge([] if replace else self._set(tx, workflow), items)
            anew, easier = self._evals.scored_otherwise(tx, flow), eased(self._set(tx, workflow), merge.items)
        share = flow.evals.held_out
        return Pooled(
            items=items, merge=msgspec.structs.replace(merge, items=[]), count=len(merge.items),
            held_out=sum(is_held_out(each, share) for each in merge.items),
            critical=sum(each.critical for each in merge.items), publication=publication, eased=easier, anew=anew,
            due=due,
            owner=flow.owners.workflow,
        )  # fmt: skip

    def waits(self, workflow: str) -> tuple[int, float]:
        """(examples that wait, from when on the owner may publish them without a reason).  Raises ``Unknown``."""
        with self._state.read() as tx:
            flow = named(tx, workflow)
            return len(self._waiting(tx, workflow)), self._due(tx, flow)

    def publish(self, workflow: str, actor: Actor, *, reason: str = "", replace: bool = False) -> Made:
        """What waits becomes part of the next version, by which the workflow is judged from now on; with nothing that
        waits, the same examples by the scorers that are declared now.

        ``reason``: why it cannot wait until it is due; ``replace``: nothing of the set in force stays.  Raises
        ``Unknown`` and ``Refused``, audited.
        """
        now = self._clock()
        with self._state.write() as tx:
            flow = named(tx, workflow)
            items = self._waiting(tx, workflow)
            merge = _merge([] if replace else self._set(tx, workflow), items)
            news = bool(items) or self._evals.scored_otherwise(tx, flow)
            why = _may_not_publish(flow, actor, news, merge, self._due(tx, flow) - now, reason)
            if not why:
                examples = set_of(with_held_out(merge.items, flow.evals.held_out))
                made, created = self._evals.publishing(tx, flow, examples, actor, _sources(items), reason)
                tx.drop_waiting(workflow, [each.example.id for each in items])
                held = sum(each.held_out for each in examples.items)
                merge = msgspec.structs.replace(merge, items=[])
                return Made(publication=made, created=created, merge=merge, held_out=held)
            event = dataclasses.replace(_event(actor, "evals.publish", flow, None), outcome="denied", reason=why)
            self._audit(tx, event)
        raise Refused(why)

    def captured(self, workflow: str) -> list[Captured]:
        """Answers from traffic, those that we signed."""
        with self._state.read() as tx:
            tokens = tx.captured(workflow)
        return [each for each in self._sealed.opened(CAPTURED, tokens) if each.workflow == workflow]

    def examples(self, workflow: str) -> dict[str, Example]:
        """Every example of the set and the pool."""
        with self._state.read() as tx:
            return self._known(tx, workflow)

    # --- inside

    def _rows(
        self, text: str, columns: Columns, source: str, redacted: Callable[[Example], Example] | None
    ) -> tuple[Imported, list[Example]]:
        imported = read_rows(text, columns, source, unit=self._unit)
        items = imported.examples.items
        return imported, items if redacted is None else [redacted(each) for each in items]

    def _put(
        self, tx: EvalTransaction, flow: Workflow, items: Sequence[Example], actor: Actor, source: str, action: str
    ) -> Taken:
        there = {each.id: _said(each) for each in self._set(tx, flow.name)}
        waiting = self._waiting(tx, flow.name)
        pooled = {each.example.id: _said(each.example) for each in waiting if not each.drop}
        dropped = {each.example.id for each in waiting if each.drop}
        known = 0
        now, added = self._clock(), []
        for each in items:
            if each.id not in dropped and pooled.get(each.id, there.get(each.id)) == _said(each):
                known += 1
                continue
            added.append(
                Waiting(
                    team=flow.team, workflow=flow.name, example=each, at=now, by=actor.id, source=source[:200]
                )
            )  # fmt: skip
        if len(waiting) + len(added) > MOST_WAITING:
            raise Refused(
                f"{len(waiting) + len(added):,} examples would wait, at most {MOST_WAITING:,} do: publish or drop some"
            )
        for each_waiting in added:
            tx.put_waiting(each_waiting, self._sealed.seal(WAITING, each_waiting))
        if added:
            self._audit(tx, _event(actor, action, flow, {"waiting": len(added), "source": source[:200]}))
        return Taken(publication=self._evals.newest(tx, flow.name), waiting=len(added), known=known)

    def _waiting(self, tx: EvalTransaction, workflow: str) -> list[Waiting]:
        found = self._sealed.opened(WAITING, tx.waiting(workflow))
        return [each for each in found if each.workflow == workflow]

    def _set(self, tx: EvalTransaction, workflow: str) -> list[Example]:
        publication = self._evals.newest(tx, workflow)
        examples = None if publication is None else self._evals.kept(tx, publication.version)
        return [] if examples is None else examples.items

    def _known(self, tx: EvalTransaction, workflow: str) -> dict[str, Example]:
        found = {each.id: each for each in self._set(tx, workflow)}
        return found | {each.example.id: each.example for each in self._waiting(tx, workflow)}

    def _named(self, tx: EvalTransaction, workflow: str, idents: Sequence[str]) -> list[Example]:
        """By id, the beginning of one, or label.  Raises ``Unknown``."""
        known = self._known(tx, workflow)
        found = []
        for ident in dict.fromkeys(idents):
            hits = [known[ident]] if ident in known else [
                each for each in known.values()
                if each.label == ident or (len(ident) > 6 and each.id.startswith(ident))
            ]  # fmt: skip
            if len(hits) != 1:
                what = f"{len(hits)} examples of {workflow} are called" if hits else f"no example of {workflow} is"
                raise Unknown(f"{what} '{ident[:60]}'; roadworthy evals examples {workflow} lists them with their ids")
            found += hits
        return found

    def _move_captured(self, tx: EvalTransaction, workflow: str, before: str, now: str) -> None:
        for each in self._sealed.opened(CAPTURED, tx.captured(workflow)):
            if each.workflow == workflow and each.example == before:
                moved = msgspec.structs.replace(each, example=now)
                tx.put_captured(moved, self._sealed.seal(CAPTURED, moved))

    def _due(self, tx: EvalTransaction, flow: Workflow) -> float:
        """By when a person published last, not by when a newer version of ours had the scorers follow."""
        last = self._evals.newest(tx, flow.name, by_person=True)
        return 0.0 if last is None else last.at + flow.evals.publish_every

    def _audit(self, tx: EvalTransaction, event: Event) -> None:
        tx.append_audit(chain(tx.last_audit(), event, self._clock()))


def is_owner(flow: Workflow, actor: Actor) -> bool:
    """Of the workflow, as a person who is logged in.  Fails closed."""
    return not actor.id.startswith("os:") and actor.id == flow.owners.workflow


def _merge(before: Sequence[Example], items: Iterable[Waiting]) -> Merge:
    items = list(items)
    dropped = [each.example.id for each in items if each.drop]
    return merged(before, [each.example for each in items if not each.drop], dropped)


def _expecting(example: Example, expected: Mapping[str, Any] | None, text: str | None) -> Example:
    """It, with another expectation and the id of that.  Raises ``Refused``."""
    if expected is None and text is None:
        return example
    fields = {name: value for name, value in {**example.expected, **(expected or {})}.items() if value is not None}
    if taken := sorted(TAKEN & fields.keys()):
        raise Refused(f"a field cannot be called {taken[0]}: a score of ours is")
    made = msgspec.structs.replace(example, expected=fields, text=example.text if text is None else text or None)
    if len(canonical([made.messages, made.expected, made.text, made.inputs])) > MOST_CHARACTERS:
        raise Refused(f"{example.id} would be longer than {MOST_CHARACTERS:,} characters; expect less of it")
    return identified(made)


def _said(example: Example) -> dict[str, object]:
    """What it is, but for what publishing decides."""
    return {**marks(example), "held_out": None, "label": example.label}


def _may_not_publish(flow: Workflow, actor: Actor, news: bool, merge: Merge, left: float, reason: str) -> str:
    again = f"roadworthy evals publish {flow.name}"
    if not is_owner(flow, actor):
        return (
            f"{actor.id} cannot publish examples of {flow.name}: its owner {flow.owners.workflow} does, after signing "
            f"in with roadworthy login: {again}"
        )
    if not news:
        return f"nothing waits in the pool of {flow.name}; roadworthy evals import or evals capture puts examples there"
    if not merge.items:
        return f"no example of {flow.name} would be left; leave some in"
    if len(merge.items) > MOST_EXAMPLES:
        return f"the set would hold {len(merge.items):,} examples, at most {MOST_EXAMPLES:,} fit; drop some"
    if left > 0 and not reason.strip():
        return (
            f"a set of {flow.name} was published less than {flow.evals.publish_every / DAY:g} days ago, and what is "
            f"judged by it should stay comparable; the next is due in {max(left / DAY, 0.1):.1f} days; if it "
            f"cannot wait, say why: {again} --now REASON"
        )
    return ""


def _sources(items: Sequence[Waiting]) -> str:
    return ", ".join(dict.fromkeys(each.source for each in items if each.source))


def _event(actor: Actor, action: str, flow: Workflow, after: object) -> Event:
    return Event(
        actor.id, action, f"workflow/{flow.name}", on_behalf_of=actor.on_behalf_of, after=after, team=flow.team
    )
