"""Applying configuration and freezing releases: the effects around ``files``, ``digest`` and ``rules``.

Every change and its audit record are written in one transaction.  What is refused changes nothing.  Publishing
the snapshot after a change is the caller's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.digest import NotReleasable, canonical, release_of
from roadworthy.workflow.files import ModelsListed, PriceKnown, nothing_listed, price_declared, read_configuration
from roadworthy.workflow.model import FrozenRelease, Release, Workflow
from roadworthy.workflow.ports import AppliedConfiguration, State, Transaction
from roadworthy.workflow.problems import Problem, did_you_mean, errors
from roadworthy.workflow.rules import Change, ReleaseDiff, broken_promises, diff, plan

DRAFT, SERVED = "draft", "served"


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
    """``False``: this content was frozen before, and that release is served (again)."""
    diff: ReleaseDiff | None
    """Against the release served before, when that was another one."""


class ListedRelease(msgspec.Struct, frozen=True):
    frozen: FrozenRelease
    served: bool


class Workflows:
    """Configuration and releases over a state store."""

    def __init__(
        self,
        state: State,
        *,
        clock: Callable[[], float],
        price_known: PriceKnown = price_declared,
        listed: ModelsListed = nothing_listed,
    ) -> None:
        self._state = state
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
            old = transaction.applied()
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
            return Applied(judged.plan, judged.problems, True, version)

    def freeze(self, workflow: str, actor: Actor, note: str = "") -> Frozen:
        """Freeze the applied draft into a release and serve it.

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
            now = self._clock()
            frozen = transaction.release(release.digest)
            created = frozen is None
            if frozen is None:
                numbers = [known.number for known in transaction.releases(workflow)]
                number = max(numbers, default=0) + 1
                frozen = FrozenRelease(release, draft.team, number, now, actor.id, note)
                transaction.add_release(frozen)
            served = transaction.served().get(workflow)
            if created or served != release.digest:
                transaction.serve(workflow, release.digest)
                event = Event(
                    actor=actor.id,
                    on_behalf_of=actor.on_behalf_of,
                    action="release.freeze" if created else "release.serve",
                    target=f"workflow/{workflow}",
                    before=None if served is None else {"served": served},
                    after={"served": release.digest, "number": frozen.number},
                    reason=note,
                    team=draft.team,
                )
                transaction.append_audit(chain(transaction.last_audit(), event, now))
            previous = transaction.release(served) if served and served != release.digest else None
            return Frozen(frozen, created, diff(previous.release, release) if previous else None)

    def releases(self, workflow: str | None = None) -> list[ListedRelease]:
        """Newest first within each workflow.  Raises ``Unknown`` for a name without releases or configuration."""
        with self._state.read() as transaction:
            found = transaction.releases(workflow)
            if workflow is not None and not found:
                self._workflow(self._applied(transaction), workflow)
            served = set(transaction.served().values())
            return [ListedRelease(release, release.release.digest in served) for release in found]

    def diff(self, workflow: str, a: str, b: str) -> ReleaseDiff:
        """``a`` and ``b``: a number, a digest or its beginning, ``draft`` or ``served``.  Raises ``Unknown``."""
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
        """Workflow name → the release that it serves."""
        with self._state.read() as transaction:
            return _served_releases(transaction)

    def _judge(self, transaction: Transaction, files: Mapping[str, str]) -> Applied:
        old = transaction.applied()
        version = old.version if old else 0
        checked = read_configuration(files, self._price_known, self._listed)
        new = checked.configuration
        if new is None:
            return Applied([], checked.problems, False, version)
        served = [frozen.release for frozen in _served_releases(transaction).values()]
        problems = checked.problems + broken_promises(new, served)
        if old is not None and dict(files) == old.files:
            return Applied([], problems, False, version)
        changes = plan(old.configuration if old else None, new)
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
        if which == SERVED:
            digest = transaction.served().get(workflow)
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


def _served_releases(transaction: Transaction) -> dict[str, FrozenRelease]:
    found = {name: transaction.release(digest) for name, digest in transaction.served().items()}
    return {name: frozen for name, frozen in found.items() if frozen is not None}


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
