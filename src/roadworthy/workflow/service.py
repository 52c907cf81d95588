"""Applying configuration and freezing releases: the effects around ``files``, ``digest`` and ``rules``.

Every change and its audit record are written in one transaction.  What is refused changes nothing.  Publishing
the snapshot after a change is the caller's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.digest import NotReleasable, canonical, release_of
from roadworthy.workflow.files import ModelsListed, PriceKnown, nothing_listed, price_declared, read_configuration
from roadworthy.workflow.model import Canned, Configuration, FrozenRelease, Release, Workflow
from roadworthy.workflow.ports import Agreements, AppliedConfiguration, State, Transaction
from roadworthy.workflow.problems import Problem, did_you_mean, errors
from roadworthy.workflow.rules import Change, ReleaseDiff, broken_promises, diff, plan
from roadworthy.workflow.strictness import Terms, terms_of
from roadworthy.workflow.wording import (
    Behind,
    Slot,
    WordChange,
    Wording,
    WordProblem,
    behind,
    in_words,
    with_words,
)
from roadworthy.workflow.wording import problems as word_problems

DRAFT, SERVED, CANDIDATE = "draft", "served", "candidate"

Reach = Literal["everybody", "testers", "nobody"]
"""Who gets a release as soon as it is frozen: everybody under ``observe``; testers under ``enforce``, until a ramp of
another release has begun; nobody but permits then, and in a pilot that has lapsed."""


class Refused(Exception):
    """Configuration with errors; nothing was changed."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Unknown(Exception):
    """A workflow or release that does not exist; the message names what does."""


class Actor(msgspec.Struct, frozen=True):
    """Who does it: a person's id or ``os:uid``."""

    id: str
    on_behalf_of: str = ""


class Applied(msgspec.Struct, frozen=True):
    """What ``apply`` did, or with ``dry_run`` or errors would do."""

    plan: list[Change]
    problems: list[Problem]
    applied: bool
    version: int
    """Of the configuration in force afterwards; 0 when there is none."""


class Frozen(msgspec.Struct, frozen=True):
    release: FrozenRelease
    created: bool
    """``False``: this content was frozen before, and that release is put forward (again)."""
    diff: ReleaseDiff | None
    """Against the release that was put forward before, when that was another one."""
    reach: Reach = "testers"
    warnings: list[Problem] = []
    """What of the console's words this release goes back from."""


class ListedRelease(msgspec.Struct, frozen=True):
    frozen: FrozenRelease
    served: bool
    """Does a gateway give it to anybody: as the release of its workflow, or the one before it?"""
    candidate: bool = False
    """Was it frozen last?"""


def reach_of(workflow: Workflow) -> Reach:
    """Where nobody knows of waivers and ramps."""
    return "everybody" if workflow.enforcement == "observe" else "testers"


