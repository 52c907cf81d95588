"""One workflow's files as a draft: its keys as read, with their lines, and the workflow that they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from roadworthy.workflow.check_options import CodeFolder, python_hash, python_sources
from roadworthy.workflow.ladder import merged
from roadworthy.workflow.model import (
    DEFAULT_TEAM,
    Behaviour,
    Bypass,
    CheckSpec,
    Clocks,
    EvalPlan,
    Handling,
    Hedge,
    InputSpec,
    Ladder,
    Policy,
    Prompt,
    ScorerSpec,
    StreamMode,
    Target,
    TargetIdentity,
    Workflow,
)
from roadworthy.workflow.problems import Problem, Severity
from roadworthy.workflow.scorer_kinds import gives
from roadworthy.workflow.source import Value

SCORERS_FOLDER: Final[CodeFolder] = "scorers"


@dataclass(frozen=True)
class Draft:
    """The keys of one workflow.yaml as read; what was invalid is missing here and already noted."""

    file: str
    root: Value
    keys: Mapping[str, Any]
    targets: Mapping[str, Target]
    files: Mapping[str, str]
    """All files, for the Python files of ``checks/``."""

    def has(self, *path: str) -> bool:
        """Is the key written in the file, valid or not?"""
        value = self.root
        for key in path:
            if not isinstance(value.data, dict) or key not in value.data:
                return False
            value = value.data[key]
        return True

    def line(self, *path: str) -> int:
        """Line of the deepest part of ``path`` that is written."""
        value = self.root
        for key in path:
            if not isinstance(value.data, dict) or key not in value.data:
                break
            value = value.data[key]
        return value.line

    def problem(
        self, path: tuple[str, ...], found: str, expected: str, mend: str, severity: Severity = "error"
    ) -> Problem:
        return Problem(
            file=self.file,
            line=self.line(*path),
            field=".".join(path),
            found=found,
            expected=expected,
            mend=mend,
            severity=severity,
        )

    @property
    def name(self) -> str:
        """The workflow's: its folder."""
        return self.file.split("/")[1]

    @property
    def embeddings(self) -> bool:
        return self.keys.get("kind") == "embeddings"

    @property
    def released(self) -> bool:
        """Is it meant to be frozen, rather than only passed through?"""
        return not self.has("passthrough") or any(self.has(key) for key in ("prompt", "target", "bypass", "output"))

    @property
    def schema(self) -> Any:
        return self.keys.get("output", {}).get("schema")

    @property
    def first(self) -> Target | None:
        """The target that answers first."""
        return self.targets.get(str(self.keys.get("target")))

    @property
    def checks(self) -> dict[str, CheckSpec]:
        read: dict[str, CheckSpec] = self.keys.get("checks", {})
        return read

    @property
    def evals(self) -> EvalPlan:
        """With the source of users' scorers: they are no part of a release, and must be there to rebuild a run."""
        read: EvalPlan = self.keys.get("evals", EvalPlan())
        sources = python_sources(self.files, self.name, SCORERS_FOLDER)
        return msgspec.structs.replace(
            read, scorers={name: _with_code(spec, sources) for name, spec in read.scorers.items()}
        )

    @property
    def enforced_checks(self) -> dict[str, CheckSpec]:
        return {name: spec for name, spec in self.checks.items() if not spec.record_only}

    @property
    def stream(self) -> StreamMode:
        if "stream" in self.keys:
            mode: StreamMode = self.keys["stream"][0]
            return mode
        whole = self.has("output") or self.has("tools") or bool(self.enforced_checks)
        return "buffered" if whole else "passthrough"

    @property
    def window(self) -> int:
        """Characters that a windowed stream holds back."""
        read: int | None = self.keys["stream"][1] if "stream" in self.keys else None
        return Handling().window if read is None else read

    @property
    def ladder(self) -> Ladder:
        """The steps of every failure, defaults included."""
        return merged(
            self.keys.get("ladder", {}),
            canned=self.has("canned"),
            cache=self.has("cache"),
            holding=self.has("holding"),
            embeddings=self.embeddings,
        )

    @property
    def prompt(self) -> Prompt | None:
        read = self.keys.get("prompt")
        if read is None or "system" not in read or "mode" not in read:
            return None
        inputs = {name: _input(spec) for name, spec in read.get("inputs", {}).items()}
        canary = read.get("canary", False)
        return Prompt(mode=read["mode"], system=prompt_text(read["system"]), inputs=inputs, canary=canary)


