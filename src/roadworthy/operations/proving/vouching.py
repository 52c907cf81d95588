"""What named persons put behind a workflow: acceptances, their word, imports, waivers, revocations.

Who may do it is decided here and every denial is audited; what makes it acceptable is decided in ``evidence.rules``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence

import msgspec

from roadworthy.evidence import rules
from roadworthy.evidence.kinds import KINDS, Acceptance, Attestation, FailureCatalogue, Forecast, Role
from roadworthy.evidence.model import Evidence, Waiver
from roadworthy.evidence.receipt.model import Revocation
from roadworthy.evidence.rules import LONGEST_WAIVER, Refused
from roadworthy.evidence.service import Ledger
from roadworthy.operations.proving.readiness import Board, View
from roadworthy.operations.rights import may
from roadworthy.readiness.items import NEVER_WAIVED, NUMBERS
from roadworthy.readiness.rules import owed_by
from roadworthy.workflow.audit import Event
from roadworthy.workflow.model import Configuration, Owners, Workflow
from roadworthy.workflow.service import Actor

ADOPTED = "adopted: served as before while it is measured"
ACCEPTABLE = (FailureCatalogue, Forecast)
"""Figures that somebody accepts."""


class NotYours(Refused):
    """It is another person's to do; the message says whose."""


class Owed(msgspec.Struct, frozen=True):
    """Something that waits for a named person's acceptance."""

    role: Role
    person: str
    kind: str
    """``acceptance``: the role itself."""
    evidence: str = ""
    """Id of what is to be accepted; empty: the role itself."""
    renews: bool = False
    """It is accepted, and the acceptance lapses within seven days."""