class Workflows:
    """Configuration and releases over a state store."""

    def __init__(
        self,
        state: State,
        *,
        clock: Callable[[], float],
        price_known: PriceKnown = price_declared,
        listed: ModelsListed = nothing_listed,
        agreements: Agreements | None = None,
        reach: Callable[[Workflow], Reach] = reach_of,
        ramped: Callable[[str], Sequence[str]] = lambda workflow: (),
        applied: Callable[[Actor], None] = lambda actor: None,
    ) -> None:
        """``agreements``: without them nobody has to agree to anything.  ``ramped``: digests that the ramp of a
        workflow serves, its own first; none before its first ramp.  ``applied``: what follows a configuration that was
        put in force."""
        self._state = state
        self._after_apply = applied
        self._agreements = agreements
        self._reach = reach
        self._ramped = ramped
        self._clock = clock
        self._price_known = price_known
        self._listed = listed

    def check(self, files: Mapping[str, str]) -> list[Problem]:
        """All errors and warnings, those against the served releases included.  Changes nothing."""
        with self._state.read() as transaction:
            return self._judge(transaction, files).problems

    def apply(self, files: Mapping[str, str], actor: Actor, *, dry_run: bool = False, reason: str = "") -> Applied:
        """Make these files the configuration in force, whole or not at all.

        With errors nothing is applied and ``problems`` holds them.  The same files again change nothing and leave
        no audit record.
        """
        with self._state.read() if dry_run else self._state.write() as transaction:
            judged = self._judge(transaction, files)
            if dry_run or not judged.plan or errors(judged.problems):
                return judged
            old = _declared(transaction)
            checked = read_configuration(files, self._price_known, self._listed)
            assert checked.configuration is not None
            now = self._clock()
            version = judged.version + 1
            transaction.add_configuration(
                AppliedConfiguration(version, now, actor.id, dict(files), checked.configuration)
            )
            event = Event(
                actor=actor.id,
                on_behalf_of=actor.on_behalf_of,
                action="configuration.apply",
                target="configuration",
                before=None if old is None else {"version": old.version, "files": files_hash(old.files)},
                after={
                    "version": version,
                    "files": files_hash(files),
                    "changes": [f"{change.change} {change.subject}" for change in judged.plan],
                    "loosens": [change.subject for change in judged.plan if change.loosens],
                },
                reason=reason,
            )
            transaction.append_audit(chain(transaction.last_audit(), event, now))
        self._agree(checked.configuration, actor)
        self._after_apply(actor)
        return Applied(judged.plan, judged.problems, True, version)

    def _agree(self, configuration: Configuration, actor: Actor) -> None:
        """The first terms of a workflow are in force at once, and so is what is stricter from now on.

        After the configuration is committed: until then, and after a crash in between, the earlier terms bind.
        """
        if self._agreements is None:
            return
        for name, workflow in configuration.workflows.items():
            self._agreements.agree(name, terms_of(workflow), by=actor.id)

    def settle(self) -> None:
        """At the start of control: what was applied by one that kept no agreements, or that ended before it had
        written one, is agreed to as it stands, so that nothing looser follows it unseen."""
        with self._state.read() as transaction:
            declared = _declared(transaction)
        if self._agreements is None or declared is None:
            return
        for name, workflow in declared.configuration.workflows.items():
            if self._agreements.terms(name) is None:
                self._agreements.agree(name, terms_of(workflow), by=declared.applied_by)

    def _terms(self, workflow: str) -> Terms | None:
        return None if self._agreements is None else self._agreements.terms(workflow)

    def freeze(self, workflow: str, actor: Actor, note: str = "") -> Frozen:
        """Freeze the applied draft into a release and put it forward: what ``Reach`` says, and nothing more.

        The same content gives the release that exists.  Raises ``Unknown`` for a workflow that is not configured
        and ``Refused`` for one that cannot be released.
        """
        with self._state.write() as transaction:
            applied = self._applied(transaction)
            draft = self._workflow(applied, workflow)
            checked = read_configuration(applied.files, self._price_known, self._listed)
            found = errors(checked.problems) or _not_releasable(draft)
            if found:
                raise Refused(found)
            release = release_of(draft)
            lost = _behind(transaction, draft)
            done = self._put_forward(transaction, draft, release, actor, note)
            return msgspec.structs.replace(
                done, warnings=[] if done.release.release.digest == lost.digest else lost.problems
            )

    def reword(self, workflow: str, base: str, words: Mapping[Slot, Canned], actor: Actor, note: str = "") -> Frozen:
        """Freeze a release that differs from an existing one (``base``: its digest) in words that customers read, and
        put it forward as ``freeze`` does.

        The files are not asked and not changed: they say the old words until somebody writes the new ones there, and
        until then ``apply`` and ``freeze`` warn.  Raises ``Unknown`` and ``Refused``.
        """
        with self._state.write() as transaction:
            flow = self._workflow(self._applied(transaction), workflow)
            old = transaction.release(base)
            if old is None or old.release.workflow != workflow:
                raise Unknown(f"no release '{base[:16]}' of {workflow}")
            release = with_words(old.release, words)
            found = word_problems(old.release, words)
            if release.digest == base:
                found = [WordProblem("words", "the words of the release", "other words")]
            if found:
                raise Refused([in_words(workflow, each) for each in found])
            done = self._put_forward(transaction, flow, release, actor, note)
            kept = transaction.wording(workflow) or Wording(workflow, flow.team)
            transaction.put_wording(
                Wording(
                    workflow, flow.team, published=release.digest, published_by=actor.id, published_at=self._clock(),
                    before=base, test=kept.test,
                )
            )  # fmt: skip
            return done

    def behind(self, workflow: str) -> list[WordChange]:
        """Words of the release that was put forward from the console and that the files do not say: what a freeze from
        the files would undo.  Raises ``Unknown``."""
        with self._state.read() as transaction:
            return _behind(transaction, self._workflow(self._applied(transaction), workflow)).changes

    def _put_forward(
        self, transaction: Transaction, flow: Workflow, release: Release, actor: Actor, note: str
    ) -> Frozen:
        now, workflow = self._clock(), flow.name
        frozen = transaction.release(release.digest)
        created = frozen is None
        if frozen is None:
            numbers = [known.number for known in transaction.releases(workflow)]
            frozen = FrozenRelease(release, flow.team, max(numbers, default=0) + 1, now, actor.id, note)
            transaction.add_release(frozen)
        before = transaction.candidates().get(workflow)
        reach = self._reach(flow)
        lapsed = flow.enforcement == "observe" and reach == "nobody"  # whoever is served stays served
        if created or (before != release.digest and not lapsed):
            if not lapsed:
                transaction.put_forward(workflow, release.digest)
            event = Event(
                actor=actor.id,
                on_behalf_of=actor.on_behalf_of,
                action="release.freeze" if created else "release.serve",
                target=f"workflow/{workflow}",
                before=None if before is None else {"candidate": before},
                after={"candidate": release.digest, "number": frozen.number, "reaches": reach},
                reason=note,
                team=flow.team,
            )
            transaction.append_audit(chain(transaction.last_audit(), event, now))
        previous = transaction.release(before) if before and before != release.digest else None
        return Frozen(frozen, created, diff(previous.release, release) if previous else None, reach)

    def releases(self, workflow: str | None = None) -> list[ListedRelease]:
        """Newest first within each workflow.  Raises ``Unknown`` for a name without releases or configuration."""
        with self._state.read() as transaction:
            found = transaction.releases(workflow)
            if workflow is not None and not found:
                self._workflow(self._applied(transaction), workflow)
            candidates = transaction.candidates()
            served = {name: self._serving(name, candidates) for name in candidates}
            return [
                ListedRelease(
                    each,
                    each.release.digest in served.get(each.release.workflow, ()),
                    candidates.get(each.release.workflow) == each.release.digest,
                )
                for each in found
            ]

    def diff(self, workflow: str, a: str, b: str) -> ReleaseDiff:
        """``a`` and ``b``: a number, a digest or its beginning, ``draft``, ``candidate`` or ``served``.  Raises
        ``Unknown``."""
        with self._state.read() as transaction:
            return diff(self._find(transaction, workflow, a)[0], self._find(transaction, workflow, b)[0])

    def find(self, workflow: str, which: str) -> tuple[Release, int | None]:
        """A release and its number (``None``: the draft), named as for ``diff``.  Raises ``Unknown``."""
        with self._state.read() as transaction:
            return self._find(transaction, workflow, which)

    def configuration(self) -> AppliedConfiguration | None:
        with self._state.read() as transaction:
            return transaction.applied()

    def served(self) -> dict[str, FrozenRelease]:
        """Workflow name → the release that its ramp serves, or, before its first ramp, its candidate."""
        with self._state.read() as transaction:
            candidates = transaction.candidates()
            digests = {name: self._serving(name, candidates)[0] for name in candidates}
            return _releases(transaction, digests)

    def candidates(self) -> dict[str, FrozenRelease]:
        """Workflow name → the release that was frozen last."""
        with self._state.read() as transaction:
            return _releases(transaction, transaction.candidates())

    def _serving(self, workflow: str, candidates: Mapping[str, str]) -> Sequence[str]:
        """Digests that its gateways hold for live users, the workflow's own release first."""
        return self._ramped(workflow) or [candidates[workflow]]

    def _judge(self, transaction: Transaction, files: Mapping[str, str]) -> Applied:
        old = _declared(transaction)
        version = old.version if old else 0
        checked = read_configuration(files, self._price_known, self._listed)
        new = checked.configuration
        if new is None:
            return Applied([], checked.problems, False, version)
        candidates = transaction.candidates()
        held = {digest for name in candidates for digest in (*self._serving(name, candidates), candidates[name])}
        found = [transaction.release(digest) for digest in sorted(held)]
        problems = checked.problems + broken_promises(new, [each.release for each in found if each is not None])
        for flow in new.workflows.values():
            problems = problems + _behind(transaction, flow).problems
        if old is not None and dict(files) == old.files:
            return Applied([], problems, False, version)
        changes = plan(old.configuration if old else None, new, self._terms)
        if old is not None and not changes:
            changes = [Change(change="changed", subject="text of the files", effect="nothing but the files kept")]
        return Applied(changes, problems, False, version)

    def named(self, name: str) -> Workflow:
        """A workflow of the applied configuration.  Raises ``Unknown``, which says what there is."""
        with self._state.read() as transaction:
            return self._workflow(self._applied(transaction), name)

    def _applied(self, transaction: Transaction) -> AppliedConfiguration:
        applied = transaction.applied()
        if applied is None:
            raise Unknown("no configuration is applied yet: run 'roadworthy apply DIR'")
        return applied

    def _workflow(self, applied: AppliedConfiguration, name: str) -> Workflow:
        workflow = applied.configuration.workflows.get(name)
        if workflow is None:
            raise Unknown(f"no workflow '{name}': {did_you_mean(name, applied.configuration.workflows)}")
        return workflow

    def _find(self, transaction: Transaction, workflow: str, which: str) -> tuple[Release, int | None]:
        if which == DRAFT:
            draft = self._workflow(self._applied(transaction), workflow)
            try:
                return release_of(draft), None
            except NotReleasable as error:
                raise Unknown(f"no draft: {error}") from error
        known = transaction.releases(workflow)
        if which in (SERVED, CANDIDATE):
            candidates = transaction.candidates()
            digest = candidates.get(workflow)
            if which == SERVED and digest is not None:
                digest = self._serving(workflow, candidates)[0]
            found = [frozen for frozen in known if frozen.release.digest == digest]
        elif which.isdecimal() and len(which) < 7:
            found = [frozen for frozen in known if frozen.number == int(which)]
        else:
            prefix = which if which.startswith("rel_") else f"rel_{which}"
            found = [frozen for frozen in known if frozen.release.digest.startswith(prefix)]
        if len(found) == 1:
            return found[0].release, found[0].number
        names = ", ".join(f"{frozen.number} ({frozen.release.digest[:12]})" for frozen in known) or "none yet"
        raise Unknown(
            f"{'several releases match' if found else 'no release'} '{which}' of {workflow}; releases: {names}"
        )


