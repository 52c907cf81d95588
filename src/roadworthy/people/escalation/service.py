"""The queue of escalations: opened from the journal, claimed and answered by people or their helpdesk, told to callers.

Rules: an escalation, its audit record and every message that follows from it are written in one transaction; messages
then leave through the outbox, so nothing that was promised is lost with a process.  Only named people of the
escalation's team, and its workflow's owners, may act on it; a helpdesk acts by its signature.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from roadworthy.people import webhooks
from roadworthy.people.directory import standing_of
from roadworthy.people.escalation import payloads, rules
from roadworthy.people.escalation.model import HELPDESK, Action, Answer, Escalation, opened
from roadworthy.people.escalation.rules import Effect, Event, Refused
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import note
from roadworthy.people.outbox.model import Delivery, Kind
from roadworthy.people.ports import PeopleState, PeopleTransaction, WhichEscalations
from roadworthy.people.roles import Standing
from roadworthy.workflow import audit, inference
from roadworthy.workflow.model import Configuration
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

LONGEST_ANSWER = 100_000
"""Characters of a human's answer."""
ROUND = 200
"""Escalations whose time is over that one transaction closes."""


class NotAllowed(Exception):
    """Known, and not of the team."""


class Reply(msgspec.Struct, frozen=True):
    """What a helpdesk sends back."""

    answer: str = ""
    agent: str = ""
    action: Action | None = None
    """``None``: seen from the text."""