class Vouching:
    """Thread-safe; blocking.  Every method raises ``Unknown`` for a workflow that there is not."""

    def __init__(
        self,
        ledger: Ledger,
        board: Board,
        *,
        epoch: Callable[[], int],
        clock: Callable[[], float],
        new_id: Callable[[str], str] = lambda prefix: prefix + secrets.token_hex(8),
    ) -> None:
        self._ledger = ledger
        self._board = board
        self._epoch = epoch
        self._clock = clock
        self._new_id = new_id

    def owed(self, workflow: str, digest: str | None = None) -> list[Owed]:
        """Everything that waits for somebody's acceptance."""
        return owed_in(self._board.view(workflow, digest), self._clock())

    def accept(self, workflow: str, actor: Actor, roles: Sequence[Role] = (), evidence: str = "") -> list[Evidence]:
        """Take roles and what comes with them; nothing named: all that waits for this person.  Raises ``Refused``."""
        view = self._board.view(workflow)
        owners = view.flow.owners
        held = [owed.role for owed in owed_by(view.subject) if owed.person == actor.id]
        event = Event(
            actor.id, "evidence.accept", f"workflow/{workflow}",
            on_behalf_of=actor.on_behalf_of, team=view.flow.team, evidence=evidence,
        )  # fmt: skip
        wrong = next((role for role in roles if role not in held), None)
        if wrong is not None or not held:
            raise NotYours(str(self._ledger.refuse(event, _not_theirs(workflow, actor.id, wrong, held, owners))))
        if evidence:
            return [self._accepted(view, actor, evidence, event)]
        mine = [each for each in owed_in(view, self._clock()) if each.person == actor.id]
        if roles:
            mine = [each for each in mine if each.role in roles]
        done = [self._taken(view, actor, each) for each in mine]
        if not done:
            left = [f"{each.kind} ({each.role}) by {each.person}" for each in owed_in(view, self._clock())]
            waits = f"; what waits: {', '.join(left)}" if left else ""
            raise Refused(f"nothing of {workflow} waits for {actor.id}{waits}; roadworthy ready {workflow}")
        return done

    def attest(self, workflow: str, actor: Actor, instead_of: str, words: str) -> Evidence:
        """A person's word for what no run has shown; also where it is about the install, it counts for this workflow
        alone.  Raises ``Refused``."""
        view = self._board.view(workflow)
        self._owner_only(view.flow, actor, "evidence.attest", "give a word for what no run has shown", words)
        if instead_of not in KINDS:
            known = ", ".join(kind for kind, row in KINDS.items() if row.by_word)
            event = self._event(view.flow, actor, "evidence.attest", words)
            raise self._ledger.refuse(
                event, f"there is no kind of evidence '{instead_of[:60]}'; a word stands: {known}"
            )
        now = self._clock()
        return self._kept(view, actor, Evidence(
            id=self._new_id("evd_"), team=view.flow.team, workflow=workflow,
            figures=Attestation(instead_of=instead_of, words=words.strip()),
            bound=rules.binding(instead_of, self._known(view)), by=actor.id, made_at=now,
            lapses_at=now + rules.life(instead_of, word_only=True),
        ))  # fmt: skip

    def take_in(self, workflow: str, actor: Actor, raw: bytes) -> Evidence:
        """What another tool measured, as this person's word.  Raises ``Refused``."""
        view = self._board.view(workflow)
        self._owner_only(view.flow, actor, "evidence.import", "import evidence", "")
        event = self._event(view.flow, actor, "evidence.import", "")
        try:
            given = rules.read(_completed(raw, self._new_id("evd_"), view.flow, actor.id))
        except Refused as error:
            raise self._ledger.refuse(event, str(error)) from error
        return self._kept(view, actor, given)

    def waive(self, workflow: str, actor: Actor, item: int | None, until: float, reason: str) -> Waiver:
        """Let an item, or enforcement as a whole, rest until an instant.  Raises ``Refused``."""
        view = self._board.view(workflow)
        self._owner_only(view.flow, actor, "waiver.make", "waive", reason)
        if item is None and view.flow.enforcement != "observe":
            event = self._event(view.flow, actor, "waiver.make", reason)
            raise self._ledger.refuse(
                event, f"{workflow} is enforced by its configuration; set enforcement: observe and apply it first"
            )
        waiver = Waiver(
            id=self._new_id("wvr_"), team=view.flow.team, workflow=workflow, item=item, person=actor.id, reason=reason,
            starts=self._clock(), ends=until,
        )  # fmt: skip
        return self._ledger.waive(waiver, NUMBERS, NEVER_WAIVED, on_behalf_of=actor.on_behalf_of)

    def end_waiver(self, workflow: str, actor: Actor, ident: str) -> Waiver:
        """Raises ``Refused``."""
        view = self._board.view(workflow)
        self._owner_only(view.flow, actor, "waiver.end", "end a waiver", "", ident)
        return self._ledger.end_waiver(ident, workflow, actor.id)

    def revoke(self, workflow: str, actor: Actor, digest: str | None, reason: str) -> Revocation:
        """Take every receipt of a release's behaviour back.  Raises ``Refused``."""
        view = self._board.view(workflow, digest)
        self._owner_only(view.flow, actor, "receipt.revoke", "revoke a receipt", reason)
        event = self._event(view.flow, actor, "receipt.revoke", reason)
        behaviour = view.subject.behaviour
        if not any(receipt.behaviour == behaviour for receipt in view.known.receipts):
            raise self._ledger.refuse(event, f"{workflow} has no receipt of this behaviour to revoke")
        return self._ledger.revoke(
            workflow, behaviour, team=view.flow.team, person=actor.id, reason=reason, epoch=self._epoch()
        )

    def observed(self, configuration: Configuration, actor: Actor) -> list[Waiver]:
        """The first waiver of each workflow that comes with ``observe`` and of which nothing was ever signed.

        One that has signed evidence, receipts or waivers gets none by itself: whoever takes enforcement from it later
        is its owner, by a waiver.
        """
        made = []
        for flow in configuration.workflows.values():
            if flow.enforcement != "observe" or not self._new(flow.name):
                continue
            now = self._clock()
            waiver = Waiver(
                id=self._new_id("wvr_"), team=flow.team, workflow=flow.name, item=None, person=flow.owners.workflow,
                reason=ADOPTED, starts=now, ends=now + LONGEST_WAIVER,
            )  # fmt: skip
            made.append(self._ledger.waive(waiver, NUMBERS, NEVER_WAIVED, on_behalf_of=actor.id))
        return made

    # --- inside

    def _new(self, workflow: str) -> bool:
        known = self._ledger.known(workflow)
        about = [each for each in known.evidence if each.workflow == workflow]
        return not (about or known.waivers or known.receipts or known.revocations)

    def _taken(self, view: View, actor: Actor, owed: Owed) -> Evidence:
        if owed.evidence:
            return self._ledger.accept(owed.evidence, actor.id, owed.role)
        now = self._clock()
        return self._kept(view, actor, Evidence(
            id=self._new_id("evd_"), team=view.flow.team, workflow=view.flow.name,
            figures=Acceptance(role=owed.role, person=actor.id), bound={"workflow": view.flow.name}, by=actor.id,
            made_at=now, lapses_at=now + rules.life("acceptance"),
        ))  # fmt: skip

    def _accepted(self, view: View, actor: Actor, ident: str, event: Event) -> Evidence:
        found = next((each for each in view.known.evidence if each.id == ident), None)
        if found is None or found.workflow != view.flow.name:
            why = (
                f"there is no evidence {ident[:40]} of {view.flow.name}; roadworthy evidence {view.flow.name} lists it"
            )
            raise self._ledger.refuse(event, why)
        role = KINDS[found.kind].accepted_by
        if role is not None and getattr(view.flow.owners, role) != actor.id:
            why = _not_theirs(view.flow.name, actor.id, role, [], view.flow.owners)
            raise NotYours(str(self._ledger.refuse(event, why)))
        return self._ledger.accept(ident, actor.id, role or "workflow")

    def _kept(self, view: View, actor: Actor, evidence: Evidence) -> Evidence:
        known = self._board.bindings(view.flow.name)
        return self._ledger.keep(evidence, known, on_behalf_of=actor.on_behalf_of)

    def _known(self, view: View) -> rules.Bindings:
        return rules.bindings(view.subject.behaviour, view.subject.handling, view.flow.name)

    def _owner_only(
        self, flow: Workflow, actor: Actor, action: str, what: str, reason: str, evidence: str = ""
    ) -> None:
        if not may(actor.id, flow.owners, "owner"):
            event = self._event(flow, actor, action, reason, evidence)
            why = f"{actor.id} may not {what} for {flow.name}: only its owner may, who is {flow.owners.workflow}"
            raise NotYours(str(self._ledger.refuse(event, why)))

    def _event(self, flow: Workflow, actor: Actor, action: str, reason: str, evidence: str = "") -> Event:
        return Event(
            actor.id, action, f"workflow/{flow.name}",
            on_behalf_of=actor.on_behalf_of, reason=reason, evidence=evidence, team=flow.team,
        )  # fmt: skip