def files_hash(files: Mapping[str, str]) -> str:
    """SHA-256 over the files as they are."""
    return hashlib.sha256(canonical(dict(files)).encode("ascii")).hexdigest()


def _declared(transaction: Transaction) -> AppliedConfiguration | None:
    """The newest configuration as it was applied, whatever of it waits for an owner."""
    newest = transaction.configurations(limit=1)
    return newest[0] if newest else None


def _releases(transaction: Transaction, digests: Mapping[str, str]) -> dict[str, FrozenRelease]:
    found = {name: transaction.release(digest) for name, digest in digests.items()}
    return {name: frozen for name, frozen in found.items() if frozen is not None}


def _behind(transaction: Transaction, flow: Workflow) -> Behind:
    wording, candidate = transaction.wording(flow.name), transaction.candidates().get(flow.name)
    if wording is None or not wording.published or candidate != wording.published:
        return Behind()  # a later freeze has the last word
    published = transaction.release(candidate)
    return Behind() if published is None else behind(wording, published.release, flow)


def _not_releasable(draft: Workflow) -> list[Problem]:
    if draft.behaviour is not None:
        return []
    return [
        Problem(
            file=f"workflows/{draft.name}/workflow.yaml",
            line=0,
            field="",
            found=f"only 'passthrough: {draft.passthrough}'",
            expected="a prompt, a target and a bypass to freeze",
            mend=f"send some calls through it and run 'roadworthy adopt {draft.name}', or write them",
        )
    ]