class Queue:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: PeopleState,
        *,
        clock: Callable[[], float],
        answer_url: Callable[[str], str],
        completion: Callable[[Escalation], bytes],
        fits: Callable[[PeopleTransaction, Escalation, str], msgspec.Raw],
        secret: Callable[[str], str | None],
        new_id: Callable[[str], str] = lambda prefix: prefix + secrets.token_hex(12),
    ) -> None:
        """``answer_url``: escalation's id → where a helpdesk answers it; ``completion``: an answered escalation → the
        body that its caller reads; ``fits``: a human's text as JSON that satisfies the release's schema, else ``null``;
        ``secret``: name of a secret → the secret."""
        self._state = state
        self._clock = clock
        self._answer_url = answer_url
        self._completion = completion
        self._fits = fits
        self._secret = secret
        self._new_id = new_id

    # --- opening and time

    def open(self, tx: PeopleTransaction, lines: Sequence[inference.Escalation]) -> int:
        """Open what was journalled, in the caller's transaction.  A line that was opened before changes nothing."""
        configuration = _configuration(tx)
        count = 0
        for line in lines:
            made = replace(opened(line, _helpdesk_of(configuration, line.workflow)), seq=self._next_seq(tx))
            if not tx.add_escalation(made):
                continue
            count += 1
            if made.helpdesk is not None:
                seen = rules.seen_by(made, hidden_share(configuration, made.workflow), HELPDESK + made.helpdesk)
                body = payloads.opened(seen, self._answer_url(made.id), self._clock())
                self._send(tx, made, "escalation", HELPDESK + made.helpdesk, body)
        return count

    def pass_time(self) -> int:
        """Close what nobody answered in time and give lapsed claims back.  Returns how many changed."""
        now, count = self._clock(), 0
        with self._state.read() as tx:
            if not tx.overdue_escalations(now, 1):
                return 0
        with self._state.write() as tx:
            for escalation in tx.overdue_escalations(now, ROUND):
                event = rules.due(escalation, now)
                if event is not None:
                    self._apply(tx, escalation, event, now)
                    count += 1
        return count

    # --- what people do
    #
    # Each of these returns the escalation as the actor may see it: without a draft that is hidden until they wrote.

    def claim(self, ident: str, actor: Actor) -> Escalation:
        """Raises ``Unknown``, ``NotAllowed`` and ``Refused``, as all of these do."""
        return self._act(ident, actor, "escalation.claim", lambda tx, found: Event("claim", actor.id))

    def commit(self, ident: str, actor: Actor, text: str) -> Escalation:
        """Keep what the holder wrote, and show them the draft.  Raises as ``claim``."""

        def event(tx: PeopleTransaction, found: Escalation) -> Event:
            if len(text) > LONGEST_ANSWER:
                raise Refused(f"the answer has {len(text):,} characters; at most {LONGEST_ANSWER:,} are sent")
            return Event("commit", actor.id, text=text)

        return self._act(ident, actor, "escalation.commit", event)

    def give_back(self, ident: str, actor: Actor, reason: str = "") -> Escalation:
        return self._act(
            ident, actor, "escalation.return", lambda tx, found: Event("return", actor.id, reason=reason[:500])
        )

    def cancel(self, ident: str, actor: Actor, reason: str = "") -> Escalation:
        return self._act(
            ident, actor, "escalation.cancel", lambda tx, found: Event("cancel", actor.id, reason=reason[:500])
        )

    def answer(self, ident: str, actor: Actor, text: str, action: Action | None = None) -> Escalation:
        """``action``: what became of the draft; ``None``: seen from the text."""
        return self._act(
            ident,
            actor,
            "escalation.answer",
            lambda tx, found: Event("answer", actor.id, self._answered(tx, found, text, action, actor.id)),
        )

    def reply(self, ident: str, headers: Mapping[str, str], body: bytes) -> Escalation:
        """A helpdesk's signed answer.

        Raises ``webhooks.SignatureRefused``, ``Unknown``, ``Refused``.  The same message told twice changes nothing
        and is no error: a helpdesk repeats what it got no answer to.
        """
        now = self._clock()
        with self._state.write() as tx:
            found = tx.escalation(ident)
            helpdesk = None if found is None else found.helpdesk
            config = _configuration(tx)
            hook = None if config is None or helpdesk is None else config.settings.helpdesks.get(helpdesk)
            secret = None if hook is None else self._secret(hook.secret)
            if found is None or helpdesk is None or secret is None:
                # one answer for all, so that nothing can be probed without a secret
                raise webhooks.SignatureRefused("no helpdesk with a secret has this escalation")
            message = webhooks.verify(secret, headers, body, now)
            if not tx.receive_message(HELPDESK + helpdesk, message, now):
                return found
            said = _reply(body)
            by = HELPDESK + helpdesk
            if said.action == "discarded" and not said.answer.strip():
                event = Event("cancel", by, reason="the helpdesk discarded it")
            else:
                answer = self._answered(tx, found, said.answer, said.action, by)
                event = Event("answer", by, replace(answer, agent=said.agent[:200]))
            after = self._apply(tx, found, event, now)
            actor = Actor(by, on_behalf_of=said.agent[:200])
            self._record(tx, actor, "escalation.answer", found, after, now)
        return after

    # --- what people read

    def waiting(self, workflow: str | None = None, limit: int = 200) -> Sequence[Escalation]:
        """Open ones, the most urgent first; nobody must answer a drill, so drills are left out."""
        with self._state.read() as tx:
            return tx.waiting_escalations(workflow, limit)

    def all(self, workflow: str | None = None, limit: int = 200) -> Sequence[Escalation]:
        with self._state.read() as tx:
            return tx.escalations(WhichEscalations(workflow), limit)

    def find(self, ident: str) -> Escalation:
        """For machines.  Raises ``Unknown``."""
        with self._state.read() as tx:
            return _found(tx, ident)

    def read(self, ident: str, actor: Actor) -> Escalation:
        """For a person who reads the transcript, which is audited.  Raises ``Unknown``."""
        with self._state.write() as tx:
            found = _found(tx, ident)
            self._record(tx, actor, "escalation.read", found, found, self._clock())
            return rules.seen_by(found, hidden_share(_configuration(tx), found.workflow), actor.id)

    # --- inside

    def _act(
        self, ident: str, actor: Actor, action: str, event: Callable[[PeopleTransaction, Escalation], Event]
    ) -> Escalation:
        now = self._clock()
        with self._state.write() as tx:
            found = _found(tx, ident)
            configuration = _configuration(tx)
            if may_act(found, standing_of(tx, actor.id, configuration)):
                after = self._apply(tx, found, event(tx, found), now)
                self._record(tx, actor, action, found, after, now)
                return rules.seen_by(after, hidden_share(configuration, found.workflow), actor.id)
            denied = audit.Event(
                actor=actor.id, on_behalf_of=actor.on_behalf_of, action=action, target=f"escalation/{found.id}",
                outcome="denied", team=found.team,
            )  # fmt: skip
            tx.append_audit(audit.chain(tx.last_audit(), denied, now))
        raise NotAllowed(
            f"{actor.id} has no role that answers in team {found.team!r} and owns nothing of workflow "
            f"{found.workflow!r}, so this escalation is others' to answer"
        )

    def _answered(self, tx: PeopleTransaction, found: Escalation, text: str, action: Action | None, by: str) -> Answer:
        share = hidden_share(_configuration(tx), found.workflow)
        if action == "sent" and not rules.may_see_draft(found, share, by):
            raise Refused("its draft is hidden until you have written an answer of your own: nobody sends it unseen")
        text = text if text.strip() or action != "sent" else found.draft or ""
        if len(text) > LONGEST_ANSWER:
            raise Refused(f"the answer has {len(text):,} characters; at most {LONGEST_ANSWER:,} are sent")
        if not text.strip():
            raise Refused("the answer is empty" + ("" if found.draft else ", and there is no draft to send"))
        json = self._fits(tx, found, text) if found.structured else msgspec.Raw(b"null")
        reading = rules.reading_time(rules.last_of_user(found.messages), found.draft or text)
        return Answer(
            text, action or became_of(found.draft, text), by, at=self._clock(), json=json, reading=round(reading, 1),
            hidden=rules.hides(found, share),
        )  # fmt: skip

    def _apply(self, tx: PeopleTransaction, found: Escalation, event: Event, now: float) -> Escalation:
        after, effects = rules.step(found, event, now)
        after = replace(after, seq=self._next_seq(tx))
        tx.put_escalation(after)
        for effect in effects:
            self._perform(tx, after, effect, now)
        return after

    def _perform(self, tx: PeopleTransaction, after: Escalation, effect: Effect, now: float) -> None:
        if effect == "tell_caller" and after.callback is not None:
            completion = self._completion(after) if after.answer is not None else None
            body = payloads.ended(after, completion, now)
            self._send(tx, after, "callback", f"callback:{after.key} {after.callback}", body)
        elif effect == "tell_helpdesk" and after.helpdesk is not None:
            if after.closed_by != HELPDESK + after.helpdesk:
                self._send(tx, after, "escalation", HELPDESK + after.helpdesk, payloads.closed(after, now))
        elif effect == "tell_owner":
            note(tx, unanswered(after, now), _configuration(tx), self._new_id, now)

    def _send(self, tx: PeopleTransaction, about: Escalation, kind: Kind, destination: str, body: str) -> None:
        now = self._clock()
        tx.put_delivery(
            Delivery(
                id=self._new_id("msg_"), team=about.team, kind=kind, destination=destination, body=body,
                created_at=now, due_at=now, about=about.id, unit=about.unit, workflow=about.workflow,
                drill=about.traffic == "drill",
            )
        )  # fmt: skip

    def _next_seq(self, tx: PeopleTransaction) -> int:
        """Rises even when the newest escalation was forgotten meanwhile."""
        return max(tx.last_escalation_seq() + 1, int(self._clock() * 1e6))

    def _record(
        self, tx: PeopleTransaction, actor: Actor, action: str, before: Escalation, after: Escalation, now: float
    ) -> None:
        answer = after.answer
        said = {} if answer is None else {"action": answer.action, "characters": len(answer.text)}
        event = audit.Event(
            actor=actor.id, on_behalf_of=actor.on_behalf_of, action=action, target=f"escalation/{after.id}",
            before={"state": before.state}, after={"state": after.state, **said}, team=after.team,
        )  # fmt: skip
        tx.append_audit(audit.chain(tx.last_audit(), event, now))