def owed_in(view: View, now: float) -> list[Owed]:
    """Everything about one release that waits for somebody's acceptance."""
    found = []
    for owed in owed_by(view.subject):
        mine = [
            each.lapses_at
            for each in view.known.evidence
            if isinstance(each.figures, Acceptance)
            and each.workflow == view.flow.name
            and (each.figures.role, each.figures.person) == (owed.role, owed.person)
        ]
        last = max(mine, default=0.0)
        if last <= now or rules.lapses_soon(last, now):
            found.append(Owed(owed.role, owed.person, "acceptance", renews=last > now))
    return [*found, *_owed_figures(view, now)]


def _owed_figures(view: View, now: float) -> Iterable[Owed]:
    """The newest forecast and catalogue of the release, where nobody's acceptance covers them."""
    known = rules.bindings(view.subject.behaviour, view.subject.handling, view.flow.name)
    mine = [each for each in view.known.evidence if each.lapses_at > now and rules.matches(each, known)]
    for figures in ACCEPTABLE:
        history = [each for each in mine if isinstance(each.figures, figures) and each.workflow == view.flow.name]
        if not history:
            continue
        newest = max(history, key=lambda each: each.made_at)
        role = KINDS[newest.kind].accepted_by
        assert role is not None
        person = getattr(view.flow.owners, role)
        if rules.acceptance(newest, history, person) is None:
            yield Owed(role, person, newest.kind, newest.id)


def _not_theirs(workflow: str, person: str, role: str | None, held: Sequence[str], owners: Owners) -> str:
    named = f"workflow {owners.workflow}, prompt {owners.prompt}, cost {owners.cost}"
    if role is None:
        return f"{person} has no role in {workflow}; its owners are: {named}"
    own = f"; {person} is its {', '.join(held)} owner" if held else ""
    return f"{person} is not the {role} owner of {workflow}{own}; its owners are: {named}"


def _completed(raw: bytes, ident: str, flow: Workflow, person: str) -> bytes:
    """What was sent, marked as imported and as this person's.  Raises ``Refused``."""
    try:
        given = msgspec.json.decode(raw, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise Refused(f"the evidence is no JSON object: {error}; send one as docs/readiness.md shows") from error
    if given.get("mode", "imported") != "imported":
        raise Refused(f"it says that its mode is '{given['mode']}', and it is imported; leave 'mode' out")
    if given.get("accepted"):
        raise Refused("it brings its own acceptances; leave 'accepted' out, and have it accepted here")
    if given.get("by", person) != person:
        raise Refused(f"it is '{given['by']}'s word, and {person} imports it; leave 'by' out")
    named = given.get("workflow") or flow.name
    if named != flow.name:
        raise Refused(f"it is about workflow '{named}'; import it for that one")
    marks = {"id": ident, "team": flow.team, "workflow": flow.name, "mode": "imported", "by": person}
    return msgspec.json.encode({**given, **marks})