def prompt_text(text: str) -> str:
    """The prompt in a file: line ends as ``\\n``, without the newlines that end the file."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _input(read: dict[str, Any]) -> InputSpec:
    """An input with a default is optional unless it says otherwise."""
    return InputSpec(**({"required": "default" not in read} | read))


def workflow_of(draft: Draft) -> Workflow | None:
    """The workflow, or ``None`` when too much of it is missing (which is noted already)."""
    keys = draft.keys
    if "owners" not in keys:
        return None
    return Workflow(
        name=draft.name,
        team=keys.get("team", DEFAULT_TEAM),
        owners=keys["owners"],
        enforcement=keys.get("enforcement", "enforce"),
        description=keys.get("description", ""),
        cost_centre=keys.get("cost_centre"),
        policy=keys.get("policy", Policy()),
        behaviour=_behaviour(draft),
        handling=_handling(draft),
        passthrough=keys.get("passthrough"),
        rubric=prompt_text(keys["rubric"]) if "rubric" in keys else None,
        evals=draft.evals,
    )


def _behaviour(draft: Draft) -> Behaviour | None:
    keys = draft.keys
    first = keys.get("target")
    if not draft.released or first is None:
        return None
    sources = python_sources(draft.files, draft.name)
    names = [first, *(name for _path, name in named_targets(draft))]
    return Behaviour(
        kind=keys.get("kind", "chat"),
        prompt=draft.prompt,
        target=first,
        targets={name: target_identity(draft.targets[name]) for name in names if name in draft.targets},
        parameters=keys.get("parameters", {}),
        tools=keys.get("tools"),
        schema=draft.schema,
        caller_overrides=keys.get("caller_overrides", "refuse"),
        repair_prompt=prompt_text(keys["repair_prompt"]) if "repair_prompt" in keys else None,
        checks={name: python_hash(sources) for name, spec in draft.checks.items() if spec.kind == "python"},
    )


def _with_code(spec: ScorerSpec, sources: Mapping[str, str]) -> ScorerSpec:
    if spec.kind != "python":
        return spec
    code = {"sources": dict(sources), "gives": gives(spec.options["python"], sources)}
    return msgspec.structs.replace(spec, options=spec.options | code)


def _handling(draft: Draft) -> Handling:
    keys = draft.keys
    declared: Ladder = keys.get("ladder", {})
    return Handling(
        ladder=draft.ladder if draft.released else declared,
        canned=keys.get("canned"),
        holding=keys.get("holding"),
        blocked=keys.get("blocked"),
        bypass=keys.get("bypass", Bypass()),
        clocks=keys.get("clocks", Clocks()),
        deadline=keys.get("deadline", 60.0),
        stream=draft.stream,
        window=draft.window,
        continuation=keys.get("continuation", 0),
        checks=draft.checks,
        repair_json=keys.get("output", {}).get("repair_json", False),
        hedge=keys.get("hedge"),
        cache=keys.get("cache"),
    )


def named_targets(draft: Draft) -> Iterator[tuple[tuple[str, ...], str]]:
    """(dotted path, name) of every target that the release names besides its first one."""
    ladder: Ladder = draft.keys.get("ladder", {})
    for failure, steps in ladder.items():
        for step in steps:
            if step.target is not None:
                yield ("ladder", failure), step.target
    hedge: Hedge | None = draft.keys.get("hedge")
    if hedge is not None and hedge.target is not None:
        yield ("hedge", "target"), hedge.target
    for name, spec in draft.checks.items():
        if spec.target is not None:
            yield ("checks", name, "target"), spec.target


def target_identity(target: Target) -> TargetIdentity:
    """What of a target belongs to a release."""
    if target.endpoint is None:
        return TargetIdentity(target.provider, target.model, target.provider)
    return TargetIdentity(target.provider, target.model, urlsplit(target.endpoint).netloc.lower())