def may_act(escalation: Escalation, held: Standing) -> bool:
    """Default deny: a person with a role that answers, in the escalation's team or of its workflow."""
    if escalation.workflow in held.teams:
        return held.may("answer", escalation.workflow)
    return "answer" in held.within(escalation.team)


def hidden_share(configuration: Configuration | None, workflow: str) -> float:
    """Of the drafts of a workflow, how many are hidden until an agent has written."""
    flow = None if configuration is None else configuration.workflows.get(workflow)
    return 0.0 if flow is None else flow.policy.escalation.hide_draft


def unanswered(escalation: Escalation, now: float) -> Notice:
    return Notice(
        kind="alert",
        alert="unanswered",
        key=f"unanswered/{escalation.workflow}",
        team=escalation.team,
        workflow=escalation.workflow,
        title=f"{escalation.workflow}: an escalated call was not answered in time",
        summary=f"Nobody answered {escalation.id} by {payloads.iso(escalation.answer_by)}; its caller was told so.",
        role="workflow",
        at=now,
        inference=escalation.id,
        traffic=escalation.traffic,
    )


def _reply(body: bytes) -> Reply:
    try:
        return msgspec.json.decode(body, type=Reply)
    except msgspec.MsgspecError as error:
        raise Refused(
            f"the answer cannot be read: {error}; expected "
            '{"answer": text, "agent": name, "action": "sent" | "edited" | "discarded"}'
        ) from error


def became_of(draft: str | None, text: str) -> Action:
    """What an answer made of the draft: edited, as long as half of its words are still there."""
    if draft is None or text == draft:
        return "sent"
    words = set(draft.lower().split())
    return "edited" if words and len(words & set(text.lower().split())) * 2 >= len(words) else "discarded"


def _found(tx: PeopleTransaction, ident: str) -> Escalation:
    found = tx.escalation(ident)
    if found is None:
        known = [row.id for row in tx.waiting_escalations(None, 200)]
        hint = did_you_mean(ident, known) if known else "nobody waits; roadworthy escalations --all lists closed ones"
        raise Unknown(f"no escalation {ident[:80]!r}: {hint}")
    return found


def _configuration(tx: PeopleTransaction) -> Configuration | None:
    applied = tx.applied()
    return None if applied is None else applied.configuration


def _helpdesk_of(configuration: Configuration | None, workflow: str) -> str | None:
    if configuration is None or workflow not in configuration.workflows:
        return None
    name = configuration.workflows[workflow].policy.escalation.helpdesk
    return name if name in configuration.settings.helpdesks else None
